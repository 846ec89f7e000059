"""Keeps the live tasks' table small on disk, also while vacuum may remove nothing.

Each finished task leaves dead versions of its row, and as long as anybody's old transaction may
want to see them, vacuum keeps them all. Writing the table anew needs a lock for a moment, but
not that transaction's end. See docs/decisions/0013-compaction.md.
"""

import logging
import time
from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING

import asyncpg

from colmillo.schema import quoted
from colmillo.waiting import Pauses

if TYPE_CHECKING:
    from colmillo.database import Connection, Database

LEAST = 64 * 1024 * 1024
"""Bytes with indexes. A table smaller than that is left alone."""

FACTOR = 10
"""The table has to shrink to a part in so many, or it is not worth a lock."""

MOST_ROWS = 200_000
"""More live tasks than this are not written anew: it would keep everybody waiting for long."""

ROW_BYTES = 300
"""What a freshly written task with a small payload takes, its indexes' part included."""

LOCK_SECONDS = 0.1
"""So long everybody may wait behind our wish for the lock."""

LEAST_SECONDS = 1.0
MOST_SECONDS = 15.0
"""How long the writing may keep everybody waiting: four times what counting took, within these."""

SHARE = 50
"""Looking for something to do may take one part in so many of the time."""

logger = logging.getLogger(__name__)


class Compaction:
    """Writes the table of one schema anew when that is worth it.

    ``least`` is `LEAST`. What fails is tried again after growing pauses, ten minutes at most.
    """

    def __init__(
        self,
        database: "Database",
        sql: Mapping[str, str],
        schema: str,
        *,
        least: int = LEAST,
        monotonic: Callable[[], float] = time.monotonic,
        rng: Random | None = None,
    ) -> None:
        self._database = database
        self._sql = sql
        self._schema = schema
        self._table = f"{quoted(schema)}.tasks"
        self._least = least
        self._monotonic = monotonic
        self._pauses = Pauses(rng or Random(), first=5.0, most=600.0)
        self._not_before = float("-inf")

    async def run(self) -> int:
        """Returns the bytes that the table gave back; zero when nothing was worth doing."""
        if self._monotonic() < self._not_before:
            return 0
        size = await self._size()
        if size < self._least:
            return 0
        started = self._monotonic()
        worth_it = await self._is_worth_it(size)
        took = self._monotonic() - started
        self._not_before = self._monotonic() + SHARE * took
        if not worth_it:
            return 0
        limit = min(max(4 * took, LEAST_SECONDS), MOST_SECONDS)
        refusal = await self._compact(limit)
        freed = size - await self._size()
        if refusal is None and freed >= size // 2:
            self._pauses.reset()
            logger.info("compacted the tasks", extra={"bytes": size, "freed": freed})
            return freed
        extra = {"bytes": size, "reason": refusal or "it did not become smaller"}
        # Somebody who holds the table for a while is nothing unusual; see `colmillo doctor`.
        level = logging.INFO if self._pauses.failures < 3 else logging.WARNING
        logger.log(level, "cannot compact the tasks, will try again", extra=extra)
        self._not_before = self._monotonic() + self._pauses.next()
        return 0

    async def _size(self) -> int:
        (row,) = await self._database.fetch(self._sql["tasks_size"], self._table)
        return int(row["size"])

    async def _is_worth_it(self, size: int) -> bool:
        """Counts the live tasks, up to what would be too many anyway."""
        most = min(MOST_ROWS, size // (FACTOR * ROW_BYTES))
        (row,) = await self._database.fetch(self._sql["tasks_live"], most + 1)
        return row["live"] <= most and FACTOR * expected(row) <= size

    async def _compact(self, seconds: float) -> str | None:
        """One try. Returns why nothing was done."""
        async with self._database.connection() as connection:
            try:
                return await self._try(connection, seconds)
            except asyncpg.PostgresError as error:
                return str(error)
            finally:
                if not connection.is_closed() and connection.is_in_transaction():
                    await connection.execute("ROLLBACK", timeout=self._database.timeout)

    async def _try(self, connection: "Connection", seconds: float) -> str | None:
        timeout = self._database.timeout
        await connection.execute("BEGIN", timeout=timeout)
        limits = (str(round(1000 * limit)) for limit in (LOCK_SECONDS, seconds))
        (row,) = await connection.fetch(
            self._sql["compact_alone"], self._schema, *limits, timeout=timeout
        )
        if not row["alone"]:
            return "another worker is at it"
        # One message: nobody ever waits behind the lock for this process or for the network.
        await connection.execute(self._sql["compact"] + ";\nCOMMIT", timeout=timeout)
        return None


def expected(row: asyncpg.Record) -> int:
    """About how many bytes the live tasks will take. Pages are kept half empty."""
    return int(row["live"]) * ROW_BYTES + 2 * int(row["bytes"])
