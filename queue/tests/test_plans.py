"""What the planner makes of the hot statements, early and late in a connection's life."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from plans import prepare

from colmillo.limits import Limits
from colmillo.postgres import PostgresStore
from colmillo.postgres_limits import ROUNDS, WINDOW
from colmillo.schema import queries
from colmillo.store import Finish, NewTask, Settlement, WorkerId

if TYPE_CHECKING:
    from colmillo.database import Connection, Pool

BACKLOG = 20_000

WORKER = WorkerId(uuid4())

ARRAYS_OF_IDS = "ARRAY[1, 2, 20003]::bigint[]"

HASHES = "ARRAY[sha256('1'), sha256('2')]"

NO_FLOORS = "'{}', '{}', '{}', '{}'"

FLOORS = "ARRAY['small'], ARRAY[0], ARRAY[timestamptz '2000-01-01'], ARRAY[1]"
ENQUEUE = (
    "ARRAY['q', 'q'], ARRAY['n', 'n'], ARRAY['{}', '{}'], ARRAY[0, 0]::smallint[],"
    f" ARRAY[1, 1], ARRAY[NULL, NULL]::timestamptz[], ARRAY[0, 0],"
    f" ARRAY[NULL, NULL]::text[], {HASHES},"
    " ARRAY[NULL, 3600000000], ARRAY['live', 'finished']"
)

CALLS = {
    "claim": f"'{WORKER}', ARRAY['idle', 'small'], ARRAY[10, 10], {FLOORS}",
    "claim_limited": f"'{WORKER}', 'small', 10, 10, false, {FLOORS}",
    "unpark": "ARRAY['small'], ARRAY['a'], NULL",
    "parked_keys": "10",
    "sweep_slots": "",
    "sweep_key_slots": "",
    "next_due": f"ARRAY['idle', 'small'], {FLOORS}",
    "finish": f"{ARRAYS_OF_IDS}, ARRAY[1, 1, 1], NULL",
    "settle": (
        f"{ARRAYS_OF_IDS}, ARRAY[1, 1, 1], ARRAY[NULL, 'failed', NULL],"
        " ARRAY[NULL, NULL, 1], ARRAY[0, 0, 0], ARRAY[NULL, 'x', 'y'], 10, NULL"
    ),
    "finish_with": f"{ARRAYS_OF_IDS}, ARRAY[1, 1, 1], ARRAY['1', '2', '3'], ARRAY[1, 1, 1], NULL,"
    " NULL",
    "cancel_waiting": f"{ARRAYS_OF_IDS}, ARRAY['a', 'b', 'c'], 10",
    "cancel_running": "1, 'why', NULL, 'x'",
    "cancellations": "1000",
    "forget_cancellations": ARRAYS_OF_IDS,
    "requeue": f"{ARRAYS_OF_IDS}, NULL",
    "lock_orphans": ARRAYS_OF_IDS,
    "rescue": f"{ARRAYS_OF_IDS}, 5, 10",
    "get": "1",
    "enqueue_unique": f"{ENQUEUE}, NULL, 'colmillo.tasks_id_seq'",
    "enqueue_changing": f"{ENQUEUE}, ARRAY['replace', 'earlier'], NULL, 'colmillo.tasks_id_seq'",
}


@pytest.fixture(params=["with statistics", "without statistics"])
async def connection(request: pytest.FixtureRequest, pool: "Pool") -> Any:
    """A connection to a database with a backlog in other queues, and one running task."""
    await pool.execute("ALTER TABLE colmillo.tasks SET (autovacuum_enabled = false)")
    store = PostgresStore(pool)
    await store.register(WORKER, name="plans", lease=timedelta(hours=1))
    big = NewTask(name="n", queue="big", payload="{}")
    later = NewTask(name="n", queue="small", payload="{}", priority=5, delay=timedelta(days=1))
    await store.enqueue([big] * BACKLOG + [later] * BACKLOG)
    await store.enqueue([NewTask(name="n", queue="small", payload="{}", unique_hash=bytes(32))])
    assert len(await store.claim(WORKER, {"small": 1})) == 1
    if request.param == "with statistics":
        await pool.execute("ANALYZE colmillo.tasks")
        await pool.execute("ANALYZE colmillo.workers")
    async with pool.acquire() as opened:
        yield opened


async def test_no_hot_statement_reads_the_whole_table(connection: "Connection") -> None:
    for name, arguments in CALLS.items():
        await prepare(connection, name)
        for call in range(1, 11):
            plan = await explained(connection, execute(arguments))
            scans = [node for node in nodes(plan) if node.get("Relation Name") == "tasks"]
            reads = {node["Node Type"] for node in scans}
            assert "Seq Scan" not in reads, f"{name}, call {call}: {json.dumps(plan, indent=1)}"
            if name in ("claim", "claim_limited"):
                used = {node["Index Name"] for node in scans if "Index Name" in node}
                assert "tasks_waiting" in used, f"call {call}"
        await connection.execute("DEALLOCATE hot")


async def test_settles_look_at_what_they_settle(pool: "Pool") -> None:
    """Also when the statistics say that nothing runs, because they are from before the claims."""
    await pool.execute("ALTER TABLE colmillo.tasks SET (autovacuum_enabled = false)")
    store = PostgresStore(pool)
    await store.register(WORKER, name="plans", lease=timedelta(hours=1))
    await store.enqueue([NewTask(name="n", queue="q", payload="{}")] * 10_000)
    await pool.execute("ANALYZE colmillo.tasks")
    claimed = await store.claim(WORKER, {"q": 100})
    ids = f"ARRAY{[task.id for task in claimed]}::bigint[]"
    leases = f"ARRAY{[task.lease for task in claimed]}"
    texts, numbers = (f"array_fill(NULL::{kind}, ARRAY[100])" for kind in ("text", "float8"))
    calls = {
        "finish": "NULL",
        "settle": f"{texts}, {numbers}, array_fill(0, ARRAY[100]), {texts}, 10, NULL",
        "finish_with": "array_fill('1'::text, ARRAY[100]), array_fill(1, ARRAY[100]), NULL, NULL",
        "settle_linked": f"{texts}, {texts}, {texts}, {numbers}, 10, NULL, NULL",
    }
    async with pool.acquire() as connection:
        for name, rest in calls.items():
            await prepare(connection, name)
            call = f"EXECUTE hot({ids}, {leases}, {rest})"
            plan = await explained(connection, call, analyze=True)
            (deleted,) = (
                node
                for node in nodes(plan)
                if node.get("Operation") == "Delete" and node.get("Relation Name") == "tasks"
            )
            compared = sum(
                node.get("Rows Removed by Join Filter", 0) * node["Actual Loops"]
                for node in nodes(deleted)
            )
            assert compared + touched_rows(deleted) < 1_000, f"{name}: {json.dumps(plan, indent=1)}"
            await connection.execute("DEALLOCATE hot")


async def test_claim_walks_over_nothing_that_is_not_due(connection: "Connection") -> None:
    """20,000 tasks of a higher priority that are due tomorrow cost one look at the index."""
    await prepare(connection, "claim")
    for _ in range(10):
        plan = await explained(connection, f"EXECUTE hot({CALLS['claim']})", analyze=True)
        assert touched_rows(plan) < 20, json.dumps(plan, indent=1)


async def test_claim_with_floors_walks_over_nothing_that_runs(
    connection: "Connection", pool: "Pool"
) -> None:
    """20,000 running tasks stand in front of the backlog; the claims came by them before."""
    store = PostgresStore(pool)
    assert len(await store.claim(WORKER, {"big": BACKLOG})) == BACKLOG
    await store.enqueue([NewTask(name="n", queue="big", payload="{}")] * 2)
    await prepare(connection, "claim")
    floors = await connection.fetchval(
        "SELECT format('ARRAY[''big''], ARRAY[0], ARRAY[timestamptz %L], ARRAY[%s]',"
        " run_at, id) FROM colmillo.tasks"
        " WHERE queue = 'big' AND worker IS NOT NULL ORDER BY run_at DESC, id DESC LIMIT 1"
    )
    for arguments, walked in ((NO_FLOORS, range(BACKLOG, BACKLOG + 20)), (floors, range(20))):
        call = f"EXECUTE hot('{WORKER}', ARRAY['big'], ARRAY[1], {arguments})"
        plan = await explained(connection, call, analyze=True)
        assert plan["Actual Rows"] == 1
        assert touched_rows(plan) in walked, json.dumps(plan, indent=1)


async def test_claims_leave_the_indexes_alone(connection: "Connection") -> None:
    """All new versions of the rows stand on the pages of the old ones (HOT)."""
    claim = queries("colmillo")["claim"]
    counted = "SELECT {} FROM pg_stat_xact_user_tables WHERE relname = 'tasks'"
    async with connection.transaction():
        rows = await connection.fetch(claim, WORKER, ["big"], [2000], [], [], [], [])
        updated = await connection.fetchval(counted.format("n_tup_upd"))
        assert updated == len(rows) == 2000
        assert await connection.fetchval(counted.format("n_tup_hot_upd")) == updated


async def test_a_limited_claim_walks_over_no_task_of_a_full_key(
    connection: "Connection", pool: "Pool"
) -> None:
    """20,000 tasks of a full key are set aside, a window at a time; then they cost nothing."""
    store = PostgresStore(pool)
    await store.set_limits("limited", Limits(running=5, per_key=1))
    task = NewTask(name="n", queue="limited", payload="{}")
    await store.enqueue([task.with_options(concurrency_key="a")] * BACKLOG)
    (first,) = await store.claim(WORKER, {"limited": 1})
    windows = 0
    while await store.next_due(["limited"]) is not None:
        assert await store.claim(WORKER, {"limited": 5}) == []
        windows += 1
    assert windows <= 1 + BACKLOG // (WINDOW * (ROUNDS - 2))
    await store.enqueue([task.with_options(concurrency_key="b")] * 3)
    await prepare(connection, "claim_limited")
    call = f"EXECUTE hot('{WORKER}', 'limited', 5, 10, false, {NO_FLOORS})"
    plan = await explained(connection, call, analyze=True)
    assert touched_rows(plan) < 50, json.dumps(plan, indent=1)
    await prepare(connection, "unpark", as_="wake")
    await store.settle([Settlement(id=first.id, lease=first.lease, verdict=Finish())])
    for _ in range(10):
        call = "EXECUTE wake(ARRAY['limited'], ARRAY['a'], NULL)"
        plan = await explained(connection, call, analyze=True)
        assert touched_rows(plan) < 20, json.dumps(plan, indent=1)
    claimed = await store.claim(WORKER, {"limited": 5})
    assert len(claimed) == 2


def execute(arguments: str) -> str:
    """The call of the prepared statement."""
    return f"EXECUTE hot({arguments})" if arguments else "EXECUTE hot"


async def explained(
    connection: "Connection", statement: str, *, analyze: bool = False
) -> dict[str, Any]:
    """The plan; runs the statement, undoing what it does, so that calls are counted alike."""
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(statement)
    options = "ANALYZE, FORMAT JSON" if analyze else "FORMAT JSON"
    (row,) = await connection.fetch(f"EXPLAIN ({options}) {statement}")
    await transaction.rollback()
    plan: dict[str, Any] = json.loads(row[0])[0]["Plan"]
    return plan


def touched_rows(plan: dict[str, Any]) -> int:
    """How many rows of the tasks the statement looked at."""
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in nodes(plan)
        if node.get("Relation Name") == "tasks"
    )


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)
