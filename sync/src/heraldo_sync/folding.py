"""Posts that several feeds bring to one target: sent once, where the chat wants that.

It is decided when a post is about to be sent, and only what Telegram has taken can stand for
another post, so nothing can be folded into what is then not sent. A target's posts are sent one
after another (`heraldo_sync.messages`), so there is no race. Why it is so, and what counts as the
same post, is in docs/decisions/0026-folding.md.
"""

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from heraldo_sync.database import Pool
from heraldo_sync.errors import InvalidUrl
from heraldo_sync.model import Entry
from heraldo_sync.statements import statement
from heraldo_sync.urls import parse

logger = logging.getLogger(__name__)

# So far apart may two feeds bring the same post.
FOLD_WITHIN = timedelta(days=30)
# In so many of a feed's latest entries its link must be that of one alone.
LATEST = 200

_WWW = re.compile(r"www\d?\.(?=[^.]*\.)")
_ESCAPE = re.compile(r"%[0-9a-f]{2}", re.IGNORECASE)
# What publishers and networks add to count where readers come from. Only for this comparison:
# what identity goes by (`heraldo_sync.traits`) must never change.
_COUNTS_VISITORS = re.compile(
    r"(utm_\w+|fbclid|gclid|gclsrc|dclid|gbraid|wbraid|msclkid|twclid|ttclid|li_fat_id|yclid|ysclid"
    r"|igshid?|mc_[ce]id|mkt_tok|xtor|cmpid|ncid|ocid|s_cid|guccounter|guce_\w+|ref_src|ref_url"
    r"|at_(medium|campaign|format|creation|custom\d|link_\w+|ptr_\w+|bbc_team)|__twitter_impression"
    r"|ns_(mchannel|source|campaign|linkname|fee)|_hs(enc|mi)|hsctatracking|(pk|mtm|piwik)_\w+"
    r"|oly_\w+|vero_\w+)(=|$)|(ref|source|src|from|via|partner|emc|cmp|mod|smid)=(rss|atom|feed)\w*$",
    re.IGNORECASE,
)
_COUNTING_FRAGMENT = re.compile(r"(utm_|at_|xtor=|:~:)|(ref=)?(rss|feed)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldingState:
    """Whether a chat has it switched on; how many posts were folded, of those still on record."""

    on: bool
    folded: int


def link_key(link: str | None, *, home: str | None = None) -> bytes | None:
    """Returns SHA-256 of where a link leads; None if it leads to no page of a post's own.

    http or https, "www", the last slash, the order of parameters and what counts visitors make no
    difference. The root of a site and ``home``, the feed's page, are no post's.
    """
    place = _place(link)
    if place is None or place == _place(home):
        return None
    return hashlib.sha256(place.encode("utf-8", "surrogatepass")).digest()


def _place(link: str | None) -> str | None:
    address, _, fragment = (link or "").strip().partition("#")
    if not re.match(r"https?://", address, re.IGNORECASE):
        return None
    try:
        url = parse(address)
    except InvalidUrl:
        return None
    path, _, query = _ESCAPE.sub(lambda escape: escape[0].upper(), url.target).partition("?")
    path = path.rstrip("/")
    kept = sorted(part for part in query.split("&") if part and not _COUNTS_VISITORS.match(part))
    if _COUNTING_FRAGMENT.match(fragment):
        fragment = ""
    if not (path or kept or fragment):
        return None
    port = "" if url.port in (80, 443) else f":{url.port}"
    host = _WWW.sub("", url.host, count=1)
    # A part cannot hold the next one's sign, so different places are different texts.
    return f"{host}{port}{path}?{'&'.join(kept)}#{fragment}"


def is_own(key: bytes, links: Iterable[tuple[int, str]]) -> bool:
    """Whether a link belongs to one post; ``links`` are the feeds' latest, with the feeds' ids.

    A link that several posts of a feed have ("today's figures") tells none of them from another.
    """
    times = Counter(feed_id for feed_id, link in links if link_key(link) == key)
    return max(times.values(), default=0) <= 1


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
        rows = await self._pool.fetch(
            statement("latest_links"), [entry.feed_id, other], LATEST
        )
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
