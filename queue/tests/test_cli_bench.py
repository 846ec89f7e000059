"""``colmillo bench``: measures in a schema of its own and leaves nothing, whatever happens."""

import asyncio
import json
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from colmillo import PostgresStore, Queue, task
from colmillo.cli import main, parser, run_command

if TYPE_CHECKING:
    from colmillo.database import Pool

OURS = {"colmillo", "public"}


@task()
async def mine() -> None: ...


async def schemas(pool: "Pool") -> set[str]:
    rows = await pool.fetch("SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|inform)'")
    return {row["nspname"] for row in rows}


async def test_it_measures_and_leaves_nothing(
    dsn: str, pool: "Pool", capsys: pytest.CaptureFixture[str]
) -> None:
    await Queue(PostgresStore(pool)).enqueue(mine.new())
    assert await asyncio.to_thread(main, ["bench", "--dsn", dsn, "--tasks", "150"]) == 0
    server, faster, _, heading, *rows = capsys.readouterr().out.splitlines()
    assert server.startswith("PostgreSQL ")
    assert "fsync off, synchronous_commit " in server
    assert faster.startswith("Commits do not wait")
    assert heading.split() == ["measure", "here", "compare", "with"]
    assert [row.split("  ")[0] for row in rows] == [
        "round trip, p50 / p99",
        "enqueue one by one",
        "enqueue in bulk, by 1,000",
        "drain at concurrency 10",
        "drain at concurrency 100",
        "pick-up, p50 / p99",
    ]
    assert await schemas(pool) == OURS
    assert len(await PostgresStore(pool).counts()) == 1


async def test_json_has_seconds_and_rates(
    empty_dsn: str, empty_pool: "Pool", capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bench", "--dsn", empty_dsn, "--tasks", "5", "--json", "--schema", 'odd "name"']
    assert await asyncio.to_thread(main, words) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told["tasks"] == 5
    assert 0 < told["round_trip_p50"] <= told["round_trip_p99"] < 10
    assert 0 < told["pick_up_p50"] <= told["pick_up_p99"] < 60
    assert min(told[f"drain_at_{slots}"] for slots in (10, 100)) > 0
    assert await schemas(empty_pool) == {"public"}


async def test_it_never_touches_a_schema_that_is_there(
    dsn: str, pool: "Pool", capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bench", "--dsn", dsn, "--schema", "colmillo"]
    assert await asyncio.to_thread(main, words) == 1
    assert "there is a schema colmillo already" in capsys.readouterr().err
    assert await PostgresStore(pool).counts() == {}
    assert await asyncio.to_thread(main, ["bench", "--dsn", dsn, "--tasks", "0"]) == 1
    assert await schemas(pool) == OURS


async def test_an_interruption_leaves_nothing(
    dsn: str, pool: "Pool", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C cancels the program's task, as this does."""
    begun = asyncio.Event()
    monkeypatch.setattr("colmillo.cli_bench.say", lambda _: begun.set())
    options = parser().parse_args(["bench", "--dsn", dsn, "--tasks", "10000000"])
    running = asyncio.create_task(run_command(options))
    await begun.wait()
    assert await schemas(pool) == {*OURS, "colmillo_bench"}
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await schemas(pool) == OURS


async def test_an_interruption_says_nothing_and_has_its_own_status(
    dsn: str, pool: "Pool", monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("colmillo.cli_bench.measure", interrupted)
    assert await asyncio.to_thread(main, ["bench", "--dsn", dsn]) == 130
    assert capsys.readouterr().err == ""
    assert await schemas(pool) == OURS


async def test_the_schema_goes_when_a_measurement_fails(
    dsn: str, pool: "Pool", monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(*_: object) -> None:
        raise asyncpg.PostgresError("out of luck")

    monkeypatch.setattr("colmillo.cli_bench.measure", broken)
    assert await asyncio.to_thread(main, ["bench", "--dsn", dsn]) == 1
    assert capsys.readouterr().err == "colmillo: out of luck\n"
    assert await schemas(pool) == OURS
