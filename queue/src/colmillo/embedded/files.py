"""Files of the instance folder that this process keeps: the lock and the server's log."""

import logging
import os
from pathlib import Path

logger = logging.getLogger("colmillo.embedded")

LOG_LIMIT_BYTES = 5_000_000
_TAIL_BYTES = 2000


def open_private(path: Path, flags: int) -> int:
    """Opens ``path``, making it if need be, for the folder's owner alone; follows no link there.

    Root leaves what it makes to the folder's owner, who must get on without root later.

    Raises:
        OSError: the file cannot be opened.
    """
    fd = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(fd, owner.st_uid, owner.st_gid)
    return fd


class ServerLog:
    """What one server says; at most two files of about ``LOG_LIMIT_BYTES``."""

    def __init__(self, path: Path) -> None:
        """Opens the log for appending. Raises OSError when that is impossible."""
        self.path = path
        self.fd = open_private(path, os.O_RDWR | os.O_APPEND)
        self.bound()
        self._start = os.fstat(self.fd).st_size

    def bound(self) -> None:
        """Moves the text of a log that has grown too long to ``<path>.1`` and starts it afresh.

        The server goes on writing to the same file, which is open for appending. A failure is
        logged: the database matters more.
        """
        old = self.path.with_name(f"{self.path.name}.1")
        try:
            if os.fstat(self.fd).st_size <= LOG_LIMIT_BYTES:
                return
            old.unlink(missing_ok=True)
            copy = open_private(old, os.O_WRONLY | os.O_EXCL)
            try:
                os.sendfile(copy, self.fd, 0, 2 * LOG_LIMIT_BYTES)
            finally:
                os.close(copy)
            os.ftruncate(self.fd, 0)
        except OSError as error:
            logger.warning("embedded server's log not shortened", extra={"error": error.strerror})

    def tail(self) -> str:
        """The last lines that were written since the log was opened."""
        end = os.fstat(self.fd).st_size
        start = max(self._start if self._start <= end else 0, end - _TAIL_BYTES)
        return os.pread(self.fd, end - start, start).decode(errors="replace").strip()

    def close(self) -> None:
        """Closes this process's side."""
        os.close(self.fd)
