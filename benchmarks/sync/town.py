"""The application's database as the benchmark wants it, and the checks of what came of it."""

from datetime import timedelta
from typing import Any

import asyncpg
from cases import Case, host
from certificates import DOMAIN

from colmillo import PostgresStore, Queue
from colmillo.store import State
from heraldo.database import migrate
from heraldo_sync.hosts import HOST_QUEUE
from heraldo_sync.messages import DELIVERY_QUEUE
from heraldo_sync.tasks import SYNC_QUEUE, tick

IDLE_ENTRIES = 10

CHATS = "INSERT INTO chats (id, kind) SELECT unnest($1::bigint[]), 'private'"
TARGETS = """
INSERT INTO targets (id, chat_id)
OVERRIDING SYSTEM VALUE
SELECT row_number() OVER (ORDER BY id), id FROM chats
"""
FEEDS = """
INSERT INTO feeds (id, url, next_check_at)
OVERRIDING SYSTEM VALUE
SELECT n, 'https://idle.example.org/' || n, now() + interval '1 year'
FROM generate_series($1::bigint, $2::bigint) AS n
"""
SUBSCRIPTIONS = """
INSERT INTO subscriptions (target_id, feed_id)
SELECT t.id, f.id FROM feeds f JOIN targets t ON t.id = 1 + f.id % $3::bigint
WHERE f.id BETWEEN $1 AND $2
"""
IDLE = """
UPDATE feeds SET
    title = 'Idle', format = 'rss20', etag = md5(id::text), body_hash = sha256(id::text::bytea),
    checked_at = now(), succeeded_at = now(), next_check_at = now() + interval '1 year'
WHERE id BETWEEN $1 AND $2
"""
IDLE_ITEMS = """
INSERT INTO feed_items (feed_id, items)
SELECT id, decode(repeat(md5(id::text), 50), 'hex') FROM feeds WHERE id BETWEEN $1 AND $2
"""
IDLE_POSTS = """
INSERT INTO entries (feed_id, key, content, likeness, title, link, html)
SELECT f.id, sha256((f.id || '-' || n)::bytea), sha256((f.id || '-' || n)::bytea),
    hashint8extended(f.id * 100 + n, 0), 'Post ' || n, 'https://idle.example.org/' || n,
    repeat(md5(n::text), 60)
FROM feeds f CROSS JOIN generate_series(1, $3::int) AS n
WHERE f.id BETWEEN $1 AND $2
"""
URLS = """
UPDATE feeds SET url = u.url
FROM unnest($1::bigint[], $2::text[]) AS u (id, url) WHERE feeds.id = u.id AND feeds.url <> u.url
"""
DUE = "UPDATE feeds SET next_check_at = now() WHERE id <= $1"
SPREAD = """
UPDATE feeds SET next_check_at = u.at
FROM unnest($1::bigint[], $2::timestamptz[]) AS u (id, at) WHERE feeds.id = u.id
"""
LEFT = """
SELECT count(*) FROM feeds WHERE id <= $1 AND (checked_at IS NULL OR checked_at < $2)
"""
FAILED = "SELECT last_error, count(*) FROM feeds WHERE failures > 0 GROUP BY 1 ORDER BY 2 DESC"
STORED = """
SELECT feed_id, count(*) AS entries, count(DISTINCT link) AS links,
    max(substring(link from '[0-9]+$')::int) AS newest
FROM entries WHERE feed_id <= $1 GROUP BY feed_id
"""
FANNED_OUT = """
SELECT e.feed_id, count(*) AS rows, count(DISTINCT (d.subscription_id, d.entry_id)) AS different
FROM deliveries d JOIN entries e ON e.id = d.entry_id
WHERE e.feed_id <= $1 GROUP BY e.feed_id
"""
TARGETS_WITH_NEWS = "SELECT count(DISTINCT target_id) FROM deliveries WHERE status = 'waiting'"


