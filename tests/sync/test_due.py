"""What finding due feeds costs when there are many that are not due."""

import json
import random
from datetime import timedelta
from typing import Any

import pytest

from heraldo_sync.database import Connection, Pool
from heraldo_sync.statements import statement

BATCH = 1000
AHEAD = timedelta(seconds=30)


async def fill(pool: Pool, feeds: int, due: int) -> None:
    await pool.execute(
        "INSERT INTO feeds (url, next_check_at)"
        " SELECT 'https://' || n % 997 || '.test/' || n,"
        " now() + CASE WHEN n % ($1 / $2) = 0 THEN -interval '1 minute' ELSE interval '1 hour' END"
        " FROM generate_series(1, $1::integer) n",
        feeds,
        due,
    )
    await pool.execute("VACUUM ANALYZE feeds")


async def plan(connection: Connection) -> dict[str, Any]:
    """The plan of one batch, as it was carried out; then the feeds are due no more."""
    async with connection.transaction():
        told = await connection.fetchval(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement('due_feeds')}",
            BATCH,
            AHEAD,
        )
        rows = await connection.fetch(statement("due_feeds"), BATCH, AHEAD)
        await connection.execute(
            statement("postpone_feeds"), [row["id"] for row in rows], timedelta(minutes=10)
        )
    assert len(rows) == BATCH
    found: dict[str, Any] = json.loads(told)[0]["Plan"]
    return found


def nodes(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [found, *(below for child in found.get("Plans", []) for below in nodes(child))]


@pytest.mark.parametrize("feeds", [6_000, 100_000])
async def test_a_batch_of_due_feeds_touches_what_is_due_and_no_more(pool: Pool, feeds: int) -> None:
    await fill(pool, feeds, 5_000 if feeds > 6_000 else 6_000)
    async with pool.acquire() as connection:
        for _ in range(5):
            found = await plan(connection)
            names = [node.get("Index Name") for node in nodes(found)]
            assert "feeds_due" in names
            touched = found["Shared Hit Blocks"] + found["Shared Read Blocks"]
            assert touched < 6 * BATCH


async def test_a_check_finds_its_hosts_hold_by_the_index(pool: Pool) -> None:
    await fill(pool, 2_000, 2_000)
    await pool.execute(
        "INSERT INTO host_holds SELECT n || '.test', now() + interval '1 hour'"
        " FROM generate_series(1, 2000) n"
    )
    await pool.execute("VACUUM ANALYZE host_holds")
    feed_id = random.Random(1).randint(1, 2_000)
    told = await pool.fetchval(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement('feed')}",
        [feed_id],
    )
    found = json.loads(told)[0]["Plan"]
    assert not [node for node in nodes(found) if node["Node Type"] == "Seq Scan"]
    assert found["Shared Hit Blocks"] + found["Shared Read Blocks"] < 20
