from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from heraldo_sync.model import ParsedEntry
from heraldo_sync.order import newest, oldest_first

START = datetime(2024, 1, 1, tzinfo=UTC)

entries = st.builds(
    ParsedEntry,
    guid=st.sampled_from([None, "a", "b"]),
    title=st.sampled_from(["", "a", "b"]),
    published_at=st.none() | st.datetimes(timezones=st.just(UTC)),
)


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
