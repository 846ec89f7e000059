"""Compaction through PgBouncer: its limits end with its transaction."""

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

from colmillo import NewTask, PostgresStore
from colmillo.compaction import Compaction
from colmillo.database import Database
from colmillo.schema import queries
from colmillo.store import Finish, Settlement, WorkerId
from colmillo.testing.suite.harness import LEASE

if TYPE_CHECKING:
    from colmillo.database import Pool

LIMITS = "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')"


async def test_compaction_through_a_transaction_pooler(pooled_pool: "Pool") -> None:
    store, worker = PostgresStore(pooled_pool, notify=False), WorkerId(uuid4())
    await store.register(worker, name="test", lease=LEASE)
    await store.enqueue([NewTask(name="work", queue="main", payload="{}")] * 4000)
    claimed = await store.claim(worker, {"main": 3990})
    done = [Settlement(id=it.id, lease=it.lease, verdict=Finish()) for it in claimed]
    assert not await store.settle(done)
    rows = await pooled_pool.fetch("SELECT * FROM colmillo.tasks ORDER BY id")

    def compaction() -> Compaction:
        return Compaction(Database(pooled_pool, 30), queries("colmillo"), "colmillo", least=500_000)

    async with pooled_pool.acquire() as holder, holder.transaction():
        await holder.execute("LOCK TABLE colmillo.tasks IN ACCESS SHARE MODE")
        assert await compaction().run() == 0
    freed = await asyncio.gather(*(compaction().run() for _ in range(3)))
    assert max(freed) > 0
    assert await pooled_pool.fetch("SELECT * FROM colmillo.tasks ORDER BY id") == rows
    for _ in range(9):
        assert tuple(await pooled_pool.fetchrow(LIMITS) or ()) == ("0", "0")
