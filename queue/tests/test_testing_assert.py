"""`assert_enqueued` and `refute_enqueued`, on both stores, async and not."""

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from colmillo import InvalidTask, MemoryStore, PostgresStore, Queue, Unique, task
from colmillo.store import Store, WorkerId
from colmillo.sync import SyncQueue
from colmillo.testing import assert_enqueued, refute_enqueued, sync
from colmillo.unique import States

if TYPE_CHECKING:
    from colmillo.database import Pool

HOUR = timedelta(hours=1)


@task(queue="mail", unique=Unique(args=("user",), period=HOUR))
async def welcome(user: str, tries: int = 1, wait: timedelta = HOUR) -> None: ...


@task()
async def report(day: int) -> None: ...


@pytest.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest, pool: "Pool") -> Store:
    return MemoryStore() if request.param == "memory" else PostgresStore(pool)


async def test_finds_what_is_there(store: Store) -> None:
    queue = Queue(store)
    later = welcome.new(user="ana").with_options(delay=HOUR, priority=3)
    ids = [a.id for a in await queue.enqueue_many([later, welcome.new(user="luis", tries=2)])]
    everything = await assert_enqueued(store, welcome)
    assert [record.id for record in everything] == ids
    (ana,) = await assert_enqueued(
        store,
        welcome,
        args={"user": "ana", "wait": HOUR},
        queue="mail",
        priority=3,
        delay=HOUR,
        unique=True,
        count=1,
    )
    assert ana.id == ids[0]
    due = await store.now() + HOUR
    await assert_enqueued(store, welcome, run_at=(due - HOUR / 60, due), args={"user": "ana"})
    await assert_enqueued(store, welcome, run_at=ana.run_at + timedelta(milliseconds=900))
    await assert_enqueued(store, "welcome", args={"tries": 2}, delay=timedelta(0))
    await refute_enqueued(store, welcome, args={"user": "eva"})
    await refute_enqueued(store, welcome, run_at=ana.run_at + timedelta(seconds=2))
    await refute_enqueued(store, welcome, unique=False)
    await refute_enqueued(store, report)


async def test_running_tasks_count(store: Store) -> None:
    await Queue(store).enqueue(report.new(day=1))
    worker = WorkerId(uuid4())
    await store.register(worker, name="test", lease=HOUR)
    assert len(await store.claim(worker, {"default": 1})) == 1
    await assert_enqueued(store, report, args={"day": 1}, unique=False)


@pytest.mark.parametrize("states", ["live", "waiting", "finished"])
async def test_keys_are_found_under_their_names(store: Store, states: States) -> None:
    await Queue(store).enqueue(welcome.new(user="x").with_key("feed 3", states=states))
    await Queue(store).enqueue(report.new(day=1).with_key("today").with_options(queue="elsewhere"))
    await assert_enqueued(store, welcome, key="feed 3")
    await assert_enqueued(store, report, key="today")
    with pytest.raises(AssertionError, match="key: another one than 'feed 4'"):
        await assert_enqueued(store, welcome, key="feed 4")


async def test_a_failure_shows_the_nearest_and_in_what_they_differ(store: Store) -> None:
    queue = Queue(store)
    await queue.enqueue_many(
        [
            welcome.new(user="luis", tries=2),
            welcome.new(user="eva").with_options(queue="bulk", priority=7, delay=HOUR),
            report.new(day=3),
        ]
    )
    with pytest.raises(AssertionError) as caught:
        await assert_enqueued(
            store, welcome, args={"user": "ana", "tries": 2}, queue="mail", priority=0
        )
    assert str(caught.value).splitlines() == [
        "no task matches: welcome(user='ana', tries=2) with queue 'mail', priority 0",
        "nearest of 2 other 'welcome' tasks:",
        f"  task 1, waiting: welcome(tries=2, user='luis', wait={HOUR!r})",
        "    user: 'luis', not 'ana'",
        f"  task 2, waiting: welcome(tries=1, user='eva', wait={HOUR!r})",
        "    user: 'eva', not 'ana'",
        "    tries: 1, not 2",
        "    queue: 'bulk', not 'mail'",
        "    priority: 7, not 0",
    ]


