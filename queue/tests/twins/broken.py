"""Stores that break one promise each, through the suite that has to notice.

Not collected by itself: test_twins.py runs it and counts the failures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from colmillo.clock import Clock
from colmillo.errors import DuplicateTask
from colmillo.memory import MemoryStore
from colmillo.operations import Cancellation, CancelRequest, Requeued
from colmillo.store import (
    Again,
    ClaimedTask,
    Enqueued,
    Finish,
    FinishWith,
    NewTask,
    Rescued,
    SetAside,
    Settlement,
    TaskId,
    WorkerId,
)
from colmillo.testing import FakeClock
from colmillo.testing.conformance import StoreConformance


class Honest(MemoryStore):
    """The store that the others are broken copies of."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.workers: list[WorkerId] = []

    async def register(self, worker: WorkerId, *, name: str, lease: timedelta) -> None:
        self.workers.append(worker)
        await super().register(worker, name=name, lease=lease)


class Unfenced(Honest):
    """Takes anybody's word about a task that runs."""

    async def settle(
        self, settlements: Sequence[Settlement], *, connection: object | None = None
    ) -> frozenset[TaskId]:
        records = [await self.get(s.id) for s in settlements]
        current = [
            s if record is None else s._replace(lease=record.lease)
            for s, record in zip(settlements, records, strict=True)
        ]
        return await super().settle(current)


class NotUnique(Honest):
    """Adds every duplicate."""

    async def enqueue(
        self, tasks: Sequence[NewTask], *, connection: object | None = None
    ) -> list[Enqueued]:
        return await super().enqueue([replace(task, unique_hash=None) for task in tasks])


class RefusesDuplicates(Honest):
    """Raises for a duplicate that is to be skipped."""

    async def enqueue(
        self, tasks: Sequence[NewTask], *, connection: object | None = None
    ) -> list[Enqueued]:
        answers = await super().enqueue(tasks)
        for answer in answers:
            if not answer.inserted:
                raise DuplicateTask(existing=answer.id)
        return answers


class AddsHalfABatch(Honest):
    """Has added the tasks before the one that it refuses."""

    async def enqueue(
        self, tasks: Sequence[NewTask], *, connection: object | None = None
    ) -> list[Enqueued]:
        return [(await super(AddsHalfABatch, self).enqueue([task]))[0] for task in tasks]


class ForgetsAttempts(Honest):
    """A retry is not counted."""

    async def settle(
        self, settlements: Sequence[Settlement], *, connection: object | None = None
    ) -> frozenset[TaskId]:
        return await super().settle(
            [
                s._replace(verdict=replace(s.verdict, keep_attempt=False))
                if isinstance(s.verdict, Again)
                else s
                for s in settlements
            ]
        )


class SnoozesCost(Honest):
    """A snooze is counted as an attempt."""

    async def settle(
        self, settlements: Sequence[Settlement], *, connection: object | None = None
    ) -> frozenset[TaskId]:
        return await super().settle(
            [
                s._replace(verdict=replace(s.verdict, keep_attempt=True))
                if isinstance(s.verdict, Again)
                else s
                for s in settlements
            ]
        )


