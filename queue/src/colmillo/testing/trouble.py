"""A store that fails when it is told to, around one that works."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from colmillo.controls import Controls, ScheduleRow
from colmillo.flow_store import FlowTask, Parent
from colmillo.housekeeping import Housekept
from colmillo.limits import Limits
from colmillo.operations import Cancellation, CancelRequest, Depth, Requeued
from colmillo.store import (
    ClaimedTask,
    Ending,
    Enqueued,
    NewTask,
    Rescued,
    Settlement,
    State,
    Store,
    TaskId,
    TaskRecord,
    WorkerId,
)

Hook = Callable[[], Awaitable[None]]


class TroubledStore:
    """Passes every call on to ``inner``, counts it in ``calls``, and runs hooks around it.

    ``before["claim"]`` is awaited before a claim is passed on: what it raises keeps the call
    from happening. ``after["claim"]`` is awaited when it has happened: what it raises loses
    the answer. ``down`` set makes every call fail with ConnectionError.
    """

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.down = False
        self.calls = Counter[str]()
        self.before: dict[str, Hook] = {}
        self.after: dict[str, Hook] = {}

    async def enqueue(
        self, tasks: Sequence[NewTask], *, connection: object | None = None
    ) -> list[Enqueued]:
        """See `Store.enqueue`."""
        await self._enter("enqueue")
        answer = await self.inner.enqueue(tasks, connection=connection)
        await self._leave("enqueue")
        return answer

    async def enqueue_flow(
        self, tasks: Sequence[FlowTask], *, connection: object | None = None
    ) -> list[TaskId]:
        """See `Store.enqueue_flow`."""
        await self._enter("enqueue_flow")
        answer = await self.inner.enqueue_flow(tasks, connection=connection)
        await self._leave("enqueue_flow")
        return answer

    async def parents(self, task: TaskId) -> Sequence[Parent]:
        """See `Store.parents`."""
        await self._enter("parents")
        answer = await self.inner.parents(task)
        await self._leave("parents")
        return answer

    async def claim(self, worker: WorkerId, room: Mapping[str, int]) -> list[ClaimedTask]:
        """See `Store.claim`."""
        await self._enter("claim")
        answer = await self.inner.claim(worker, room)
        await self._leave("claim")
        return answer

    async def settle(
        self, settlements: Sequence[Settlement], *, connection: object | None = None
    ) -> frozenset[TaskId]:
        """See `Store.settle`."""
        await self._enter("settle")
        answer = await self.inner.settle(settlements, connection=connection)
        await self._leave("settle")
        return answer

    async def release_strays(self, worker: WorkerId, running: Sequence[TaskId]) -> int:
        """See `Store.release_strays`."""
        await self._enter("release_strays")
        answer = await self.inner.release_strays(worker, running)
        await self._leave("release_strays")
        return answer

    async def register(self, worker: WorkerId, *, name: str, lease: timedelta) -> None:
        """See `Store.register`."""
        await self._enter("register")
        await self.inner.register(worker, name=name, lease=lease)
        await self._leave("register")

    async def renew(self, worker: WorkerId, lease: timedelta) -> bool:
        """See `Store.renew`."""
        await self._enter("renew")
        answer = await self.inner.renew(worker, lease)
        await self._leave("renew")
        return answer

    async def retire(self, worker: WorkerId) -> None:
        """See `Store.retire`."""
        await self._enter("retire")
        await self.inner.retire(worker)
        await self._leave("retire")

    async def rescue(self, *, max_crashes: int) -> Rescued:
        """See `Store.rescue`."""
        await self._enter("rescue")
        answer = await self.inner.rescue(max_crashes=max_crashes)
        await self._leave("rescue")
        return answer

    async def housekeep(self) -> Housekept:
        """See `Housekeeping.housekeep`."""
        await self._enter("housekeep")
        answer = await self.inner.housekeep()
        await self._leave("housekeep")
        return answer

    async def tick(
        self,
        schedule: str,
        fire_time: datetime,
        task: NewTask,
        *,
        connection: object | None = None,
    ) -> bool:
        """See `Store.tick`."""
        await self._enter("tick")
        answer = await self.inner.tick(schedule, fire_time, task, connection=connection)
        await self._leave("tick")
        return answer

    async def now(self) -> datetime:
        """See `Store.now`."""
        await self._enter("now")
        answer = await self.inner.now()
        await self._leave("now")
        return answer

    async def next_due(self, queues: Sequence[str]) -> timedelta | None:
        """See `Store.next_due`."""
        await self._enter("next_due")
        answer = await self.inner.next_due(queues)
        await self._leave("next_due")
        return answer

    async def get(self, task: TaskId) -> TaskRecord | None:
        """See `Store.get`."""
        await self._enter("get")
        answer = await self.inner.get(task)
        await self._leave("get")
        return answer

    async def counts(self) -> dict[tuple[str, State], int]:
        """See `Store.counts`."""
        await self._enter("counts")
        answer = await self.inner.counts()
        await self._leave("counts")
        return answer

    async def cancel(
        self, task: TaskId, why: str, *, connection: object | None = None
    ) -> Cancellation:
        """See `Store.cancel`."""
        await self._enter("cancel")
        answer = await self.inner.cancel(task, why, connection=connection)
        await self._leave("cancel")
        return answer

    async def cancel_requests(self, worker: WorkerId) -> Sequence[CancelRequest]:
        """See `Store.cancel_requests`."""
        await self._enter("cancel_requests")
        answer = await self.inner.cancel_requests(worker)
        await self._leave("cancel_requests")
        return answer

    async def archived(
        self,
        *,
        queue: str | None = None,
        name: str | None = None,
        ending: Ending | None = None,
        before: TaskId | None = None,
        limit: int = 100,
    ) -> Sequence[TaskRecord]:
        """See `Store.archived`."""
        await self._enter("archived")
        answer = await self.inner.archived(
            queue=queue, name=name, ending=ending, before=before, limit=limit
        )
        await self._leave("archived")
        return answer

    async def live(
        self,
        *,
        queue: str | None = None,
        name: str | None = None,
        before: TaskId | None = None,
        limit: int = 100,
        connection: object | None = None,
    ) -> Sequence[TaskRecord]:
        """See `Store.live`."""
        await self._enter("live")
        answer = await self.inner.live(
            queue=queue, name=name, before=before, limit=limit, connection=connection
        )
        await self._leave("live")
        return answer

    async def requeue(
        self, tasks: Sequence[TaskId], *, connection: object | None = None
    ) -> Sequence[Requeued]:
        """See `Store.requeue`."""
        await self._enter("requeue")
        answer = await self.inner.requeue(tasks, connection=connection)
        await self._leave("requeue")
        return answer

    async def depths(self) -> dict[str, Depth]:
        """See `Store.depths`."""
        await self._enter("depths")
        answer = await self.inner.depths()
        await self._leave("depths")
        return answer

    async def result(self, task: TaskId) -> str | None:
        """See `Store.result`."""
        await self._enter("result")
        answer = await self.inner.result(task)
        await self._leave("result")
        return answer

    def listen_results(self, wake: Callable[[str], None]) -> AbstractAsyncContextManager[None]:
        """See `Store.listen_results`. Not troubled either."""
        return self.inner.listen_results(wake)

    async def controls(self) -> Controls:
        """See `Store.controls`."""
        await self._enter("controls")
        answer = await self.inner.controls()
        await self._leave("controls")
        return answer

    async def pause_queue(self, queue: str, *, paused: bool) -> bool:
        """See `Store.pause_queue`."""
        await self._enter("pause_queue")
        answer = await self.inner.pause_queue(queue, paused=paused)
        await self._leave("pause_queue")
        return answer

    async def set_limits(self, queue: str, limits: Limits) -> None:
        """See `Store.set_limits`."""
        await self._enter("set_limits")
        await self.inner.set_limits(queue, limits)
        await self._leave("set_limits")

    async def limits(self) -> Mapping[str, Limits]:
        """See `Store.limits`."""
        await self._enter("limits")
        answer = await self.inner.limits()
        await self._leave("limits")
        return answer

    async def schedules(self) -> Sequence[ScheduleRow]:
        """See `Store.schedules`."""
        await self._enter("schedules")
        answer = await self.inner.schedules()
        await self._leave("schedules")
        return answer

    async def declare_schedule(self, name: str, *, timing: str, spec: str) -> None:
        """See `Store.declare_schedule`."""
        await self._enter("declare_schedule")
        await self.inner.declare_schedule(name, timing=timing, spec=spec)
        await self._leave("declare_schedule")

    async def add_schedule(self, name: str, *, timing: str, spec: str, replace: bool) -> bool:
        """See `Store.add_schedule`."""
        await self._enter("add_schedule")
        answer = await self.inner.add_schedule(name, timing=timing, spec=spec, replace=replace)
        await self._leave("add_schedule")
        return answer

    async def pause_schedule(self, name: str, *, paused: bool) -> bool:
        """See `Store.pause_schedule`."""
        await self._enter("pause_schedule")
        answer = await self.inner.pause_schedule(name, paused=paused)
        await self._leave("pause_schedule")
        return answer

    async def remove_schedule(self, name: str) -> bool:
        """See `Store.remove_schedule`."""
        await self._enter("remove_schedule")
        answer = await self.inner.remove_schedule(name)
        await self._leave("remove_schedule")
        return answer

    def listen(self, wake: Callable[[str], None]) -> AbstractAsyncContextManager[None]:
        """See `Store.listen`. Not troubled: the store sees to its connection itself."""
        return self.inner.listen(wake)

    async def _enter(self, call: str) -> None:
        self.calls[call] += 1
        if self.down:
            raise ConnectionError("the store is down")
        if call in self.before:
            await self.before[call]()

    async def _leave(self, call: str) -> None:
        if call in self.after:
            await self.after[call]()
