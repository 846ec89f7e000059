import random
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from heraldo_sync.schedule import after_failure, after_success, by_silence

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

spans = st.timedeltas(timedelta(), timedelta(days=400))
maybe = st.none() | spans


def success(
    interval: timedelta, fresh_for: timedelta | None = None, ttl: timedelta | None = None
) -> timedelta:
    return after_success(interval, fresh_for=fresh_for, ttl=ttl, rng=random.Random(3))


def failure(count: int, retry_after: timedelta | None = None) -> timedelta:
    return after_failure(count, interval=MINUTE, retry_after=retry_after, rng=random.Random(3))


def test_a_feed_is_due_within_its_interval() -> None:
    assert 0.9 * MINUTE <= success(MINUTE) <= MINUTE


def test_promises_and_wishes_only_lengthen() -> None:
    assert HOUR <= success(MINUTE, fresh_for=HOUR) <= 1.1 * HOUR
    assert 0.5 * HOUR <= success(MINUTE, ttl=0.5 * HOUR) <= 0.55 * HOUR
    assert HOUR <= success(MINUTE, ttl=7 * DAY) <= 1.1 * HOUR
    assert success(MINUTE, fresh_for=timedelta(seconds=5), ttl=timedelta()) == success(MINUTE)
    assert success(MINUTE, fresh_for=9 * DAY) == DAY


def test_failures_back_off_to_a_day() -> None:
    assert MINUTE < failure(1) <= 1.5 * MINUTE
    delays = [failure(count) for count in range(1, 40)]
    assert delays == sorted(delays)
    assert 0.75 * DAY <= failure(40) <= DAY
    assert 0.75 * DAY <= failure(10**9) <= DAY


def test_failures_that_come_and_go_back_off_less() -> None:
    def wait(count: int, interval: timedelta, retry_after: timedelta | None = None) -> timedelta:
        rng = random.Random(3)
        return after_failure(
            count, interval=interval, retry_after=retry_after, rng=rng, longest=2 * HOUR
        )

    assert wait(3, MINUTE) == failure(3)
    assert 1.5 * HOUR <= wait(40, MINUTE) <= 2 * HOUR
    assert wait(40, MINUTE, 5 * HOUR) == 5 * HOUR
    assert 4 * HOUR <= wait(40, 4 * HOUR) <= 6 * HOUR
    assert 0.75 * DAY <= wait(40, 2 * DAY) <= DAY


def test_the_server_may_ask_for_more_patience_but_not_for_less() -> None:
    assert failure(1, retry_after=HOUR) == HOUR
    assert failure(1, retry_after=timedelta(seconds=1)) == failure(1)
    assert failure(1, retry_after=30 * DAY) == DAY


def test_feeds_that_fail_together_do_not_come_back_together() -> None:
    rng = random.Random(1)
    delays = {after_failure(3, interval=MINUTE, retry_after=None, rng=rng) for _ in range(100)}
    assert len(delays) > 90
    assert max(delays) - min(delays) > 0.15 * max(delays)


def asked(quiet: timedelta, *, interval: timedelta = MINUTE, longest: timedelta = DAY) -> timedelta:
    return by_silence(interval, quiet=quiet, longest=longest)


def test_a_silent_feed_is_asked_less_and_less_often() -> None:
    assert asked(timedelta()) == asked(4 * MINUTE) == MINUTE
    assert 4 * MINUTE < asked(HOUR) < 6 * MINUTE
    assert 30 * MINUTE < asked(DAY) < 40 * MINUTE
    assert 4 * HOUR < asked(30 * DAY) < 5 * HOUR
    assert asked(3 * 365 * DAY) == DAY


def test_the_operators_bounds_hold() -> None:
    assert asked(365 * DAY, longest=HOUR) == HOUR
    assert asked(365 * DAY, interval=2 * HOUR, longest=HOUR) == 2 * HOUR
    assert asked(30 * timedelta(seconds=1), interval=timedelta(seconds=2)) < timedelta(seconds=5)


@given(spans, spans, spans)
def test_more_silence_never_means_sooner(
    quiet: timedelta, more: timedelta, interval: timedelta
) -> None:
    sooner = asked(quiet, interval=interval)
    assert interval <= sooner <= asked(quiet + more, interval=interval) <= max(interval, DAY)


@given(spans, maybe, maybe, st.integers(), st.randoms(use_true_random=False))
def test_any_delay_is_between_nothing_and_a_day(
    interval: timedelta,
    wait: timedelta | None,
    ttl: timedelta | None,
    count: int,
    rng: random.Random,
) -> None:
    for delay in (
        after_success(interval, fresh_for=wait, ttl=ttl, rng=rng),
        after_failure(count, interval=interval, retry_after=wait, rng=rng),
    ):
        assert timedelta() <= delay <= DAY
        assert delay >= min(wait or timedelta(), DAY)
