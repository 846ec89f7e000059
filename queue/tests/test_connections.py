"""The caller's transaction on connections of psycopg and SQLAlchemy: the answers are asyncpg's."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import asyncpg
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)

from colmillo import (
    ColmilloError,
    Context,
    MemoryStore,
    NewTask,
    PostgresStore,
    Queue,
    Worker,
    migrate,
    task,
)
from colmillo.store import (
    Again,
    ClaimedTask,
    Ending,
    Finish,
    SetAside,
    Settlement,
    State,
    TaskRecord,
    WorkerId,
)
from colmillo.testing.working import working

if TYPE_CHECKING:
    from colmillo.database import Pool

WAIT = 30
PLAIN = NewTask(name="work", queue="main", payload="{}")
UNIQUE = NewTask(name="work", queue="main", payload="{}", unique_hash=bytes(32))
MADRID_IN_SUMMER = timezone(timedelta(hours=2))


class Transactional(Protocol):
    """What all of these libraries' connections and sessions have in common."""

    async def commit(self) -> None: ...
    async def rollback(self) -> None: ...
    async def execute(self, statement: Any, /) -> Any: ...


Opening = Callable[[str], AbstractAsyncContextManager[Transactional]]


class Asyncpg:
    """asyncpg with the others' manners: the transaction is begun by itself."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.connection = connection

    async def execute(self, statement: Any, /) -> Any:
        return await self.connection.execute(str(statement))

    async def commit(self) -> None:
        await self.connection.execute("COMMIT")
        await self.connection.execute("BEGIN")

    async def rollback(self) -> None:
        await self.connection.execute("ROLLBACK")
        await self.connection.execute("BEGIN")


@asynccontextmanager
async def by_asyncpg(dsn: str) -> AsyncIterator[Transactional]:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("BEGIN")
        yield Asyncpg(connection)
    finally:
        await connection.close()


@asynccontextmanager
async def by_psycopg(dsn: str) -> AsyncIterator[Transactional]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        yield Psycopg(connection)


class Psycopg:
    """psycopg's connection, whose execute takes bytes for text that is not a literal."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self.connection = connection
        self.commit = connection.commit
        self.rollback = connection.rollback

    async def execute(self, statement: Any, /) -> Any:
        return await self.connection.execute(str(statement).encode())


def alchemy(driver: str, kind: str) -> Opening:
    @asynccontextmanager
    async def by_alchemy(dsn: str) -> AsyncIterator[Transactional]:
        url = dsn.replace("postgresql://", f"postgresql+{driver}://")
        engine = create_async_engine(url)
        sessions = async_sessionmaker(engine)
        if kind == "connection":
            async with engine.connect() as connection:
                yield connection
        elif kind == "session":
            async with sessions() as session:
                yield session
        else:
            scoped = async_scoped_session(sessions, scopefunc=asyncio.current_task)
            yield scoped
            await scoped.remove()
        await engine.dispose()

    return by_alchemy


OPENINGS: dict[str, Opening] = {
    "asyncpg": by_asyncpg,
    "psycopg": by_psycopg,
    "sqlalchemy connection over asyncpg": alchemy("asyncpg", "connection"),
    "sqlalchemy connection over psycopg": alchemy("psycopg", "connection"),
    "sqlalchemy session over asyncpg": alchemy("asyncpg", "session"),
    "sqlalchemy session over psycopg": alchemy("psycopg", "session"),
    "sqlalchemy scoped session": alchemy("asyncpg", "scoped session"),
}


@pytest.fixture(params=list(OPENINGS.values()), ids=list(OPENINGS))
def opening(request: pytest.FixtureRequest) -> Opening:
    found: Opening = request.param
    return found


@pytest.fixture
async def caller(opening: Opening, dsn: str) -> AsyncIterator[Transactional]:
    async with opening(dsn) as opened:
        yield opened


@pytest.fixture
def store(pool: "Pool") -> PostgresStore:
    return PostgresStore(pool)


@pytest.fixture
def bare() -> PostgresStore:
    """The same store for a program that has nothing but the caller's connection."""
    return PostgresStore(None)


def given(caller: Transactional) -> object:
    """What a program would pass as ``connection``."""
    return caller.connection if isinstance(caller, Asyncpg | Psycopg) else caller