class Town:
    """A migrated database with feeds 1 … ``feeds``, each with one subscriber."""

    def __init__(self, pool: Any, ports: dict[str, int], chats: int) -> None:
        self.pool = pool
        self.ports = ports
        self._chats = chats
        self._store = PostgresStore(pool)
        self._queue = Queue(self._store)
        self.feeds = 0

    @classmethod
    async def open(cls, dsn: str, ports: dict[str, int], chats: list[int]) -> "Town":
        """Migrates, connects, and makes the chats that feeds will be shared among."""
        await migrate(dsn)
        pool = await asyncpg.create_pool(dsn, min_size=1, max_size=2, command_timeout=600)
        await pool.execute(CHATS, chats)
        await pool.execute(TARGETS)
        return cls(pool, ports, len(chats))

    async def grow(self, feeds: int, *, idle: bool = False) -> None:
        """Adds feeds until there are so many. ``idle`` ones have been read and are not due."""
        first, last = self.feeds + 1, feeds
        if last < first:
            return
        await self.pool.execute(FEEDS, first, last)
        await self.pool.execute(SUBSCRIPTIONS, first, last, self._chats)
        if idle:
            await self.pool.execute(IDLE, first, last)
            await self.pool.execute(IDLE_ITEMS, first, last)
            await self.pool.execute(IDLE_POSTS, first, last, IDLE_ENTRIES)
        await self.pool.execute("ANALYZE")
        self.feeds = feeds

    async def address(self, case: Case, due: int) -> None:
        """Puts the feeds 1 … ``due`` where the case has them."""
        port = self.ports[case.keys]
        numbers = list(range(1, due + 1))
        urls = [f"https://{host(case, n)}.{DOMAIN}:{port}/{n}" for n in numbers]
        await self.pool.execute(URLS, numbers, urls)

    async def make_due(self, due: int) -> Any:
        """Makes them due now; returns the database's time before any check of this round."""
        await self.pool.execute(DUE, due)
        await self.pool.execute("CHECKPOINT")
        return await self.pool.fetchval("SELECT now()")

    async def spread(self, due: int, over: timedelta, start: timedelta) -> Any:
        """Makes them due evenly over a time that begins in a moment; returns the beginning."""
        begin = await self.pool.fetchval("SELECT now() + $1::interval", start)
        moments = [begin + over * (n * 7919 % due) / due for n in range(1, due + 1)]
        await self.pool.execute(SPREAD, list(range(1, due + 1)), moments)
        return begin, moments

    async def tick(self) -> None:
        """Has the scheduler look for due feeds now."""
        await self._queue.enqueue(tick.new())

    async def left(self, due: int, since: Any) -> int:
        """How many feeds have not been checked since, and tasks that are not done."""
        unchecked = int(await self.pool.fetchval(LEFT, due, since))
        if unchecked:
            return unchecked
        counts = await self._store.counts()
        live = (State.WAITING, State.RUNNING)
        queues = (SYNC_QUEUE, HOST_QUEUE)
        return sum(counts.get((queue, state), 0) for queue in queues for state in live)

    async def rest(self, seconds: float) -> None:
        """Waits, with the server doing the timing."""
        await self.pool.execute("SELECT pg_sleep($1)", seconds)

    async def failed(self) -> dict[str, int]:
        """What checks failed with, and how many feeds."""
        return {row[0]: row[1] for row in await self.pool.fetch(FAILED)}

    async def wrong(self, versions: list[list[int]], due: int, *, sending: bool) -> dict[str, Any]:
        """Items that were not stored once or not fanned out once; empty when all were.

        ``versions`` has the number, the size and the newest item of every feed that is served.
        Items of the first reading are stored, but sent to nobody.
        """
        stored = {row["feed_id"]: row for row in await self.pool.fetch(STORED, due)}
        sent = {row["feed_id"]: row for row in await self.pool.fetch(FANNED_OUT, due)}
        bad: list[str] = []
        new = 0
        for number, items, last in versions[:due]:
            have, out = stored.get(number), sent.get(number)
            new += last - items
            if have is None or not have["entries"] == have["links"] == have["newest"] == last:
                bad.append(f"feed {number}: {last} items, stored {have and dict(have)}")
            rows = (out["rows"], out["different"]) if out else (0, 0)
            if rows != (last - items, last - items):
                bad.append(f"feed {number}: {last - items} new items, delivery rows {rows}")
        targets = await self.pool.fetchval(TARGETS_WITH_NEWS)
        tasks = (await self._store.counts()).get((DELIVERY_QUEUE, State.WAITING), 0)
        if targets != tasks and not sending:
            bad.append(f"{targets} targets have something waiting, {tasks} delivery tasks")
        said: dict[str, Any] = {"new_items_so_far": new}
        if bad:
            said |= {"wrong": len(bad), "examples": bad[:5]}
        return said
