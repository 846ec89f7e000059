"""A folder in memory for the tests' server: on a disk a new database costs many times as much."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = Path("/dev/shm")
_PREFIX = "colmillo-tests-"
# A server takes up to 0.4 GB, most of it its log of changes; containers often have 64 MB in all.
_ROOM = 4 * 2**30


@contextmanager
def memory_folder(otherwise: Path) -> Iterator[Path]:
    """A new folder in memory, gone after the block; ``otherwise`` where memory has no such room."""
    if not _has_room():
        yield otherwise
        return
    _clear_up()
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-", dir=_MEMORY) as folder:
        yield Path(folder)


def _has_room() -> bool:
    return os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM


def _clear_up() -> None:
    """Removes what was left by runs that were killed: it would take memory until the next boot."""
    for folder in _MEMORY.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)