async def claimed_task(store: PostgresStore, new: NewTask = PLAIN) -> ClaimedTask:
    """Enqueues a task and claims it for a new worker."""
    worker = WorkerId(uuid4())
    await store.register(worker, name="test", lease=timedelta(minutes=1))
    await store.enqueue([new])
    (claimed,) = await store.claim(worker, {"main": 1})
    return claimed


@pytest.mark.parametrize("new", [PLAIN, UNIQUE], ids=["plain", "unique"])
async def test_what_is_enqueued_appears_with_the_commit(
    caller: Transactional, bare: PostgresStore, store: PostgresStore, new: NewTask
) -> None:
    answer = await Queue(bare).enqueue(new, connection=given(caller))
    assert answer.inserted
    assert await store.counts() == {}
    await caller.commit()
    found = await store.get(answer.id)
    assert found is not None
    assert (found.name, found.queue, found.payload) == (new.name, new.queue, new.payload)


@pytest.mark.parametrize("new", [PLAIN, UNIQUE], ids=["plain", "unique"])
async def test_what_is_enqueued_is_undone_with_a_rollback(
    caller: Transactional, bare: PostgresStore, store: PostgresStore, new: NewTask
) -> None:
    await Queue(bare).enqueue(new, connection=given(caller))
    await caller.rollback()
    assert await store.counts() == {}
    assert (await store.enqueue([new]))[0].inserted


async def test_together_with_the_callers_own_rows(
    caller: Transactional, bare: PostgresStore, store: PostgresStore, pool: "Pool"
) -> None:
    await pool.execute("CREATE TABLE orders (id int)")
    for finish in (caller.rollback, caller.commit):
        await caller.execute(text("INSERT INTO orders VALUES (1)"))
        await bare.enqueue([PLAIN], connection=given(caller))
        await caller.execute(text("INSERT INTO orders VALUES (2)"))
        await finish()
    assert await store.counts() == {("main", State.WAITING): 1}
    assert await pool.fetchval("SELECT count(*) FROM orders") == 2


async def test_a_duplicate_names_its_holder_and_aborts_nothing(
    caller: Transactional, bare: PostgresStore, store: PostgresStore
) -> None:
    (holder,) = await store.enqueue([UNIQUE])
    (answer,) = await bare.enqueue([UNIQUE], connection=given(caller))
    assert (answer.id, answer.inserted) == (holder.id, False)
    await bare.enqueue([PLAIN], connection=given(caller))
    await caller.commit()
    assert await store.counts() == {("main", State.WAITING): 2}


def every_column() -> list[NewTask]:
    """Tasks whose values differ in every column, as do their types where a driver may care."""
    key = PLAIN.with_key("a key")
    return [
        NewTask(
            name="ñandú 😀 %s $1 :x {schema} \"'\\",
            queue="other",
            payload='{"x": "{\\"a\\", NULL} \\\\ %(p1)s"}',
            priority=-32_768,
            max_attempts=None,
            run_at=datetime(2030, 5, 6, 7, 8, 9, 123_456, tzinfo=MADRID_IN_SUMMER),
        ),
        key,
        PLAIN.with_options(priority=32_767, delay=timedelta(days=1, milliseconds=1)),
        key,
        NewTask(
            name="b",
            queue="main",
            payload="{}",
            max_attempts=2**31 - 1,
            run_at=datetime(1971, 1, 1, tzinfo=UTC),
        ),
        PLAIN.with_options(delay=timedelta(0)).with_key("another"),
    ]


def told(record: TaskRecord | None) -> tuple[object, ...]:
    """What does not depend on when and in which order it was enqueued."""
    assert record is not None
    waits = round((record.run_at - record.enqueued_at) / timedelta(milliseconds=1))
    return (
        record.name,
        record.queue,
        record.payload,
        record.priority,
        record.max_attempts,
        waits if waits in range(10**8) else record.run_at,
    )


