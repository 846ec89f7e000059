"""Pages of the documentation as programs and as sessions in terminals, for tests to run."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[3] / "docs" / "colmillo"
DSN = "postgresql://localhost/app"
# What differs from one run to the next, and what stands for it in a comparison.
VARYING = (
    (r" +", " "),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DATE"),
    (r"\b\d+ (?:s|min|h|d)\b(?: \d+ (?:s|min|h)\b)?", "TIME"),
    (r"[\w.-]+:\d+(?= )", "HOST:PROCESS"),
    (r"host=[^&' ]+", "host=FOLDER"),
    (r"(?<=is process )\d+", "PROCESS"),
    (r"(?<=is task )\d+|^\d+(?= (?:waiting|running|failed|discarded|cancelled) )", "ID"),
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language and its text."""

    kind: str
    text: str


def blocks(page: str) -> list[Block]:
    """The page's fenced blocks."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [Block(kind, inside) for kind, inside in found]


def joined(page: str, kind: str) -> str:
    """All blocks of a kind one after the other: the page's program, or what it prints."""
    return "\n".join(block.text for block in blocks(page) if block.kind == kind)


async def run_program(code: str, dsn: str, folder: Path) -> str:
    """What the program prints, with a database in the place of the page's. Fails when it does."""
    program = folder / "program.py"
    program.write_text(code.replace(DSN, dsn), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(program)), stdout=asyncio.subprocess.PIPE, cwd=folder
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode()


def alike(line: str) -> str:
    """The line without what differs from run to run."""
    line = line.strip()
    for pattern, name in VARYING:
        line = re.sub(pattern, name, line)
    return line


class Terminals:
    """Plays a page's blocks in order, in one folder.

    ``python`` blocks are files, named in their first line. ``console`` blocks are commands after
    a dollar sign and what they print; a program that goes on is left running. A ``text`` block is
    what the latest of those says next; ^C in it is what one would press there.
    """

    def __init__(self, folder: Path, lasting: tuple[str, ...]) -> None:
        self._folder = folder
        self._lasting = lasting
        self._running: list[asyncio.subprocess.Process] = []
        self._processes: dict[str, str] = {}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        always = {"PATH": path, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "error"}
        self._environment = {**os.environ, **always}

    async def play(self, block: Block) -> None:
        """Plays one block."""
        if block.kind == "python":
            name = block.text.partition("\n")[0].removeprefix("# ")
            (self._folder / name).write_text(block.text, encoding="utf-8")
        elif block.kind == "text":
            await self._go_on(block.text.splitlines())
        elif block.kind == "console":
            for entry in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                command, *said = entry.splitlines()
                await self._type(command, [line for line in said if line])

    async def _type(self, command: str, said: list[str]) -> None:
        lasts = command.startswith(self._lasting)
        for shown, real in self._processes.items():
            command = re.sub(rf"\b{shown}\b", real, command)
        process = await asyncio.create_subprocess_shell(
            f"exec {command}" if lasts else command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self._folder,
            env=self._environment,
        )
        if lasts:
            self._running.append(process)
            await self._go_on(said)
            return
        printed, _ = await process.communicate()
        lines = [line for line in printed.decode().splitlines() if line.strip()]
        assert list(map(alike, lines)) == list(map(alike, said)), command

    async def _go_on(self, said: list[str]) -> None:
        """Waits until the latest program has said all this, maybe with other lines between."""
        process = self._running[-1]
        assert process.stdout is not None
        seen: list[str] = []
        for expected in said:
            if expected == "^C":
                process.send_signal(signal.SIGINT)
                continue
            while True:
                line = (await process.stdout.readline()).decode()
                assert line, f"it ended without saying {expected!r}: {seen}"
                seen.append(line)
                if alike(line) == alike(expected):
                    break
            self._note(expected, line)
        if "^C" in said:
            assert await process.wait() == 0

    def _note(self, expected: str, line: str) -> None:
        """Remembers numbers of processes, and the address that one is told to export."""
        if shown := re.search(r"is process (\d+)", expected):
            self._processes[shown[1]] = re.findall(r"is process (\d+)", line)[0]
        if address := re.match(r"export (\w+)='(.+)'", line):
            self._environment[address[1]] = address[2]

    async def close(self) -> None:
        """Stops what still runs, the latest first."""
        for process in reversed(self._running):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
            await process.wait()


@asynccontextmanager
async def terminals(folder: Path, lasting: tuple[str, ...]) -> AsyncIterator[Terminals]:
    """Terminals for the length of a block."""
    opened = Terminals(folder, lasting)
    try:
        yield opened
    finally:
        await opened.close()
