"""The live tasks' table is written anew while old transactions and everybody else go on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest

from colmillo import compaction
from colmillo.compaction import Compaction
from colmillo.database import Database
from colmillo.postgres import PostgresStore
from colmillo.schema import queries
from colmillo.store import (
    Again,
    ClaimedTask,
    Ending,
    Finish,
    NewTask,
    SetAside,
    Settlement,
    State,
    WorkerId,
)

if TYPE_CHECKING:
    from colmillo.database import Connection, Pool

LEAST = 500_000
CHURN = 4_000
LEASE = timedelta(hours=1)
ROWS = "SELECT * FROM colmillo.tasks ORDER BY id"
SIZE = "SELECT pg_total_relation_size('colmillo.tasks')"
BLOCKED = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def plain(queue: str = "main", payload: str = "{}", priority: int = 0) -> NewTask:
    return NewTask(name="work", queue=queue, payload=payload, priority=priority)


def noise(size: int) -> str:
    """A payload that cannot be compressed."""
    return f'{{"x": "{Random(1).randbytes(size // 2).hex()}"}}'


def unique(number: int) -> NewTask:
    return NewTask(name="work", queue="main", payload="{}", unique_hash=bytes([number] * 32))


class Scene:
    """A store, a worker, and a compaction that finds a small table large."""

    def __init__(self, pool: "Pool", worker: WorkerId) -> None:
        self.pool = pool
        self.store = PostgresStore(pool)
        self.worker = worker
        self.now = 0.0

    def compaction(self, least: int = LEAST) -> Compaction:
        return Compaction(
            Database(self.pool, 30),
            queries("colmillo"),
            "colmillo",
            least=least,
            monotonic=lambda: self.now,
        )

    async def compact(self) -> int:
        return await self.compaction().run()

    async def rows(self) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.pool.fetch(ROWS)]

    async def size(self) -> int:
        return int(await self.pool.fetchval(SIZE))

    async def churn(self) -> None:
        """Runs tasks that leave nothing but dead rows."""
        await self.store.enqueue([plain("churn")] * CHURN)
        await self.finish(await self.store.claim(self.worker, {"churn": CHURN}))

    async def finish(self, claimed: list[ClaimedTask]) -> None:
        assert not await self.store.settle(
            [Settlement(id=one.id, lease=one.lease, verdict=Finish()) for one in claimed]
        )

    async def live(self) -> list[ClaimedTask]:
        """Tasks of every kind in front of dead rows; returns those that run."""
        await self.store.enqueue([plain(priority=5), plain(), unique(1), unique(2)])
        first, *running = await self.store.claim(self.worker, {"main": 3})
        failed = Settlement(id=first.id, lease=first.lease, verdict=Again(error="no"))
        assert not await self.store.settle([failed])
        long = plain(payload=f'{{"x": "{"ab" * 9000}"}}')
        await self.store.enqueue([long, plain("other").with_options(delay=LEASE)])
        await self.pool.execute("UPDATE colmillo.tasks SET crashes = 3 WHERE priority = 5")
        await self.churn()
        return running


async def made(pool: "Pool") -> Scene:
    await pool.execute("ALTER TABLE colmillo.tasks SET (autovacuum_enabled = false)")
    scene = Scene(pool, WorkerId(uuid4()))
    await scene.store.register(scene.worker, name="test", lease=LEASE)
    return scene


@pytest.fixture
async def scene(pool: "Pool") -> Scene:
    return await made(pool)


@asynccontextmanager
async def transaction(dsn: str, *statements: str) -> "AsyncIterator[Connection]":
    """An open transaction in which these statements were run; rolled back at the end."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("BEGIN")
        for statement in statements:
            await connection.execute(statement)
        yield connection
    finally:
        await connection.close()


