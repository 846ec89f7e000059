"""What every Python adapter shares: the conversation with the harness, and the ledger of runs.

The harness sends one JSON object per line, the adapter answers each with one, and may send
events in between. Runs in the peer's own environment: the standard library only.

open     {dsn}                            connect; answers the SQL that counts what is unfinished
setup    {}                               create the tables
enqueue  {first, tasks, how, pad, pause}  how: one | bulk; pause: seconds between two, or null
work     {mode, expect, timed}            start a worker; an event "ran" comes after so many runs
progress {}                               how many ran so far
usage    {}                               CPU seconds of this process so far
claims   {rounds, size}                   time single claims (where a peer offers one)
stop     {}                               stop the worker; answers what ran
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

BULK = 1000
"""Tasks per bulk call, for every peer."""


class Ledger:
    """Every run of a task, by its number."""

    def __init__(self) -> None:
        self.ran: list[int] = []
        self.times: list[float] = []
        self.first = self.last = 0.0
        self.expect = 0
        self.timed = False
        self.reached = asyncio.Event()

    def note(self, number: int) -> None:
        """Called by every handler, once per run, with the task's number."""
        ran = self.ran
        ran.append(number)
        if self.timed:
            self.times.append(time.monotonic())
        if len(ran) == 1:
            self.first = time.monotonic()
        if len(ran) == self.expect:
            self.last = time.monotonic()
            self.reached.set()


class Adapter:
    """One peer. A subclass fills in how its library does each thing."""

    name = ""
    packages: Sequence[str] = ()
    best = ""
    """The settings behind "best", for the report."""
    ten = "concurrency 10, all else at its default"

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.dsn = ""

    # Which rows are not done yet, and how many were kept as finished: SQL for one number.
    unfinished = ""
    finished: str | None = None

    async def setup(self) -> None:
        """Creates the tables in an empty database."""
        raise NotImplementedError

    async def open(self) -> None:
        """Connects as an application would; it lasts as long as the process."""

    async def one(self, args: dict[str, Any]) -> None:
        """Enqueues one task in a transaction of its own."""
        raise NotImplementedError

    async def bulk(self, batch: list[dict[str, Any]]) -> None:
        """Enqueues up to BULK tasks in one call."""
        raise NotImplementedError

    async def work(self, mode: str) -> None:
        """Runs a worker until `halt`. The modes are best, ten (and its other defaults)."""
        raise NotImplementedError

    async def halt(self) -> None:
        """Makes `work` return, in an orderly way."""
        raise NotImplementedError

    async def claims(self, rounds: int, size: int) -> list[float]:
        """Seconds of each of ``rounds`` claims of ``size`` tasks."""
        raise NotImplementedError


async def pause(seconds: float) -> None:
    """Waits. There is no clock to take: real time is what is measured."""
    await asyncio.sleep(seconds)  # noqa: TID251


class Session:
    """The conversation of one adapter process."""

    def __init__(self, adapter: Adapter, channel: int) -> None:
        self._adapter = adapter
        self._channel = channel
        self._worker: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Answers until the harness hangs up."""
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            request = json.loads(line)
            command = getattr(self, "do_" + request.pop("do"))
            try:
                self._say(await command(**request) or {})
            except Exception as error:
                self._say({"error": f"{type(error).__name__}: {error}"})

    def _say(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(self._channel, data) :]

    async def do_open(self, dsn: str) -> dict[str, Any]:
        """Connects."""
        adapter = self._adapter
        adapter.dsn = dsn
        await adapter.open()
        return {
            "unfinished": adapter.unfinished,
            "finished": adapter.finished,
            "best": adapter.best,
            "ten": adapter.ten,
            "versions": {package: version(package) for package in adapter.packages},
            "python": sys.version.split()[0],
        }

    async def do_setup(self) -> None:
        """Creates the tables."""
        await self._adapter.setup()

    async def do_enqueue(
        self, first: int, tasks: int, how: str, pad: int, pause_between: float | None = None
    ) -> dict[str, Any]:
        """Enqueues tasks numbered from ``first`` with ``pad`` bytes of ballast each."""
        ballast = {"pad": "x" * pad} if pad else {}
        sent: list[float] = []
        numbers = range(first, first + tasks)
        before = cpu()
        started = time.monotonic()
        if how == "bulk":
            for at in range(0, tasks, BULK):
                await self._adapter.bulk([{"n": n, **ballast} for n in numbers[at : at + BULK]])
        else:
            for number in numbers:
                if pause_between is not None:
                    await pause(pause_between * (0.5 + (number * 7919 % 1000) / 1000))
                    sent.append(time.monotonic())
                await self._adapter.one({"n": number, **ballast})
        return {"seconds": time.monotonic() - started, "cpu": cpu() - before, "sent": sent}

    async def do_work(self, mode: str, expect: int, timed: bool = False) -> dict[str, Any]:
        """Starts a worker in the background."""
        ledger = self._adapter.ledger
        ledger.expect, ledger.timed = expect, timed
        started = time.monotonic()
        self._worker = asyncio.create_task(self._adapter.work(mode))
        self._worker.add_done_callback(self._ended)
        self._watcher = asyncio.create_task(self._watch())
        return {"started": started}

    async def do_progress(self) -> dict[str, Any]:
        """How many ran so far."""
        return {"runs": len(self._adapter.ledger.ran)}

    async def do_usage(self) -> dict[str, Any]:
        """CPU seconds so far."""
        return {"cpu": cpu()}

    async def do_claims(self, rounds: int, size: int) -> dict[str, Any]:
        """Times single claims."""
        return {"seconds": await self._adapter.claims(rounds, size)}

    async def do_stop(self, numbers: bool = False) -> dict[str, Any]:
        """Stops the worker and tells what ran."""
        ledger = self._adapter.ledger
        worker, self._worker = self._worker, None
        if worker is not None:
            await self._adapter.halt()
            await asyncio.wait({worker}, timeout=15)
        counted = Counter(ledger.ran)
        return {
            "runs": len(ledger.ran),
            "distinct": len(counted),
            "repeated": [n for n, times in counted.items() if times > 1][:10],
            "numbers": ledger.ran if numbers or ledger.timed else [],
            "times": ledger.times,
            "first": ledger.first,
            "last": ledger.last,
        }

    async def _watch(self) -> None:
        ledger = self._adapter.ledger
        await ledger.reached.wait()
        self._say({"event": "ran", "runs": len(ledger.ran), "at": ledger.last})

    def _ended(self, worker: "asyncio.Task[None]") -> None:
        if self._worker is worker:
            error = None if worker.cancelled() else worker.exception()
            self._say({"event": "failed", "error": f"the worker ended: {error!r}"})


def cpu() -> float:
    """CPU seconds of this process and the children it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def serve(adapter: type[Adapter], run: Any = asyncio.run) -> None:
    """The adapter's main program. ``run`` is the event loop's, where a peer brings its own."""
    # Whatever a library prints must not end up in the conversation.
    channel = os.dup(1)
    os.dup2(2, 1)

    async def main() -> None:
        await Session(adapter(), channel).run()

    run(main())
    # Some runtimes keep threads of their own; the harness hung up, there is nothing to save.
    os._exit(0)
