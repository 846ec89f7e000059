"""Programs that are not async: psycopg's and SQLAlchemy's blocking connections."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from colmillo import (
    Context,
    InvalidTask,
    LeaseLost,
    NewTask,
    PostgresStore,
    Worker,
    migrate,
    task,
)
from colmillo.errors import DuplicateTask
from colmillo.flows import chain, group
from colmillo.store import State
from colmillo.sync import SyncQueue, complete
from colmillo.testing.working import working

if TYPE_CHECKING:
    from colmillo.database import Pool

WAIT = 30
PLAIN = NewTask(name="work", queue="main", payload="{}")
UNIQUE = NewTask(name="work", queue="main", payload="{}", unique_hash=bytes(32))


class Transactional(Protocol):
    """What all of these libraries' connections and sessions have in common."""

    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def execute(self, statement: Any, /) -> Any: ...


Opening = Callable[[str], AbstractContextManager[Transactional]]


class Psycopg(psycopg.Connection[Any]):
    """As programs subclass it; here for an execute that takes SQLAlchemy's texts too."""

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        return super().execute(str(query).encode(), *args, **kwargs)


@contextmanager
def by_psycopg(dsn: str) -> Iterator[Transactional]:
    with Psycopg.connect(dsn) as connection:
        yield connection


def alchemy(kind: str) -> Opening:
    @contextmanager
    def by_alchemy(dsn: str) -> Iterator[Transactional]:
        engine = create_engine(dsn.replace("postgresql://", "postgresql+psycopg://"))
        if kind == "connection":
            with engine.connect() as connection:
                yield connection
        elif kind == "session":
            with Session(engine) as session:
                yield session
        else:
            scoped = scoped_session(sessionmaker(engine))
            yield scoped
            scoped.remove()
        engine.dispose()

    return by_alchemy


OPENINGS: dict[str, Opening] = {
    "psycopg": by_psycopg,
    "sqlalchemy connection": alchemy("connection"),
    "sqlalchemy session": alchemy("session"),
    "sqlalchemy scoped session": alchemy("scoped session"),
}


@pytest.fixture(params=list(OPENINGS.values()), ids=list(OPENINGS))
def opening(request: pytest.FixtureRequest) -> Opening:
    found: Opening = request.param
    return found


@pytest.fixture
def caller(opening: Opening, dsn: str) -> Iterator[Transactional]:
    with opening(dsn) as opened:
        yield opened


@pytest.fixture
def store(pool: "Pool") -> PostgresStore:
    return PostgresStore(pool)


@pytest.mark.parametrize("new", [PLAIN, UNIQUE], ids=["plain", "unique"])
async def test_what_is_enqueued_lives_and_dies_with_the_transaction(
    caller: Transactional, store: PostgresStore, new: NewTask
) -> None:
    assert SyncQueue().enqueue(new, connection=caller).inserted
    caller.rollback()
    answer = SyncQueue().enqueue(new, connection=caller)
    assert answer.inserted
    assert await store.counts() == {}
    caller.commit()
    assert await store.counts() == {("main", State.WAITING): 1}
    assert await store.get(answer.id) is not None


async def test_many_at_once_with_duplicates(caller: Transactional, store: PostgresStore) -> None:
    (holder,) = await store.enqueue([UNIQUE])
    tasks = [PLAIN, UNIQUE, PLAIN.with_key("x"), PLAIN.with_key("x")]
    answers = SyncQueue().enqueue_many(iter(tasks), connection=caller)
    caller.commit()
    assert [answer.inserted for answer in answers] == [True, False, True, False]
    assert answers[1].id == holder.id
    assert answers[3].id == answers[2].id
    assert await store.counts() == {("main", State.WAITING): 3}
    assert SyncQueue().enqueue_many([], connection=caller) == []


async def test_a_flow_lives_and_dies_with_the_transaction(
    caller: Transactional, store: PostgresStore
) -> None:
    flow = chain(group(PLAIN, UNIQUE), PLAIN)
    SyncQueue().enqueue_flow(flow, connection=caller)
    caller.rollback()
    ids = SyncQueue().enqueue_flow(flow, connection=caller)
    assert await store.counts() == {}
    caller.commit()
    assert await store.counts() == {("main", State.WAITING): 2, ("main", State.BLOCKED): 1}
    assert [parent.id for parent in await store.parents(ids[2])] == ids[:2]