def snapshot(dsn: str) -> Any:
    """A transaction that keeps vacuum from removing anything."""
    return transaction(dsn, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT 1")


async def until_blocked(pool: "Pool", sessions: int = 1) -> None:
    async with asyncio.timeout(30):
        while await pool.fetchval(BLOCKED) < sessions:
            pass


async def test_space_returns_while_a_transaction_pins_the_horizon(dsn: str, scene: Scene) -> None:
    async with snapshot(dsn) as holder:
        xmin = "SELECT backend_xmin::text FROM pg_stat_activity WHERE pid = $1"
        held = await scene.pool.fetchval(xmin, holder.get_server_pid())
        running = await scene.live()
        await scene.pool.execute("VACUUM colmillo.tasks")
        before, size = await scene.rows(), await scene.size()
        assert size > LEAST
        freed = await scene.compact()
        assert await scene.pool.fetchval(xmin, holder.get_server_pid()) == held
    assert freed == size - await scene.size()
    assert await scene.size() < LEAST / 3
    assert await scene.rows() == before
    assert len(before) == 6
    await scene.finish(running)
    answers = await scene.store.enqueue([unique(1), unique(2), plain()])
    assert [answer.inserted for answer in answers] == [True, False, True]
    assert answers[0].id > before[-1][0]
    assert len(await scene.store.claim(scene.worker, {"main": 10})) == 5


async def test_prepared_statements_survive(dsn: str) -> None:
    """Each call is made by one connection, often enough to have a plan that is kept."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        scene = await made(pool)
        for _ in range(2):
            for _ in range(10):
                await scene.store.enqueue([plain(), plain()])
                await scene.store.enqueue([unique(1)])
                first, second, third = await scene.store.claim(scene.worker, {"main": 3})
                aside = SetAside(ending=Ending.FAILED, error="no")
                failed = Settlement(id=first.id, lease=first.lease, verdict=aside)
                assert not await scene.store.settle([failed])
                await scene.store.requeue([first.id])
                assert await scene.store.next_due(["main"]) == timedelta(0)
                (again,) = await scene.store.claim(scene.worker, {"main": 3})
                assert (again.id, again.lease) == (first.id, 2)
                await scene.finish([again, second, third])
                assert await scene.store.get(again.id) is None
            await scene.churn()
            assert await scene.compact() > 0
        assert await scene.rows() == []


async def test_those_who_waited_for_the_lock_find_everything(dsn: str, scene: Scene) -> None:
    running = await scene.live()
    calls: list[Awaitable[Any]] = []
    async with transaction(dsn, queries("colmillo")["compact"]) as connection:
        calls.append(asyncio.create_task(scene.finish(running)))
        calls.append(asyncio.create_task(scene.store.claim(scene.worker, {"main": 10})))
        calls.append(asyncio.create_task(scene.store.enqueue([unique(2), plain()])))
        calls.append(asyncio.create_task(scene.store.cancel(running[0].id, "why")))
        calls.append(asyncio.create_task(scene.store.get(running[1].id)))
        await until_blocked(scene.pool, len(calls))
        await connection.execute("COMMIT")
    finished, claimed, enqueued, cancelled, got = await asyncio.gather(*calls)
    assert finished is None
    assert len(claimed) >= 3
    assert [answer.inserted for answer in enqueued] == [False, True]
    assert cancelled in ("requested", "absent")
    assert got is None or got.lease == running[1].lease
    assert len({row[0] for row in await scene.rows()}) == 5


async def test_a_transaction_that_enqueued_is_not_waited_for(dsn: str, scene: Scene) -> None:
    await scene.live()
    before = await scene.rows()
    compacting = scene.compaction()
    async with transaction(dsn) as connection:
        await scene.store.enqueue([plain("late")], connection=connection)
        assert await compacting.run() == 0
        assert await scene.rows() == before
        assert await compacting.run() == 0, "the pause is not over, so it did not even look"
        await connection.execute("COMMIT")
    assert await compacting.run() == 0
    scene.now += 600.0
    assert await compacting.run() > 0
    assert (await scene.rows())[:-1] == before
    assert await scene.store.counts() == {
        ("main", State.RUNNING): 2, ("main", State.WAITING): 3,
        ("other", State.WAITING): 1, ("late", State.WAITING): 1,
    }  # fmt: skip


async def test_others_wait_a_moment_only(
    dsn: str, scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """Who comes after our wish for the lock stands behind it, until we give up."""
    caplog.set_level("INFO", "colmillo.compaction")
    running = await scene.live()
    async with transaction(dsn, "LOCK TABLE colmillo.tasks IN ACCESS SHARE MODE"):
        trying = asyncio.create_task(scene.compact())
        await until_blocked(scene.pool)
        await scene.finish(running)
        assert await trying == 0
    assert len(await scene.rows()) == 4
    (record,) = [record for record in caplog.records if record.name == "colmillo.compaction"]
    assert "lock timeout" in getattr(record, "reason", "")


async def test_many_live_tasks_are_left_alone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.churn()
    await scene.store.enqueue([plain()] * (CHURN // 8))
    size = await scene.size()
    assert await scene.compact() == 0
    assert await scene.size() == size
    await scene.finish(await scene.store.claim(scene.worker, {"main": CHURN // 8 - 20}))
    monkeypatch.setattr(compaction, "MOST_ROWS", 19)
    assert await scene.compact() == 0
    monkeypatch.undo()
    assert await scene.compact() > 0


async def test_few_live_tasks_with_much_to_carry_are_left_alone(scene: Scene) -> None:
    await scene.churn()
    await scene.store.enqueue([plain(payload=noise(LEAST))] * 3)
    size = await scene.size()
    assert size > 2 * LEAST
    assert await scene.compact() == 0
    assert await scene.size() == size


async def test_a_small_table_is_left_alone(scene: Scene) -> None:
    await scene.churn()
    assert await scene.compaction(least=100 * LEAST).run() == 0
    assert await scene.compaction(least=LEAST).run() > 0


async def test_one_compacts_at_a_time(dsn: str, scene: Scene) -> None:
    await scene.live()
    before = await scene.rows()
    alone = queries("colmillo")["compact_alone"]
    async with transaction(dsn) as connection:
        assert await connection.fetchval(alone, "colmillo", "100", "100")
        assert await scene.compact() == 0
    freed = await asyncio.gather(*(scene.compact() for _ in range(5)))
    assert sum(one > 0 for one in freed) >= 1
    assert await scene.rows() == before


async def test_what_takes_too_long_is_given_up(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "LEAST_SECONDS", 0.001)
    for _ in range(4):
        await scene.churn()
    await scene.store.enqueue([plain()] * 500)
    before = await scene.rows()
    assert await scene.compact() == 0
    assert await scene.rows() == before
    monkeypatch.undo()
    assert await scene.compact() > 0
    assert await scene.rows() == before


async def test_a_refusal_is_told_and_changes_nothing(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    await scene.live()
    await scene.pool.execute("CREATE VIEW mine AS SELECT crashes FROM colmillo.tasks")
    before = await scene.rows()
    compacting = scene.compaction()
    for _ in range(5):
        assert await compacting.run() == 0
        scene.now += 600.0
    assert await scene.rows() == before
    reasons = {getattr(record, "reason", "") for record in caplog.records}
    assert any("used by a view" in reason for reason in reasons)
    await scene.pool.execute("DROP VIEW mine")
    assert await compacting.run() > 0


@pytest.mark.parametrize("done", [0, 1, 2, 3])
async def test_a_connection_that_dies_takes_nothing_along(
    dsn: str, scene: Scene, done: int
) -> None:
    """After each of its statements; the last of them is the commit."""
    await scene.live()
    before, size = await scene.rows(), await scene.size()
    connection = await asyncpg.connect(dsn)
    alone = queries("colmillo")["compact_alone"].replace("$1", "'c'").replace("$2", "'100'")
    steps = ["BEGIN", alone.replace("$3", "'9000'"), queries("colmillo")["compact"], "COMMIT"]
    for step in steps[: done + 1]:
        await connection.execute(step)
    await scene.pool.execute("SELECT pg_terminate_backend($1, 9000)", connection.get_server_pid())
    connection.terminate()
    assert await scene.rows() == before
    assert (await scene.size() < size / 2) is (done == 3)
    assert (await scene.compact() > 0) is (done < 3)
    assert await scene.rows() == before


async def test_killed_while_it_writes(dsn: str, scene: Scene) -> None:
    await scene.store.enqueue([plain()] * 20_000)
    before = await scene.rows()
    working = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%ALTER TABLE ONLY%' AND pid <> "
    connection = await asyncpg.connect(dsn)
    pid = connection.get_server_pid()
    text = queries("colmillo")["compact"]
    active = f"{working} pg_backend_pid() AND state = 'active' AND pid = {pid}"
    async with scene.pool.acquire() as watcher:
        writing = asyncio.create_task(connection.execute(f"BEGIN;{text};COMMIT"))
        while not await watcher.fetchval(active) and not writing.done():
            pass
        await watcher.execute("SELECT pg_terminate_backend($1, 9000)", pid)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await writing
    connection.terminate()
    assert await scene.rows() == before


async def test_an_old_snapshot_sees_no_tasks_afterwards(dsn: str, scene: Scene) -> None:
    """As after every ALTER TABLE that writes a table anew; docs/colmillo/transactions.md."""
    await scene.live()
    async with snapshot(dsn) as holder:
        await scene.compact()
        assert await holder.fetch(ROWS) == []
        await holder.execute("COMMIT")
        assert len(await holder.fetch(ROWS)) == 6


async def test_the_store_does_it_at_its_own_measure(scene: Scene) -> None:
    """64 MB: large payloads make them quickly."""
    assert (await scene.store.housekeep()).freed == 0
    await scene.pool.execute("ALTER TABLE colmillo.tasks ALTER payload SET STORAGE EXTERNAL")
    # An autovacuum that holds the table at that moment would put the compaction off.
    await scene.pool.execute(
        "ALTER TABLE colmillo.tasks"
        " SET (autovacuum_enabled = false, toast.autovacuum_enabled = false)"
    )
    await scene.store.enqueue([plain(payload="x" * 10**6)] * 70)
    assert (await scene.store.housekeep()).freed == 0
    await scene.finish(await scene.store.claim(scene.worker, {"main": 100}))
    # Another worker's: ours has just looked, and rests fifty times as long as that took.
    assert (await PostgresStore(scene.pool).housekeep()).freed > compaction.LEAST / 2
    assert await scene.rows() == []
