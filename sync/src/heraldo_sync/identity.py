"""Which post is which: what a document shows, compared with what we remember of its feed.

The rules, and so what counts as an edit:

* An entry is known by its key: its guid, without one its link (loose: `traits.loosened`),
  without that its title and HTML. While no other entry of the document and none remembered has
  the same key, everything else may change, all at once: it is an edit.
* A key that several entries have, or ever had, says too little. Then guid and link together
  decide, then these with title and HTML, then these with the date. One of link, title, HTML or
  date may still change at a time if the entry has a date with a time of day, and only the date
  if it has none. Anything else is a new post.
* A link that is the feed's own page is no key by itself: each post of the feed may have it.
* An entry that matches nothing is an old one with another key (another guid, a guid where there
  was none) if link, title and date are those of exactly one remembered entry that the document
  shows no more, and it is plain that only one post has them: the HTML is the same too, or the
  link is not the feed's page and the date has a time of day. It is adopted.
* Entries alike in all of this, date included, are one.

Everything else is new. Author, categories and files are no part of this: a change of these
alone is not noticed. Pure functions.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import TypeVar

from heraldo_sync.model import ParsedEntry
from heraldo_sync.storable import storable_or_none
from heraldo_sync.traits import Traits, loosened, traits

KEY_BEGINNING = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A stored entry, as far as it matters for recognising it."""

    id: int
    key: bytes
    link: str | None
    title: str
    content: bytes
    published_at: datetime | None
    updated_at: datetime | None

    @property
    def traits(self) -> Traits:
        """What the entry is compared by."""
        return Traits(
            key=self.key,
            link=loosened(self.link),
            title=self.title,
            content=self.content,
            date=self.published_at or self.updated_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """An entry of the document. ``weak``: its key is no more than the feed's own page."""

    entry: ParsedEntry
    traits: Traits
    weak: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A remembered entry that shows something else now.

    ``said`` is whether title, link or HTML changed, and not only a date or the key.
    """

    id: int
    post: Post
    said: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a document's entries; ``new`` keeps the order they came in."""

    new: tuple[Post, ...] = ()
    edited: tuple[Edit, ...] = ()
    known: tuple[int, ...] = ()


def posts(entries: Iterable[ParsedEntry], *, home: str | None = None) -> tuple[Post, ...]:
    """Returns the entries with their traits, those alike in everything once.

    ``home`` is the page that the feed says it belongs to.
    """
    page = loosened(home)
    found: dict[Traits, Post] = {}
    for entry in entries:
        shown = traits(entry)
        weak = not entry.guid and bool(page) and shown.link == page
        found.setdefault(shown, Post(entry=entry, traits=shown, weak=weak))
    return tuple(found.values())


def reconcile(
    remembered: Collection[Remembered],
    shown: Sequence[Post],
    *,
    elsewhere: frozenset[bytes] = frozenset(),
    home: str | None = None,
) -> Verdict:
    """Decides what each entry shown is; the module says by which rules.

    ``remembered`` holds at least all entries of the feed that have the key or the likeness of
    one shown. ``elsewhere`` are the beginnings of the keys (`KEY_BEGINNING` bytes) of what the
    document shows besides, whose entries are remembered and unchanged.
    """
    old = {entry.id: (entry, entry.traits) for entry in remembered}
    pairs = _same_key(old, shown)
    left = [place for place in range(len(shown)) if place not in pairs]
    if left:
        visible = {post.traits.key[:KEY_BEGINNING] for post in shown} | elsewhere
        gone = {
            id_: entry
            for id_, (_, entry) in old.items()
            if entry.key[:KEY_BEGINNING] not in visible
        }
        pairs |= _adopted(gone, {place: shown[place] for place in left}, loosened(home))
    edits = [
        edit
        for place, id_ in sorted(pairs.items())
        if (edit := _edit(old[id_][0], shown[place])) is not None
    ]
    return Verdict(
        new=tuple(post for place, post in enumerate(shown) if place not in pairs),
        edited=tuple(edits),
        known=tuple(pairs.values()),
    )


_LEVELS: tuple[Callable[[Traits], Hashable], ...] = (
    lambda one: one.key,
    lambda one: (one.key, one.link),
    lambda one: (one.key, one.link, one.title, one.content),
    lambda one: (one.key, one.link, one.title, one.content, one.date),
)
# One thing may have changed where a key is shared, if the date tells the posts apart.
_ALL_BUT_ONE: tuple[Callable[[Traits], Hashable], ...] = (
    lambda one: _moment(one) and (one.key, one.title, one.content, one.date),
    lambda one: _moment(one) and (one.key, one.link, one.content, one.date),
    lambda one: _moment(one) and (one.key, one.link, one.title, one.date),
)
_WEAKEST_SURE = 2


def _same_key(old: dict[int, tuple[Remembered, Traits]], shown: Sequence[Post]) -> dict[int, int]:
    """Pairs of a place in the document and an id. A key leads to the next level if it is shared."""
    pairs: dict[int, int] = {}
    places = {place: post.traits for place, post in enumerate(shown)}
    ids = {id_: entry for id_, (_, entry) in old.items()}
    for level, by in enumerate(_LEVELS):
        found = _one_to_one(places, ids, by)
        sure = {
            place: id_
            for place, id_ in found.items()
            if level >= _WEAKEST_SURE or not shown[place].weak
        }
        _take(sure, pairs, places, ids)
    for by in _ALL_BUT_ONE:
        _take(_one_to_one(places, ids, by), pairs, places, ids)
    return pairs


def _adopted(gone: dict[int, Traits], left: dict[int, Post], home: str) -> dict[int, int]:
    places = {place: post.traits for place, post in left.items()}
    found = _one_to_one(places, gone, lambda one: one.date and (one.link, one.title, one.date))
    return {
        place: id_
        for place, id_ in found.items()
        if places[place].content == gone[id_].content
        or (places[place].link not in ("", home) and _moment(places[place]))
    }


K = TypeVar("K")


def _one_to_one(
    places: dict[int, Traits], ids: dict[int, Traits], by: Callable[[Traits], Hashable]
) -> dict[int, int]:
    """Pairs those that are alone on both sides; what ``by`` has no value for pairs with none."""
    shown, old = _grouped(places, by), _grouped(ids, by)
    return {
        group[0]: old[value][0]
        for value, group in shown.items()
        if len(group) == 1 and len(old.get(value, ())) == 1
    }


def _grouped(
    found: dict[int, Traits], by: Callable[[Traits], Hashable]
) -> dict[Hashable, list[int]]:
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    for number, one in found.items():
        if value := by(one):
            groups[value].append(number)
    return groups


def _take(
    found: dict[int, int], pairs: dict[int, int], places: dict[int, Traits], ids: dict[int, Traits]
) -> None:
    for place, id_ in found.items():
        pairs[place] = id_
        del places[place], ids[id_]


def _moment(one: Traits) -> bool:
    """Whether the date has a time of day: posts of one day may all have the same date."""
    return one.date is not None and one.date.astimezone(UTC).time() != time()


def _edit(old: Remembered, post: Post) -> Edit | None:
    entry = post.entry
    said = (
        old.title != post.traits.title
        or old.content != post.traits.content
        or old.link != storable_or_none(entry.link)
    )
    dates = (old.published_at, old.updated_at) != (entry.published_at, entry.updated_at)
    if said or dates or old.key != post.traits.key:
        return Edit(id=old.id, post=post, said=said)
    return None
