"""``colmillo doctor``: every finding provoked on the real server, and nothing found without."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import asyncpg
import pytest

from colmillo import PostgresStore
from colmillo.cli import main
from colmillo.desk import Desk
from colmillo.doctor import examine, expected, holder
from colmillo.schema import queries
from colmillo.store import NewTask, WorkerId
from colmillo.testing import FakeClock

if TYPE_CHECKING:
    from colmillo.database import Pool

MAIL = NewTask(name="welcome", queue="mail", payload="{}")
# The greeting's process id: one byte of type, four of length, four of id.
KEY_DATA = b"K\x00\x00\x00\x0c"


@pytest.fixture
def doctor(dsn: str, capsys: pytest.CaptureFixture[str]) -> Any:
    async def run(*words: str, status: int = 2, address: str = dsn) -> str:
        found = await asyncio.to_thread(main, ["doctor", *words, "--dsn", address])
        said = capsys.readouterr()
        assert found == status, said
        return said.out or said.err

    return run


async def test_a_healthy_database(doctor: Any) -> None:
    said = await doctor(status=0)
    assert said.startswith("Nothing found: ")
    assert await doctor("--json", status=0) == "[]\n"


async def test_no_tables_is_status_1(empty_dsn: str, doctor: Any) -> None:
    said = await doctor(status=1, address=empty_dsn)
    assert "run migrate" in said


async def test_missing_and_invalid_indexes(pool: "Pool", doctor: Any) -> None:
    assert "tasks_waiting" in expected("colmillo", "INDEX")
    await pool.execute("DROP INDEX colmillo.tasks_waiting")
    await pool.execute(
        "UPDATE pg_index SET indisvalid = false"
        " WHERE indexrelid = 'colmillo.tasks_unique'::regclass"
    )
    said = await doctor()
    assert "index: the index tasks_waiting is missing\n  → make it again" in said
    assert "index: the index tasks_unique is invalid" in said
    assert "REINDEX INDEX CONCURRENTLY colmillo.tasks_unique" in said


async def test_a_table_that_is_gone(pool: "Pool", doctor: Any) -> None:
    assert {"tasks", "archive", "workers"} <= expected("colmillo", "TABLE")
    await pool.execute("DROP TABLE colmillo.ticks")
    assert "schema: the table ticks is missing" in await doctor()


async def test_autovacuum_switched_off(pool: "Pool", doctor: Any) -> None:
    await pool.execute("ALTER TABLE colmillo.tasks SET (autovacuum_enabled = false)")
    said = await doctor()
    assert "vacuum: autovacuum is switched off for the table tasks" in said
    assert "ALTER TABLE colmillo.tasks RESET (autovacuum_enabled)" in said


async def test_dead_rows(pool: "Pool", doctor: Any) -> None:
    await pool.execute("ALTER TABLE colmillo.tasks SET (autovacuum_enabled = false)")
    async with pool.acquire() as connection:
        await connection.execute(
            "INSERT INTO colmillo.tasks (queue, name, payload, run_at, enqueued_at)"
            " SELECT 'q', 'n', '{}', now(), now() FROM generate_series(1, 60000)"
        )
        await connection.execute("DELETE FROM colmillo.tasks")
        await connection.execute("SELECT pg_stat_force_next_flush()")
    said = await doctor()
    assert "bloat: tasks has 60000 dead rows to 0 live ones (" in said
    assert "VACUUM colmillo.tasks" in said


async def test_dead_rows_of_a_table_that_was_written_anew_are_gone(
    pool: "Pool", doctor: Any
) -> None:
    """The server's statistics speak of them until the next vacuum."""
    await pool.execute("ALTER TABLE colmillo.tasks SET (autovacuum_enabled = false)")
    async with pool.acquire() as connection:
        await connection.execute(
            "INSERT INTO colmillo.tasks (run_at, enqueued_at, queue, name, payload)"
            " SELECT now(), now(), 'q', 'n', '{}' FROM generate_series(1, 60000)"
        )
        await connection.execute("DELETE FROM colmillo.tasks")
        await connection.execute(queries("colmillo")["compact"])
        await connection.execute("ALTER TABLE colmillo.tasks RESET (autovacuum_enabled)")
        await connection.execute("SELECT pg_stat_force_next_flush()")
        dead = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'tasks'"
        assert await connection.fetchval(dead) == 60_000
    await doctor(status=0)


