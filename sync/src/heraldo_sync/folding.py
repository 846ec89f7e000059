"""Posts that several feeds bring to one target: sent once, where the chat wants that.

It is decided when a post is about to be sent, and only what Telegram has taken can stand for
another post, so nothing can be folded into what is then not sent. A target's posts are sent one
after another (`heraldo_sync.messages`), so there is no race. Why it is so, and what counts as the
same post, is in docs/decisions/0027-folding.md.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta

from heraldo_sync.database import Pool
from heraldo_sync.model import Entry
from heraldo_sync.post_links import is_own, link_key
from heraldo_sync.statements import statement

logger = logging.getLogger(__name__)

# So far apart may two feeds bring the same post.
FOLD_WITHIN = timedelta(days=30)
# In so many of a feed's latest entries its link must be that of one alone.
LATEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldingState:
    """Whether a chat has it switched on; how many posts were folded, of those still on record."""

    on: bool
    folded: int


class Folding:
    """Chats that want a post once, and the posts that were folded."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def switch(self, chat_id: int, *, on: bool) -> None:
        """Switches it on or off for a chat; for what is sent from now on."""
        await self._pool.execute(statement("switch_folding"), chat_id, on)

    async def state(self, chat_id: int) -> FoldingState:
        """How it is set for a chat, and what it has done there; off in a chat that is unknown."""
        row = await self._pool.fetchrow(statement("folding"), chat_id)
        if row is None:
            return FoldingState(on=False, folded=0)
        return FoldingState(on=row["folds"], folded=row["folded"])

    async def count(self, subscription_id: int) -> int:
        """How many posts of a subscription were folded, of those still on record."""
        folded: int = await self._pool.fetchval(statement("count_folded"), subscription_id)
        return folded

    async def fold(self, target_id: int, delivery_id: int, entry: Entry) -> bool:
        """Folds a waiting delivery if the target has got the post from another feed.

        True if it is not to be sent. Only the delivery task of the target may call this.
        """
        key = link_key(entry.link, home=entry.feed_link)
        if key is None:
            return False
        other = await self._pool.fetchval(
            statement("link_sent"), target_id, key, entry.feed_id, FOLD_WITHIN
        )
        if other is None:
            return False
        rows = await self._pool.fetch(statement("latest_links"), [entry.feed_id, other], LATEST)
        if not is_own(key, [(row["feed_id"], row["link"]) for row in rows]):
            return False
        if await self._pool.fetchval(statement("fold_delivery"), delivery_id) is None:
            return False
        logger.info(
            "post folded",
            extra={
                "delivery_id": delivery_id,
                "target_id": target_id,
                "feed_id": entry.feed_id,
                "sent_by": other,
            },
        )
        return True

    async def forget(self, limit: int) -> None:
        """Drops what is too long ago to fold anything into, ``limit`` rows at a time."""
        while len(await self._pool.fetch(statement("forget_links"), FOLD_WITHIN, limit)) == limit:
            pass
