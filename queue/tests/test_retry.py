"""Backoff is pure, bounded and draws its jitter from the source it is given."""

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colmillo import Backoff

S = timedelta(seconds=1)


def delays(backoff: Backoff, attempts: int = 5) -> list[float]:
    rng = Random(1)
    return [backoff.delay(attempt, rng) / S for attempt in range(1, attempts + 1)]


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        (Backoff.constant(3 * S), [3, 3, 3, 3, 3]),
        (Backoff.linear(2 * S, cap=7 * S, jitter=False), [2, 4, 6, 7, 7]),
        (Backoff.exponential(first=S, cap=10 * S, jitter=False), [1, 2, 4, 8, 10]),
        (Backoff.exponential(first=S, factor=3, cap=10 * S, jitter=False), [1, 3, 9, 10, 10]),
        (Backoff.custom(lambda attempt: (attempt - 3) * S, cap=S), [0, 0, 0, 1, 1]),
    ],
)
def test_without_jitter(backoff: Backoff, expected: list[float]) -> None:
    assert delays(backoff) == expected


def test_full_jitter_comes_from_the_given_source() -> None:
    backoff = Backoff.exponential(first=S, cap=10 * S)
    rng = Random(1)
    assert delays(backoff, 3) == pytest.approx(
        [1 * rng.random(), 2 * rng.random(), 4 * rng.random()], abs=1e-5
    )


@given(
    st.integers(min_value=-5, max_value=2**40),
    st.timedeltas(timedelta(0), timedelta(days=10**6)),
    st.timedeltas(timedelta(0), timedelta(days=10**6)),
    st.floats(min_value=1, max_value=1e300),
)
def test_no_attempt_overflows_or_leaves_the_bounds(
    attempt: int, first: timedelta, cap: timedelta, factor: float
) -> None:
    for backoff in (
        Backoff.linear(first, cap=cap),
        Backoff.exponential(first=first, cap=cap, factor=factor),
    ):
        assert timedelta(0) <= backoff.delay(attempt, Random(0)) <= cap
