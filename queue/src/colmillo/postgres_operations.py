"""What people do with single tasks in Postgres: `colmillo.operations`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import asyncpg

from colmillo.checks import ERRORS_KEPT, storable_error
from colmillo.operations import CANCELS, Cancellation, CancelRequest, Requeued, Revival
from colmillo.store import Ending, State, TaskId, TaskRecord, WorkerId

if TYPE_CHECKING:
    from colmillo.database import Database

PAGE = 1000


class PostgresOperations:
    """The part of `PostgresStore` that is not for workers' every minute."""

    _database: "Database"
    _sql: Mapping[str, str]
    _notify: str | None

    async def cancel(
        self, task: TaskId, why: str, *, connection: object | None = None
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

    async def cancel_requests(self, worker: WorkerId) -> Sequence[CancelRequest]:
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

    async def archived(
        self,
        *,
        queue: str | None = None,
        name: str | None = None,
        ending: Ending | None = None,
        before: TaskId | None = None,
        limit: int = 100,
    ) -> Sequence[TaskRecord]:
        """Archived tasks; see `Operations.archived`."""
        wanted = None if ending is None else ending.value
        rows = await self._database.fetch(self._sql["archived"], queue, name, wanted, before, limit)
        return [record_of(row) for row in rows]

    async def requeue(
        self, tasks: Sequence[TaskId], *, connection: object | None = None
    ) -> Sequence[Requeued]:
        """Lets archived tasks wait again; see `Operations.requeue`."""
        rows = await self._database.fetch(
            self._sql["requeue"], list(tasks), self._notify, connection=connection
        )
        answers: dict[TaskId, Requeued] = {}
        for row in rows:
            revival = Revival.REQUEUED if row["requeued"] else Revival.HELD
            answers[row["id"]] = Requeued(id=row["id"], revival=revival, holder=row["holder"])
        return [
            answers.get(task) or Requeued(id=task, revival=Revival.ABSENT)
            for task in dict.fromkeys(tasks)
        ]


def record_of(row: asyncpg.Record) -> TaskRecord:
    """The record from a row of the live tasks or of the archive."""
    fields = dict(row)
    fields["state"] = State(fields["state"])
    fields["errors"] = tuple(fields["errors"] or ())
    return TaskRecord(**fields)
