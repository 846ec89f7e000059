"""A feed with one subscriber, checked with documents that a test makes."""

import itertools

from publisher import HOME

from heraldo_sync.database import Connection
from heraldo_sync.model import Fetched
from heraldo_sync.reading import Reading, read
from heraldo_sync.services import SyncServices
from heraldo_sync.store import load_feeds, upsert_feed

URL = "https://site.example/feed"
FANNED_OUT = """
SELECT e.title FROM deliveries d JOIN entries e ON e.id = d.entry_id
WHERE e.feed_id = $1 ORDER BY d.id
"""


_NUMBERS = itertools.count()


class Crash(Exception):
    """The process ends here."""


class Follower:
    """One feed with one subscriber; ``check`` returns the titles that were fanned out."""

    def __init__(self, services: SyncServices, feed_id: int) -> None:
        self.services = services
        self.feed_id = feed_id

    @classmethod
    async def of_a_new_feed(cls, services: SyncServices) -> "Follower":
        async with services.pool.acquire() as connection:
            feed_id = await upsert_feed(connection, f"{URL}?{next(_NUMBERS)}", "")
            await connection.execute("INSERT INTO chats (id, kind) VALUES ($1, 'private')", feed_id)
            await connection.execute(
                "WITH t AS (INSERT INTO targets (chat_id) VALUES ($1) RETURNING id)"
                " INSERT INTO subscriptions (target_id, feed_id) SELECT id, $1 FROM t",
                feed_id,
            )
        return cls(services, feed_id)

    async def check(self, body: bytes, *, crash: bool = False) -> list[str]:
        before = len(await self.fanned_out())
        async with self.services.pool.acquire() as connection:
            feed = (await load_feeds(connection, [self.feed_id]))[self.feed_id]
            answer = await read(self.services, Fetched(url=URL, body=body), seen=feed.items)
            if isinstance(answer, Reading):
                try:
                    async with connection.transaction():
                        await self._keep(connection, answer)
                        if crash:
                            raise Crash
                except Crash:
                    return await self.check(body)
        return (await self.fanned_out())[before:]

    async def _keep(self, connection: Connection, answer: Reading) -> None:
        """As `Batches` does: together with others if that will do, else alone."""
        keeper = self.services.keeper
        [kept] = await keeper.keep_plain(connection, [(self.feed_id, answer)])
        if kept is None:
            await keeper.keep(connection, self.feed_id, answer)

    async def fanned_out(self) -> list[str]:
        rows = await self.services.pool.fetch(FANNED_OUT, self.feed_id)
        return [row["title"] for row in rows]


def items(*found: str) -> bytes:
    inside = "".join(found)
    return f"<rss><channel><link>{HOME}</link>{inside}</channel></rss>".encode()


def item(number: int, *, guid: str | None = None, title: str | None = None) -> str:
    return (
        f"<item><guid isPermaLink='false'>{guid or number}</guid>"
        f"<link>https://site.example/{number}</link><title>{title or number}</title>"
        f"<pubDate>Thu, 01 Jan 2026 12:{number:02}:00 GMT</pubDate></item>"
    )
