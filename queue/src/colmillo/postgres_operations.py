"""What people do with single tasks in Postgres: `colmillo.operations`."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from colmillo.checks import ERRORS_KEPT, bounded_delay, storable_error
from colmillo.flow_store import NEVER
from colmillo.listener import Listener
from colmillo.operations import CANCELS, Cancellation, CancelRequest, Depth, Requeued, Revival
from colmillo.store import (
    Ending,
    FinishWith,
    Settlement,
    State,
    TaskId,
    TaskRecord,
    WorkerId,
)

if TYPE_CHECKING:
    from colmillo.database import Database
    from colmillo.floors import Floors
    from colmillo.foreign import Row

PAGE = 1000
RESULTS = "_results"


class PostgresOperations:
    """The part of `PostgresStore` that is not for workers' every minute."""

    _database: "Database"
    _listening: "Database"
    _sql: Mapping[str, str]
    _channel: str
    _notify: str | None
    _floors: "Floors"

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
                if connection is None:
                    await self.follow_up([task])
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
            await self.follow_up([row["id"] for row in waiting])
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

    async def live(
        self,
        *,
        queue: str | None = None,
        name: str | None = None,
        before: TaskId | None = None,
        limit: int = 100,
        connection: object | None = None,
    ) -> Sequence[TaskRecord]:
        """Tasks that wait or run; see `Operations.live`."""
        rows = await self._database.fetch(
            self._sql["live"], queue, name, before, limit, connection=connection
        )
        return [record_of(row) for row in rows]

    async def requeue(
        self, tasks: Sequence[TaskId], *, connection: object | None = None
    ) -> Sequence[Requeued]:
        """Lets archived tasks wait again; see `Operations.requeue`."""
        rows = await self._database.fetch(
            self._sql["requeue"], list(tasks), self._notify, connection=connection
        )
        self._floors.forget()
        answers: dict[TaskId, Requeued] = {}
        for row in rows:
            revival = Revival.REQUEUED if row["requeued"] else Revival.HELD
            answers[row["id"]] = Requeued(id=row["id"], revival=revival, holder=row["holder"])
        return [
            answers.get(task) or Requeued(id=task, revival=Revival.ABSENT)
            for task in dict.fromkeys(tasks)
        ]

    async def depths(self) -> dict[str, Depth]:
        """What lies in the queues; see `Operations.depths`."""
        rows = await self._database.fetch(self._sql["depths"])
        return {
            row["queue"]: Depth(
                due=row["due"], later=row["later"], running=row["running"], oldest=row["oldest"]
            )
            for row in rows
        }

    async def result(self, task: TaskId) -> str | None:
        """A kept result; see `Operations.result`."""
        rows = await self._database.fetch(self._sql["result"], task)
        return rows[0]["result"] if rows else None

    def listen_results(self, wake: Callable[[str], None]) -> AbstractAsyncContextManager[None]:
        """Hears of kept results on a connection of its own; see `Listener`."""
        if self._notify is None:
            return nullcontext()
        return Listener(self._listening, self._channel + RESULTS, wake).open()

    async def settle_with_results(
        self, settlements: Sequence[Settlement], connection: object | None
    ) -> "Sequence[Row]":
        """Carries verdicts out of which some keep a result: a transaction with two statements.

        Returns their answers.
        """
        kept = [(s, s.verdict) for s in settlements if isinstance(s.verdict, FinishWith)]
        others = [s for s in settlements if not isinstance(s.verdict, FinishWith)]
        async with self._database.transaction(connection) as opened:
            answers = [*await self.carry_out(others, opened)]
            answers += await self._database.fetch(
                self._sql["finish_with"],
                [s.id for s, _ in kept],
                [s.lease for s, _ in kept],
                [verdict.result for _, verdict in kept],
                [bounded_delay(verdict.keep).total_seconds() for _, verdict in kept],
                self._notify and self._notify + RESULTS,
                self._notify,
                connection=opened,
            )
        return answers

    if TYPE_CHECKING:

        async def carry_out(
            self, settlements: Sequence[Settlement], connection: object | None
        ) -> "Sequence[Row]":
            """See `PostgresStore.carry_out`."""
            ...

        async def follow_up(self, ended: Sequence[int]) -> None:
            """See `PostgresFlows.follow_up`."""
            ...


def record_of(row: "Row") -> TaskRecord:
    """The record from a row of the live tasks or of the archive."""
    fields: dict[str, Any] = dict(row)
    fields["state"] = State(fields["state"])
    fields["errors"] = tuple(fields["errors"] or ())
    fields["run_at"] = fields["run_at"] or NEVER
    return TaskRecord(**fields)
