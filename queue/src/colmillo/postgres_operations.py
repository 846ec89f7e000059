"""What people do with single tasks in Postgres: `colmillo.operations`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from colmillo.checks import ERRORS_KEPT, storable_error
from colmillo.operations import CANCELS, Cancellation, CancelRequest

if TYPE_CHECKING:
    from colmillo.database import Database
    from colmillo.store import TaskId, WorkerId

PAGE = 1000


class PostgresOperations:
    """The part of `PostgresStore` that is not for workers' every minute."""

    _database: "Database"
    _sql: Mapping[str, str]
    _notify: str | None

    async def cancel(
        self, task: "TaskId", why: str, *, connection: object | None = None
    ) -> Cancellation:
        """Archives the task or asks its worker to; see `Operations.cancel`."""
        reason = storable_error(why)
        async with self._database.connection(connection) as opened:
            archived = await self._database.fetch(
                self._sql["cancel_waiting"], [task], [reason], ERRORS_KEPT, connection=opened
            )
            if archived:
                return Cancellation.ARCHIVED
            asked = await self._database.fetch(
                self._sql["cancel_running"], task, reason, self._notify, CANCELS, connection=opened
            )
        return Cancellation.REQUESTED if asked else Cancellation.ABSENT

    async def cancel_requests(self, worker: "WorkerId") -> Sequence[CancelRequest]:
        """What the worker has to cancel; see `Operations.cancel_requests`."""
        rows = await self._database.fetch(self._sql["cancellations"], PAGE)
        if not rows:
            return []
        waiting = [row for row in rows if row["live"] and row["worker"] is None]
        if waiting:
            await self._database.fetch(
                self._sql["cancel_waiting"],
                [row["id"] for row in waiting],
                [row["why"] for row in waiting],
                ERRORS_KEPT,
            )
        over = [row["id"] for row in rows if row["worker"] is None]
        if over:
            await self._database.fetch(self._sql["forget_cancellations"], over)
        return [
            CancelRequest(id=row["id"], lease=row["lease"], why=row["why"])
            for row in rows
            if row["worker"] == worker
        ]