async def test_a_failure_shows_what_is_there_instead(store: Store) -> None:
    queue = Queue(store)
    with pytest.raises(AssertionError, match="nothing is live in this store"):
        await assert_enqueued(store, welcome)
    gone = await queue.enqueue(welcome.new(user="ana"))
    await queue.cancel(gone.id, "unwanted")
    await queue.enqueue_many(report.new(day=n) for n in range(4))
    with pytest.raises(AssertionError) as caught:
        await assert_enqueued(store, welcome, args={"user": "ana"})
    message = str(caught.value)
    assert "no 'welcome' is live; the queue holds:\n  4 × 'report' in 'default'" in message
    assert "in the archive: task 1, cancelled: welcome(" in message
    assert message.endswith(": unwanted")


async def test_counts_are_exact_and_refutals_list(store: Store) -> None:
    await Queue(store).enqueue_many(report.new(day=n) for n in range(12))
    with pytest.raises(AssertionError, match=r"^12 tasks match, not 2: report\(\)"):
        await assert_enqueued(store, report, count=2)
    with pytest.raises(AssertionError, match=r"no task matches: report\(day=99\) \(2 expected\)"):
        await assert_enqueued(store, report, args={"day": 99}, count=2)
    await assert_enqueued(store, report, args={"day": 99}, count=0)
    with pytest.raises(AssertionError) as caught:
        await refute_enqueued(store, report)
    lines = str(caught.value).splitlines()
    assert lines[0] == "expected no report(), and found 12:"
    assert lines[-1] == "  … and 2 more"


async def test_arguments_are_checked_so_that_refutals_mean_something(store: Store) -> None:
    with pytest.raises(InvalidTask, match="no argument 'usr'; it takes user, tries, wait"):
        await refute_enqueued(store, welcome, args={"usr": "ana"})
    with pytest.raises(InvalidTask, match="tries: expected int, got str"):
        await refute_enqueued(store, welcome, args={"tries": "2"})


async def test_looks_from_within_a_transaction(pool: "Pool") -> None:
    store = PostgresStore(pool)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await Queue(store).enqueue(report.new(day=1), connection=connection)
        await assert_enqueued(store, report, connection=connection)
        await refute_enqueued(store, report)
        with pytest.raises(AssertionError, match="expected no report"):
            await refute_enqueued(store, report, connection=connection)
        await transaction.rollback()


async def test_more_than_a_page_is_looked_at() -> None:
    store = MemoryStore()
    await Queue(store).enqueue_many(report.new(day=n) for n in range(2001))
    assert len(await assert_enqueued(store, report, count=2001)) == 2001
    assert (await assert_enqueued(store, report, args={"day": 0}))[0].id == 1


def test_tests_that_are_not_async_can_look_too(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        SyncQueue().enqueue(welcome.new(user="ana"), connection=connection)
        (record,) = sync.assert_enqueued(connection, welcome, args={"user": "ana"}, unique=True)
        assert record.queue == "mail"
        with pytest.raises(AssertionError, match="user: 'ana', not 'eva'"):
            sync.assert_enqueued(connection, welcome, args={"user": "eva"})
        sync.refute_enqueued(connection, report)
        connection.rollback()
    engine = create_engine(dsn.replace("postgresql://", "postgresql+psycopg://"))
    with Session(engine) as session:
        SyncQueue().enqueue(report.new(day=1), connection=session)
        sync.assert_enqueued(session, report, count=1)
        sync.refute_enqueued(session, welcome)
        session.rollback()
    engine.dispose()
    sync.refute_enqueued(MemoryStore(), report)
    with pytest.raises(TypeError, match="not a str"):
        sync.assert_enqueued("what", report)
