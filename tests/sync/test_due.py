"""What a tick costs when there are many feeds that are not due: as much as when there are few."""

import json
import random
from datetime import timedelta
from typing import Any

import pytest

from heraldo_sync.database import Connection, Pool
from heraldo_sync.statements import statement
from heraldo_sync.tasks import TICK_BATCH

BATCH = 500
# By then Postgres has chosen between a plan for these values and one for any.
ROUNDS = 10
AHEAD = timedelta(seconds=30)
LATER = timedelta(minutes=10)
# Of tables that the tick may not read as a whole.
GROWING = {"feeds", "subscriptions", "entries", "deliveries"}


async def fill(pool: Pool, feeds: int, due: int, *, analysed: bool = True) -> None:
    """Feeds as they are after some checks, each with a row of the usual width."""
    await pool.execute("ALTER TABLE feeds SET (autovacuum_enabled = false)")
    await pool.execute(
        "INSERT INTO feeds"
        " (url, title, link, format, etag, last_modified, body_hash, next_check_at)"
        " SELECT 'https://' || n % 997 || '.test/' || n, 'The title of feed ' || n,"
        " 'https://' || n % 997 || '.test/', 'rss20', md5(n::text),"
        " 'Mon, 06 May 2024 07:08:09 GMT', sha256(n::text::bytea),"
        " now() + CASE WHEN n % ($1 / $2) = 0 THEN -interval '1 minute' ELSE interval '1 hour' END"
        " FROM generate_series(1, $1::integer) n",
        feeds,
        due,
    )
    if analysed:
        await pool.execute("VACUUM ANALYZE feeds")


async def explained(
    connection: Connection, name: str, *arguments: object
) -> tuple[dict[str, Any], int]:
    """The plan of a statement as it was carried out, and how many blocks it touched.

    It is prepared once in a connection, so that its later plans are those of a worker.
    """
    known = "SELECT count(*) FROM pg_prepared_statements WHERE name = $1"
    if not await connection.fetchval(known, name):
        await connection.execute(f"PREPARE {name} AS {statement(name)}")
    values = ", ".join(map(literal, arguments))
    told = await connection.fetchval(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {name} ({values})"
    )
    found: dict[str, Any] = json.loads(told)[0]["Plan"]
    return found, found["Shared Hit Blocks"] + found["Shared Read Blocks"]


def literal(value: object) -> str:
    """What EXECUTE takes, which knows no parameters."""
    if isinstance(value, list):
        return f"ARRAY[{', '.join(map(literal, value))}]"
    if isinstance(value, timedelta):
        return f"interval '{value.total_seconds()} seconds'"
    return f"'{value}'" if isinstance(value, str) else str(value)


