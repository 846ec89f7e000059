"""A store in memory, for tests: one process, one event loop, nothing survives.

It obeys the same conformance suite as `PostgresStore`, except that it has no transactions: a
``connection`` is accepted and ignored, so code under test may pass one.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

from colmillo.checks import (
    ERRORS_KEPT,
    bounded_delay,
    check_aware,
    check_name,
    check_tasks,
    storable_error,
)
from colmillo.clock import Clock, SystemClock
from colmillo.duplicates import refuse_twins, refused, unrefused
from colmillo.flow_store import NEVER
from colmillo.housekeeping import KEEP_ARCHIVED, check_kept
from colmillo.memory_controls import MemoryControls
from colmillo.memory_flows import MemoryFlows
from colmillo.memory_housekeeping import MemoryHousekeeping
from colmillo.memory_limits import MemoryLimits
from colmillo.memory_operations import MemoryOperations
from colmillo.store import (
    Again,
    ClaimedTask,
    Ending,
    Enqueued,
    Finish,
    FinishWith,
    NewTask,
    Rescued,
    SetAside,
    Settlement,
    State,
    TaskId,
    TaskRecord,
    WorkerId,
)
from colmillo.unique import HASH_BYTES, held_hash, period_end


@dataclass(slots=True, kw_only=True)
class _Row:
    """One live task. ``worker`` None means that it waits. ``held`` is its hash as it is held."""

    id: TaskId
    task: NewTask
    run_at: datetime
    enqueued_at: datetime
    held: bytes | None = None
    worker: WorkerId | None = None
    lease: int = 0
    attempt: int = 0
    crashes: int = 0
    limited: bool = False
    has_slot: bool = False
    has_key_slot: bool = False
    linked: bool = False
    errors: list[str] = field(default_factory=list)

    def add_error(self, error: str) -> None:
        self.errors = [*self.errors, storable_error(error)][-ERRORS_KEPT:]

    def wait(self, run_at: datetime, *, keep_attempt: bool) -> None:
        self.worker = None
        self.run_at = run_at
        if not keep_attempt:
            self.attempt -= 1

    def order(self) -> tuple[int, datetime, TaskId]:
        return (-self.task.priority, self.run_at, self.id)

    def record(self, state: State) -> TaskRecord:
        return TaskRecord(
            id=self.id,
            name=self.task.name,
            queue=self.task.queue,
            state=state,
            payload=self.task.payload,
            priority=self.task.priority,
            attempt=self.attempt,
            max_attempts=self.task.max_attempts,
            run_at=self.run_at,
            enqueued_at=self.enqueued_at,
            lease=self.lease,
            crashes=self.crashes,
            worker=self.worker,
            errors=tuple(self.errors),
            unique_hash=self.held,
        )


class MemoryStore(MemoryOperations, MemoryControls, MemoryLimits, MemoryHousekeeping, MemoryFlows):
    """Everything `Store` promises, within one event loop and without transactions.

    Time is the clock's: give it a `colmillo.testing.FakeClock` and move it.
    """

    def __init__(
        self, clock: Clock | None = None, *, keep_archived: timedelta | None = KEEP_ARCHIVED
    ) -> None:
        self._keep_archived = check_kept(keep_archived)
        MemoryOperations.__init__(self)
        MemoryControls.__init__(self, clock or SystemClock())
        MemoryLimits.__init__(self)
        MemoryFlows.__init__(self)
        self._last_id = 0
        self._live: dict[TaskId, _Row] = {}
        self._holders: dict[bytes, TaskId] = {}
        self._lasting: dict[bytes, tuple[TaskId, datetime]] = {}
        self._archive: dict[TaskId, TaskRecord] = {}
        self._leases: dict[WorkerId, datetime] = {}
        self._wakers: list[Callable[[str], None]] = []

    async def enqueue(
        self, tasks: Sequence[NewTask], *, connection: object | None = None
    ) -> list[Enqueued]:
        """Adds the tasks; see `Store.enqueue`. Raises `InvalidTask` before anything is added."""
        del connection
        check_tasks(tasks)
        refuse_twins(tasks)
        for task in tasks:
            holder = self._holder(self._held(task))
            if holder is not None and task.duplicate == "raise":
                raise refused(task, holder)
        answers = [self._add(task) for task in tasks]
        touched = [answer.id for answer in answers if answer.happened != "existing"]
        for queue in dict.fromkeys(self._live[task].task.queue for task in touched):
            for wake in list(self._wakers):
                wake(queue)
        return answers

    async def claim(self, worker: WorkerId, room: Mapping[str, int]) -> list[ClaimedTask]:
        """Takes due tasks; see `Store.claim`."""
        now = self._clock.now()
        if not self._lives(worker, now):
            return []
        picked = [row for queue, limit in room.items() for row in self._start(queue, limit, now)]
        for row in picked:
            row.worker = worker
            row.lease += 1
            row.attempt += 1
            if row.held is not None and len(row.held) > HASH_BYTES:
                del self._holders[row.held]
                row.held = None
        return [_claimed(row) for row in sorted(picked, key=_Row.order)]

    async def settle(
        self, settlements: Sequence[Settlement], *, connection: object | None = None
    ) -> frozenset[TaskId]:
        """Carries the verdicts out; see `Store.settle`."""
        del connection
        before = {s.id: self._live.get(s.id) for s in settlements}
        lost = frozenset(s.id for s in settlements if not self._settle(s))
        ended = [row for task, row in before.items() if row is not None and task not in lost]
        for queue in {row.task.queue for row in ended if row.limited}:
            for wake in list(self._wakers):
                wake(queue)
        return lost

    async def release_strays(self, worker: WorkerId, running: Sequence[TaskId]) -> int:
        """Gives back what the worker does not know it has; see `Store.release_strays`."""
        known = set(running)
        strays = [r for r in self._live.values() if r.worker == worker and r.id not in known]
        for row in strays:
            row.wait(row.run_at, keep_attempt=False)
        return len(strays)

    async def register(self, worker: WorkerId, *, name: str, lease: timedelta) -> None:
        """Starts the worker's lease; see `Store.register`."""
        check_name("worker's name", name)
        self._leases[worker] = self._clock.now() + lease

    async def renew(self, worker: WorkerId, lease: timedelta) -> bool:
        """Extends the lease unless it is over; see `Store.renew`."""
        now = self._clock.now()
        if not self._lives(worker, now):
            return False
        self._leases[worker] = now + lease
        return True

    async def retire(self, worker: WorkerId) -> None:
        """Ends the lease at once; see `Store.retire`."""
        self._leases.pop(worker, None)

    async def rescue(self, *, max_crashes: int) -> Rescued:
        """Frees the tasks of dead workers; see `Store.rescue`."""
        now = self._clock.now()
        self._leases = {worker: end for worker, end in self._leases.items() if end > now}
        released = 0
        quarantined: list[TaskId] = []
        for row in list(self._live.values()):
            if row.worker is None or row.worker in self._leases:
                continue
            row.crashes += 1
            if row.crashes >= max_crashes:
                why = f"its workers died {row.crashes} times while running it"
                self._set_aside(row, Ending.QUARANTINED, why)
                quarantined.append(row.id)
            else:
                row.wait(row.run_at, keep_attempt=True)
                released += 1
        return Rescued(released=released, quarantined=tuple(quarantined))

    async def tick(
        self,
        schedule: str,
        fire_time: datetime,
        task: NewTask,
        *,
        connection: object | None = None,
    ) -> bool:
        """Enqueues the task once per fire time; see `Store.tick`."""
        check_name("schedule's name", schedule)
        check_aware("fire_time", fire_time)
        check_tasks([task])
        if not self._take_tick(schedule, fire_time):
            return False
        await self.enqueue([unrefused(task)], connection=connection)
        return True

    async def now(self) -> datetime:
        """The clock's now."""
        return self._clock.now()

    async def next_due(self, queues: Sequence[str]) -> timedelta | None:
        """How long until something is due; see `Store.next_due`."""
        wanted = set(queues)
        now = self._clock.now()
        waiting = [start for queue in wanted for start in self._starts(queue, now)]
        return max(timedelta(0), min(waiting) - now) if waiting else None

    async def get(self, task: TaskId) -> TaskRecord | None:
        """The task, live or archived; see `Store.get`."""
        row = self._live.get(task)
        return self._archive.get(task) if row is None else row.record(_state(row))

    async def counts(self) -> dict[tuple[str, State], int]:
        """How many tasks there are per queue and state; see `Store.counts`."""
        counts: dict[tuple[str, State], int] = {}
        kinds = [(row.task.queue, _state(row)) for row in self._live.values()]
        kinds += [(record.queue, record.state) for record in self._archive.values()]
        for kind in kinds:
            counts[kind] = counts.get(kind, 0) + 1
        return counts

    def listen(self, wake: Callable[[str], None]) -> AbstractAsyncContextManager[None]:
        """Calls ``wake(queue)`` from within `enqueue`; see `Store.listen`."""
        return self._listen(wake)

    @asynccontextmanager
    async def _listen(self, wake: Callable[[str], None]) -> AsyncIterator[None]:
        self._wakers.append(wake)
        try:
            yield
        finally:
            self._wakers.remove(wake)

    def _add(self, task: NewTask) -> Enqueued:
        now = self._clock.now()
        run_at = task.run_at or now + (task.delay or timedelta(0))
        held = self._held(task)
        holder = self._holder(held)
        if holder is not None:
            return self._again(holder, task, run_at)
        self._last_id += 1
        row = _Row(id=TaskId(self._last_id), task=task, run_at=run_at, enqueued_at=now, held=held)
        self._live[row.id] = row
        if held is not None:
            self._holders[held] = row.id
            if task.unique_states == "finished" and task.unique_period is not None:
                self._lasting = {h: kept for h, kept in self._lasting.items() if kept[1] > now}
                self._lasting[held] = (row.id, period_end(task.unique_period, now))
        return Enqueued(id=row.id)

    def _again(self, holder: TaskId, task: NewTask, run_at: datetime) -> Enqueued:
        row = self._live.get(holder)
        if row is not None and row.worker is None:
            if task.duplicate == "replace":
                row.task = replace(
                    row.task,
                    payload=task.payload,
                    priority=task.priority,
                    concurrency_key=task.concurrency_key,
                )
                row.run_at = run_at if row.run_at < NEVER else NEVER
                return Enqueued(id=holder, happened="replaced")
            if task.duplicate == "earlier" and run_at < row.run_at < NEVER:
                row.run_at = run_at
                return Enqueued(id=holder, happened="earlier")
        return Enqueued(id=holder, happened="existing")

    def _held(self, task: NewTask) -> bytes | None:
        if task.unique_hash is None:
            return None
        now = self._clock.now()
        return held_hash(task.unique_hash, task.unique_period, task.unique_states, now)

    def _holder(self, held: bytes | None) -> TaskId | None:
        if held is None:
            return None
        if held in self._lasting:
            return self._lasting[held][0]
        return self._holders.get(held)

    def _lives(self, worker: WorkerId, now: datetime) -> bool:
        end = self._leases.get(worker)
        return end is not None and end > now

    def _settle(self, settlement: Settlement) -> bool:
        row = self._live.get(settlement.id)
        if row is None or row.worker is None or row.lease != settlement.lease:
            return False
        if row.linked and not settlement.linked and not isinstance(settlement.verdict, Again):
            return False
        match settlement.verdict:
            case Finish(result=result):
                self._remove(row)
                self._pass_on(row, "done", result)
            case FinishWith(result=result, keep=keep):
                self._remove(row)
                self._keep_result(row.id, result, keep)
                self._pass_on(row, "done", result)
            case Again(delay=delay, keep_attempt=keep_attempt, error=error):
                if error is not None:
                    row.add_error(error)
                due = row.run_at if delay is None else self._clock.now() + bounded_delay(delay)
                row.wait(due, keep_attempt=keep_attempt)
            case SetAside(ending=ending, error=error):
                self._set_aside(row, ending, error)
            case never:
                assert_never(never)
        return True

    def _set_aside(self, row: _Row, ending: Ending, error: str) -> None:
        self._shelve(row, ending, error)
        self._pass_on(row, ending.value)

    def _shelve(self, row: _Row, ending: Ending, error: str) -> None:
        if row.run_at == NEVER:
            row.run_at = self._clock.now()
        row.add_error(error)
        self._remove(row)
        record = row.record(State(ending.value))
        self._archive[row.id] = replace(record, archived_at=self._clock.now())
        self._aside[row.id] = row

    def _remove(self, row: _Row) -> None:
        del self._live[row.id]
        if row.held is not None:
            del self._holders[row.held]


def _state(row: _Row) -> State:
    if row.run_at == NEVER:
        return State.BLOCKED
    return State.WAITING if row.worker is None else State.RUNNING


def _claimed(row: _Row) -> ClaimedTask:
    return ClaimedTask(
        id=row.id,
        lease=row.lease,
        name=row.task.name,
        queue=row.task.queue,
        payload=row.task.payload,
        attempt=row.attempt,
        max_attempts=row.task.max_attempts,
        enqueued_at=row.enqueued_at,
        run_at=row.run_at,
        priority=row.task.priority,
        crashes=row.crashes,
        limited=row.limited,
        linked=row.linked,
    )
