"""When feeds are checked if a tick looks for them every few seconds: pure functions, no clock."""

import random
from collections import defaultdict
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldo_sync.hosts import MEMORY, TOGETHER
from heraldo_sync.schedule import after_success, between_ticks, look_ahead
from heraldo_sync.spreading import BEAT, Due, Met, Moment, moments, own_moments, part

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
NOTHING = timedelta()


@pytest.mark.parametrize(
    ("interval", "every"), [(1, 1), (4, 1), (20, 5), (60, 15), (3600, 15), (86400, 15)]
)
def test_a_tick_comes_four_times_an_interval_and_four_times_a_minute(
    interval: int, every: int
) -> None:
    assert between_ticks(interval * SECOND) == every * SECOND


@given(st.timedeltas(4 * SECOND, timedelta(days=1)), st.floats(0, 1), st.integers(0, 99))
def test_a_feed_is_found_in_time_though_the_last_tick_before_is_lost(
    interval: timedelta, moment: float, seed: int
) -> None:
    """Wherever between two ticks it was checked, and however soon it is due again."""
    every = between_ticks(interval)
    checked = moment * every
    due = checked + after_success(interval, fresh_for=None, ttl=None, rng=random.Random(seed))
    ticks = [number * every for number in range(1, due // every + 2)]
    del ticks[due // every - 1]
    found = next(tick for tick in ticks if checked <= tick and due <= tick + look_ahead(interval))
    assert found <= due


@given(st.integers(0, 2**32), st.floats(0, 1.5))
def test_the_time_between_two_checks_of_a_lively_feed(seed: int, answering: float) -> None:
    """A feed that answers within 1.5 s is asked again within its interval and 2 s, and not much
    sooner than the interval."""
    rng = random.Random(seed)
    every, tick, due, asked = between_ticks(MINUTE), NOTHING, NOTHING, list[timedelta]()
    while len(asked) < 200:
        tick += every
        if due > tick + look_ahead(MINUTE):
            continue
        [moment] = own_moments(
            [Due(feed_id=1, host="a", busy=False, wait=max(due - tick, NOTHING))]
        )
        asked.append(tick + moment.wait)
        wait = after_success(MINUTE, fresh_for=None, ttl=None, rng=rng)
        due = asked[-1] + answering * SECOND + wait
    gaps = [later - sooner for sooner, later in pairwise(asked)]
    assert max(gaps) <= MINUTE + 2 * SECOND
    assert min(gaps) >= 0.95 * MINUTE - BEAT
    assert 57 * SECOND <= (asked[-1] - asked[0]) / len(gaps) <= 61 * SECOND


class Scheduler:
    """What a tick does with the feeds of some hosts, without a database."""

    def __init__(self, between: timedelta) -> None:
        self._between = between
        self._met: list[tuple[timedelta, list[Moment]]] = []
        self._free: dict[str, timedelta] = {}
        self.own: dict[str, list[tuple[timedelta, int]]] = defaultdict(list)
        self.paced: dict[str, list[timedelta]] = defaultdict(list)

    def tick(self, now: timedelta, feeds: list[tuple[int, str, timedelta]]) -> None:
        """``feeds`` are ids, hosts, and when they are due."""
        due = [
            Due(feed_id=number, host=host, busy=host in self._free, wait=max(at - now, NOTHING))
            for number, host, at in feeds
        ]
        met = Met(
            (one.feed_id, one.host) for until, given in self._met if until >= now for one in given
        )
        plain, busy = part(due, met, together=TOGETHER)
        own = own_moments(plain)
        if own:
            self._met.append((now + max(one.wait for one in own) + MEMORY, own))
        for one in own:
            self.own[one.host].append((now + one.wait, one.feed_id))
        first = {host: max(self._free.get(host, now) - now, NOTHING) for host in busy}
        for one in moments(busy, first, self._between):
            self._free[one.host] = now + one.wait + self._between
            self.paced[one.host].append(now + one.wait)


seconds = st.integers(0, 240).map(lambda number: number * SECOND / 2)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from("ab"), seconds), max_size=60),
    st.integers(1, 50).map(lambda tenths: tenths * SECOND / 10),
)
def test_no_minute_has_more_than_two_feeds_of_a_host_that_are_not_paced(
    feeds: list[tuple[int, str, timedelta]], between: timedelta
) -> None:
    """However its feeds are spread over the ticks; the ids of a host are its own."""
    scheduler = Scheduler(between)
    left = sorted(((ord(host) * 10 + n, host, at) for n, host, at in feeds), key=lambda f: f[2])
    now, every = NOTHING, between_ticks(MINUTE)
    while left:
        found = [feed for feed in left if feed[2] <= now + look_ahead(MINUTE)]
        left = left[len(found) :]
        scheduler.tick(now, found)
        now += every
    for own in scheduler.own.values():
        for begin, _ in own:
            different = {number for at, number in own if begin <= at < begin + MINUTE}
            assert len(different) <= TOGETHER
    for paced in scheduler.paced.values():
        assert all(b - a >= between for a, b in pairwise(paced))
