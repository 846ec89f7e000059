"""Hears Postgres' notifications, through lost connections and restarts of the server."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg

from colmillo.clock import Clock, SystemClock

if TYPE_CHECKING:
    from colmillo.database import Connection, Database

_log = logging.getLogger("colmillo.listener")

_TROUBLE = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

ANY_QUEUE = ""
"""What ``wake`` is called with after a reconnect: any queue may have got tasks meanwhile."""


class Listener:
    """Calls ``wake(queue)`` for each notification on a channel while `open` is open.

    It keeps one of the pool's connections for itself all that time, so the pool needs one more
    than the rest of the program uses. (LISTEN belongs to a session: behind a pooler in
    transaction mode nothing is heard, and callers poll.) A connection that was lost is replaced,
    at once the first time, then with pauses that double from 0.1 s up to 30 s until one has
    lasted for a ``probe``; that is also how often a silent connection is asked whether it lives.
    """

    def __init__(
        self,
        database: "Database",
        channel: str,
        wake: Callable[[str], None],
        *,
        clock: Clock | None = None,
        probe: timedelta = timedelta(seconds=30),
    ) -> None:
        self._database = database
        self._channel = channel
        self._wake = wake
        self._clock: Clock = clock or SystemClock()
        self._probe = probe.total_seconds()
        self._tried = asyncio.Event()
        self._failures = 0
        self._heard_before = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listens during the block. Returns when the first attempt to listen has ended, well or
        not: a database that cannot be reached is tried again in the background."""
        running = asyncio.create_task(self._run(), name="colmillo listener")
        try:
            await self._tried.wait()
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def _run(self) -> None:
        while True:
            try:
                await self._hear()
            except _TROUBLE as trouble:
                _log.warning("listener lost its connection", extra={"error": repr(trouble)})
            except Exception:
                _log.exception("listener failed, and goes on")
            finally:
                self._tried.set()
            if self._failures:
                await self._clock.sleep(min(30.0, 0.1 * 2.0 ** min(self._failures - 1, 10)))
            self._failures += 1

    async def _hear(self) -> None:
        """Listens on one connection until it is lost; then returns or raises what it met."""
        async with self._database.connection() as connection:
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _: lost.set())
            try:
                async with asyncio.timeout(self._database.timeout):
                    await connection.add_listener(self._channel, self._notified)
                self._listening()
                while not lost.is_set():
                    await self._wait(connection, lost)
            finally:
                await self._let_go(connection)
        _log.warning("listener lost its connection", extra={"error": "closed"})

    def _listening(self) -> None:
        self._tried.set()
        if self._heard_before:
            self._call(ANY_QUEUE)
        self._heard_before = True

    async def _wait(self, connection: "Connection", lost: asyncio.Event) -> None:
        """Until the connection is lost or one probe has passed and was answered."""
        try:
            async with asyncio.timeout(self._probe):
                await lost.wait()
        except TimeoutError:
            await connection.execute("SELECT 1", timeout=self._database.timeout)
            self._failures = 0

    async def _let_go(self, connection: "Connection") -> None:
        try:
            async with asyncio.timeout(self._database.timeout):
                await connection.remove_listener(self._channel, self._notified)
        except _TROUBLE:
            with suppress(asyncpg.InterfaceError):
                connection.terminate()

    def _notified(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._call(str(payload))

    def _call(self, queue: str) -> None:
        try:
            self._wake(queue)
        except Exception:
            _log.exception("wake-up of a queue failed", extra={"queue": queue})
