"""Who runs the server in a folder, told by two locks so that nobody guesses at process numbers.

``server.lock`` is inherited by the server's processes: it is free only when the program that
started them and the last of them are gone. ``owner.lock`` is that program's alone: while it is
held the server is there to be used, once it is free the server is on its way out.
"""

import fcntl
import os
import weakref
from pathlib import Path

from colmillo.embedded.files import open_private


class InstanceLock:
    """Both locks of one folder, held until ``close``."""

    def __init__(self, folder: Path) -> None:
        """Opens the files, which are made if need be. Raises OSError when that is impossible."""
        self.server_fd = self._owner_fd = -1
        _open_locks.add(self)
        self.server_fd = open_private(folder / "server.lock", os.O_RDWR)
        self._owner_fd = open_private(folder / "owner.lock", os.O_RDWR)

    def acquire(self) -> bool:
        """Takes both if no server is there. Raises OSError where locks do not work."""
        try:
            fcntl.flock(self.server_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        # Only ``owner_lives`` of another process can be in the way, for a moment.
        fcntl.flock(self._owner_fd, fcntl.LOCK_EX)
        return True

    def owner_lives(self) -> bool:
        """Whether the program that owns the server runs; for whoever did not get the lock."""
        try:
            fcntl.flock(self._owner_fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self._owner_fd, fcntl.LOCK_UN)
        return False

    def close(self) -> None:
        """Lets go; a server that inherited its lock keeps that one."""
        for fd in (self.server_fd, self._owner_fd):
            if fd >= 0:
                os.close(fd)
        self.server_fd = self._owner_fd = -1


_open_locks: weakref.WeakSet[InstanceLock] = weakref.WeakSet()


def _close_in_child() -> None:
    """A forked child (multiprocessing) that outlives its parent must not keep the locks."""
    for lock in list(_open_locks):
        lock.close()


os.register_at_fork(after_in_child=_close_in_child)
