"""What an operator sees and does, straight on the tables: behind the command line.

Nothing here is on a worker's path. Some of it reads whole tables: for people, now and then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from colmillo.checks import ERRORS_KEPT, check_name, storable_error
from colmillo.errors import InvalidTask
from colmillo.limits import Limits
from colmillo.postgres_flows import follow_up
from colmillo.postgres_limits import set_limits
from colmillo.schema import channel, check, queries
from colmillo.store import State

if TYPE_CHECKING:
    from colmillo.database import Connection

ROW = dict[str, Any]
MOST_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which tasks: None or nothing is any. ``before`` pages, from the newest id downwards."""

    queue: str | None = None
    name: str | None = None
    states: tuple[State, ...] = ()
    before: int | None = None
    limit: int = 50


class Desk:
    """An operator's view of one schema, over one connection."""

    def __init__(self, connection: "Connection", schema: str) -> None:
        self.connection = connection
        self.schema = schema
        self._sql = queries(schema)

    async def check(self) -> None:
        """Raises `SchemaOutdated` when the tables are missing or of another version."""
        await check(self.connection, self.schema)

    async def tasks(self, wanted: Filter) -> list[ROW]:
        """The newest tasks that match, live and archived."""
        if not 1 <= wanted.limit <= MOST_AT_ONCE:
            raise InvalidTask(f"ask for 1 to {MOST_AT_ONCE} tasks at once")
        states = [state.value for state in wanted.states or State]
        return await self._rows(
            self._sql["list_tasks"],
            wanted.queue,
            wanted.name,
            states,
            wanted.before,
            wanted.limit,
        )

    async def task(self, task: int) -> ROW | None:
        """All there is to know about a task, or None.

        In a flow: how each of its parents ended (None: not yet), and its children.
        """
        rows = await self._rows(self._sql["show_task"], task)
        if not rows:
            return None
        links = await self._rows(self._sql["show_links"], task)
        parents = {row["task"]: row["outcome"] for row in links if row["kind"] == "parent"}
        children = [row["task"] for row in links if row["kind"] == "child"]
        return rows[0] | {"parents": parents, "children": children}

    async def cancel(self, tasks: Sequence[int], why: str) -> list[int]:
        """Archives waiting tasks as cancelled; returns those that it did."""
        whys = [storable_error(why)] * len(tasks)
        return await self._ended(self._sql["cancel_waiting"], tasks, whys, ERRORS_KEPT)

    async def delete(self, tasks: Sequence[int]) -> list[int]:
        """Removes waiting and archived tasks for good; returns those that it did."""
        return await self._ended(self._sql["delete_tasks"], tasks)

    async def retry(self, tasks: Sequence[int]) -> list[int]:
        """Puts archived tasks back, due now, with all their attempts; returns those that it did.

        One whose unique hash a live task holds stays in the archive.
        """
        return await self._ids(self._sql["retry_archived"], tasks, channel(self.schema))

    async def queues(self) -> list[ROW]:
        """The queues with tasks or a pause: counts, and since when the oldest is due."""
        return await self._rows(self._sql["queues"])

    async def set_limits(self, queue: str, limits: Limits) -> None:
        """Sets a queue's limits, for all workers; see `colmillo.limits`."""
        check_name("queue's name", queue)
        await set_limits(self.connection.fetch, self._sql, queue, limits, channel(self.schema))

    async def workers(self) -> list[ROW]:
        """The registered workers and those that are gone but still hold tasks."""
        return await self._rows(self._sql["workers"])

    async def totals(self) -> ROW:
        """The clock, the last id given out and how many tasks live: for rates."""
        (row,) = await self._rows(self._sql["totals"], f'"{self._quoted()}".tasks_id_seq')
        return row

    async def rows(self, query: str, *args: object) -> list[ROW]:
        """The rows of a query of the doctor's."""
        return await self._rows(self._sql[query], *args)

    def _quoted(self) -> str:
        return self.schema.replace('"', '""')

    async def _ended(self, query: str, *args: object) -> list[int]:
        ids = await self._ids(query, *args)
        if ids:
            await follow_up(self.connection.fetch, self._sql, ids, channel(self.schema))
        return ids

    async def _ids(self, query: str, *args: object) -> list[int]:
        return sorted(row["id"] for row in await self._rows(query, *args))

    async def _rows(self, query: str, *args: object) -> list[ROW]:
        return [dict(row) for row in await self.connection.fetch(query, *args)]
