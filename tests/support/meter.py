"""What something costs: processor time and memory of this process and of its parsers."""

import ctypes
import gc
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_EVERY_SECONDS = 0.01
_KILOBYTES_PER_MB = 1_000_000 / 1024


@dataclass(slots=True)
class Cost:
    """Seconds and MB (10^6 bytes). ``parent_mb`` is what came on top of what was there before.

    ``child_mb`` is the most that a parser had resident, all in all.
    """

    wall: float = 0.0
    parent_cpu: float = 0.0
    child_cpu: float = 0.0
    parent_mb: float = 0.0
    child_mb: float = 0.0


def parsers() -> list[int]:
    """The process ids of this process's parser children."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            for pid in (task / "children").read_text(encoding="ascii").split():
                with suppress(OSError):
                    if b"heraldo_sync.parser_process" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        found.append(int(pid))
    return found


@contextmanager
def metered() -> Iterator[Cost]:
    """Measures what the block costs; what it yields is complete when the block is left."""
    cost = Cost()
    children = _Children()
    # What other tests gave back is not to hide what this one takes.
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    _forget_peak("self")
    memory = _status("self", "VmRSS")
    spent = children.cpu()
    wall, cpu = time.perf_counter(), time.process_time()
    with children.watched():
        yield cost
    cost.wall = time.perf_counter() - wall
    cost.parent_cpu = time.process_time() - cpu - children.watching
    cost.child_cpu = children.cpu() - spent
    cost.parent_mb = (_status("self", "VmHWM") - memory) / _KILOBYTES_PER_MB
    cost.child_mb = children.peak / _KILOBYTES_PER_MB


class _Children:
    """The parsers, also those that were killed in the meantime."""

    def __init__(self) -> None:
        self.peak = 0
        self.watching = 0.0
        self._over = threading.Event()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Keeps the highest peak: a process that was killed cannot be asked any more."""
        for pid in parsers():
            _forget_peak(str(pid))
        watcher = threading.Thread(target=self._watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            self._over.set()
            watcher.join()
            self._look()

    def _watch(self) -> None:
        while not self._over.wait(_EVERY_SECONDS):
            self._look()
        # Looking costs a second in a quarter of a minute; it is not the case that costs it.
        self.watching = time.thread_time()

    def _look(self) -> None:
        for pid in parsers():
            with suppress(OSError):
                self.peak = max(self.peak, _status(str(pid), "VmHWM"))

    def cpu(self) -> float:
        """Seconds of all parsers there ever were."""
        dead = resource.getrusage(resource.RUSAGE_CHILDREN)
        alive = 0.0
        for pid in parsers():
            with suppress(OSError):
                schedule = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii")
                alive += int(schedule.split()[0]) / 1e9
        return dead.ru_utime + dead.ru_stime + alive


def _status(pid: str, name: str) -> int:
    """A figure in kB of what the kernel knows of a process."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


def _forget_peak(pid: str) -> None:
    """From here on the peak is that from now on; where we may not do that, since its start."""
    with suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")
