"""SQLAlchemy says that a transaction is open under AUTOCOMMIT too; nothing comes apart there."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from colmillo import NewTask, PostgresStore
from colmillo.store import Again, FinishWith, Settlement, State, WorkerId

if TYPE_CHECKING:
    from colmillo.database import Pool

PLAIN = NewTask(name="work", queue="main", payload="{}")
FIRE = datetime(2030, 5, 6, 7, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(params=["asyncpg", "psycopg"])
async def autocommit(request: pytest.FixtureRequest, dsn: str) -> AsyncIterator[AsyncConnection]:
    """A connection of which every statement is committed by itself."""
    url = dsn.replace("postgresql://", f"postgresql+{request.param}://")
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


async def test_a_tick_whose_task_cannot_be_enqueued_is_not_taken(
    autocommit: AsyncConnection, bare: PostgresStore, store: PostgresStore, pool: "Pool"
) -> None:
    await pool.execute("ALTER TABLE colmillo.tasks ADD CHECK (name <> 'bad')")
    bad = replace(PLAIN, name="bad")
    with pytest.raises(Exception, match="violates check constraint"):
        await bare.tick("clean", FIRE, bad, connection=autocommit)
    assert await bare.tick("clean", FIRE, PLAIN, connection=autocommit)
    assert not await store.tick("clean", FIRE, PLAIN)
    assert await store.counts() == {("main", State.WAITING): 1}


async def test_verdicts_with_and_without_results_are_one_thing(
    autocommit: AsyncConnection, bare: PostgresStore, store: PostgresStore, pool: "Pool"
) -> None:
    worker = WorkerId(uuid4())
    await store.register(worker, name="test", lease=HOUR)
    await store.enqueue([PLAIN, PLAIN])
    first, second = await store.claim(worker, {"main": 2})
    await pool.execute("ALTER TABLE colmillo.results ADD CHECK (result <> '1')")
    settlements = [
        Settlement(id=first.id, lease=first.lease, verdict=Again()),
        Settlement(id=second.id, lease=second.lease, verdict=FinishWith(result="1", keep=HOUR)),
    ]
    with pytest.raises(Exception, match="violates check constraint"):
        await bare.settle(settlements, connection=autocommit)
    assert await store.counts() == {("main", State.RUNNING): 2}
