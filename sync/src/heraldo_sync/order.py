"""In which order entries are sent. Pure functions of what was parsed."""

from collections.abc import Iterable
from itertools import pairwise

from heraldo_sync.model import ParsedEntry
from heraldo_sync.traits import date_of


def oldest_first(entries: Iterable[ParsedEntry]) -> tuple[ParsedEntry, ...]:
    """Returns the entries in the order to send them.

    By date if every entry has one, those of the same moment as in the document; else as in the
    document. A document is read from its end, as most begin with the newest entry, unless its
    dates ascend.
    """
    document = list(entries)
    dates = [date_of(entry) for entry in document]
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