async def test_a_refused_batch_is_undone_and_the_transaction_goes_on(
    caller: Transactional, store: PostgresStore
) -> None:
    (holder,) = await store.enqueue([UNIQUE])
    refused = UNIQUE.with_options(duplicate="raise")
    with pytest.raises(DuplicateTask) as caught:
        SyncQueue().enqueue_many([PLAIN, PLAIN.with_key("x"), refused], connection=caller)
    assert caught.value.existing == holder.id
    replacing = UNIQUE.with_options(duplicate="replace")
    (answer, _) = SyncQueue().enqueue_many([replacing, PLAIN], connection=caller)
    assert (answer.id, answer.happened) == (holder.id, "replaced")
    caller.commit()
    assert await store.counts() == {("main", State.WAITING): 2}


async def test_a_schema_of_the_users_choice(
    caller: Transactional, pool: "Pool", store: PostgresStore
) -> None:
    await migrate(pool, "jobs")
    SyncQueue("jobs").enqueue(UNIQUE, connection=caller)
    caller.commit()
    assert await store.counts() == {}
    assert await PostgresStore(pool, "jobs").counts() == {("main", State.WAITING): 1}


async def test_workers_are_woken_by_the_commit(caller: Transactional, store: PostgresStore) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    loud, silent = SyncQueue(), SyncQueue(notify=False)
    async with store.listen(heard.put_nowait), asyncio.timeout(WAIT):
        loud.enqueue(PLAIN.with_options(queue="lost"), connection=caller)
        caller.rollback()
        silent.enqueue(PLAIN.with_options(queue="silent"), connection=caller)
        loud.enqueue(PLAIN, connection=caller)
        caller.commit()
        assert await heard.get() == "main"
    assert heard.empty()


async def test_racing_threads_leave_one_task(
    opening: Opening, dsn: str, store: PostgresStore
) -> None:
    queue = SyncQueue()

    def racer() -> int:
        with opening(dsn) as caller:
            inserted = 0
            for _ in range(20):
                inserted += queue.enqueue(UNIQUE, connection=caller).inserted
                caller.commit()
            return inserted

    assert sum(await asyncio.gather(*(asyncio.to_thread(racer) for _ in range(8)))) == 1
    assert await store.counts() == {("main", State.WAITING): 1}


async def test_a_task_in_a_thread_completes_in_its_transaction(
    opening: Opening, dsn: str, store: PostgresStore, pool: "Pool"
) -> None:
    await pool.execute("CREATE TABLE payments (cents int)")
    done = asyncio.Event()
    lost: list[LeaseLost] = []

    def pay_in_a_thread(ctx: Context[None]) -> None:
        with opening(dsn) as connection:
            connection.execute(text("INSERT INTO payments VALUES (250)"))
            complete(ctx, connection=connection)
            with pytest.raises(LeaseLost) as caught:
                complete(ctx, connection=connection)
            lost.append(caught.value)
            connection.commit()

    @task()
    async def pay(ctx: Context[None]) -> None:
        await asyncio.to_thread(pay_in_a_thread, ctx)
        done.set()

    await store.enqueue([pay.new()])
    async with working(Worker(store, tasks=[pay], queues={"default": 1})):
        async with asyncio.timeout(WAIT):
            await done.wait()
    assert await pool.fetchval("SELECT array_agg(cents) FROM payments") == [250]
    assert await store.counts() == {}
    assert len(lost) == 1


async def test_psycopg_in_autocommit(dsn: str, store: PostgresStore) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        SyncQueue().enqueue_many([PLAIN, UNIQUE], connection=connection)
        assert await store.counts() == {("main", State.WAITING): 2}
        with connection.transaction():
            SyncQueue().enqueue_many([PLAIN, UNIQUE.with_key("x")], connection=connection)
            raise psycopg.Rollback
        assert await store.counts() == {("main", State.WAITING): 2}


def test_what_cannot_be_stored_is_refused_first(caller: Transactional) -> None:
    wrong = NewTask(name=str(uuid4()), queue="", payload="{}")
    with pytest.raises(InvalidTask, match="a queue's name has 1 to 200 characters"):
        SyncQueue().enqueue(wrong, connection=caller)
    delayed = PLAIN.with_options(delay=timedelta(days=1))
    assert SyncQueue().enqueue(delayed, connection=caller).inserted


async def test_other_connections_are_refused(pool: "Pool") -> None:
    message = "has to be a psycopg Connection, or a Connection or Session of SQLAlchemy, not a"
    async with pool.acquire() as connection:
        for wrong in (connection, "postgresql://", None):
            with pytest.raises(TypeError, match=message):
                SyncQueue().enqueue(PLAIN, connection=wrong)
