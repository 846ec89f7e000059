"""Dead letters: looked at, and taken back, through the queue."""

from datetime import timedelta
from typing import TYPE_CHECKING

from colmillo import Backoff, MemoryStore, PostgresStore, Queue, Worker, task
from colmillo.operations import Revival
from colmillo.store import Ending, State
from colmillo.testing import FakeClock
from colmillo.testing.working import working

if TYPE_CHECKING:
    from colmillo.database import Pool


async def test_a_mended_task_runs_again_with_all_its_attempts() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    queue = Queue(store)
    broken = True
    attempts: list[int] = []

    @task(max_attempts=2, backoff=Backoff.constant(timedelta(seconds=1)))
    async def job(number: int) -> None:
        attempts.append(number)
        if broken:
            raise ValueError(f"broken {number}")

    ids = [answer.id for answer in await queue.enqueue_many(job.new(n) for n in (1, 2))]
    async with working(Worker(store, tasks=[job], queues={"default": 1}, clock=clock)):
        await clock.advance(5)
        archived = await queue.archived(name="job", ending=Ending.FAILED)
        assert [one.id for one in archived] == ids[::-1]
        assert [len(one.errors) for one in archived] == [2, 2]
        assert archived[0].errors[0].startswith("ValueError: broken 2")
        broken = False
        answers = await queue.requeue_many(one.id for one in archived)
        assert {answer.revival for answer in answers} == {Revival.REQUEUED}
        await clock.advance(1)
    assert sorted(attempts) == [1, 1, 1, 2, 2, 2]
    assert await store.counts() == {}
    assert await queue.requeue_many([]) == []


async def test_a_requeue_becomes_part_of_the_callers_transaction(pool: "Pool") -> None:
    @task()
    async def job() -> None: ...

    store = PostgresStore(pool)
    queue = Queue(store)
    held = (await queue.enqueue(job.new())).id
    await queue.cancel(held)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        answer = await queue.requeue(held, connection=connection)
        assert answer.revival is Revival.REQUEUED
        await transaction.rollback()
    record = await store.get(held)
    assert record is not None
    assert record.state is State.CANCELLED
    assert record.archived_at is not None
