"""What people do with single tasks in memory: `colmillo.operations`."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from colmillo.checks import bounded_delay
from colmillo.clock import Clock
from colmillo.flow_store import NEVER
from colmillo.operations import CANCELS, Cancellation, CancelRequest, Depth, Requeued, Revival
from colmillo.store import Ending, State, TaskId, TaskRecord, WorkerId

if TYPE_CHECKING:
    from colmillo.memory import _Row


class MemoryOperations:
    """The part of `MemoryStore` that is not for workers' every minute."""

    _clock: Clock
    _live: "dict[TaskId, _Row]"
    _holders: dict[bytes, TaskId]
    _archive: dict[TaskId, TaskRecord]
    _wakers: list[Callable[[str], None]]

    def __init__(self) -> None:
        self._cancellations: dict[TaskId, str] = {}
        self._results: dict[TaskId, tuple[str, datetime]] = {}
        self._result_wakers: list[Callable[[str], None]] = []
        self._aside: dict[TaskId, _Row] = {}

    async def cancel(
        self, task: TaskId, why: str, *, connection: object | None = None
    ) -> Cancellation:
        """Archives the task or asks its worker to; see `Operations.cancel`."""
        del connection
        row = self._live.get(task)
        if row is None:
            return Cancellation.ABSENT
        if row.worker is None:
            self._set_aside(row, Ending.CANCELLED, why)
            return Cancellation.ARCHIVED
        self._cancellations[task] = why
        for wake in list(self._wakers):
            wake(CANCELS)
        return Cancellation.REQUESTED

    async def cancel_requests(self, worker: WorkerId) -> Sequence[CancelRequest]:
        """What the worker has to cancel; see `Operations.cancel_requests`."""
        requests: list[CancelRequest] = []
        for task, why in list(self._cancellations.items()):
            row = self._live.get(task)
            if row is not None and row.worker is None:
                self._set_aside(row, Ending.CANCELLED, why)
            if row is None or row.worker is None:
                del self._cancellations[task]
            elif row.worker == worker:
                requests.append(CancelRequest(id=task, lease=row.lease, why=why))
        return requests

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
        found = [
            record
            for _, record in sorted(self._archive.items(), reverse=True)
            if (queue is None or record.queue == queue)
            and (name is None or record.name == name)
            and (ending is None or record.state == State(ending.value))
            and (before is None or record.id < before)
        ]
        return found[:limit]

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
        del connection
        found = [
            row.record(State.WAITING if row.worker is None else State.RUNNING)
            for _, row in sorted(self._live.items(), reverse=True)
            if (queue is None or row.task.queue == queue)
            and (name is None or row.task.name == name)
            and (before is None or row.id < before)
        ]
        return found[:limit]

    async def requeue(
        self, tasks: Sequence[TaskId], *, connection: object | None = None
    ) -> Sequence[Requeued]:
        """Lets archived tasks wait again; see `Operations.requeue`."""
        del connection
        answers = {task: self._revive(task) for task in sorted(set(tasks))}
        back = [task for task, answer in answers.items() if answer.revival is Revival.REQUEUED]
        for queue in dict.fromkeys(self._live[task].task.queue for task in back):
            for wake in list(self._wakers):
                wake(queue)
        return [answers[task] for task in dict.fromkeys(tasks)]

    async def depths(self) -> dict[str, Depth]:
        """What lies in the queues; see `Operations.depths`."""
        now = self._clock.now()
        rows: dict[str, list[_Row]] = {}
        for row in self._live.values():
            if row.run_at < NEVER:
                rows.setdefault(row.task.queue, []).append(row)
        return {queue: _depth(of, now) for queue, of in rows.items()}

    async def result(self, task: TaskId) -> str | None:
        """A kept result; see `Operations.result`."""
        text, end = self._results.get(task, (None, None))
        return text if end is not None and end > self._clock.now() else None

    def listen_results(self, wake: Callable[[str], None]) -> AbstractAsyncContextManager[None]:
        """Calls ``wake(str(id))`` from within `settle`; see `Operations.listen_results`."""
        return self._listen_results(wake)

    @asynccontextmanager
    async def _listen_results(self, wake: Callable[[str], None]) -> AsyncIterator[None]:
        self._result_wakers.append(wake)
        try:
            yield
        finally:
            self._result_wakers.remove(wake)

    def _keep_result(self, task: TaskId, result: str, keep: timedelta) -> None:
        now = self._clock.now()
        self._results = {one: kept for one, kept in self._results.items() if kept[1] > now}
        self._results[task] = result, now + bounded_delay(keep)
        for wake in list(self._result_wakers):
            wake(str(task))

    def _revive(self, task: TaskId) -> Requeued:
        row = self._aside.get(task)
        if row is None:
            return Requeued(id=task, revival=Revival.ABSENT)
        if row.held is not None:
            holder = self._holders.setdefault(row.held, task)
            if holder != task:
                return Requeued(id=task, revival=Revival.HELD, holder=holder)
        del self._aside[task], self._archive[task]
        self._cancellations.pop(task, None)
        row.worker, row.run_at, row.attempt, row.crashes = None, self._clock.now(), 0, 0
        row.linked = False
        self._live[task] = row
        return Requeued(id=task, revival=Revival.REQUEUED)

    def _set_aside(self, row: "_Row", ending: Ending, error: str) -> None: ...


def _depth(rows: "Sequence[_Row]", now: datetime) -> Depth:
    waiting = [row.run_at for row in rows if row.worker is None]
    due = [run_at for run_at in waiting if run_at <= now]
    return Depth(
        due=len(due),
        later=len(waiting) - len(due),
        running=len(rows) - len(waiting),
        oldest=now - min(due) if due else None,
    )
