"""What the planner makes of the statements for flows, and what a flow's size does to them."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from plans import prepare

from colmillo.flows import Flow, chain, group
from colmillo.postgres import PostgresStore
from colmillo.schema import queries
from colmillo.store import (
    Ending,
    Finish,
    NewTask,
    SetAside,
    Settlement,
    TaskId,
    Verdict,
    WorkerId,
)

if TYPE_CHECKING:
    from colmillo.database import Connection, Pool

SQL = queries("colmillo")
PLAIN = NewTask(name="n", queue="q", payload="{}")
FAN_IN = 1_000 - 1
WORKER = WorkerId(uuid4())
IDS = "ARRAY[1, 2, 3000]::bigint[]"

CALLS = {
    "settle_linked": (
        f"{IDS}, ARRAY[1, 1, 1], ARRAY[NULL, 'failed', NULL], ARRAY[NULL, 'x', NULL],"
        " ARRAY['1', NULL, '2'], ARRAY[NULL, NULL, 60], 10, NULL, NULL"
    ),
    "follow_up": f"{IDS}, 10, NULL",
    "parents": "3000",
    "show_links": "3000",
    "cancel_waiting": f"{IDS}, ARRAY['a', 'b', 'c'], 10",
    "delete_tasks": IDS,
    "rescue": f"{IDS}, 1, 10",
    "next_due": "ARRAY['q', 'idle'], '{}', '{}', '{}', '{}'",
}


async def plant(store: PostgresStore, flow: Flow) -> list[TaskId]:
    return await store.enqueue_flow(flow.tasks())


@pytest.fixture(params=["with statistics", "without statistics"])
async def connection(request: pytest.FixtureRequest, pool: "Pool") -> Any:
    """A database with twenty flows, in each a fan-out, a long chain and a fan-in."""
    for table in ("tasks", "dependencies", "followups"):
        await pool.execute(f"ALTER TABLE colmillo.{table} SET (autovacuum_enabled = false)")
    store = PostgresStore(pool)
    await store.register(WORKER, name="plans", lease=timedelta(hours=1))
    flow = chain(PLAIN, group(*[PLAIN] * 300), *[PLAIN] * 300, group(*[PLAIN] * 300), PLAIN)
    for _ in range(20):
        await plant(store, flow)
    if request.param == "with statistics":
        for table in ("tasks", "dependencies", "followups", "archive"):
            await pool.execute(f"ANALYZE colmillo.{table}")
    async with pool.acquire() as opened:
        yield opened


async def test_no_statement_reads_a_whole_table(connection: "Connection") -> None:
    await connection.execute(
        "UPDATE colmillo.dependencies SET open = false, outcome = 'done' WHERE parent IN (1, 3000)"
    )
    for name, arguments in CALLS.items():
        await prepare(connection, name)
        for call in range(1, 9):
            plan = await explained(connection, f"EXECUTE hot({arguments})")
            reads = {
                (node["Relation Name"], node["Node Type"])
                for node in nodes(plan)
                if node.get("Relation Name") in ("tasks", "dependencies")
            }
            scans = {read for read in reads if read[1] == "Seq Scan"}
            assert not scans, f"{name}, call {call}: {json.dumps(plan, indent=1)}"
        await connection.execute("DEALLOCATE hot")


@pytest.mark.parametrize("order", [1, -1], ids=["first to last", "last to first"])
async def test_a_parents_end_takes_the_same_work_however_many_there_are(
    pool: "Pool", order: int
) -> None:
    """Each parent's end and what follows touches a handful of rows; the last one looks at all."""
    store = PostgresStore(pool)
    await store.register(WORKER, name="plans", lease=timedelta(hours=1))
    # A table that is worth an index.
    elsewhere = PLAIN.with_options(queue="elsewhere")
    for _ in range(20):
        await plant(store, group(*[elsewhere] * FAN_IN).then(elsewhere))
    await plant(store, group(*[PLAIN] * FAN_IN).then(PLAIN))
    claimed = await store.claim(WORKER, {"q": FAN_IN})
    async with pool.acquire() as connection:
        await prepare(connection, "follow_up", as_="told")
        for number, parent in enumerate(claimed[::order], 1):
            end = [Settlement(id=parent.id, lease=parent.lease, verdict=Finish(), linked=True)]
            assert await store.settle(end, connection=connection) == frozenset()
            if number % 100 and number < FAN_IN - 1:
                await store.follow_up([parent.id])
                continue
            call = f"EXECUTE told(ARRAY[{parent.id}]::bigint[], 10, NULL)"
            plan = await explained(connection, call, analyze=True)
            rows = touched_rows(plan)
            if number < FAN_IN:
                assert rows < 10, f"parent {number}: {json.dumps(plan, indent=1)}"
                assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 50, number
            else:
                assert FAN_IN <= rows < FAN_IN + 20, json.dumps(plan, indent=1)
            await store.follow_up([parent.id])
    assert len(await store.claim(WORKER, {"q": 9})) == 1


@pytest.mark.parametrize("verdict", [Finish(), SetAside(ending=Ending.FAILED, error="no")])
async def test_a_parents_end_takes_work_for_each_child_once(pool: "Pool", verdict: Verdict) -> None:
    """Every step of the plan counts: none compares each child with each other one."""
    store = PostgresStore(pool)
    await store.register(WORKER, name="plans", lease=timedelta(hours=1))
    await plant(store, chain(PLAIN, group(*[PLAIN] * FAN_IN)))
    (parent,) = await store.claim(WORKER, {"q": 9})
    async with pool.acquire() as connection:
        end = [Settlement(id=parent.id, lease=parent.lease, verdict=verdict, linked=True)]
        assert await store.settle(end, connection=connection) == frozenset()
        await prepare(connection, "follow_up", as_="told")
        call = f"EXECUTE told(ARRAY[{parent.id}]::bigint[], 10, NULL)"
        plan = await explained(connection, call, analyze=True)
    steps = sum(
        node["Actual Loops"]
        * (
            node["Actual Rows"]
            + node.get("Rows Removed by Filter", 0)
            + node.get("Rows Removed by Join Filter", 0)
        )
        for node in nodes(plan)
    )
    assert FAN_IN < steps < 50 * FAN_IN, json.dumps(plan, indent=1)


async def explained(
    connection: "Connection", statement: str, *, analyze: bool = False
) -> dict[str, Any]:
    """The plan; what the statement does is undone."""
    transaction = connection.transaction()
    await transaction.start()
    options = "ANALYZE, BUFFERS, FORMAT JSON" if analyze else "FORMAT JSON"
    (row,) = await connection.fetch(f"EXPLAIN ({options}) {statement}")
    await transaction.rollback()
    plan: dict[str, Any] = json.loads(row[0])[0]["Plan"]
    return plan


def touched_rows(plan: dict[str, Any]) -> int:
    """How many rows of tables the statement looked at."""
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in nodes(plan)
        if "Relation Name" in node
    )


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)
