"""Every statement is valid on the schema, and the hot ones use the index they name."""

import json
from datetime import timedelta
from importlib.resources import files
from typing import Any

import pytest

from heraldo_sync.database import Pool
from heraldo_sync.statements import statement

NAMES = sorted(
    file.name.removesuffix(".sql")
    for file in (files("heraldo_sync") / "sql").iterdir()
    if file.name != "schema.sql"
)


@pytest.mark.parametrize("name", NAMES)
async def test_it_is_valid(pool: Pool, name: str) -> None:
    async with pool.acquire() as connection:
        await connection.prepare(statement(name))


@pytest.fixture
async def full(pool: Pool) -> Pool:
    """Many feeds of which few are due, one large backlog, and many chats with little to send."""
    await pool.execute(
        "INSERT INTO feeds (url, next_check_at, succeeded_at)"
        " SELECT 'https://example.org/' || n,"
        " now() + CASE WHEN n % 250 = 0 THEN interval '0' ELSE interval '1 hour' END, now()"
        " FROM generate_series(1, 5000) n"
    )
    await pool.execute(
        "INSERT INTO entries (feed_id, key, content, likeness, title, html)"
        " SELECT f.id, sha256((f.id || ':' || n)::bytea), sha256(''), n, 't', ''"
        " FROM feeds f, generate_series(1, 2) n"
    )
    await pool.execute(
        "INSERT INTO chats (id, kind) SELECT n, 'private' FROM generate_series(1, 1000) n"
    )
    await pool.execute("INSERT INTO targets (chat_id) SELECT id FROM chats")
    await pool.execute(
        "INSERT INTO subscriptions (target_id, feed_id)"
        " SELECT t.id, f.id FROM targets t JOIN feeds f ON f.id % 1000 = t.id % 1000"
    )
    await pool.execute(
        "INSERT INTO deliveries (subscription_id, target_id, entry_id, status)"
        " SELECT s.id, s.target_id, e.id, CASE WHEN e.id % 10 = 0 THEN 'waiting' ELSE 'sent' END"
        " FROM subscriptions s JOIN entries e USING (feed_id)"
    )
    await pool.execute(
        "INSERT INTO websub (feed_id, hub, topic, key, secret, try_at)"
        " SELECT id, 'h', 't', id, 's', next_check_at FROM feeds"
    )
    await pool.execute("ANALYZE")
    return pool


async def nodes(pool: Pool, name: str, *arguments: object) -> list[dict[str, Any]]:
    """The plan's nodes, as the statement runs for the tenth time (a generic plan by then)."""
    async with pool.acquire() as connection:
        for _ in range(10):
            await connection.fetch(statement(name), *arguments)
        plan = json.loads(
            await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement(name)}", *arguments)
        )
    found: list[dict[str, Any]] = []
    left = [plan[0]["Plan"]]
    while left:
        node = left.pop()
        found.append(node)
        left += node.get("Plans", [])
    return found


REMEMBERED = ([7, 8] * 50, [bytes([n] * 32) for n in range(100)], [7, 8] * 50, list(range(100)))
HOT = [
    ("due_feeds", (100, timedelta(seconds=30)), "feeds_due"),
    ("due_hubs", (100,), "websub_due"),
    ("feed", ([7],), "websub_pkey"),
    ("lock_feed", (7, timedelta(days=7)), "websub_pkey"),
    ("lock_free_feeds", ([7, 8], timedelta(days=7)), "feeds_pkey"),
    ("pushed_to", ("7",), "websub_key_key"),
    ("note_push", ("7",), "websub_key_key"),
    ("waiting_deliveries", (7, 20), "deliveries_waiting"),
    ("has_waiting", (7,), "deliveries_waiting"),
    ("lock_targets_of_feeds", ([7],), "subscriptions_feed"),
    ("newest_entry", (7,), "entries_newest"),
    ("heir", (7, 9), "deliveries_waiting"),
    ("latest_links", ([7, 8], 200), "entries_newest"),
    ("remembered", REMEMBERED, "entries_key"),
    ("remembered", REMEMBERED, "entries_likeness"),
]
LARGE = {"feeds", "entries", "deliveries", "subscriptions", "websub"}


async def test_the_hot_ones_use_their_indexes(full: Pool) -> None:
    for name, arguments, index in HOT:
        plan = await nodes(full, name, *arguments)
        assert index in {node.get("Index Name") for node in plan}, name
        scanned = [node for node in plan if node["Node Type"] == "Seq Scan"]
        assert not LARGE & {node["Relation Name"] for node in scanned}, name