def nodes(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [found, *(below for child in found.get("Plans", []) for below in nodes(child))]


def scanned(found: dict[str, Any]) -> set[str]:
    """The growing tables that a plan reads from end to end."""
    return GROWING & {
        node["Relation Name"] for node in nodes(found) if node["Node Type"] == "Seq Scan"
    }


async def batch(connection: Connection, *, large: bool) -> tuple[int, int]:
    """Blocks that one batch's statements touched; then its feeds are due no more.

    A small table may be read as a whole.
    """
    plans = []
    async with connection.transaction():
        found, finding = await explained(connection, "due_feeds", BATCH, AHEAD)
        plans.append(found)
        rows = await connection.fetch(statement("due_feeds"), BATCH, AHEAD)
        ids = [row["id"] for row in rows]
        assert len(ids) == BATCH
        found, postponing = await explained(connection, "postpone_each", ids, [LATER] * BATCH)
        plans.append(found)
    if large:
        assert "feeds_due" in {node.get("Index Name") for node in nodes(plans[0])}
        assert not set().union(*map(scanned, plans))
        assert max(node["Actual Rows"] for plan in plans for node in nodes(plan)) <= BATCH
    return finding, postponing


@pytest.mark.parametrize("analysed", [True, False], ids=["analysed", "never-analysed"])
@pytest.mark.parametrize("feeds", [5_000, 100_000])
async def test_a_batch_touches_what_is_due_and_no_more(
    pool: Pool, feeds: int, analysed: bool
) -> None:
    """The same bounds for a table of which every feed is due and for one twenty times as large."""
    await fill(pool, feeds, 5_000, analysed=analysed)
    async with pool.acquire() as connection:
        for _ in range(ROUNDS):
            finding, postponing = await batch(connection, large=feeds > 5_000)
            assert finding < 6 * BATCH
            # Rows found, and written anew with an entry in each index.
            assert postponing < 30 * BATCH


@pytest.mark.parametrize("analysed", [True, False], ids=["analysed", "never-analysed"])
async def test_feeds_are_put_off_by_the_index_also_when_they_fill_a_batch(
    pool: Pool, analysed: bool
) -> None:
    await fill(pool, 100_000, 5_000, analysed=analysed)
    async with pool.acquire() as connection:
        ids = list(range(1, 100 * TICK_BATCH, 100))
        for _ in range(ROUNDS):
            found, touched = await explained(connection, "postpone_each", ids, [LATER] * TICK_BATCH)
            assert not scanned(found)
            assert touched < 30 * TICK_BATCH


@pytest.mark.parametrize("due", [True, False])
async def test_asking_whether_any_feed_is_due_touches_next_to_nothing(
    pool: Pool, due: bool
) -> None:
    await fill(pool, 20_000, 1)
    await pool.execute("DELETE FROM feeds WHERE NOT $1 AND next_check_at < now()", due)
    async with pool.acquire() as connection:
        for _ in range(ROUNDS):
            found, touched = await explained(connection, "any_due", AHEAD)
            assert not scanned(found)
            assert touched < 10


@pytest.mark.parametrize("hosts", [100, 20_000])
async def test_moments_and_turns_of_busy_hosts_are_found_by_the_index(
    pool: Pool, hosts: int
) -> None:
    await fill(pool, 2_000, 2_000)
    await pool.execute(
        "INSERT INTO busy_hosts SELECT n || '.test', now() FROM generate_series(0, $1 - 1) n", hosts
    )
    async with pool.acquire() as connection:
        asked = sorted(f"{number}.test" for number in range(50))
        _, finding = await explained(connection, "free_moments", asked)
        _, giving = await explained(connection, "give_moments", asked, [AHEAD] * 50)
        assert finding + giving < 20 * 50
        second = timedelta(seconds=1)
        for _ in range(ROUNDS):
            _, taking = await explained(connection, "take_turn", 7, second, LATER)
            assert taking < 30


async def test_looking_for_stranded_targets_reads_what_waits_and_no_feeds(pool: Pool) -> None:
    await fill(pool, 20_000, 1_000)
    await pool.execute("INSERT INTO chats (id, kind) VALUES (1, 'private')")
    await pool.execute("INSERT INTO targets (chat_id) VALUES (1)")
    await pool.execute("INSERT INTO subscriptions (target_id, feed_id) SELECT 1, id FROM feeds")
    await pool.execute(
        "INSERT INTO entries (feed_id, key, content, title, html)"
        " SELECT id, sha256(url::bytea), sha256(''), 't', '' FROM feeds"
    )
    await pool.execute(
        "INSERT INTO deliveries (subscription_id, target_id, entry_id, status, created_at)"
        " SELECT s.id, 1, e.id, CASE WHEN e.id % 1000 = 0 THEN 'waiting' ELSE 'sent' END,"
        " now() - interval '1 hour' FROM subscriptions s JOIN entries e USING (feed_id)"
    )
    await pool.execute("ANALYZE")
    async with pool.acquire() as connection:
        found, touched = await explained(connection, "stranded_targets", timedelta(minutes=2))
    assert not scanned(found)
    assert touched < 100


async def test_a_check_finds_its_hosts_hold_by_the_index(pool: Pool) -> None:
    await fill(pool, 2_000, 2_000)
    await pool.execute(
        "INSERT INTO host_holds SELECT n || '.test', now() + interval '1 hour'"
        " FROM generate_series(1, 2000) n"
    )
    await pool.execute("VACUUM ANALYZE host_holds")
    feed_id = random.Random(1).randint(1, 2_000)
    async with pool.acquire() as connection:
        found, touched = await explained(connection, "feed", [feed_id])
    assert not [node for node in nodes(found) if node["Node Type"] == "Seq Scan"]
    assert touched < 20
