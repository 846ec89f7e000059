"""Frees the tasks of dead workers in Postgres, page by page, row by row when it has to."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import asyncpg

from colmillo.checks import ERRORS_KEPT
from colmillo.store import Rescued, TaskId

if TYPE_CHECKING:
    from colmillo.database import Connection, Database

_log = logging.getLogger("colmillo.rescue")

_PAGE = 500


async def rescue(database: "Database", sql: Mapping[str, str], max_crashes: int) -> Rescued:
    """Ends the leases that are over, then frees what their workers held.

    Ending a lease removes its row, which no renewal can bring back, so the pages need not be
    one transaction. A task the database refuses to change is logged and left as it is.
    """
    await database.fetch(sql["bury_workers"])
    released = 0
    quarantined: list[TaskId] = []
    last = 0
    while True:
        async with database.transaction() as connection:
            found = await database.fetch(sql["orphans"], last, _PAGE, connection=connection)
            ids: list[int] = [row["id"] for row in found]
            async with asyncio.timeout(database.timeout):
                rows = await _free(connection, sql["rescue"], ids, max_crashes)
        released += sum(not row["quarantined"] for row in rows)
        quarantined += [TaskId(row["id"]) for row in rows if row["quarantined"]]
        if len(ids) < _PAGE:
            return Rescued(released=released, quarantined=tuple(quarantined))
        last = ids[-1]


async def _free(
    connection: "Connection", query: str, ids: Sequence[int], max_crashes: int
) -> list[asyncpg.Record]:
    if not ids:
        return []
    try:
        async with connection.transaction():
            return await connection.fetch(query, ids, max_crashes, ERRORS_KEPT)
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as refusal:
        if len(ids) == 1:
            _log.error("task cannot be rescued", extra={"task": ids[0], "reason": str(refusal)})
            return []
    halves = (ids[: len(ids) // 2], ids[len(ids) // 2 :])
    return [row for half in halves for row in await _free(connection, query, half, max_crashes)]
