"""What the scheduler enqueues, and how often."""

from datetime import timedelta

import pytest

from heraldo.processes import schedules

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("interval", "tick", "tidy"), [(1, 1, 1), (20, 5, 20), (60, 15, 60), (3600, 15, 60)]
)
def test_the_tick_is_frequent_and_the_tidying_is_not(interval: int, tick: int, tidy: int) -> None:
    found = {one.name: one for one in schedules(interval * SECOND, hubs=True)}
    assert found["tick"].interval == tick * SECOND
    assert found["tidy"].interval == tidy * SECOND
    assert found["hubs"].interval == interval * SECOND
    assert {"tick", "tidy", "hubs"} == {one.task.name for one in found.values()} - {"keep_house"}
    # One that nobody saw is not made up for by more than one run, and runs do not pile up.
    assert all(one.missed == "last" and one.task.unique_hash for one in found.values())


def test_hubs_are_only_asked_if_they_can_reach_us() -> None:
    assert "hubs" not in {one.name for one in schedules(60 * SECOND, hubs=False)}
