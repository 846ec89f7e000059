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


async def rescue(
    database: "Database", sql: Mapping[str, str], max_crashes: int, *, thorough: bool
) -> Rescued:
    """Frees what workers held whose leases are over, then forgets those workers.

    One transaction, in which the leases stay locked: claims under them have ended and no other
    rescue is at the same tasks. A task that is locked, or that the database refuses to change,
    is left as it is, and its worker remembered for the next rescue. ``thorough`` looks for tasks
    of workers that nobody knows, even when no worker died.
    """
    released = 0
    quarantined: list[TaskId] = []
    held = 0
    async with database.transaction() as connection:
        dead = [row["id"] for row in await fetch(database, connection, sql["dead_workers"])]
        if not dead and not thorough:
            return Rescued(released=0, quarantined=())
        found = await fetch(database, connection, sql["orphans"], dead)
        orphans: list[int] = [row["id"] for row in found]
        for start in range(0, len(orphans), _PAGE):
            page = orphans[start : start + _PAGE]
            locked = await fetch(database, connection, sql["lock_orphans"], page)
            ids: list[int] = [row["id"] for row in locked]
            async with asyncio.timeout(database.timeout):
                rows = await _free(connection, sql["rescue"], ids, max_crashes)
            released += sum(not row["quarantined"] for row in rows)
            quarantined += [TaskId(row["id"]) for row in rows if row["quarantined"]]
            held += len(page) - len(rows)
        if not held:
            await fetch(database, connection, sql["bury_workers"], dead)
    return Rescued(released=released, quarantined=tuple(quarantined))


async def fetch(
    database: "Database", connection: "Connection", query: str, *args: object
) -> list[asyncpg.Record]:
    """One statement of the rescue."""
    return await connection.fetch(query, *args, timeout=database.timeout)


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
            _log.error("task cannot be rescued", extra={"task_id": ids[0], "error": repr(refusal)})
            return []
    halves = (ids[: len(ids) // 2], ids[len(ids) // 2 :])
    return [row for half in halves for row in await _free(connection, query, half, max_crashes)]