async def test_compaction_that_cannot_get_its_lock(
    dsn: str, pool: "Pool", doctor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("colmillo.doctor.LEAST", 1_000_000)
    monkeypatch.setattr("colmillo.doctor.HELD_FOR_LONG", timedelta(0))
    await pool.execute("ALTER TABLE colmillo.tasks SET (autovacuum_enabled = false)")
    async with pool.acquire() as connection:
        await connection.execute(
            "INSERT INTO colmillo.tasks (run_at, enqueued_at, queue, name, payload)"
            " SELECT now(), now(), 'q', 'n', '{}' FROM generate_series(1, 9000)"
        )
        await connection.execute("DELETE FROM colmillo.tasks")
        await connection.execute("SELECT pg_stat_force_next_flush()")
    await pool.execute("ALTER TABLE colmillo.tasks RESET (autovacuum_enabled)")
    await doctor(status=0)
    holder = await asyncpg.connect(dsn, server_settings={"application_name": "dump"})
    async with holder.transaction():
        await holder.execute("LOCK TABLE colmillo.tasks IN ACCESS SHARE MODE")
        said = await doctor()
        pid = holder.get_server_pid()
        assert f"compaction: the session with pid {pid} (postgres dump) has held" in said
        assert "(9000 dead rows to 0 live ones)" in said
    await holder.close()
    await doctor(status=0)


async def test_a_large_archive(pool: "Pool", doctor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = PostgresStore(pool)
    (task,) = await store.enqueue([MAIL])
    await store.cancel(task.id, "no")
    await doctor(status=0)
    monkeypatch.setattr("colmillo.doctor.LARGE_ARCHIVE", 1000)
    assert "archive: the archive has about " in await doctor()


async def test_a_worker_that_died_with_tasks(pool: "Pool", doctor: Any) -> None:
    store = PostgresStore(pool)
    (task,) = await store.enqueue([MAIL])
    await store.enqueue([MAIL])
    worker = WorkerId(uuid4())
    await store.register(worker, name="host:1", lease=timedelta(minutes=5))
    await store.claim(worker, {"mail": 1})
    await pool.execute("UPDATE colmillo.workers SET expires_at = now() - interval '2 seconds'")
    assert "worker:" not in await doctor()
    await pool.execute("UPDATE colmillo.workers SET expires_at = now() - interval '2 minutes'")
    said = await doctor()
    assert "worker: the lease of host:1 ended 2 min" in said
    assert f"and holds 1 tasks (the first is {task.id})" in said
    assert "queue: tasks are due and no worker is alive" in said
    await store.retire(worker)
    assert "worker: the lease of host:1 ended and holds 1 tasks" in await doctor()
    await pool.execute("DELETE FROM colmillo.workers")
    assert f"worker: the lease of {worker} ended and holds 1 tasks" in await doctor()


async def test_a_worker_that_retired(pool: "Pool", doctor: Any) -> None:
    store, worker = PostgresStore(pool), WorkerId(uuid4())
    await store.register(worker, name="host:1", lease=timedelta(minutes=5))
    await store.retire(worker)
    await doctor(status=0)


async def test_tasks_that_nobody_takes(pool: "Pool", doctor: Any) -> None:
    store = PostgresStore(pool)
    await store.register(WorkerId(uuid4()), name="host:1", lease=timedelta(minutes=5))
    await store.enqueue([MAIL.with_options(run_at=await store.now() - timedelta(minutes=90))])
    said = await doctor()
    assert "queue: in the queue mail 1 tasks are due, the oldest for 1 h 30 min" in said
    await store.pause_queue("mail", paused=True)
    await doctor(status=0)


async def test_a_long_transaction(pool: "Pool", dsn: str) -> None:
    async with pool.acquire() as other, other.transaction(isolation="repeatable_read"):
        await other.fetchval("SELECT count(*) FROM colmillo.tasks")
        pid = await other.fetchval("SELECT pg_backend_pid()")
        connection = await asyncpg.connect(dsn)
        try:
            rows = await Desk(connection, "colmillo").rows("doctor_horizon")
        finally:
            await connection.close()
    (row,) = [row for row in rows if row["who"] == str(pid)]
    assert row["kind"] == "session"
    assert row["state"] == "idle in transaction"
    assert row["transactions"] is not None
    assert holder(row) is None
    old = holder({**row, "open_for": timedelta(hours=2)})
    assert old is not None
    assert f"the session with pid {pid} (" in old.what
    assert "is idle in transaction, open for 2 h, pins rows for " in old.what
    assert f"pg_terminate_backend({pid})" in old.do
    slot = {**row, "kind": "replication slot", "open_for": None, "transactions": 5_000_000}
    lagging = holder(slot)
    assert lagging is not None
    assert "pins rows for 5000000 transactions" in lagging.what


async def test_clocks_that_disagree(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        clock = FakeClock(datetime(2031, 1, 1, tzinfo=UTC))
        found = await examine(Desk(connection, "colmillo"), clock)
    finally:
        await connection.close()
    (finding,) = found
    assert finding.about == "clock"
    assert "this machine's clock and the server's are " in finding.what


async def test_a_pooler_in_between(dsn: str, doctor: Any) -> None:
    async with pooler(dsn) as address:
        found = json.loads(await doctor("--json", address=address))
    assert [finding["about"] for finding in found] == ["pooler"]
    assert "PgBouncer" in found[0]["what"]


@asynccontextmanager
async def pooler(dsn: str) -> AsyncIterator[str]:
    """What matters of one: it greets its clients with a process id of its own making."""
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    host = query.get("host", [parts.hostname or ""])[0]
    port = int(query.get("port", [parts.port or 5432])[0])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if host.startswith("/"):
            server = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        else:
            server = await asyncio.open_connection(host, port)
        async with asyncio.TaskGroup() as group:
            group.create_task(copy(reader, server[1], False))
            group.create_task(copy(server[0], writer, True))

    async def copy(
        source: asyncio.StreamReader, target: asyncio.StreamWriter, greets: bool
    ) -> None:
        while data := await source.read(65_536):
            at = data.find(KEY_DATA) if greets else -1
            if at >= 0:
                start = at + len(KEY_DATA)
                data = data[:start] + b"\x7f\x00\x00\x01" + data[start + 4 :]
                greets = False
            target.write(data)
            await target.drain()
        target.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    own_port = listening.sockets[0].getsockname()[1]
    login = f"{parts.username}:{parts.password}@" if parts.password else f"{parts.username}@"
    async with listening:
        yield f"postgresql://{login}127.0.0.1:{own_port}{parts.path}?sslmode=disable"
