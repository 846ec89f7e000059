"""Flows in the transactions of psycopg's and SQLAlchemy's connections."""

from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import uuid4

import pytest

from colmillo import NewTask, PostgresStore, Queue
from colmillo.errors import DuplicateTask
from colmillo.flows import Step, chain, group
from colmillo.store import Ending, Finish, SetAside, Settlement, State, Verdict, WorkerId

LEASE = timedelta(minutes=5)
PLAIN = NewTask(name="work", queue="main", payload="{}")
LATE = PLAIN.with_options(run_at=datetime(2100, 1, 1, tzinfo=UTC))
UNIQUE = NewTask(name="work", queue="main", payload="{}", unique_hash=bytes(32))


class Caller(Protocol):
    """A connection with its transaction; see conftest."""

    connection: object

    async def execute(self, statement: str, /) -> object: ...
    async def commit(self) -> object: ...
    async def rollback(self) -> object: ...


async def test_a_flow_is_there_with_the_commit(
    caller: Caller, bare: PostgresStore, store: PostgresStore
) -> None:
    flow = chain(group(PLAIN, UNIQUE), Step(LATE, on_failure="run"), PLAIN)
    ids = await Queue(bare).enqueue_flow(flow, connection=caller.connection)
    assert await store.counts() == {}
    await caller.commit()
    assert await store.counts() == {("main", State.WAITING): 2, ("main", State.BLOCKED): 2}
    assert [parent.id for parent in await store.parents(ids[2])] == ids[:2]


async def test_a_flow_is_undone_with_a_rollback(
    caller: Caller, bare: PostgresStore, store: PostgresStore
) -> None:
    await Queue(bare).enqueue_flow(chain(PLAIN, UNIQUE), connection=caller.connection)
    await caller.rollback()
    assert await store.counts() == {}


async def test_a_flow_that_is_refused_leaves_the_transaction_as_it_was(
    caller: Caller, bare: PostgresStore, store: PostgresStore
) -> None:
    (holder,) = await store.enqueue([UNIQUE])
    await caller.execute("CREATE TABLE kept (n int)")
    with pytest.raises(DuplicateTask) as refused:
        await Queue(bare).enqueue_flow(chain(PLAIN, UNIQUE), connection=caller.connection)
    assert refused.value.existing == holder.id
    ids = await Queue(bare).enqueue_flow(chain(PLAIN, PLAIN), connection=caller.connection)
    await caller.execute("INSERT INTO kept VALUES (1)")
    await caller.commit()
    assert await store.counts() == {("main", State.WAITING): 2, ("main", State.BLOCKED): 1}
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("verdict", "after"),
    [
        (Finish(result='{"n": 1}'), State.WAITING),
        (SetAside(ending=Ending.FAILED, error="no"), State.CANCELLED),
    ],
    ids=["done", "failed"],
)
async def test_a_parent_may_end_in_the_callers_transaction(
    caller: Caller, bare: PostgresStore, store: PostgresStore, verdict: Verdict, after: State
) -> None:
    """Its children hear of it when the worker has its say, or from the sweep."""
    _, child = await Queue(store).enqueue_flow(chain(PLAIN, PLAIN))
    by = WorkerId(uuid4())
    await store.register(by, name="test", lease=LEASE)
    (claimed,) = await store.claim(by, {"main": 9})
    end = Settlement(id=claimed.id, lease=claimed.lease, verdict=verdict, linked=claimed.linked)
    assert await bare.settle([end], connection=caller.connection) == frozenset()
    await caller.commit()
    found = await store.get(child)
    assert found is not None
    assert found.state is State.BLOCKED
    await store.rescue(max_crashes=5)
    found = await store.get(child)
    assert found is not None
    assert found.state is after
