"""Which peers there are, their private environments, and their adapters as processes."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ADAPTERS = HERE / "peers"
ROOT = HERE.parents[1]
SOURCES = ROOT / "queue" / "src"
LINE = 256 * 1024 * 1024


class Unavailable(Exception):
    """A peer cannot be run on this machine; the text says why."""


class Failed(Exception):
    """A peer did not do what it was asked to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One contestant. ``scale`` shrinks its number of tasks: a slow one needs no more time."""

    name: str
    script: str
    least_python: tuple[int, int] = (3, 11)
    scale: float = 1.0


PEERS = {
    peer.name: peer
    for peer in (
        Peer(name="bare", script="peer_bare.py"),
        Peer(name="colmillo", script="peer_colmillo.py"),
        Peer(name="pgqueuer", script="peer_pgqueuer.py"),
        Peer(name="procrastinate", script="peer_procrastinate.py", scale=0.1),
        Peer(name="chancy", script="peer_chancy.py", scale=0.5),
        Peer(name="oban", script="peer_oban.py", least_python=(3, 12), scale=0.25),
        Peer(name="awa", script="peer_awa.py", scale=0.25),
        Peer(name="graphile", script="peer_graphile.mjs"),
    )
}


def python_for(peer: Peer, given: str | None) -> str:
    """An interpreter that is new enough: the one asked for, this one, or another in the path."""
    wanted = [given] if given else [sys.executable]
    names = [f"python3.{minor}" for minor in range(peer.least_python[1], 15)]
    for candidate in [*wanted, *filter(None, map(shutil.which, names)), *pyenv(names)]:
        version = version_of(candidate)
        if version is not None and version >= peer.least_python:
            return candidate
    least = ".".join(map(str, peer.least_python))
    raise Unavailable(f"needs Python {least} or newer, and there is none here")


def pyenv(names: list[str]) -> list[str]:
    """The interpreters that pyenv keeps out of the path."""
    root = Path.home() / ".pyenv" / "versions"
    return [str(path) for name in names for path in sorted(root.glob(f"3.*/bin/{name}"))]


def version_of(python: str) -> tuple[int, int] | None:
    """Its version, None if it does not run."""
    code = "import sys; print(*sys.version_info[:2])"
    try:
        said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    major, minor = said.stdout.split()
    return int(major), int(minor)


@dataclass(slots=True)
class Environments:
    """Private environments, made once and kept: one folder per peer."""

    folder: Path
    python: str | None = None
    commands: dict[str, list[str]] = field(default_factory=dict)

    async def command(self, peer: Peer) -> list[str]:
        """The argv of the peer's adapter. Raises `Unavailable`."""
        if peer.name not in self.commands:
            node = peer.script.endswith(".mjs")
            make = self._node if node else self._venv
            self.commands[peer.name] = await make(peer)
        return self.commands[peer.name]

    async def _venv(self, peer: Peer) -> list[str]:
        pins = ADAPTERS / f"{peer.name}.txt"
        place = self.folder / peer.name
        stamp = place / ".installed"
        program = place / "bin" / "python"
        if not stamp.exists() or stamp.read_text() != pins.read_text():
            await call(python_for(peer, self.python), "-m", "venv", "--clear", str(place))
            await call(str(program), "-m", "pip", "install", "--quiet", "-r", str(pins))
            stamp.write_text(pins.read_text())
        # -P: the adapters' folder is not a place to import libraries from by accident.
        start = f"import sys, runpy; sys.path[:0] = {[str(ADAPTERS), str(SOURCES)]!r}; "
        start += f"runpy.run_path({str(ADAPTERS / peer.script)!r}, run_name='__main__')"
        return [str(program), "-P", "-c", start]

    async def _node(self, peer: Peer) -> list[str]:
        node, npm = shutil.which("node"), shutil.which("npm")
        if node is None or npm is None:
            raise Unavailable("needs node and npm")
        place = self.folder / peer.name
        stamp = place / ".installed"
        pins = ADAPTERS / f"{peer.name}.json"
        if not stamp.exists() or stamp.read_text() != pins.read_text():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            shutil.copy(pins, place / "package.json")
            quiet = ("--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")
            await call(npm, "install", "--prefix", str(place), *quiet)
            stamp.write_text(pins.read_text())
        # A module's imports are looked up from where it lies.
        shutil.copy(ADAPTERS / peer.script, place / peer.script)
        return [node, str(place / peer.script)]


async def call(*argv: str) -> None:
    """Runs a program. Raises `Unavailable` with the end of what it said."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise Unavailable(said.decode(errors="replace").strip()[-400:])


class Process:
    """One adapter at work."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log
        self._replies: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._ran: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._reader = asyncio.create_task(self._read())
        self.pid = process.pid
        self.about: dict[str, Any] = {}

    async def ask(self, do: str, *, limit: float = 300, **arguments: Any) -> dict[str, Any]:
        """One command and its answer. Raises `Failed`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        return await self._next(self._replies, do, limit)

    async def ran(self, limit: float) -> dict[str, Any]:
        """Waits until the expected number of tasks has run. Raises `Failed`."""
        return await self._next(self._ran, "run the tasks", limit)

    async def _next(
        self, queue: "asyncio.Queue[dict[str, Any]]", what: str, limit: float
    ) -> dict[str, Any]:
        try:
            message = await asyncio.wait_for(queue.get(), limit)
        except TimeoutError:
            raise Failed(f"did not {what} within {limit:.0f} s") from None
        if "error" in message:
            raise Failed(f"{what}: {message['error']}")
        return message

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            message = json.loads(line)
            event = message.pop("event", None)
            (self._replies if event is None else self._ran).put_nowait(message)
        gone = {"error": f"the adapter ended: {self._log.read_text()[-400:]}"}
        self._replies.put_nowait(gone)
        self._ran.put_nowait(gone)

    async def close(self) -> None:
        """Hangs up, and ends it if that is not enough."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reader


@asynccontextmanager
async def adapter(command: list[str], dsn: str, log: Path) -> AsyncIterator[Process]:
    """A fresh adapter process, connected."""
    with log.open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=said,
            limit=LINE,
            # From nothing: no PGHOST, PYTHONPATH or AWA_… of this shell has a say.
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"},
        )
    running = Process(process, log)
    try:
        running.about = await running.ask("open", dsn=dsn)
        yield running
    finally:
        await running.close()
