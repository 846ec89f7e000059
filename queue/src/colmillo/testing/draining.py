"""Runs what is due to the end, in the test's own process."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from random import Random

from colmillo.clock import Clock, SystemClock
from colmillo.middleware import Lifespan, Middleware
from colmillo.store import ClaimedTask, State, Store, TaskRecord
from colmillo.task import Task
from colmillo.testing.attempts import Attempt, Drained, Ended
from colmillo.testing.bench import Bench, DrainFailed
from colmillo.testing.clock import FakeClock

_ZERO = timedelta(0)
_LEAST_STEP = timedelta(seconds=1)
_ASIDE = (Ended.FAILED, Ended.CANCELLED, Ended.DISCARDED)


async def drain(
    store: Store,
    *,
    tasks: Sequence[Task[...]],
    resources: object = None,
    lifespan: Lifespan | None = None,
    middleware: Sequence[Middleware] = (),
    queues: Collection[str] | None = None,
    clock: Clock | None = None,
    through: timedelta = _ZERO,
    raise_failures: bool = False,
    most: int = 1000,
    rng: Random | None = None,
) -> Drained:
    """Runs every task that is due, and what these enqueue, one by one until nothing is.

    Args:
        store: any store; behind a `PostgresStore` only what is committed is seen.
        tasks: what may run, as for a `colmillo.Worker`, as are ``resources``, ``lifespan`` and
            ``middleware``. Paused queues are left alone as well.
        queues: which queues to look at; all of them when left out.
        clock: what tasks see as ``ctx.clock``, and what times them out.
        through: also runs what becomes due within so much time, at its time: the ``clock``
            has to be the store's `FakeClock` or `DatabaseClock`, and is moved on by so much.
        raise_failures: raises what a task raised, at the first attempt that fails.
        most: how many attempts are made before this is taken for a loop.
        rng: the jitter of the backoff; the same in every run when left out.

    Raises:
        UnknownTask: a due task is none of ``tasks``.
        DrainFailed: after ``most`` attempts something is still due; or an attempt failed
            without an exception, with ``raise_failures``.
        ValueError: ``through`` without a clock that can be moved.
    """
    if through > _ZERO and not isinstance(clock, FakeClock):
        raise ValueError("to move time on, drain needs the FakeClock that the store goes by")
    if resources is not None and lifespan is not None:
        raise ValueError("give drain resources or a lifespan that yields them, not both")
    clock = clock or SystemClock()
    async with _opened(resources, lifespan) as found:
        bench = Bench(
            store,
            tasks,
            resources=found,
            middleware=middleware,
            clock=clock,
            rng=rng or Random(0),
        )
        async with bench:
            work = _Drain(store, bench, clock, queues, through, raise_failures, most)
            await work.run()
    return await work.summary()


class _Drain:
    """One drain under way."""

    def __init__(
        self,
        store: Store,
        bench: Bench,
        clock: Clock,
        queues: Collection[str] | None,
        through: timedelta,
        raise_failures: bool,
        most: int,
    ) -> None:
        self._store = store
        self._bench = bench
        self._clock = clock
        self._wanted = queues
        self._left = through
        self._raise_failures = raise_failures
        self._most = most
        self._queues: list[str] = []
        self._attempts: list[Attempt] = []
        self._step = _LEAST_STEP

    async def run(self) -> None:
        """Until nothing is due, and time has been moved as far as it should be."""
        while True:
            while (claimed := await self._next()) is not None:
                self._step = _LEAST_STEP
                if len(self._attempts) >= self._most:
                    raise DrainFailed(endless(self._attempts))
                attempt = await self._bench.run(claimed)
                self._attempts.append(attempt)
                if self._raise_failures and attempt.failed:
                    raise reason(attempt)
            if not await self._later():
                return

    async def summary(self) -> Drained:
        """What was done and what is left."""
        aside = {a.task.id: None for a in self._attempts if a.ended in _ASIDE}
        records = [await self._store.get(task) for task in aside]
        live = await self._store.live(limit=1000)
        waiting = [record for record in live if record.state is State.WAITING]
        return Drained(
            attempts=tuple(self._attempts),
            set_aside=tuple(record for record in records if record is not None),
            waiting=tuple(sorted(waiting, key=_due)),
        )

    async def _next(self) -> ClaimedTask | None:
        """The next due task; the queues are looked up when those known have none."""
        for known in (True, False):
            if not known:
                # As a worker would: cancels that tasks which wait now were running for.
                await self._store.cancel_requests(self._bench.worker)
                self._queues = await self._waiting_queues()
            for queue in self._queues:
                for claimed in await self._bench.claim(queue):
                    return claimed
        return None

    async def _waiting_queues(self) -> list[str]:
        paused = (await self._store.controls()).paused
        counts = await self._store.counts()
        waiting = {queue for queue, state in counts if state is State.WAITING}
        wanted = waiting if self._wanted is None else waiting & set(self._wanted)
        return sorted(wanted - paused)

    async def _later(self) -> bool:
        """Moves time to the next due task; false when that is too far away, or never."""
        due = await self._store.next_due(self._queues) if self._queues else None
        if due is None or due > self._left or not self._left:
            await self._move(self._left)
            return False
        if due <= _ZERO:
            # Due, and not to be had: a limit, or another worker. Time may help.
            due = min(self._step, self._left)
            self._step *= 2
        await self._move(due)
        return True

    async def _move(self, by: timedelta) -> None:
        if by <= _ZERO or not isinstance(self._clock, FakeClock):
            return
        before = await self._store.now()
        await self._clock.advance(by)
        self._left -= by
        if await self._store.now() - before < by / 2:
            raise DrainFailed(
                f"the clock was moved by {by}, but the store's time was not: give drain the "
                "FakeClock of the MemoryStore, or a DatabaseClock"
            )
        await self._bench.extend()


def endless(attempts: Sequence[Attempt]) -> str:
    """What to say of tasks that go on and on."""
    calls = Counter(attempt.task.name for attempt in attempts)
    name, number = calls.most_common(1)[0]
    of_it = [attempt for attempt in attempts if attempt.task.name == name]
    ids = {attempt.task.id for attempt in of_it}
    if len(ids) == 1:
        cause = f"{name!r} (task {of_it[-1].task.id}) ran {number} times"
    else:
        cause = f"{name!r} ran {number} times, as {len(ids)} tasks: does it enqueue itself?"
    return f"{len(attempts)} attempts and no end: {cause}; its last attempt: {of_it[-1]}"


def reason(attempt: Attempt) -> BaseException:
    """The exception that the attempt raised, with a note about where it comes from."""
    if attempt.error is None:
        return DrainFailed(str(attempt))
    attempt.error.add_note(f"raised by {attempt}")
    return attempt.error


@asynccontextmanager
async def _opened(resources: object, lifespan: Lifespan | None) -> AsyncIterator[object]:
    if lifespan is None:
        yield resources
        return
    async with lifespan() as found:
        yield found


def _due(record: TaskRecord) -> tuple[datetime, int]:
    return record.run_at, record.id
