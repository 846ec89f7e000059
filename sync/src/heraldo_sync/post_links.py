"""Whether two links lead to the same post. Pure functions, for folding alone.

What identity goes by (`heraldo_sync.traits`) is stored for good and must never change; this may.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

from heraldo_sync.errors import InvalidUrl
from heraldo_sync.urls import parse

_WWW = re.compile(r"www\d?\.(?=[^.]*\.)")
_ESCAPE = re.compile(r"%[0-9a-f]{2}", re.IGNORECASE)
# What publishers and networks add to count where readers come from.
_COUNTS_VISITORS = re.compile(
    r"(utm_\w+|fbclid|gclid|gclsrc|dclid|gbraid|wbraid|msclkid|twclid|ttclid|li_fat_id|yclid|ysclid"
    r"|igshid?|mc_[ce]id|mkt_tok|xtor|cmpid|ncid|ocid|s_cid|guccounter|guce_\w+|ref_src|ref_url"
    r"|at_(medium|campaign|format|creation|custom\d|link_\w+|ptr_\w+|bbc_team)|__twitter_impression"
    r"|ns_(mchannel|source|campaign|linkname|fee)|_hs(enc|mi)|hsctatracking|(pk|mtm|piwik)_\w+"
    r"|oly_\w+|vero_\w+)(=|$)"
    r"|(ref|source|src|from|via|partner|emc|cmp|mod|smid)=(rss|atom|feed)\w*$",
    re.IGNORECASE,
)
_COUNTING_FRAGMENT = re.compile(r"(utm_|at_|xtor=|:~:)|(ref=)?(rss|feed)$", re.IGNORECASE)


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