@pytest.mark.parametrize("unique", [True, False], ids=["some unique", "none unique"])
async def test_many_at_once_are_stored_as_by_asyncpg(
    caller: Transactional, bare: PostgresStore, store: PostgresStore, *, unique: bool
) -> None:
    tasks = [new for new in every_column() if unique or new.unique_hash is None]
    expected = await store.enqueue(tasks)
    memory = await MemoryStore().enqueue(tasks)
    assert [answer.inserted for answer in expected] == [answer.inserted for answer in memory]
    as_stored = [told(await store.get(answer.id)) for answer in expected]
    worker = WorkerId(uuid4())
    await store.register(worker, name="test", lease=timedelta(minutes=1))
    for claimed in await store.claim(worker, {"main": 10}):
        await store.settle([Settlement(id=claimed.id, lease=claimed.lease, verdict=Finish())])
    answers = await bare.enqueue(tasks, connection=given(caller))
    await caller.commit()
    assert [answer.inserted for answer in answers] == [answer.inserted for answer in expected]
    assert [told(await store.get(answer.id)) for answer in answers] == as_stored


async def test_thousands_at_once(
    caller: Transactional, bare: PostgresStore, store: PostgresStore
) -> None:
    tasks = [PLAIN.with_key(str(n % 4_000)) for n in range(5_000)]
    answers = await bare.enqueue(tasks, connection=given(caller))
    await caller.commit()
    assert [answer.inserted for answer in answers] == [True] * 4_000 + [False] * 1_000
    assert [answer.id for answer in answers[4_000:]] == [answer.id for answer in answers[:1_000]]
    assert await store.counts() == {("main", State.WAITING): 4_000}


