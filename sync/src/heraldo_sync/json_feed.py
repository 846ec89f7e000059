"""JSON Feed 1.0 and 1.1 (jsonfeed.org/version/1.1) as the parser of record reads it."""

import json
import re
from collections.abc import Mapping
from datetime import datetime

from heraldo_sync import fields
from heraldo_sync.hubs import MAX_HUBS
from heraldo_sync.model import ParsedEntry, ParsedFeed

_VERSION = re.compile(r"https?://(?:www\.)?jsonfeed\.org/version/(1(?:\.\d)?)/?", re.IGNORECASE)
_FORMATS = {"1": "json10", "1.0": "json10", "1.1": "json11"}

Json = Mapping[str, object]


def parse_json_feed(body: bytes, base: str) -> ParsedFeed | None:
    """Returns the feed, None if the document is not one.

    Values of a wrong type count as absent; an id that is a number is taken as text, as the
    specification asks. ``base`` is the document's address.
    """
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    items = document.get("items")
    version = document.get("version")
    found = _VERSION.fullmatch(version.strip()) if isinstance(version, str) else None
    if not isinstance(items, list) or not (found or isinstance(document.get("title"), str)):
        return None
    author = _author(document)
    entries = [
        _entry(item, base, author) for item in items[: fields.MAX_ENTRIES] if isinstance(item, dict)
    ]
    return ParsedFeed(
        format=_FORMATS.get(found[1], "json11") if found else "json",
        title=fields.line(document.get("title"), fields.MAX_TITLE),
        link=fields.link(document.get("home_page_url"), base),
        entries=fields.saying_something(entries),
        malformed=found is None or len(entries) < len(items[: fields.MAX_ENTRIES]),
        hubs=_hubs(document.get("hubs"), base),
        topic=fields.link(document.get("feed_url"), base),
    )


def _hubs(value: object, base: str) -> tuple[str, ...]:
    """The hubs that speak WebSub; the other kind there is, rssCloud, is not ours."""
    addresses = [
        fields.link(hub.get("url"), base)
        for hub in _objects(value)
        if str(hub.get("type", "")).lower() == "websub"
    ]
    return tuple(filter(None, addresses))[:MAX_HUBS]


def _entry(item: Json, base: str, feed_author: str | None) -> ParsedEntry:
    return ParsedEntry(
        guid=_guid(item.get("id")),
        link=fields.page(item.get("url"), base) or fields.page(item.get("external_url"), base),
        title=fields.line(item.get("title"), fields.MAX_TITLE),
        html=_html(item),
        author=_author(item) or feed_author,
        published_at=_date(item.get("date_published")),
        updated_at=_date(item.get("date_modified")),
        enclosures=fields.unique_enclosures(
            [
                fields.enclosure(
                    *(file.get("url"), file.get("mime_type"), file.get("size_in_bytes"), base),
                    title=file.get("title"),
                    plays=file.get("duration_in_seconds"),
                )
                for file in _objects(item.get("attachments"))
            ]
        ),
        categories=fields.unique_names(_names(item.get("tags"))),
        image=fields.link(item.get("image"), base) or fields.link(item.get("banner_image"), base),
    )


def _guid(value: object) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = json.dumps(value)
    return fields.guid(value)


def _html(item: Json) -> str:
    markup = fields.clean(item.get("content_html"), fields.MAX_HTML)
    return (
        markup
        or fields.as_html(item.get("content_text"), fields.MAX_HTML)
        or fields.as_html(item.get("summary"), fields.MAX_HTML)
    )


def _author(item: Json) -> str | None:
    """Version 1.1 has ``authors``, version 1.0 had ``author``."""
    people = [*_objects(item.get("authors")), *_objects([item.get("author")])]
    names = [fields.line(person.get("name"), fields.MAX_NAME) for person in people[:10]]
    return ", ".join(fields.unique_names(names))[: fields.MAX_NAME] or None


def _objects(value: object) -> list[Json]:
    items = value if isinstance(value, list) else []
    return [item for item in items[:100] if isinstance(item, dict)]


def _names(value: object) -> list[str]:
    items = value if isinstance(value, list) else []
    return [fields.line(item, fields.MAX_NAME) for item in items[:100]]


def _date(value: object) -> datetime | None:
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        return fields.moment(datetime.fromisoformat(value.strip()))
    except ValueError:
        return None
