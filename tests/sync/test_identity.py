import random
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from heraldo_sync.identity import identify, newest, oldest_first
from heraldo_sync.model import ParsedEntry

START = datetime(2024, 1, 1, tzinfo=UTC)

few = st.sampled_from
entries = st.builds(
    ParsedEntry,
    guid=few([None, "a", "b", "c", "ab"]),
    link=few([None, "https://x.example/a", "https://x.example/b", "a"]),
    title=few(["", "a", "b", "ab"]),
    html=few(["", "a", "b"]),
    published_at=st.none() | st.datetimes(timezones=st.just(UTC)),
)


def identities(*found: ParsedEntry) -> list[bytes]:
    return [item.identity for item in identify(found)]


def test_an_identity_is_a_hash_that_never_changes() -> None:
    """Stored identities outlive every version of this program, so these are written down."""
    found = identities(
        ParsedEntry(guid="tag:x,2024:1", link="https://x.example/1", title="One"),
        ParsedEntry(link="https://x.example/2", title="Two"),
        ParsedEntry(title="Three", html="<p>3</p>"),
    )
    assert [identity.hex() for identity in found] == [
        "05c735e0d1edbe8399fecbe695aae41b978854a15199493994f48e0cf4b96172",
        "0af755940e44b100bd1fffb4beaa146e6a1511da776c94b581e25bc574397cd8",
        "aa1ff1a6b7b01d9952f8882b71de04170210d3475e703db58bd549d050c59770",
    ]


def test_an_edit_is_no_new_post() -> None:
    entry = ParsedEntry(guid="1", link="https://x.example/1", title="Old", published_at=START)
    edited = ParsedEntry(
        guid="1",
        link="https://x.example/moved",
        title="New",
        html="more",
        published_at=START + timedelta(days=1),
    )
    assert identities(entry) == identities(edited)
    assert identities(ParsedEntry(link="l", title="Old")) == identities(
        ParsedEntry(link="l", title="New", html="x", published_at=START)
    )


def test_guid_link_and_content_do_not_pass_for_each_other() -> None:
    assert len({*identities(ParsedEntry(guid="x"), ParsedEntry(link="x"))}) == 2
    pair = [ParsedEntry(title="ab", html="c"), ParsedEntry(title="a", html="bc")]
    assert len({*identities(*pair)}) == 2


def test_repeated_guids_are_told_apart() -> None:
    same_guid = [
        ParsedEntry(guid="1", link="a", title="x"),
        ParsedEntry(guid="1", link="b", title="x"),
        ParsedEntry(guid="1", link="b", title="y"),
        ParsedEntry(guid="2", link="b", title="y"),
    ]
    found = identities(*same_guid)
    assert len({*found}) == 4
    # The one whose guid and link say enough may still be edited.
    edited = ParsedEntry(guid="1", link="a", title="edited")
    assert identities(edited, *same_guid[1:]) == found


def test_repeated_links_without_guids_are_told_apart() -> None:
    home = [ParsedEntry(link="home", title=title) for title in ("a", "b", "c")]
    assert len({*identities(*home)}) == 3


def test_the_same_entry_twice_is_one() -> None:
    entry = ParsedEntry(guid="1", title="x")
    assert len(identify([entry, entry, entry])) == 1


@given(st.lists(entries, max_size=12), st.randoms(use_true_random=False))
def test_identities_are_unique_and_do_not_depend_on_the_order(
    found: list[ParsedEntry], rng: random.Random
) -> None:
    identified = identify(found)
    assert len({item.identity for item in identified}) == len(identified)
    assert all(len(item.identity) == 32 for item in identified)
    shuffled = list(found)
    rng.shuffle(shuffled)
    assert {item.identity for item in identify(shuffled)} == {item.identity for item in identified}
    shown = {(entry.guid, entry.link, entry.title, entry.html) for entry in found if entry.guid}
    assert len([item for item in identified if item.entry.guid]) == len(shown)


@given(st.lists(entries, max_size=8, unique_by=lambda entry: entry.guid), st.text(max_size=5))
def test_titles_and_dates_may_change_where_guids_are_unique(
    found: list[ParsedEntry], title: str
) -> None:
    with_guid = [entry for entry in found if entry.guid]
    edited = [
        ParsedEntry(guid=entry.guid, link=entry.link, title=title, published_at=START)
        for entry in with_guid
    ]
    assert identities(*with_guid) == identities(*edited)


def dated(*days: int | None) -> list[ParsedEntry]:
    return [
        ParsedEntry(
            guid=str(place),
            published_at=None if day is None else START + timedelta(days=day),
        )
        for place, day in enumerate(days)
    ]


def order(found: list[ParsedEntry]) -> list[str | None]:
    return [entry.guid for entry in oldest_first(found)]


def test_oldest_first_by_date() -> None:
    assert order(dated(1, 3, 2)) == ["0", "2", "1"]


def test_entries_of_one_moment_are_read_from_the_end() -> None:
    assert order(dated(5, 5, 5)) == ["2", "1", "0"]
    assert order(dated(5, 5, 3, 3)) == ["3", "2", "1", "0"]


def test_a_document_whose_dates_ascend_is_read_from_its_start() -> None:
    assert order(dated(1, 1, 2, 2)) == ["0", "1", "2", "3"]
    assert order(dated(1, None, 2)) == ["0", "1", "2"]


def test_without_dates_the_document_decides() -> None:
    assert order(dated(None, None, None)) == ["2", "1", "0"]
    assert order(dated(9, None, 1)) == ["2", "1", "0"]


def test_an_update_does_not_move_an_old_post() -> None:
    old = ParsedEntry(guid="old", published_at=START, updated_at=START + timedelta(days=9))
    new = ParsedEntry(guid="new", published_at=START + timedelta(days=1))
    only_updated = ParsedEntry(guid="atom", updated_at=START + timedelta(hours=1))
    assert order([new, old, only_updated]) == ["old", "atom", "new"]


def test_the_newest() -> None:
    assert newest([]) is None
    assert newest(dated(1, 3, 2)) == dated(1, 3, 2)[1]
    assert newest(dated(None, None)) == dated(None, None)[0]


@given(st.lists(entries, max_size=10))
def test_no_entry_is_lost_by_ordering(found: list[ParsedEntry]) -> None:
    ordered = oldest_first(found)
    assert sorted(map(repr, ordered)) == sorted(map(repr, found))
    dates = [entry.published_at for entry in ordered]
    known = [date for date in dates if date is not None]
    assert len(known) < len(dates) or known == sorted(known)
    assert newest(found) == (ordered[-1] if ordered else None)