async def test_listeners_hear_of_commits_only(
    caller: Transactional, bare: PostgresStore, store: PostgresStore
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with store.listen(heard.put_nowait), asyncio.timeout(WAIT):
        await bare.enqueue([PLAIN.with_options(queue="lost")], connection=given(caller))
        await caller.rollback()
        await bare.enqueue([PLAIN, UNIQUE, PLAIN], connection=given(caller))
        assert heard.empty()
        await caller.commit()
        assert await heard.get() == "main"
    assert heard.empty()


async def test_a_schema_of_any_name(
    caller: Transactional, store: PostgresStore, pool: "Pool"
) -> None:
    name = "we\"ird; {schema} '%s' %(p1)s $1 :x"
    await migrate(pool, name)
    answers = await PostgresStore(None, name).enqueue([PLAIN, UNIQUE], connection=given(caller))
    assert all(answer.inserted for answer in answers)
    await caller.commit()
    assert await PostgresStore(pool, name).counts() == {("main", State.WAITING): 2}
    assert await store.counts() == {}


async def test_racing_enqueuers_leave_one_task(
    opening: Opening, dsn: str, bare: PostgresStore, store: PostgresStore
) -> None:
    inserted = 0

    async def racer() -> None:
        nonlocal inserted
        async with opening(dsn) as caller:
            for _ in range(20):
                (answer,) = await bare.enqueue([UNIQUE], connection=given(caller))
                await caller.commit()
                inserted += answer.inserted

    async with asyncio.TaskGroup() as racers:
        for _ in range(8):
            racers.create_task(racer())
    assert inserted == 1
    assert await store.counts() == {("main", State.WAITING): 1}


@pytest.mark.parametrize(
    "verdict",
    [Finish(), Again(error="x %s"), SetAside(ending=Ending.FAILED, error="x")],
    ids=["finish", "again", "set aside"],
)
async def test_settling_is_fenced_and_undone_by_a_rollback(
    caller: Transactional,
    bare: PostgresStore,
    store: PostgresStore,
    verdict: Finish | Again | SetAside,
) -> None:
    claimed = await claimed_task(store)
    before = await store.get(claimed.id)
    stale = Settlement(id=claimed.id, lease=claimed.lease - 1, verdict=verdict)
    settlement = Settlement(id=claimed.id, lease=claimed.lease, verdict=verdict)
    assert await bare.settle([stale], connection=given(caller)) == {claimed.id}
    assert await bare.settle([settlement], connection=given(caller)) == frozenset()
    assert await bare.settle([settlement], connection=given(caller)) == {claimed.id}
    await caller.rollback()
    assert await store.get(claimed.id) == before
    assert await bare.settle([settlement], connection=given(caller)) == frozenset()
    await caller.commit()
    assert await store.get(claimed.id) != before


async def test_a_tick_is_the_callers_too(
    caller: Transactional, bare: PostgresStore, store: PostgresStore
) -> None:
    fire = datetime(2030, 5, 6, 7, 8, tzinfo=UTC)
    for finish in (caller.rollback, caller.commit):
        assert await bare.tick("clean", fire, PLAIN, connection=given(caller))
        assert not await bare.tick("clean", fire, PLAIN, connection=given(caller))
        await finish()
    assert not await store.tick("clean", fire, PLAIN)
    assert await store.counts() == {("main", State.WAITING): 1}


async def test_a_task_completes_in_the_transaction_of_its_effects(
    caller: Transactional, store: PostgresStore, pool: "Pool"
) -> None:
    """The first attempt rolls back, so it is as if it had not been; the second one counts."""
    await pool.execute("CREATE TABLE payments (cents int)")
    paid = asyncio.Event()

    @task()
    async def pay(ctx: Context[None]) -> None:
        await caller.execute(text("INSERT INTO payments VALUES (250)"))
        await ctx.complete(connection=given(caller))
        if ctx.task.attempt == 1:
            await caller.rollback()
            raise ColmilloError("not yet")
        await caller.commit()
        paid.set()

    await store.enqueue([pay.new()])
    retry_at_once = "UPDATE colmillo.tasks SET run_at = now() WHERE worker IS NULL"
    poll = timedelta(milliseconds=50)
    async with working(Worker(store, tasks=[pay], queues={"default": 1}, poll=poll)):
        async with asyncio.timeout(WAIT):
            while not paid.is_set():
                await pool.execute(retry_at_once)
    assert await pool.fetchval("SELECT array_agg(cents) FROM payments") == [250]
    assert await store.counts() == {}


async def test_psycopg_in_autocommit(dsn: str, bare: PostgresStore, store: PostgresStore) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await bare.enqueue([PLAIN, UNIQUE], connection=connection)
        assert await store.counts() == {("main", State.WAITING): 2}
        async with connection.transaction():
            await bare.enqueue([PLAIN, UNIQUE.with_key("x")], connection=connection)
            raise psycopg.Rollback
        assert await store.counts() == {("main", State.WAITING): 2}


async def test_a_savepoint_of_the_caller(
    dsn: str, bare: PostgresStore, store: PostgresStore
) -> None:
    url = dsn.replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(url)
    async with AsyncSession(engine) as session, session.begin():
        await bare.enqueue([PLAIN], connection=session)
        savepoint = await session.begin_nested()
        await bare.enqueue([UNIQUE], connection=session)
        await savepoint.rollback()
        await bare.enqueue([PLAIN], connection=session)
    await engine.dispose()
    assert await store.counts() == {("main", State.WAITING): 2}
    assert (await store.enqueue([UNIQUE]))[0].inserted


async def test_an_answer_that_does_not_come_is_given_up(
    dsn: str, pool: "Pool", opening: Opening
) -> None:
    impatient = PostgresStore(None, command_timeout=timedelta(milliseconds=100))
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE colmillo.tasks")
        async with opening(dsn) as caller:
            with pytest.raises(TimeoutError):
                await impatient.enqueue([PLAIN], connection=given(caller))


async def test_what_would_block_the_event_loop_is_refused(dsn: str, bare: PostgresStore) -> None:
    message = r"would block .* use colmillo\.sync\.SyncQueue"
    with psycopg.connect(dsn) as connection, pytest.raises(TypeError, match=message):
        await bare.enqueue([PLAIN], connection=connection)


async def test_another_driver_of_sqlalchemy_is_refused(bare: PostgresStore) -> None:
    class Dialect:
        name, driver = "postgresql", "psycopg2"

    class Other(AsyncConnection):
        dialect = Dialect()  # type: ignore[assignment]

        def __init__(self) -> None:
            pass

    with pytest.raises(TypeError, match=r"use asyncpg or psycopg, not postgresql\+psycopg2"):
        await bare.enqueue([PLAIN], connection=Other())


async def test_a_store_without_a_pool_says_so(bare: PostgresStore) -> None:
    with pytest.raises(TypeError, match="this store has no pool"):
        await bare.enqueue([PLAIN])


def test_neither_library_is_imported_with_colmillo() -> None:
    code = (
        "import sys, colmillo, colmillo.sync;"
        "print([name for name in ('psycopg', 'sqlalchemy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
