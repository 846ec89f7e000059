"""Programs that are measured: started, talked to line by line, and what they use by /proc."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# What the measured programs share with the queue's benchmark lies there.
sys.path.append(str(HERE.parent / "queue"))

from machine import describe, load  # noqa: E402
from server import TICK, Server, fields, peak_rss  # noqa: E402

__all__ = ["HERE", "Failed", "Program", "Server", "describe", "load", "program"]

LINE = 64 * 1024 * 1024


class Failed(Exception):
    """A program did not do what it was asked to."""


class Program:
    """One running program that answers each line with a line of JSON."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self._log = log
        self.about: dict[str, Any] = {}

    async def ask(self, do: str, *, limit: float = 120, **arguments: Any) -> dict[str, Any]:
        """One command and its answer. Raises `Failed`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        return await self.hear(do, limit)

    async def hear(self, what: str, limit: float) -> dict[str, Any]:
        """The next line. Raises `Failed`."""
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), limit)
        except TimeoutError:
            raise Failed(f"{self.name} did not answer {what} within {limit:.0f} s") from None
        if not line:
            said = self._log.read_text(errors="replace")[-2000:]
            raise Failed(f"{self.name} ended: {said}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Failed(f"{self.name}, {what}: {answer['error']}")
        return answer

    def cpu(self) -> dict[str, float]:
        """CPU seconds: its own, and those of its children, gone ones included."""
        own = fields(self.pid)
        ticks = sum(int(number) for number in own[13:15])
        for child in children(self.pid):
            try:
                ticks += sum(int(number) for number in fields(child)[11:13])
            except OSError:
                continue
        return {"own": sum(int(number) for number in own[11:13]) / TICK, "children": ticks / TICK}

    def memory(self) -> dict[str, int]:
        """The most bytes it and its living children ever had resident, each."""
        return {
            "own": peak_rss(self.pid),
            "children": sum(peak_rss(child) for child in children(self.pid)),
        }

    async def close(self) -> None:
        """Hangs up, and ends it if that is not enough."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 30)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def children(pid: int) -> list[int]:
    """The living children of a process, whichever of its threads started them."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except OSError:
        return found
    return found


@asynccontextmanager
async def program(
    name: str,
    *command: str,
    folder: Path,
    python: str = sys.executable,
    path: list[str] | None = None,
    **environment: str,
) -> AsyncIterator[Program]:
    """Starts a Python program that says a line when it is ready, with this environment alone."""
    log = folder / f"{name}.log"
    search = [each for each in sys.path if each] if path is None else path
    with log.open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            python,
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=said,
            limit=LINE,
            cwd=folder,
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "HOME": str(folder),
                "LANG": "C.UTF-8",
                "PYTHONPATH": os.pathsep.join(search),
                **environment,
            },
        )
    running = Program(name, process, log)
    try:
        running.about = await running.hear("start", 300)
        yield running
    finally:
        await running.close()
