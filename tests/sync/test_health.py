from dataclasses import replace
from datetime import timedelta

import pytest

from heraldo_sync.health import Ailing, Moving, Rules, Step, after_failed_check, has_left, has_moved

HOUR = timedelta(hours=1)
RULES = Rules()


def ailing(
    failures: int,
    failing_for: timedelta,
    gone_for: timedelta | None = None,
    *,
    told: bool = False,
    ended: bool = False,
    doubtful: bool = False,
) -> Ailing:
    return Ailing(
        failures=failures,
        failing_for=failing_for,
        gone_for=gone_for,
        told=told,
        ended=ended,
        doubtful=doubtful,
    )


@pytest.mark.parametrize(
    ("feed", "step"),
    [
        (ailing(1, timedelta()), Step.NOTHING),
        (ailing(400, 23 * HOUR), Step.NOTHING),
        (ailing(4, 240 * HOUR), Step.NOTHING),
        (ailing(5, 24 * HOUR), Step.TELL),
        (ailing(5, 24 * HOUR, told=True), Step.NOTHING),
        (ailing(400, 71 * HOUR, doubtful=True), Step.NOTHING),
        (ailing(5, 72 * HOUR, doubtful=True), Step.TELL),
        (ailing(1, timedelta(), timedelta()), Step.NOTHING),
        (ailing(90, 5 * HOUR, 5 * HOUR), Step.NOTHING),
        (ailing(2, 6 * HOUR, 6 * HOUR), Step.END),
        (ailing(9, 99 * HOUR, 6 * HOUR, told=True), Step.END),
        (ailing(9, 99 * HOUR, 99 * HOUR, told=True, ended=True), Step.NOTHING),
        (ailing(9, 99 * HOUR, ended=True), Step.NOTHING),
    ],
)
def test_what_a_failed_check_leads_to(feed: Ailing, step: Step) -> None:
    assert after_failed_check(feed, RULES) is step


@pytest.mark.parametrize(
    ("url", "target", "seen", "hours", "moved"),
    [
        ("http://a.test/f", "https://b.test/f", 3, 6, True),
        ("http://a.test/f", "https://b.test/f", 2, 60, False),
        ("http://a.test/f", "https://b.test/f", 300, 5, False),
        ("https://a.test/f", "http://a.test/g", 9, 99, False),
        ("https://a.test/f", "nonsense://x", 9, 99, False),
    ],
)
def test_when_a_new_address_is_kept(
    url: str, target: str, seen: int, hours: int, moved: bool
) -> None:
    moving = Moving(url=url, target=target, seen=seen, lasting=hours * HOUR)
    assert has_moved(moving, RULES) is moved


@pytest.mark.parametrize(
    ("target", "seen", "moved", "left"),
    [
        ("https://a.test/g", 9, True, False),
        ("https://a.test:8443/g", 9, False, True),
        ("https://b.test/f", 9, False, True),
        ("http://a.test/f", 9, False, True),
        ("https://b.test/f", 2, False, False),
        ("nonsense://x", 9, False, False),
    ],
)
def test_a_private_feed_never_leaves_its_origin_by_itself(
    target: str, seen: int, moved: bool, left: bool
) -> None:
    moving = Moving(url="https://a.test/f", target=target, seen=seen, lasting=99 * HOUR)
    assert has_left(moving, RULES) is False
    private = replace(moving, private=True)
    assert (has_moved(private, RULES), has_left(private, RULES)) == (moved, left)
