"""The moments at which due feeds are checked: pure functions of what is due."""

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from heraldo_sync.spreading import Due, Met, Moment, moments, own_moments, part

SECOND = timedelta(seconds=1)


def due(*feeds: tuple[int, str], busy: str = "", wait: timedelta = timedelta()) -> list[Due]:
    return [Due(feed_id=number, host=host, busy=host in busy, wait=wait) for number, host in feeds]


def ids(others: dict[str, list[Due]]) -> dict[str, list[int]]:
    return {host: [feed.feed_id for feed in feeds] for host, feeds in others.items()}


def test_hosts_with_few_due_feeds_go_at_once_and_those_with_many_do_not() -> None:
    feeds = due((1, "a"), (2, "b"), (3, "b"), (4, "c"), (5, "b"), (6, "c"), (7, "d"), busy="d")
    plain, others = part(feeds, Met(), together=2)
    assert [feed.feed_id for feed in plain] == [1, 4, 6]
    assert ids(others) == {"b": [2, 3, 5], "d": [7]}


def test_a_host_is_counted_from_batch_to_batch_but_a_feed_only_once() -> None:
    met = Met([(2, "a")])
    assert part(due((1, "a"), (2, "a")), met, together=2)[1] == {}
    assert part(due((2, "a"), (1, "a")), met, together=2)[1] == {}
    plain, others = part(due((3, "a"), (4, "b")), met, together=2)
    assert [feed.feed_id for feed in plain] == [4]
    assert ids(others) == {"a": [3]}


@given(
    st.lists(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()))),
    st.integers(1, 3),
)
def test_every_feed_is_in_one_part_and_few_of_a_host_go_at_once(
    batches: list[list[tuple[str, bool]]], together: int
) -> None:
    met, gone = Met(), Counter[str]()
    number = 0
    for batch in batches:
        feeds = []
        for host, busy in batch:
            number += 1
            feeds.append(Due(feed_id=number, host=host, busy=busy, wait=timedelta()))
        plain, others = part(feeds, met, together=together)
        gone.update(feed.host for feed in plain)
        parted = [*plain, *(feed for of_host in others.values() for feed in of_host)]
        assert sorted(feed.feed_id for feed in parted) == [feed.feed_id for feed in feeds]
        assert list(others) == sorted(others)
        assert not {feed.host for feed in plain} & others.keys()
    assert not gone or max(gone.values()) <= together


def test_moments_of_a_host_are_apart_and_those_of_hosts_are_mixed() -> None:
    feeds = {"a": due((1, "a"), (2, "a")), "b": due((3, "b"), (4, "b"))}
    assert moments(feeds, {"a": SECOND, "b": 2 * SECOND}, SECOND) == [
        Moment(feed_id=1, host="a", wait=SECOND),
        Moment(feed_id=2, host="a", wait=2 * SECOND),
        Moment(feed_id=3, host="b", wait=2 * SECOND),
        Moment(feed_id=4, host="b", wait=3 * SECOND),
    ]


def test_a_busy_host_is_not_asked_for_a_feed_before_it_is_due() -> None:
    feeds = [*due((1, "a"), (2, "a"), wait=9 * SECOND), *due((3, "a"), wait=8.5 * SECOND)]
    feeds += due((4, "a"), wait=20 * SECOND)
    given = moments({"a": feeds}, {"a": timedelta()}, SECOND)
    assert [(moment.feed_id, moment.wait / SECOND) for moment in given] == [
        (3, 8.5),
        (1, 9.5),
        (2, 10.5),
        (4, 20),
    ]


def test_a_feed_has_its_own_second_and_those_of_a_host_are_next_to_each_other() -> None:
    feeds = [*due((1, "b"), (2, "a"), wait=4.9 * SECOND), *due((3, "b"), wait=4.2 * SECOND)]
    feeds += [*due((4, "c")), *due((5, "a"), wait=3.99 * SECOND)]
    assert [(moment.feed_id, moment.wait / SECOND) for moment in own_moments(feeds)] == [
        (4, 0),
        (5, 3),
        (2, 4),
        (1, 4),
        (3, 4),
    ]
