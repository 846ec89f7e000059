"""The hubs of feeds in the database: what feeds name, and how far the hubs can be relied on.

`keep_hub` works in the caller's transaction, under the feed's lock; the rest is by itself.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from heraldo_sync.database import Connection, Pool
from heraldo_sync.hubs import Announcement
from heraldo_sync.statements import statement
from heraldo_sync.storable import storable
from heraldo_sync.websub import BETWEEN

# A check and a push that are so close together were about the same post.
SAME_NEWS = timedelta(minutes=1)
# A feed that names another hub each time must not send us from one server to the next.
_BETWEEN_HUBS = timedelta(hours=1)
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownHub:
    """What is stored of a feed's hub.

    ``announced`` is whether the feed still named it when it was last read, ``resting`` whether
    nothing is wanted of it, or soon nothing will be.
    """

    hub: str
    topic: str
    announced: bool
    resting: bool


def known_hub(row: asyncpg.Record) -> KnownHub | None:
    """The hub in a row of `lock_feed`; None for a feed that never named one."""
    if row["hub"] is None:
        return None
    return KnownHub(
        hub=row["hub"],
        topic=row["topic"],
        announced=row["announced"],
        resting=bool(row["resting"]),
    )


def has_changed(named: Announcement | None, known: KnownHub | None) -> bool:
    """Whether what a feed names now is anything new."""
    if named is None:
        return known is not None and known.announced
    if known is None or (known.hub, known.topic) != (named.hub, named.topic):
        return True
    return known.resting or not known.announced


async def keep_hub(
    connection: Connection, feed_id: int, named: Announcement | None, known: KnownHub | None
) -> None:
    """Keeps the hub that a feed names now; what is to be asked of it is left to the tick.

    Writes nothing if nothing has changed, the usual case.
    """
    if not has_changed(named, known):
        return
    if named is None:
        await connection.execute(statement("drop_hub"), feed_id, BETWEEN)
    elif known is None or (known.hub, known.topic) != (named.hub, named.topic):
        await connection.execute(
            statement("announce_hub"),
            feed_id,
            storable(named.hub),
            storable(named.topic),
            secrets.token_urlsafe(_KEY_BYTES),
            secrets.token_urlsafe(_KEY_BYTES),
            _BETWEEN_HUBS,
        )
    else:
        await connection.execute(statement("wake_hub"), feed_id, BETWEEN)


async def note_missed(pool: Pool, feed_id: int) -> None:
    """A check found something new by itself: a hub that had not told of it is not relied on."""
    await pool.execute(statement("hub_missed"), feed_id, SAME_NEWS)


async def note_delivered(pool: Pool, feed_id: int) -> bool:
    """Whether the last push was about something new; then its hub is relied on."""
    return await pool.fetchval(statement("hub_delivered"), feed_id, SAME_NEWS) is not None


async def adopt_callbacks(pool: Pool, public_url: str) -> None:
    """Has every hub asked anew that knows callbacks at another address than this one."""
    await pool.execute(statement("adopt_callbacks"), public_url)
