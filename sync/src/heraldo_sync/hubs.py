"""Which hub a feed names, and under which address the hub knows the feed (W3C WebSub §4).

Pure functions of what a server and a document said; both may lie.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from heraldo_sync import fields, urls
from heraldo_sync.errors import InvalidUrl
from heraldo_sync.model import Fetched, ParsedFeed

MAX_HUBS = 5
_MAX_HEADER = 8192
_NAME = r"\s{0,9};\s{0,9}([\w!#$&+.^`|~*-]{1,64})"
_VALUE = r"\s{0,9}=\s{0,9}(?:\"([^\"]*)\"|([^\s;,\"<>]*))"
_PARAMETER = re.compile(f"{_NAME}(?:{_VALUE})?")
_TARGET = re.compile(f"<([^<>]{{0,{urls.MAX_LENGTH}}})>")
# YouTube's feeds name no hub; its documentation does ("Subscribe to Push Notifications").
_YOUTUBE = re.compile(r"https://www\.youtube\.com/feeds/videos\.xml\?channel_id=[\w-]{1,64}")
_YOUTUBE_HUB = "https://pubsubhubbub.appspot.com/subscribe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A feed's hub, and the topic to subscribe to there. Both canonical, without credentials."""

    hub: str
    topic: str


def link_header(values: Iterable[str]) -> str | None:
    """Returns the Link headers as one, if they have anything to say of a hub."""
    joined = ", ".join(values)[:_MAX_HEADER]
    return joined if "hub" in joined.lower() else None


def announced(fetched: Fetched, parsed: ParsedFeed) -> Announcement | None:
    """Returns the hub that a feed names, one over https by preference.

    Headers go before the document. The topic is the feed's own word for its address, else the
    address that it was read at. A feed behind a password has no hub: its topic would be told
    to strangers.
    """
    headers = _links(fetched.link, fetched.url) if fetched.link else {}
    hubs = headers.get("hub") or parsed.hubs or _known(fetched.url)
    own = headers.get("self") or filter(None, [parsed.topic])
    topic = next(iter(own), fetched.url)
    usable = [hub for hub in hubs[:MAX_HUBS] if not _has_credentials(hub)]
    if not usable or _has_credentials(fetched.url) or _has_credentials(topic):
        return None
    secure = [hub for hub in usable if hub.startswith("https:")]
    return Announcement(hub=(secure or usable)[0], topic=topic)


def _links(header: str, base: str) -> dict[str, tuple[str, ...]]:
    """The addresses in Link headers by their relations (RFC 8288)."""
    found: dict[str, tuple[str, ...]] = {}
    place = 0
    while target := _TARGET.search(header, place):
        place = target.end()
        about = dict[str, str]()
        while parameter := _PARAMETER.match(header, place):
            place = parameter.end()
            about.setdefault(parameter[1].lower(), parameter[2] or parameter[3] or "")
        address = fields.link(target[1], base)
        # With an anchor it is a link of something else than what was fetched (RFC 8288 §3.2).
        if address is None or "anchor" in about:
            continue
        for relation in about.get("rel", "").lower().split():
            found[relation] = (*found.get(relation, ()), address)
    return found


def _known(url: str) -> tuple[str, ...]:
    return (_YOUTUBE_HUB,) if _YOUTUBE.fullmatch(url) else ()


def _has_credentials(url: str) -> bool:
    try:
        return bool(urls.parse(url).userinfo)
    except InvalidUrl:
        return True
