"""Feeds that do not want to be asked at certain hours or on certain days."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from town import Town

from heraldo_sync.skip_times import SkipTimes, skip_times, when_awake
from heraldo_sync.xml_feed import parse_xml_feed

# A Friday.
NOON = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def asked(
    skip: SkipTimes | None, delay: timedelta = MINUTE, *, longest: timedelta = 9 * DAY
) -> timedelta:
    return when_awake(delay, skip, now=NOON, longest=longest, rng=random.Random(1))


def hours(*hours: int) -> SkipTimes:
    return SkipTimes(hours=frozenset(hours))


def days(*days: int) -> SkipTimes:
    return SkipTimes(days=frozenset(days))


def test_an_hour_and_a_day_of_rest_are_waited_for() -> None:
    assert asked(None) == asked(hours(11, 13)) == asked(days(3, 5)) == MINUTE
    assert 30 * MINUTE <= asked(hours(12)) <= 35 * MINUTE
    assert 150 * MINUTE <= asked(hours(12, 13, 14)) <= 155 * MINUTE
    assert 11.5 * HOUR <= asked(days(4)) <= 11.6 * HOUR
    assert 2 * DAY + 11.5 * HOUR <= asked(days(4, 5, 6)) <= 2 * DAY + 11.6 * HOUR
    both = SkipTimes(hours=frozenset(range(9)), days=frozenset({4}))
    assert 20.5 * HOUR <= asked(both) <= 20.6 * HOUR


def test_what_counts_is_when_the_check_would_be() -> None:
    assert asked(hours(12), HOUR) == HOUR
    assert 1.5 * HOUR <= asked(hours(13), HOUR) <= 1.6 * HOUR


def test_the_operators_bound_wins() -> None:
    assert asked(days(4), longest=HOUR) == HOUR
    assert asked(days(4), 2 * HOUR, longest=HOUR) == 2 * HOUR


def test_who_never_wakes_is_asked_as_usual() -> None:
    assert asked(SkipTimes(hours=frozenset(range(24)))) == MINUTE


def test_feeds_that_wake_together_are_spread() -> None:
    rng = random.Random(1)
    waits = {when_awake(MINUTE, hours(12), now=NOON, longest=DAY, rng=rng) for _ in range(100)}
    assert len(waits) > 90


@given(
    st.frozensets(st.integers(0, 23), max_size=23),
    st.frozensets(st.integers(0, 6), max_size=6),
    st.timedeltas(timedelta(), DAY),
    st.datetimes(timezones=st.just(UTC), max_value=NOON.replace(year=9990, tzinfo=None)),
)
def test_the_feed_is_left_alone_and_asked_in_a_week_at_the_latest(
    hours: frozenset[int], days: frozenset[int], delay: timedelta, now: datetime
) -> None:
    skip = SkipTimes(hours=hours, days=days)
    assert SkipTimes.from_bits(skip.bits) == skip
    assert 0 <= skip.bits < 2**31
    wait = when_awake(delay, skip, now=now, longest=9 * DAY, rng=random.Random(1))
    assert delay <= wait <= delay + 7 * DAY + HOUR
    assert not skip.covers(now + wait)


@pytest.mark.parametrize(
    ("values", "skip"),
    [
        ([], None),
        (["0", " 7\n", "24", "24"], SkipTimes(hours=frozenset({0, 7}))),
        (["Saturday", "SUNDAY"], SkipTimes(days=frozenset({5, 6}))),
        (["25", "-1", "noon", "", "1.5", "٣", "999999999999"], None),
        ([str(hour) for hour in range(24)], None),
        ([str(hour) for hour in range(1, 25)], None),
        (["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"], None),
    ],
)
def test_what_a_feed_may_say(values: list[str], skip: SkipTimes | None) -> None:
    assert skip_times(values) == skip


def document(inside: str, item: str = "") -> bytes:
    text = (
        f"<rss version='2.0'><channel><title>t</title>{inside}"
        f"<item><guid>1</guid><title>One</title>{item}</item></channel></rss>"
    )
    return text.encode()


REST = (
    "<skipHours><hour>0</hour><hour> 1 </hour></skipHours>"
    "<skipDays><day>Sunday</day></skipDays><hour>5</hour>"
)


def test_it_is_read_from_a_feed() -> None:
    feed = parse_xml_feed(document(REST), "https://e.org/", None)
    assert feed is not None
    assert feed.skip == SkipTimes(hours=frozenset({0, 1}), days=frozenset({6}))
    assert feed.separable


def test_an_item_has_no_say() -> None:
    feed = parse_xml_feed(document("", REST), "https://e.org/", None)
    assert feed is not None
    assert feed.skip is None


def test_thousands_of_hours_do_no_harm() -> None:
    many = "<skipHours>" + "<hour>3</hour>" * 5000 + "<hour>4</hour></skipHours>"
    feed = parse_xml_feed(document(many), "https://e.org/", None)
    assert feed is not None
    assert feed.skip == hours(3)


async def test_a_check_leaves_the_feed_alone_also_while_it_is_unchanged(town: Town) -> None:
    """Awake in one hour alone, half a day from now."""
    now = await town.pool.fetchval("SELECT now()")
    awake = (now + 12 * HOUR).astimezone(UTC).hour
    rest = "".join(f"<hour>{hour}</hour>" for hour in range(24) if hour != awake)

    def feed(_name: str, numbers: list[int]) -> tuple[bytes, str]:
        items = "".join(f"<item><guid>{n}</guid><title>{n}</title></item>" for n in numbers)
        head = f"<title>t</title><skipHours>{rest}</skipHours>"
        return f"<rss version='2.0'><channel>{head}{items}</channel></rss>".encode(), "text/xml"

    ana = await town.chat(1)
    feed_id = await town.follow(ana, town.feeds.add("blog", document=feed))
    assert 10 * HOUR < await town.next_check(feed_id) < 13 * HOUR
    for _ in range(2):
        assert await town.check(feed_id) == 0
        assert 10 * HOUR < await town.next_check(feed_id) < 13 * HOUR
    town.feeds.publish("blog")
    assert await town.check(feed_id) == 1
    assert 10 * HOUR < await town.next_check(feed_id) < 13 * HOUR
