"""The gate before the parser: which items of a feed have been read before, byte by byte.

An item that has not changed reads as it did, if the document around the items has not changed
either and no item is read differently because of another (`ParsedFeed.separable`). So only new
items are parsed, in the document they came in, and where any of that does not hold, everything
is. What is kept of the items that were read is just enough to treat the new ones as if all had
been: what they could be confused by, and their dates, which the order of sending goes by.

Pure functions of bytes and of what was parsed.
"""

import hashlib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import version
from importlib.resources import files

from heraldo_sync.charset import certain_charset
from heraldo_sync.detect import Kind, detect
from heraldo_sync.identity import KEY_BEGINNING
from heraldo_sync.model import ParsedEntry, ParsedFeed
from heraldo_sync.order import oldest_first
from heraldo_sync.spans import Spans, split
from heraldo_sync.traits import date_of, key_of
from heraldo_sync.urls import without_credentials

TRIMMED_TYPE = "application/xml; charset=utf-8"

_HASH = 16
# Hash of an item's bytes, beginning of its entry's key, its date in microseconds since 1970.
_ITEM = struct.Struct(f">{_HASH}s{KEY_BEGINNING}sq")
_NO_DATE = -(2**63)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# What changes at every request and is not kept. Before it what it could stand in as mere text,
# cut as `split` cuts it, which has found an end for each.
_VOLATILE = re.compile(
    rb"<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<\?[\s\S]*?\?>|<![^>]*>|"
    rb"<(lastBuildDate|pubDate|updated|modified|dc:date|dcterms:modified|openSearch:totalResults)>"
    rb"[\w\s:,.+-]{0,64}</\1>"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A document cut into items. ``frame`` is a hash of all that is not an item."""

    spans: Spans
    hashes: tuple[bytes, ...]
    frame: bytes

    def only(self, wanted: list[int]) -> bytes:
        """The document in UTF-8 with these items alone; its type is `TRIMMED_TYPE`."""
        return self.spans.only(wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A document whose items have all been read, each by the hash of its bytes."""

    frame: bytes
    about: bytes
    items: dict[bytes, tuple[bytes, int]]


def outline(body: bytes, url: str, content_type: str | None) -> Outline | None:
    """Cuts an XML document from ``url`` into its items, in time linear to its size.

    None for anything that had better be read as a whole.
    """
    charset = certain_charset(body, content_type)
    if charset is None or b"<!ENTITY" in body:
        return None
    spans = split(body if charset == "utf-8" else body.decode(charset).encode("utf-8"))
    if spans is None:
        return None
    view = memoryview(spans.body)
    return Outline(
        spans=spans,
        hashes=tuple(_hash(view[start:end]) for start, end in spans.places),
        frame=_hash(
            _revision(),
            without_credentials(url).encode("utf-8", "surrogatepass"),
            _VOLATILE.sub(_steady, spans.head),
            _VOLATILE.sub(_steady, spans.tail),
        ),
    )


def unseen(document: Outline, seen: Seen) -> list[int] | None:
    """Returns the places of the items to be read; None if all of the document has to be."""
    if document.frame != seen.frame or len(set(document.hashes)) < len(document.hashes):
        return None
    return [place for place, item in enumerate(document.hashes) if item not in seen.items]


def joined(
    document: Outline, seen: Seen, places: Sequence[int], parsed: ParsedFeed
) -> tuple[tuple[ParsedEntry, ...], Seen] | None:
    """Returns the entries at these places in the order to send them, and what is seen now.

    ``parsed`` is the document with only these items. None if it reads as it should not: the
    whole document has to be read.
    """
    if not parsed.separable or len(parsed.entries) != len(places) or _about(parsed) != seen.about:
        return None
    fresh = dict(zip(places, parsed.entries, strict=True))
    marks = [
        _marks(fresh[place]) if place in fresh else seen.items[item]
        for place, item in enumerate(document.hashes)
    ]
    now = _seen(document, seen.about, marks)
    if now is None:
        return None
    everything = [
        fresh[place] if place in fresh else ParsedEntry(published_at=_moment(date))
        for place, (_, date) in enumerate(marks)
    ]
    ours = {id(entry) for entry in parsed.entries}
    return tuple(entry for entry in oldest_first(everything) if id(entry) in ours), now


def remember(document: Outline, parsed: ParsedFeed) -> Seen | None:
    """Returns what is seen after all of a document was read; None if it cannot be told apart."""
    if (
        not parsed.separable
        or len(parsed.entries) != len(document.hashes)
        or detect(document.spans.head) is not Kind.XML
    ):
        return None
    return _seen(document, _about(parsed), [_marks(entry) for entry in parsed.entries])


def pack(seen: Seen | None) -> bytes:
    """Returns what is seen as bytes to store, 40 for each item; none for None."""
    if seen is None:
        return b""
    items = [_ITEM.pack(item, *marks) for item, marks in seen.items.items()]
    return b"".join([seen.frame, seen.about, *items])


def unpack(packed: bytes | None) -> Seen | None:
    """Reads what `pack` returned."""
    if not packed:
        return None
    items = {item: (key, date) for item, key, date in _ITEM.iter_unpack(packed[2 * _HASH :])}
    return Seen(frame=packed[:_HASH], about=packed[_HASH : 2 * _HASH], items=items)


def _seen(document: Outline, about: bytes, marks: list[tuple[bytes, int]]) -> Seen | None:
    """None when entries share a key: which is which then depends on all of them."""
    if len({key for key, _ in marks}) < len(marks):
        return None
    items = dict(zip(document.hashes, marks, strict=True))
    return Seen(frame=document.frame, about=about, items=items)


def _marks(entry: ParsedEntry) -> tuple[bytes, int]:
    """The beginning of an entry's key, and its date."""
    date = date_of(entry)
    return key_of(entry)[:KEY_BEGINNING], (date - _EPOCH) // _MICROSECOND if date else _NO_DATE


def _moment(date: int) -> datetime | None:
    return None if date == _NO_DATE else _EPOCH + date * _MICROSECOND


def _about(parsed: ParsedFeed) -> bytes:
    """What a feed says of itself; the items must not have a say in it."""
    about = (parsed.format, parsed.title, parsed.link, parsed.ttl)
    return _hash(repr(about).encode("utf-8", "surrogatepass"))


def _steady(found: re.Match[bytes]) -> bytes:
    return found[1] if found[1] else found[0]


def _hash(*parts: bytes | memoryview) -> bytes:
    """Each part's length goes before it if there are several."""
    digest = hashlib.blake2b(digest_size=_HASH)
    for part in parts:
        if len(parts) > 1:
            digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


@cache
def _revision() -> bytes:
    """The code that reads feeds, as a hash: what other code has read is no guide."""
    sources = sorted(
        (file.name, file.read_bytes())
        for file in files("heraldo_sync").iterdir()
        if file.name.endswith(".py")
    )
    parts = [part for name, source in sources for part in (name.encode(), source)]
    return _hash(version("feedparser").encode(), *parts)
