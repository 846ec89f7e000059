"""How the parser process and its parent talk: JSON, so that neither can make the other run code.

A message is a length of four bytes, most significant first, and that many bytes. A request is
two messages, its JSON head and the document; the answer is one, whose first byte is `STAYING`
or `LEAVING` and says whether the process will take another request.
"""

import json
import struct
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from heraldo_sync.errors import SyncError
from heraldo_sync.model import Enclosure, Failed, FeedLink, ParsedEntry, ParsedFeed, Reason
from heraldo_sync.skip_times import SkipTimes

LENGTH = struct.Struct(">I")
MAX_MESSAGE = 64 * 1024 * 1024
READY = b"ready"
STAYING = b"+"
LEAVING = b"-"


class Want(StrEnum):
    """What a request asks for: the feed in a document, or the feeds that a page names."""

    FEED = "feed"
    LINKS = "links"


class BadMessage(SyncError):
    """What came through the pipe is not a message of ours."""


def frame(payload: bytes) -> bytes:
    """Returns the payload with its length in front."""
    return LENGTH.pack(len(payload)) + payload


def encode(answer: ParsedFeed | Failed) -> bytes:
    """Returns the answer as JSON."""
    if isinstance(answer, Failed):
        document: dict[str, object] = {"reason": answer.reason.value, "message": answer.message}
    else:
        document = {
            "format": answer.format,
            "title": answer.title,
            "link": answer.link,
            "malformed": answer.malformed,
            "separable": answer.separable,
            "ttl": answer.ttl.total_seconds() if answer.ttl else None,
            "skip": answer.skip.bits if answer.skip else None,
            "hubs": answer.hubs,
            "topic": answer.topic,
            "entries": [_encode_entry(entry) for entry in answer.entries],
        }
    return _dump(document)


def encode_links(links: Sequence[FeedLink]) -> bytes:
    """Returns the feeds that a page names as JSON."""
    return _dump({"links": [[link.url, link.title, link.mime] for link in links]})


def decode_links(payload: bytes) -> tuple[FeedLink, ...] | Failed:
    """Reads what `encode_links` wrote, or `encode` for a failure.

    Raises:
        BadMessage: the payload is something else.
    """
    try:
        document = json.loads(payload)
        if "reason" in document:
            return _failed(document)
        return tuple(
            FeedLink(url=str(url), title=str(title), mime=_text(mime))
            for url, title, mime in document["links"]
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadMessage(type(error).__name__) from error


def decode(payload: bytes) -> ParsedFeed | Failed:
    """Reads what `encode` wrote.

    Raises:
        BadMessage: the payload is something else.
    """
    try:
        document = json.loads(payload)
        if "reason" in document:
            return _failed(document)
        ttl, skip = document["ttl"], document["skip"]
        return ParsedFeed(
            format=str(document["format"]),
            title=str(document["title"]),
            link=_text(document["link"]),
            malformed=bool(document["malformed"]),
            separable=bool(document["separable"]),
            ttl=timedelta(seconds=float(ttl)) if ttl is not None else None,
            skip=SkipTimes.from_bits(int(skip)) if skip is not None else None,
            hubs=tuple(str(hub) for hub in document["hubs"]),
            topic=_text(document["topic"]),
            entries=tuple(_decode_entry(entry) for entry in document["entries"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        raise BadMessage(type(error).__name__) from error


def _dump(document: dict[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _failed(document: dict[str, object]) -> Failed:
    return Failed(reason=Reason(str(document["reason"])), message=str(document["message"]))


def _encode_entry(entry: ParsedEntry) -> dict[str, object]:
    return {
        "guid": entry.guid,
        "link": entry.link,
        "title": entry.title,
        "html": entry.html,
        "author": entry.author,
        "published": entry.published_at.isoformat() if entry.published_at else None,
        "updated": entry.updated_at.isoformat() if entry.updated_at else None,
        "enclosures": [
            [file.url, file.mime, file.length, file.title, file.seconds]
            for file in entry.enclosures
        ],
        "categories": entry.categories,
        "image": entry.image,
        "comments": entry.comments,
    }


def _decode_entry(entry: dict[str, object]) -> ParsedEntry:
    enclosures, categories = entry["enclosures"], entry["categories"]
    if not isinstance(enclosures, list) or not isinstance(categories, list):
        raise TypeError
    return ParsedEntry(
        guid=_text(entry["guid"]),
        link=_text(entry["link"]),
        title=str(entry["title"]),
        html=str(entry["html"]),
        author=_text(entry["author"]),
        published_at=_date(entry["published"]),
        updated_at=_date(entry["updated"]),
        enclosures=tuple(
            Enclosure(
                url=str(url),
                mime=_text(mime),
                length=None if size is None else int(size),
                title=_text(title),
                seconds=None if seconds is None else int(seconds),
            )
            for url, mime, size, title, seconds in enclosures
        ),
        categories=tuple(str(name) for name in categories),
        image=_text(entry["image"]),
        comments=_text(entry["comments"]),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _date(value: object) -> datetime | None:
    return None if value is None else datetime.fromisoformat(str(value))
