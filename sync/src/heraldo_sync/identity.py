"""Which post is which: the same post keeps its identity however its feed shows it.

An entry is known by its guid, without one by its link, without that by what it says. So a new
title or date is an edit and not a new post. Pure functions of what was parsed.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from heraldo_sync.model import ParsedEntry

# The fields an identity is made of, from least to most; each list tells apart what the one
# before could not.
_BY_GUID = ("guid", "guid link", "guid link title html")
_BY_LINK = ("link", "link title html")
_BY_CONTENT = ("title html",)

_FIELDS: dict[str, Callable[[ParsedEntry], str]] = {
    "guid": lambda entry: entry.guid or "",
    "link": lambda entry: entry.link or "",
    "title": lambda entry: entry.title,
    "html": lambda entry: entry.html,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """An entry and its identity of 32 bytes, unique within its feed."""

    identity: bytes
    entry: ParsedEntry


def identify(entries: Sequence[ParsedEntry]) -> tuple[Identified, ...]:
    """Returns the entries in the same order, each with its identity.

    Entries that share a guid (or, without one, a link) are told apart by more fields; of
    entries alike in all of these the first is kept. The order of the entries does not matter.
    """
    identities = [_identity(entry, 0) for entry in entries]
    for level in range(1, len(_BY_GUID)):
        seen = Counter(identities)
        identities = [
            _identity(entry, level) if seen[identity] > 1 else identity
            for entry, identity in zip(entries, identities, strict=True)
        ]
    kept: dict[bytes, ParsedEntry] = {}
    for entry, identity in zip(entries, identities, strict=True):
        kept.setdefault(identity, entry)
    return tuple(Identified(identity=key, entry=entry) for key, entry in kept.items())


def oldest_first(entries: Iterable[ParsedEntry]) -> tuple[ParsedEntry, ...]:
    """Returns the entries in the order to send them.

    By date if every entry has one, those of the same moment as in the document; else as in the
    document. A document is read from its end, as most begin with the newest entry, unless its
    dates ascend.
    """
    document = list(entries)
    dates = [_date(entry) for entry in document]
    known = [date for date in dates if date is not None]
    steps = [(later > earlier) - (later < earlier) for earlier, later in pairwise(known)]
    order = list(range(len(document)))
    if sum(steps) <= 0:
        order.reverse()
    if len(known) == len(document):
        order.sort(key=lambda place: known[place])
    return tuple(document[place] for place in order)


def newest(entries: Iterable[ParsedEntry]) -> ParsedEntry | None:
    """Returns the entry that would be sent last, None if there is none."""
    ordered = oldest_first(entries)
    return ordered[-1] if ordered else None


def _date(entry: ParsedEntry) -> datetime | None:
    return entry.published_at or entry.updated_at


def _identity(entry: ParsedEntry, level: int) -> bytes:
    lists = _BY_GUID if entry.guid else _BY_LINK if entry.link else _BY_CONTENT
    names = lists[min(level, len(lists) - 1)]
    return _digest(names, [_FIELDS[name](entry) for name in names.split()])


def _digest(kind: str, values: list[str]) -> bytes:
    """Every part is preceded by its length, so that no two lists give the same bytes."""
    digest = hashlib.sha256()
    for part in [kind, *values]:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.digest()
