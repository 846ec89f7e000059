"""kill -9 of the server around a compaction: nothing is lost, nothing is there twice."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from colmillo import PostgresStore, migrate
from colmillo.embedded import EmbeddedPostgres
from colmillo.schema import queries
from colmillo.store import Finish, NewTask, Settlement, WorkerId
from colmillo.testing.suite.harness import LEASE

ROWS = "SELECT * FROM colmillo.tasks ORDER BY id"
SIZE = "SELECT pg_total_relation_size('colmillo.tasks')"


async def patiently(dsn: str, query: str) -> list[tuple[Any, ...]]:
    """What the query says as soon as the server answers again."""
    async with asyncio.timeout(60):
        while True:
            try:
                connection = await asyncpg.connect(dsn)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                continue
            try:
                return [tuple(row) for row in await connection.fetch(query)]
            finally:
                await connection.close()


async def fill(dsn: str) -> None:
    """Two waiting tasks, two that run, one with a hash, and thousands of dead rows."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        await migrate(pool)
        store, worker = PostgresStore(pool), WorkerId(uuid4())
        await store.register(worker, name="test", lease=LEASE)
        for queue, tasks, kept in (("main", 4, 2), ("churn", 4000, 0)):
            await store.enqueue([NewTask(name="work", queue=queue, payload="{}")] * tasks)
            claimed = await store.claim(worker, {queue: tasks - kept})
            if not kept:
                done = [Settlement(id=it.id, lease=it.lease, verdict=Finish()) for it in claimed]
                assert not await store.settle(done)
        await store.enqueue([NewTask(name="w", queue="q", payload="{}", unique_hash=bytes(32))])


@pytest.mark.parametrize("commits", [False, True])
async def test_the_server_is_killed(tmp_path: Path, commits: bool) -> None:
    """With the table written anew: before the commit, and right after it."""
    async with EmbeddedPostgres(tmp_path / "pg") as server:
        dsn = server.dsn()
        await fill(dsn)
        before = await patiently(dsn, ROWS)
        assert len(before) == 5
        ((size,),) = await patiently(dsn, SIZE)
        connection = await asyncpg.connect(dsn)
        await connection.execute("BEGIN")
        await connection.execute(queries("colmillo")["compact"])
        if commits:
            await connection.execute("COMMIT")
        pid_file = tmp_path / "pg" / "data" / "postmaster.pid"
        os.kill(int(pid_file.read_text().splitlines()[0]), signal.SIGKILL)
        connection.terminate()
        assert await patiently(dsn, ROWS) == before
        ((after,),) = await patiently(dsn, SIZE)
        assert (after < size / 2) is commits
