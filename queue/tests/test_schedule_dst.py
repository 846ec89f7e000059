"""Cron expressions through both switches of the clocks, against a plain reading of the rule."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from colmillo.crontab import Crontab

MINUTE = timedelta(minutes=1)

# Zone, the day before the clocks go forward, the day before they go back. In Santiago midnight
# itself is skipped, Lord Howe's clocks move by half an hour, Troll's by two hours.
SWITCHES = [
    ("Europe/Madrid", "2024-03-30", "2024-10-26"),
    ("America/New_York", "2024-03-09", "2024-11-02"),
    ("America/Santiago", "2024-09-07", "2024-04-06"),
    ("Australia/Sydney", "2024-10-05", "2024-04-06"),
    ("Australia/Lord_Howe", "2024-10-05", "2024-04-06"),
    ("Antarctica/Troll", "2024-03-30", "2024-10-26"),
]

EXPRESSIONS = [
    "* * * * *",
    "*/7 * * * *",
    "30 * * * *",
    "0 */2 * * *",
    "*/10 1-3 * * *",
    "30 2 * * *",
    "30 1 * * *",
    "0 0 * * *",
    "15,45 1,2,3 * * *",
    "0 0 * * sun",
    "* * * * sun",
]


def start_of(day: str, zone: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def fires(expression: str, zone: str, day: str, hours: int = 72) -> list[datetime]:
    """All fire times from the start of the day on."""
    crontab, here = Crontab(expression, zone), start_of(day, zone) - timedelta(seconds=1)
    end = here + timedelta(hours=hours)
    found: list[datetime] = []
    while (here := crontab.next(here)) < end:
        found.append(here)
    return found


def shown(expression: str, zone: str, day: str, hours: int = 72) -> list[str]:
    """The same as the zone's clocks show them, with the offset."""
    instants = fires(expression, zone, day, hours)
    return [f"{at.astimezone(ZoneInfo(zone)):%d %H:%M %z}" for at in instants]


def expected(expression: str, zone: str, day: str, hours: int = 72) -> list[datetime]:
    """The rule read minute by minute: what the zone's clocks show, and what they skipped."""
    minute, hour, _, _, weekday = expression.split()
    elapsed = minute.startswith("*") or hour.startswith("*")
    minutes, clock_hours = members(minute, 60), members(hour, 24)
    found: list[datetime] = []
    seen: set[datetime] = set()
    start = start_of(day, zone)
    before = local(start - MINUTE, zone)
    for n in range(hours * 60):
        instant = start + n * MINUTE
        now = local(instant, zone)
        skipped = [before + k * MINUTE for k in range(1, int((now - before) / MINUTE))]
        names = [now] if elapsed else [*skipped, now]
        matching = {
            name
            for name in names
            if name.minute in minutes
            and name.hour in clock_hours
            and (weekday == "*" or name.weekday() == 6)
        }
        if matching if elapsed else matching - seen:
            found.append(instant)
        seen |= matching
        before = now
    return found


def local(instant: datetime, zone: str) -> datetime:
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def members(field: str, size: int) -> set[int]:
    span, _, step = field.partition("/")
    if span == "*":
        return set(range(0, size, int(step or 1)))
    if "-" in span:
        first, last = span.split("-")
        return set(range(int(first), int(last) + 1))
    return {int(part) for part in span.split(",")}


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize(("zone", "forward", "back"), SWITCHES, ids=[s[0] for s in SWITCHES])
def test_three_days_around_each_switch(zone: str, forward: str, back: str, expression: str) -> None:
    for day in (forward, back):
        assert fires(expression, zone, day) == expected(expression, zone, day), day


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize(("zone", "forward", "back"), SWITCHES, ids=[s[0] for s in SWITCHES])
def test_the_latest_is_always_the_one_before_the_next(
    zone: str, forward: str, back: str, expression: str
) -> None:
    crontab = Crontab(expression, zone)
    for day in (forward, back):
        for this, following in pairwise(fires(expression, zone, day, 30)):
            for instant in (this, this + (following - this) / 2, following - MINUTE / 60):
                assert crontab.latest(instant) == this, instant
                assert crontab.next(instant) == following, instant


@pytest.mark.parametrize(
    ("zone", "day", "times"),
    [
        ("Europe/Madrid", "2024-03-30", ["30 02:30 +0100", "31 03:00 +0200", "01 02:30 +0200"]),
        ("America/New_York", "2024-03-09", ["09 02:30 -0500", "10 03:00 -0400", "11 02:30 -0400"]),
        ("Australia/Sydney", "2024-10-05", ["05 02:30 +1000", "06 03:00 +1100", "07 02:30 +1100"]),
    ],
)
def test_a_fixed_time_that_is_skipped_fires_at_the_switch(
    zone: str, day: str, times: list[str]
) -> None:
    assert shown("30 2 * * *", zone, day) == times


@pytest.mark.parametrize(
    ("expression", "zone", "day", "times"),
    [
        ("30 2 * * *", "Europe/Madrid", "2024-10-27", ["27 02:30 +0200", "28 02:30 +0100"]),
        ("30 1 * * *", "America/New_York", "2024-11-03", ["03 01:30 -0400", "04 01:30 -0500"]),
        ("30 2 * * *", "Australia/Sydney", "2024-04-07", ["07 02:30 +1100", "08 02:30 +1000"]),
    ],
)
def test_a_fixed_time_that_is_repeated_fires_the_first_time(
    expression: str, zone: str, day: str, times: list[str]
) -> None:
    assert shown(expression, zone, day, 48) == times


def test_midnight_that_is_skipped_still_begins_the_day() -> None:
    assert shown("0 0 * * *", "America/Santiago", "2024-09-07", 71) == [
        "07 00:00 -0400",
        "08 01:00 -0300",
        "09 00:00 -0300",
    ]


@pytest.mark.parametrize(("zone", "forward", "back"), SWITCHES[:4])
def test_every_minute_and_every_hour_keep_their_rhythm(zone: str, forward: str, back: str) -> None:
    for day in (forward, back):
        for expression, step in (("* * * * *", MINUTE), ("30 * * * *", 60 * MINUTE)):
            gaps = {b - a for a, b in pairwise(fires(expression, zone, day))}
            assert gaps == {step}, (day, expression)


@pytest.mark.parametrize("minutes", range(0, 60, 10))
def test_within_the_repeated_hour_the_next_fire_time_lies_ahead(minutes: int) -> None:
    """Where local time alone would name 02:30 again, which is over."""
    crontab = Crontab("30 2 * * *", "Europe/Madrid")
    second_pass = datetime(2024, 10, 27, 1, minutes, tzinfo=UTC)
    assert crontab.next(second_pass) == datetime(2024, 10, 28, 1, 30, tzinfo=UTC)
    assert crontab.latest(second_pass) == datetime(2024, 10, 27, 0, 30, tzinfo=UTC)


def test_a_date_that_comes_every_fourth_year() -> None:
    crontab = Crontab("0 12 29 2 *", "Europe/Madrid")
    assert crontab.next(datetime(2024, 3, 1, tzinfo=UTC)) == datetime(2028, 2, 29, 11, tzinfo=UTC)
    assert crontab.latest(datetime(2027, 3, 1, tzinfo=UTC)) == datetime(2024, 2, 29, 11, tzinfo=UTC)
