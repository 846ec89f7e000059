"""Calls one task once."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from colmillo.clock import Clock, SystemClock
from colmillo.errors import InvalidTask
from colmillo.memory import MemoryStore
from colmillo.middleware import Middleware
from colmillo.store import Again, ClaimedTask, NewTask, Settlement, Store, TaskId
from colmillo.task import Task
from colmillo.testing.attempts import Attempt
from colmillo.testing.bench import Bench, DrainFailed

_PAGE = 1000


async def run_one(
    task: Task[...],
    new: NewTask,
    *,
    resources: object = None,
    middleware: Sequence[Middleware] = (),
    store: Store | None = None,
    attempt: int = 1,
    clock: Clock | None = None,
    rng: Random | None = None,
) -> Attempt:
    """Calls a task once, as a worker would, and returns what came of it.

    ``new`` is the call: ``await run_one(welcome, welcome.new(user="ana"))``. It goes through
    ``store``, a fresh `MemoryStore` when left out, so that ``ctx.complete`` and ``ctx.queue``
    do what they do; its due time and its unique key do not count. ``attempt`` is the number
    that the function finds in ``ctx.task.attempt``. What the function raises is
    ``Attempt.error``; this raises `InvalidTask` for a call of another task, or an attempt that
    the task does not have.
    """
    last = new.max_attempts
    if new.name != task.name:
        raise InvalidTask(f"a call of {new.name!r} for the task {task.name!r}")
    if attempt < 1 or (last is not None and attempt > last):
        raise InvalidTask(f"{new.name}: there is no attempt {attempt}")
    clock = clock or SystemClock()
    used = store or MemoryStore(clock)
    call = replace(new, delay=None, run_at=None, unique_hash=None)
    (answer,) = await used.enqueue([call])
    bench = Bench(
        used,
        [task],
        resources=resources,
        middleware=middleware,
        clock=clock,
        rng=rng or Random(0),
    )
    async with bench:
        for _ in range(attempt - 1):
            claimed = await _claimed(bench, new.queue, answer.id)
            failed = Again(error="an attempt before")
            said = Settlement(id=claimed.id, lease=claimed.lease, verdict=failed)
            await used.settle([said])
        return await bench.run(await _claimed(bench, new.queue, answer.id))


async def _claimed(bench: Bench, queue: str, task: TaskId) -> ClaimedTask:
    """Claims the task, and nothing else."""
    while taken := await bench.claim(queue, _PAGE):
        for claimed in taken:
            if claimed.id == task:
                await bench.release_others(claimed)
                return claimed
    raise DrainFailed(f"task {task} in queue {queue!r} could not be claimed: did another worker?")
