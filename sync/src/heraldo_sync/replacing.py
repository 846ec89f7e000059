"""A chat's private subscription: which feed it is to, and what happens when its headers change.

A feed is an address and the headers it is asked with, so new headers mean another feed, whose
posts nobody sees who has not these headers. The chat's subscription moves there and nothing is
lost: what the new feed shows and the old one had not seen yet is sent.

Locks: both feeds, the older first, then the target, as everywhere (moving.py).
"""

from dataclasses import dataclass

from colmillo import Queue
from heraldo_sync.database import Connection
from heraldo_sync.errors import SyncError
from heraldo_sync.holding import hold_for
from heraldo_sync.messages import deliver_target
from heraldo_sync.moving import news
from heraldo_sync.private import Private
from heraldo_sync.resets import FEWEST
from heraldo_sync.statements import statement
from heraldo_sync.store import insert_deliveries, lock_feed
from heraldo_sync.vault import Vault


class ChangedMeanwhile(SyncError):
    """Another transaction has changed the subscription since it was looked up; begin again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A target's subscription to an address; ``private`` is whether it is asked with headers."""

    id: int
    feed_id: int
    private: bool


async def followed(
    connection: Connection, target_id: int, url: str, feed_id: int | None = None
) -> Followed | None:
    """The target's subscription to this address, if there are several the one to ``feed_id``."""
    row = await connection.fetchrow(statement("followed"), target_id, url, feed_id)
    if row is None:
        return None
    return Followed(id=row["id"], feed_id=row["feed_id"], private=row["private"])


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateFeed:
    """A feed by its address and its headers; ``feed_id`` is None if nobody follows it yet."""

    url: str
    feed_id: int | None
    fingerprint: bytes
    sealed: str

    @classmethod
    async def of(
        cls, connection: Connection, vault: Vault | None, url: str, private: Private
    ) -> "PrivateFeed":
        """Looks it up. Raises ValueError if there is no vault to lock the headers in."""
        if vault is None:
            raise ValueError("a private feed needs a vault")
        fingerprints = vault.fingerprints(private)
        return cls(
            url=url,
            feed_id=await connection.fetchval(statement("private_feed"), url, fingerprints),
            fingerprint=fingerprints[0],
            sealed=vault.seal(private),
        )

    async def hold(self, connection: Connection, title: str, before: Followed | None) -> int:
        """Holds it and the feed that the target follows now; makes it if it is new.

        Raises:
            ChangedMeanwhile: one of them is gone.
        """
        wanted = {self.feed_id, before.feed_id if before is not None else None} - {None}
        held = await connection.fetch(statement("lock_feeds"), list(wanted))
        if len(held) < len(wanted):
            raise ChangedMeanwhile
        if self.feed_id is not None:
            return self.feed_id
        # Last, because a new feed's id is the greatest.
        feed_id: int = await connection.fetchval(
            statement("upsert_private_feed"), self.url, title, self.fingerprint, self.sealed
        )
        await lock_feed(connection, feed_id)
        return feed_id


async def lock_subscriber(
    connection: Connection, target_id: int, url: str, before: Followed | None
) -> None:
    """Holds the target, so that of two requests for one address the later sees the earlier.

    Raises:
        ChangedMeanwhile: it follows something else at this address than it did before.
    """
    await connection.fetchval(statement("lock_target"), target_id)
    feed_id = before.feed_id if before is not None else None
    if await followed(connection, target_id, url, feed_id) != before:
        raise ChangedMeanwhile


async def replace(
    connection: Connection, queue: Queue, *, target_id: int, before: Followed, feed_id: int
) -> None:
    """Moves the subscription to another feed of the same address; target and feeds are held.

    News goes out. If the two feeds have nothing in common it may be another account's old posts:
    the chat is asked, as after a change of all ids (`resets`).
    """
    old = before.feed_id
    entry_ids = await news(connection, to=old, of=feed_id)
    alike = await connection.fetchval(statement("have_common_posts"), old, feed_id)
    await connection.execute(statement("move_subscription"), before.id, feed_id)
    row = {
        "subscription_id": before.id,
        "target_id": target_id,
        "feed_id": feed_id,
        "open": True,
    }
    if alike or len(entry_ids) < FEWEST:
        if entry_ids:
            await insert_deliveries(connection, [row], {feed_id: entry_ids})
        await queue.enqueue(deliver_target.new(target_id=target_id), connection=connection)
    else:
        await hold_for(connection, queue, [row], entry_ids)
    await connection.execute(statement("rest_feed"), old)
    await connection.execute(statement("forget_private_feeds"), [old])
