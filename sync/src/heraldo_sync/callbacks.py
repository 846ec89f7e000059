"""What hubs say to us: they confirm what we asked for, and push (W3C WebSub §5.3, §7).

Whoever serves HTTP hands the requests on to `Callbacks`, whose answers are values. Every request is
from a stranger until it has named a callback that only its hub knows.
"""

import logging
import random
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from colmillo import Queue
from heraldo_sync.database import Pool
from heraldo_sync.hub_tasks import look_at_pushed
from heraldo_sync.signatures import Signature
from heraldo_sync.statements import statement
from heraldo_sync.websub import DENIED_FOR, lease_of, look_in, renew_after

logger = logging.getLogger(__name__)

# As large as a feed may be: what is pushed is one.
MAX_BODY = 5_000_000
_MAX_CHALLENGE = 4096
_KEY = re.compile(r"[\w-]{43}", re.ASCII)
# Ours are all canonical addresses.
_TOPIC = re.compile(r"[!-~]{1,2048}")


class Receipt(Enum):
    """What becomes of a push.

    ``TAKEN``: the feed will be looked at, which is stored. ``GONE``: there is no such
    subscription (any more). ``REFUSED``: it is not signed by the hub; a hub whose signature is
    wrong only for now may try again. ``TOO_LARGE``: so is no feed.
    """

    TAKEN = "taken"
    GONE = "gone"
    REFUSED = "refused"
    TOO_LARGE = "too large"


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks:
    """Answers hubs. ``key`` is in all cases the last part of the callback's address."""

    pool: Pool
    queue: Queue
    max_body: int = MAX_BODY
    rng: random.Random = field(default_factory=random.Random)

    async def confirm(self, key: str, query: Mapping[str, str]) -> bytes | None:
        """Answers a hub's question whether we did ask for that; None means no (404).

        Yes is the challenge, to be sent back as it is. Only what is asked of this very hub for
        this very topic, and not confirmed yet, is confirmed; or what it has confirmed before.
        A denial ends what there was of a subscription, and is answered with nothing (200).
        """
        mode, topic = query.get("hub.mode", ""), query.get("hub.topic", "")
        challenge = query.get("hub.challenge", "").encode("utf-8", "surrogatepass")
        if not _KEY.fullmatch(key) or not _TOPIC.fullmatch(topic):
            return None
        if mode == "denied":
            return b"" if await self._deny(key, topic) else None
        if not 0 < len(challenge) <= _MAX_CHALLENGE:
            return None
        confirmed = False
        if mode == "subscribe":
            confirmed = await self._subscribe(key, topic, query.get("hub.lease_seconds"))
        elif mode == "unsubscribe":
            found = await self.pool.fetchval(statement("confirm_unsubscription"), key, topic)
            confirmed = found is not None
        return challenge if confirmed else None

    async def _subscribe(self, key: str, topic: str, lease_seconds: str | None) -> bool:
        lease = lease_of(lease_seconds)
        feed_id = await self.pool.fetchval(
            statement("confirm_subscription"), key, topic, lease, renew_after(lease, self.rng)
        )
        if feed_id is not None:
            logger.info(
                "hub will push", extra={"feed_id": feed_id, "seconds": lease.total_seconds()}
            )
            return True
        # The hub may make sure from time to time; that does not make the lease any longer.
        return await self.pool.fetchval(statement("still_subscribed"), key, topic) is not None

    async def _deny(self, key: str, topic: str) -> bool:
        feed_id = await self.pool.fetchval(statement("deny_subscription"), key, topic, DENIED_FOR)
        if feed_id is not None:
            logger.warning("hub will not push", extra={"feed_id": feed_id})
        return feed_id is not None

    async def receive(
        self, key: str, signature: str | None, chunks: AsyncIterator[bytes]
    ) -> Receipt:
        """Takes a push; ``signature`` is the X-Hub-Signature header.

        The body is read only if it may be the hub's, and only to see whether it is; nothing of
        it is kept. After ``TAKEN`` a look at the feed is stored that begins later than the push
        came in. Any number of pushes leads to one such look at a time, and to no more than one
        in two seconds, or in a minute while they bring nothing.
        """
        row = None
        if _KEY.fullmatch(key):
            row = await self.pool.fetchrow(statement("pushed_to"), key)
        if row is None or not row["live"]:
            return Receipt.GONE
        check = Signature.read(signature, row["secret"])
        if check is None:
            return self._refused(row["feed_id"])
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            if size > self.max_body:
                return Receipt.TOO_LARGE
            check.update(chunk)
        if not check.matches():
            return self._refused(row["feed_id"])
        return await self._take(key)

    async def _take(self, key: str) -> Receipt:
        async with self.pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(statement("note_push"), key)
            if row is None:
                return Receipt.GONE
            look = look_at_pushed.new(feed_id=row["feed_id"])
            await self.queue.enqueue(
                look.with_options(delay=look_in(row["since"], row["fruitless"])),
                connection=connection,
            )
        return Receipt.TAKEN

    def _refused(self, feed_id: int) -> Receipt:
        logger.warning("push without the hub's signature", extra={"feed_id": feed_id})
        return Receipt.REFUSED
