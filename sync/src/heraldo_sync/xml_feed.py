"""RSS and Atom of every version, by feedparser, the XML parser of record.

feedparser has no types; this module is the only one that touches it, and everything it returns
is converted here. It runs in the parser process, because small hostile feeds can stall it.
"""

import io
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import feedparser

from heraldo_sync import fields
from heraldo_sync.charset import declared_charset, in_bytes, repaired, without_entities
from heraldo_sync.expat import TooMuch, Watch, watching
from heraldo_sync.foreign_dates import foreign_date
from heraldo_sync.hubs import MAX_HUBS
from heraldo_sync.model import Enclosure, ParsedEntry, ParsedFeed
from heraldo_sync.skip_times import skip_times

_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_PERIODS = {
    "hourly": timedelta(hours=1),
    "daily": timedelta(days=1),
    "weekly": timedelta(weeks=1),
    "monthly": timedelta(days=30),
    "yearly": timedelta(days=365),
}
_MAX_TTL = timedelta(days=365)
# What feedparser calls bozo although the document itself keeps the rules.
_NOT_MALFORMED = (feedparser.CharacterEncodingOverride, feedparser.NonXMLContentType)

_MAX_PERSON = 500
_MAIL = r"[^\s()<>@]{1,100}@[^\s()<>@]{1,100}"
_PERSONS = (
    re.compile(rf"([^()<>@]+?)\s*[(<]\s*{_MAIL}\s*[)>]"),
    re.compile(rf"{_MAIL}\s*\(([^()]+)\)"),
)

Node = Mapping[str, object]


def parse_xml_feed(body: bytes, base: str, content_type: str | None) -> ParsedFeed | None:
    """Returns the feed, None if the document is not one. ``base`` is the document's address.

    Raises:
        Exception: whatever feedparser may raise on hostile input, even repaired.
    """
    document = without_entities(in_bytes(body))
    charset = declared_charset(document, content_type)
    try:
        raw, watch = _parse(document, charset)
    except TooMuch:
        raise
    except Exception:
        # Its loose parser fails at character references to nothing, its decoder at odd codecs.
        raw, watch = _parse(repaired(document, charset), "utf-8")
        watch.separable = False
    feed = _node(raw.get("feed"))
    version = _text(raw, "version")
    items = _nodes(raw.get("entries"))
    if not version and not items:
        return None
    malformed = bool(raw.get("bozo")) and not isinstance(raw.get("bozo_exception"), _NOT_MALFORMED)
    author = _author(feed)
    entries = fields.saying_something(
        [_entry(item, base, author) for item in items[: fields.MAX_ENTRIES]]
    )
    return ParsedFeed(
        format=version or "xml",
        title=_title(feed),
        link=_link(feed, base),
        entries=entries,
        malformed=malformed,
        separable=watch.separable and not malformed and watch.entries == len(items) == len(entries),
        ttl=_ttl(feed),
        skip=skip_times(watch.skips),
        hubs=_related(feed, "hub", base),
        topic=next(iter(_related(feed, "self", base)), None),
    )


def _parse(body: bytes, charset: str | None) -> tuple[Node, Watch]:
    """Has feedparser read the document.

    It is not told the address: it resolves ids against it, and a feed that moves would then
    show nothing but new ids. text/* without a charset would mean ASCII to it (RFC 3023), so the
    media type is ours. BytesIO, because bytes could be a path, which it would open.
    """
    media_type = f"application/xml; charset={charset}" if charset else "application/xml"
    with watching() as watch:
        raw = feedparser.parse(
            io.BytesIO(body),
            response_headers={"content-type": media_type},
            resolve_relative_uris=False,
            sanitize_html=False,
        )
    return _node(raw), watch


def _entry(item: Node, base: str, feed_author: str | None) -> ParsedEntry:
    published = _date(item, "published") or _date(item, "created")
    updated = _date(item, "updated")
    return ParsedEntry(
        guid=fields.guid(_text(item, "id")),
        link=_link(item, base),
        title=_title(item),
        html=_html(item, base),
        author=_author(item) or feed_author,
        published_at=published or updated,
        updated_at=updated,
        enclosures=_enclosures(item, base),
        categories=fields.unique_names(
            [_name(tag, "label") or _name(tag, "term") for tag in _list(item, "tags")]
        ),
        image=_image(item, base),
        comments=_comments(item, base),
    )


def _title(node: Node) -> str:
    detail = _node(node.get("title_detail"))
    if _text(detail, "type") in _HTML_TYPES:
        return fields.plain(detail.get("value"), fields.MAX_TITLE)
    return fields.line(_text(node, "title"), fields.MAX_TITLE)


def _html(item: Node, base: str) -> str:
    """The longest content there is, else the summary."""
    bodies = [_markup(content, base) for content in _list(item, "content")]
    fullest = max(bodies, key=len, default="")
    return (
        fullest
        or _markup(_node(item.get("summary_detail")), base)
        or _markup({"type": "text/html", "value": item.get("summary")}, base)
    )


def _markup(content: Node, base: str) -> str:
    """What an xml:base is for is done here; else links are relative to the entry's page."""
    kind = _text(content, "type")
    if kind in _HTML_TYPES:
        markup = fields.clean(content.get("value"), fields.MAX_HTML)
        own = fields.link(content.get("base"), base)
        return fields.rebased(markup, own) if own else markup
    if kind == "text/plain":
        return fields.as_html(content.get("value"), fields.MAX_HTML)
    return ""


