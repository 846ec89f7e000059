"""What subscribers are told about a feed itself, by the same way as its posts."""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from colmillo import Queue
from heraldo_sync.database import Connection
from heraldo_sync.messages import deliver_target
from heraldo_sync.statements import statement
from heraldo_sync.subscribers import lock_subscribers


class NoticeKind(StrEnum):
    """What there is to say. Stored, so values never change their meaning."""

    FAILING = "failing"
    WORKING = "working"
    ENDED = "ended"
    HELD = "held"
    LEFT = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notice as a message is made of it. ``feed_url``'s query may hold secrets.

    ``reason`` is for people, as `Failed` has it; with HELD the number of posts, with LEFT the
    address to be shown. ``since`` is when the trouble began.
    """

    kind: NoticeKind
    subscription_id: int
    feed_title: str
    feed_url: str
    reason: str = ""
    since: datetime | None = None


async def tell(
    connection: Connection,
    queue: Queue,
    feed_id: int,
    kind: NoticeKind,
    *,
    reason: str = "",
    since: datetime | None = None,
) -> int:
    """One notice to each subscriber, after the posts that wait; returns how many there are.

    Within the transaction that decided it, which holds the feed; the targets are locked as for
    a fan-out (docs/decisions/0003-no-stranded-delivery.md).
    """
    rows = await lock_subscribers(connection, [feed_id])
    if not rows:
        return 0
    what = {"kind": kind.value, "reason": reason, "since": since.isoformat() if since else None}
    await connection.execute(
        statement("insert_notices"),
        [row["subscription_id"] for row in rows],
        [row["target_id"] for row in rows],
        json.dumps(what),
    )
    open_targets = sorted({row["target_id"] for row in rows if row["open"]})
    await queue.enqueue_many(
        [deliver_target.new(target_id=target) for target in open_targets], connection=connection
    )
    return len(rows)


def read_notice(text: str, *, subscription_id: int, feed_title: str, feed_url: str) -> Notice:
    """The notice that `tell` wrote down."""
    what = json.loads(text)
    return Notice(
        kind=NoticeKind(what["kind"]),
        subscription_id=subscription_id,
        feed_title=feed_title,
        feed_url=feed_url,
        reason=what["reason"],
        since=datetime.fromisoformat(what["since"]) if what["since"] else None,
    )
