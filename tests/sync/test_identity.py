"""An old post is never new and a new one is never lost; which edits are edits."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from publisher import HOME, KINDS, Publisher

from heraldo_sync.identity import KEY_BEGINNING, Remembered, Verdict, posts, reconcile
from heraldo_sync.model import ParsedEntry
from heraldo_sync.traits import key_of, loosened

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Memory:
    """What the database does, without one; ``new`` are the entries of the last document."""

    def __init__(self, *first: ParsedEntry) -> None:
        self.rows: dict[int, Remembered] = {}
        self.new: list[ParsedEntry] = []
        self.see(first)

    def see(
        self, shown: Sequence[ParsedEntry], elsewhere: frozenset[bytes] = frozenset()
    ) -> Verdict:
        found = posts(shown, home=HOME)
        verdict = reconcile(list(self.rows.values()), found, elsewhere=elsewhere, home=HOME)
        changed = [(edit.id, edit.post) for edit in verdict.edited]
        fresh = [(len(self.rows) + place, post) for place, post in enumerate(verdict.new)]
        for id_, post in changed + fresh:
            self.rows[id_] = Remembered(
                id=id_,
                key=post.traits.key,
                link=post.entry.link,
                title=post.entry.title,
                content=post.traits.content,
                published_at=post.entry.published_at,
                updated_at=post.entry.updated_at,
            )
        self.new = [post.entry for post in verdict.new]
        return verdict


def test_keys_never_change() -> None:
    """Stored keys outlive every version of this program, so these are written down."""
    found = [
        ParsedEntry(guid="tag:x,2024:1", link="https://x.example/1", title="One"),
        ParsedEntry(link="https://x.example/2", title="Two"),
        ParsedEntry(title="Three", html="<p>3</p>"),
    ]
    assert [key_of(entry).hex() for entry in found] == [
        "05c735e0d1edbe8399fecbe695aae41b978854a15199493994f48e0cf4b96172",
        "1fd4c0525ae316db2fc505721cbb21cd82508f1c588941cbd8f9122dcf6dd7e5",
        "aa1ff1a6b7b01d9952f8882b71de04170210d3475e703db58bd549d050c59770",
    ]


def test_a_loose_link_says_where_it_leads() -> None:
    for link in (
        "http://x.example/a?b=1",
        "https://www.X.example/a/?b=1",
        "https://x.example/a?utm_source=rss&b=1&fbclid=z",
    ):
        assert loosened(link) == "x.example/a?b=1"
    different = ["", "https://x.example/a?b=2", "https://x.example/A", "https://x.example/a#1"]
    assert len({loosened(link) for link in different}) == 4
    assert loosened("https://www.example") == "www.example"
    assert loosened(None) == ""


FULL = ParsedEntry(guid="1", link="https://x.example/1", title="T", html="H", published_at=NOON)


@pytest.mark.parametrize(
    "edit",
    [
        {"title": "U"},
        {"html": "I"},
        {"link": "https://x.example/2"},
        {"published_at": None},
        {"updated_at": NOON + DAY},
        {"title": "", "html": "", "link": None, "published_at": NOON + DAY},
    ],
)
def test_an_edit_is_no_new_post(edit: dict[str, Any]) -> None:
    memory = Memory(FULL)
    verdict = memory.see([replace(FULL, **edit)])
    assert not verdict.new
    assert [change.said for change in verdict.edited] == [
        bool({"title", "html", "link"} & set(edit))
    ]
    assert memory.see([replace(FULL, **edit)]) == Verdict(known=(0,))


def test_without_a_guid_the_link_is_the_key() -> None:
    memory = Memory(replace(FULL, guid=None))
    memory.see([replace(FULL, guid=None, title="U", html="I", published_at=NOON + DAY)])
    assert not memory.new


def test_the_feeds_own_page_is_no_key() -> None:
    """A feed that shows its latest report only, and links every one to itself."""
    report = ParsedEntry(link=HOME, title="Monday", html="m", published_at=NOON)
    memory = Memory(report)
    memory.see([replace(report, title="Tuesday", html="t", published_at=NOON + DAY)])
    assert len(memory.new) == 1
    memory.see([report])
    assert not memory.new


DAILY = ParsedEntry(link="https://x.example/report", title="Daily report")


def test_reports_that_differ_by_their_dates_alone_are_all_new() -> None:
    days = [replace(DAILY, published_at=NOON + number * DAY) for number in range(9)]
    memory = Memory(*days[:2])
    memory.see(days[2:4])
    assert memory.new == days[2:4]
    for number in range(4, 9):
        memory.see(days[number : number + 1])
        assert memory.new == days[number : number + 1]
    memory.see(days)
    assert not memory.new


def test_an_old_post_keeps_its_identity_when_its_guid_starts_and_stops_being_repeated() -> None:
    memory = Memory(FULL)
    other = replace(FULL, title="Other", html="O", published_at=NOON + DAY)
    memory.see([replace(FULL, title="edited meanwhile"), other])
    assert memory.new == [other]
    memory.see([replace(FULL, title="edited meanwhile", html="again")])
    assert not memory.new
    memory.see([other])
    assert not memory.new


@pytest.mark.parametrize(
    "change",
    [
        {"guid": "2"},
        {"guid": None},
        {"guid": "2", "html": "another date in the footer"},
        {"guid": "https://x.example/1", "link": "http://www.x.example/1/"},
    ],
)
def test_a_post_with_another_id_is_adopted(change: dict[str, Any]) -> None:
    memory = Memory(FULL)
    for _ in range(2):
        memory.see([replace(FULL, **change)])
        assert not memory.new
    assert len(memory.rows) == 1


@pytest.mark.parametrize(
    ("before", "change"),
    [
        (replace(FULL, published_at=None), {"guid": "2"}),
        (FULL, {"guid": "2", "title": "U"}),
        (FULL, {"guid": "2", "published_at": NOON + DAY}),
        (FULL, {"guid": "2", "link": "https://x.example/2"}),
        (replace(FULL, link=HOME), {"guid": "2", "html": "other"}),
        (replace(FULL, published_at=NOON.replace(hour=0)), {"guid": "2", "html": "other"}),
    ],
)
def test_what_could_be_another_post_is_not_adopted(
    before: ParsedEntry, change: dict[str, Any]
) -> None:
    memory = Memory(before)
    memory.see([replace(before, **change)])
    assert len(memory.new) == 1


def test_a_post_that_is_still_shown_is_not_adopted() -> None:
    memory = Memory(FULL)
    twin = replace(FULL, guid="2")
    memory.see([FULL, twin])
    assert memory.new == [twin]
    memory = Memory(FULL)
    memory.see([twin], elsewhere=frozenset({key_of(FULL)[:KEY_BEGINNING]}))
    assert memory.new == [twin]


def test_the_same_entry_twice_is_one() -> None:
    assert len(Memory(FULL, FULL, FULL).rows) == 1


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False), st.sets(st.sampled_from(KINDS), min_size=1))
def test_whatever_a_publisher_does_each_post_is_new_once(
    rng: random.Random, kinds: set[str]
) -> None:
    publisher = Publisher(rng, tuple(sorted(kinds)))
    memory = Memory()
    for _ in range(rng.randint(1, 25)):
        before = len(publisher.posts)
        rng.choice([publisher.edit, publisher.rearrange])()
        for _ in range(rng.choice([0, 0, 1, 1, 2, 5])):
            publisher.publish()
        fresh = range(before, len(publisher.posts))
        shown = publisher.document()
        memory.see(shown)
        expected = [publisher.posts[number] for number in fresh]
        assert sorted(map(repr, memory.new)) == sorted(map(repr, expected))