def _link(node: Node, base: str) -> str | None:
    """The page of an entry or a feed: a web page by preference, else what feedparser chose."""
    pages = [
        _text(item, "href")
        for item in _list(node, "links")
        if _text(item, "rel") == "alternate" and _text(item, "type") in _HTML_TYPES
    ]
    chosen = _text(node, "link")
    if chosen and chosen == _text(node, "id") and not re.match(r"https?://", chosen):
        # An id is a link by default in RSS, and most that are no address are not.
        chosen = ""
    for candidate in [*pages[:1], chosen]:
        found = fields.page(candidate, base)
        if found:
            return found
    return None


def _related(feed: Node, relation: str, base: str) -> tuple[str, ...]:
    """Where the feed's own links of this relation lead; feedparser keeps one relation a link."""
    addresses = [
        fields.link(_text(item, "href"), base)
        for item in _list(feed, "links")[:100]
        if _text(item, "rel").strip().lower() == relation
    ]
    return tuple(filter(None, addresses))[:MAX_HUBS]


def _author(node: Node) -> str | None:
    """Names by preference; an e-mail address only where there is nothing else."""
    people = _list(node, "authors")[:10]
    whole = _text(node, "author")
    if len(people) < 2 and "@" in whole:
        # What feedparser makes of an address with a long top-level domain is torn in the middle.
        return fields.plain(_person(whole[:_MAX_PERSON]), fields.MAX_NAME) or None
    names = fields.unique_names([_name(person, "name") for person in people])
    return ", ".join(names)[: fields.MAX_NAME] or _name(node, "author") or None


def _person(whole: str) -> str:
    """The name in ``Jo (jo@example.org)``, ``Jo <jo@example.org>`` or ``jo@example.org (Jo)``."""
    for form in _PERSONS:
        found = form.fullmatch(whole.strip())
        if found:
            return found[1]
    return whole


def _enclosures(item: Node, base: str) -> tuple[Enclosure, ...]:
    attached = [file for file in _list(item, "links") if _text(file, "rel") == "enclosure"]
    plays = _text(item, "itunes_duration") if len(attached) == 1 else None
    files = [
        fields.enclosure(file.get("href"), _mime(file), file.get("length"), base, plays=plays)
        for file in attached
    ]
    media = [
        fields.enclosure(
            *(file.get("url"), _mime(file), file.get("filesize"), base),
            medium=file.get("medium"),
            plays=file.get("duration"),
        )
        for file in _list(item, "media_content")
    ]
    return fields.unique_enclosures([*files, *media])


def _image(item: Node, base: str) -> str | None:
    """media:thumbnail, else the podcast's own picture for the episode."""
    candidates = [_text(file, "url") for file in _list(item, "media_thumbnail")[:20]]
    candidates.append(_text(_node(_value(item, "image")), "href"))
    return next(filter(None, (fields.link(url, base) for url in candidates)), None)


def _comments(item: Node, base: str) -> str | None:
    """RSS's comments, Atom's replies (RFC 4685) where they are a page."""
    replies = [
        _text(link, "href")
        for link in _list(item, "links")
        if _text(link, "rel") == "replies" and _text(link, "type") in _HTML_TYPES
    ]
    candidates = [_text(item, "comments"), *replies[:5]]
    return next(filter(None, (fields.page(url, base) for url in candidates)), None)


def _mime(file: Node) -> str:
    """feedparser takes any link of Atom for a page unless it is told; no enclosure is one."""
    mime = _text(file, "type")
    return "" if mime in _HTML_TYPES else mime


def _ttl(feed: Node) -> timedelta | None:
    """RSS's ttl in minutes, or the syndication module's period divided by its frequency."""
    minutes = _text(feed, "ttl").strip()
    if minutes.isascii() and minutes.isdigit():
        ttl = timedelta(minutes=int(minutes[:9]))
    else:
        period = _PERIODS.get(_text(feed, "sy_updateperiod").strip().lower())
        if period is None:
            return None
        times = _text(feed, "sy_updatefrequency").strip()
        ttl = period / max(int(times[:6]) if times.isascii() and times.isdigit() else 1, 1)
    return ttl if timedelta() < ttl <= _MAX_TTL else None


def _date(node: Node, key: str) -> datetime | None:
    """feedparser gives struct_time in UTC; of other languages' months it knows few."""
    value = _value(node, f"{key}_parsed")
    if not isinstance(value, tuple) or len(value) < 6:
        return fields.moment(foreign_date(_text(node, key)))
    try:
        year, month, day, hour, minute, second = (int(part) for part in value[:6])
        found = datetime(year, month, day, hour, minute, tzinfo=UTC) + timedelta(seconds=second)
        return fields.moment(found)
    except (TypeError, ValueError, OverflowError):
        return None


def _name(node: Node, key: str) -> str:
    return fields.plain(_text(node, key), fields.MAX_NAME)


def _value(node: Node, key: str) -> object:
    """The value under this very key: feedparser's dictionaries look under others too."""
    return dict.get(node, key) if isinstance(node, dict) else node.get(key)


def _text(node: Node, key: str) -> str:
    value = _value(node, key)
    return value if isinstance(value, str) else ""


def _list(node: Node, key: str) -> list[Node]:
    return _nodes(_value(node, key))


def _node(value: object) -> Node:
    return value if isinstance(value, dict) else {}


def _nodes(value: object) -> list[Node]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