class SettlesHalf(Honest):
    """Carries out the first half of the verdicts, and says nothing of the rest."""

    async def settle(
        self, settlements: Sequence[Settlement], *, connection: object | None = None
    ) -> frozenset[TaskId]:
        return await super().settle(settlements[: (len(settlements) + 1) // 2])


class ForgetsErrors(Honest):
    """Drops what went wrong."""

    async def settle(
        self, settlements: Sequence[Settlement], *, connection: object | None = None
    ) -> frozenset[TaskId]:
        return await super().settle(
            [
                s._replace(verdict=replace(s.verdict, error=""))
                if isinstance(s.verdict, SetAside)
                else s
                for s in settlements
            ]
        )


class DropsResults(Honest):
    """Finishes the task, and keeps no result."""

    async def settle(
        self, settlements: Sequence[Settlement], *, connection: object | None = None
    ) -> frozenset[TaskId]:
        return await super().settle(
            [
                s._replace(verdict=Finish()) if isinstance(s.verdict, FinishWith) else s
                for s in settlements
            ]
        )


class RescuesTheLiving(Honest):
    """Frees the tasks of workers whose lease lives."""

    async def rescue(self, *, max_crashes: int) -> Rescued:
        for worker in self.workers:
            await self.retire(worker)
        return await super().rescue(max_crashes=max_crashes)


class NeverRescues(Honest):
    """Leaves a dead worker's tasks where they are."""

    async def rescue(self, *, max_crashes: int) -> Rescued:
        return Rescued(released=0, quarantined=())


class NeverQuarantines(Honest):
    """Lets a task kill one worker after the other."""

    async def rescue(self, *, max_crashes: int) -> Rescued:
        return await super().rescue(max_crashes=10**9)


class RenewsWhatIsOver(Honest):
    """A lease that ended lives again."""

    async def renew(self, worker: WorkerId, lease: timedelta) -> bool:
        if worker in self.workers:
            await super().register(worker, name="revived", lease=lease)
        return worker in self.workers


class ClaimsBackwards(Honest):
    """Hands out the last of the order first."""

    async def claim(self, worker: WorkerId, room: Mapping[str, int]) -> list[ClaimedTask]:
        return (await super().claim(worker, room))[::-1]


class ClaimsTooEarly(Honest):
    """Knows no due time."""

    async def enqueue(
        self, tasks: Sequence[NewTask], *, connection: object | None = None
    ) -> list[Enqueued]:
        return await super().enqueue([replace(task, delay=None, run_at=None) for task in tasks])


class IgnoresRoom(Honest):
    """Gives a worker more than it asked for."""

    async def claim(self, worker: WorkerId, room: Mapping[str, int]) -> list[ClaimedTask]:
        return await super().claim(worker, {queue: limit + 1 for queue, limit in room.items()})


class ServesStrangers(Honest):
    """Gives tasks to a worker that has no lease."""

    async def claim(self, worker: WorkerId, room: Mapping[str, int]) -> list[ClaimedTask]:
        if not await self.renew(worker, timedelta(seconds=1)):
            await super().register(worker, name="stranger", lease=timedelta(seconds=1))
        return await super().claim(worker, room)


class KeepsStrays(Honest):
    """Does not give back what a worker does not know of."""

    async def release_strays(self, worker: WorkerId, running: Sequence[TaskId]) -> int:
        return 0


class TicksTwice(Honest):
    """Enqueues a schedule's task for every scheduler."""

    async def tick(
        self,
        schedule: str,
        fire_time: datetime,
        task: NewTask,
        *,
        connection: object | None = None,
    ) -> bool:
        await super().tick(schedule, fire_time, task)
        await self.enqueue([replace(task, unique_hash=None)])
        return True


class LosesRequests(Honest):
    """Forgets that a running task is to be cancelled."""

    async def cancel_requests(self, worker: WorkerId) -> Sequence[CancelRequest]:
        return []


class CancelsTheWaitingOnly(Honest):
    """Knows nothing of a running task when it is to be cancelled."""

    async def cancel(
        self, task: TaskId, why: str, *, connection: object | None = None
    ) -> Cancellation:
        record = await self.get(task)
        if record is not None and record.worker is not None:
            return Cancellation.ABSENT
        return await super().cancel(task, why)


class RequeuesNothing(Honest):
    """Leaves everything in the archive, and says otherwise."""

    async def requeue(
        self, tasks: Sequence[TaskId], *, connection: object | None = None
    ) -> Sequence[Requeued]:
        answers = await super().requeue(tasks)
        for answer in answers:
            await self.cancel(answer.id, "again")
        return answers


class PausesForGood(Honest):
    """Cannot resume a queue."""

    async def pause_queue(self, queue: str, *, paused: bool) -> bool:
        return await super().pause_queue(queue, paused=True) and paused


BROKEN = tuple(
    kind for kind in vars().copy().values() if isinstance(kind, type) and Honest in kind.__bases__
)


class _Harness:
    def __init__(self, kind: type[Honest]) -> None:
        self._clock = FakeClock()
        self.store = self.sibling = kind(self._clock)

    async def advance(self, by: timedelta) -> None:
        await self._clock.advance(by)


def _suite(kind: type[Honest]) -> type[StoreConformance]:
    class Suite(StoreConformance):
        @pytest.fixture
        def harness(self) -> _Harness:
            return _Harness(kind)

    return Suite


globals().update({f"Test{kind.__name__}": _suite(kind) for kind in (Honest, *BROKEN)})
