"""The machine's description, without which no figure means anything."""

import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any


def describe(folder: Path) -> dict[str, Any]:
    """Processor, memory, kernel, disk, Python, and how busy it was when asked."""
    return {
        "processor": line_of("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory": line_of("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "fsync_ms": round(fsync_milliseconds(folder), 3),
        "load_at_the_start": load(),
        "date": time.strftime("%Y-%m-%d"),
    }


def line_of(path: str, key: str) -> str:
    """The value of the first line of a /proc file that begins with the key."""
    for line in Path(path).read_text().splitlines():
        if line.startswith(key):
            return line.partition(":")[2].strip()
    return "unknown"


def load() -> float:
    """The load average over the last minute; the benchmark itself is part of it."""
    return round(os.getloadavg()[0], 2)


def fsync_milliseconds(folder: Path) -> float:
    """What making 8 kB durable takes on the disk of the folder: the median of 100."""
    took = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(100):
            started = time.perf_counter()
            os.pwrite(file.fileno(), b"x" * 8192, 0)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - started)
    return statistics.median(took) * 1000
