"""Which account runs the server: PostgreSQL refuses to run as root."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from colmillo.embedded.errors import EmbeddedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An existing unprivileged account that root's server runs as."""

    name: str
    uid: int
    gid: int

    def may(self, path: Path, bits: int) -> bool:
        """Whether the mode bits of ``path`` grant all of ``bits`` (4 read, 2 write, 1 enter)."""
        status = path.stat()
        shift = 6 if status.st_uid == self.uid else 3 if status.st_gid == self.gid else 0
        return (status.st_mode >> shift) & bits == bits

    def can_read(self, path: Path) -> bool:
        """Whether the account can walk to ``path`` from the root folder, read it and enter it."""
        real = path.resolve()
        return all(self.may(parent, 1) for parent in real.parents) and self.may(real, 5)

    def give(self, tree: Path) -> None:
        """Makes the account the owner of ``tree`` and everything in it; no link is followed."""
        for folder, _, files in os.walk(tree):
            for path in (folder, *(os.path.join(folder, name) for name in files)):
                os.chown(path, self.uid, self.gid, follow_symlinks=False)


def account_for(folder: Path, data: Path) -> Account | None:
    """The account for the server in ``folder``: None means the one of this process.

    For root it is the owner of ``data``, else the owner of ``folder``, else ``nobody``.

    Raises:
        EmbeddedError: there is no such account on this machine.
    """
    if os.geteuid() != 0:
        return None
    owners = (path.stat() for path in (data, folder) if path.exists())
    uid = next((status.st_uid for status in owners if status.st_uid != 0), None)
    try:
        entry = pwd.getpwnam("nobody") if uid is None else pwd.getpwuid(uid)
    except KeyError:
        wanted = "called nobody" if uid is None else f"with the number {uid}"
        raise EmbeddedError(
            f"PostgreSQL refuses to run as root and there is no account {wanted} to run it as; "
            "start the program as another user, or set DATABASE_URL to a server of your own"
        ) from None
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)
