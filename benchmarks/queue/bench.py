"""One run's equipment: the server, the environments, a template database for every peer."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from adapters import Environments, Failed, Peer, Process, adapter
from server import Server

LOOK_SECONDS = 0.003


@dataclass(slots=True, kw_only=True)
class Bench:
    """What measurements are made with."""

    server: Server
    environments: Environments
    logs: Path
    limit: float
    """Seconds that one drain may take."""
    about: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def prepare(self, peer: Peer) -> None:
        """Makes the peer's environment and its template. Raises `Unavailable` or `Failed`."""
        await self.environments.command(peer)
        database = await self.server.create()
        try:
            async with self.process(peer, database) as setting_up:
                await setting_up.ask("setup")
                self.about[peer.name] = setting_up.about
        except BaseException:
            await self.server.drop(database)
            raise
        await self.server.keep_as(database, f"template_{peer.name}")

    @asynccontextmanager
    async def database(self, peer: Peer) -> AsyncIterator["Database"]:
        """A fresh database with the peer's tables."""
        async with self.server.database(f"template_{peer.name}") as name:
            connection = await asyncpg.connect(self.server.dsn(name))
            try:
                yield Database(self, peer, name, connection)
            finally:
                await connection.close()

    @asynccontextmanager
    async def process(self, peer: Peer, database: str) -> AsyncIterator[Process]:
        """An adapter on a database."""
        command = await self.environments.command(peer)
        log = self.logs / f"{peer.name}.log"
        async with adapter(command, self.server.dsn(database), log) as running:
            yield running


class Database:
    """One peer's database during one measurement."""

    def __init__(self, bench: Bench, peer: Peer, name: str, connection: Any) -> None:
        self.bench = bench
        self.peer = peer
        self.name = name
        self.connection = connection
        self._about = bench.about[peer.name]

    @asynccontextmanager
    async def process(self) -> AsyncIterator[Process]:
        """An adapter on it."""
        async with self.bench.process(self.peer, self.name) as running:
            yield running

    async def fill(self, tasks: int, *, first: int = 0, pad: int = 0) -> dict[str, Any]:
        """Enqueues in bulk from a process of its own."""
        async with self.process() as producer:
            request = {"first": first, "tasks": tasks, "how": "bulk", "pad": pad}
            return await producer.ask("enqueue", limit=1800, **request)

    async def unfinished(self) -> int:
        """Tasks that are not done, by the database."""
        return int(await self.connection.fetchval(self._about["unfinished"]))

    async def emptied(self, limit: float) -> float:
        """The moment (monotonic) at which the database says that nothing is left.

        Looks often, but only from when all handlers ran: it costs the peer next to nothing.
        The moment is that at which the look began, so that a slow look does not count.
        """
        deadline = time.monotonic() + limit
        while True:
            began = time.monotonic()
            found = await self.unfinished()
            if found == 0:
                return began
            if began > deadline:
                raise Failed(f"{found} tasks unfinished after {limit:.0f} s")
            await self.rest(LOOK_SECONDS)

    async def finished(self) -> int | None:
        """Rows kept as finished, None where the peer keeps none."""
        query = self._about["finished"]
        return None if query is None else int(await self.connection.fetchval(query))

    async def rest(self, seconds: float) -> None:
        """Waits, with the server doing the timing."""
        await self.connection.execute("SELECT pg_sleep($1)", seconds)


def once(stopped: dict[str, Any], tasks: int) -> dict[str, Any]:
    """The check that every task ran once: what is wrong, or an empty answer."""
    missing = tasks - stopped["distinct"]
    repeated = stopped["runs"] - stopped["distinct"]
    if missing or repeated:
        return {"missing": missing, "repeated": repeated, "examples": stopped["repeated"]}
    return {}


def write(path: Path, value: object) -> None:
    """JSON for people and programs."""
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
