"""Floors of claims: kept while there is a backlog, looked below now and then."""

from datetime import UTC, datetime

from colmillo.floors import MOST, SECONDS, SHARE, Floors

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
NOTHING: tuple[list[object], ...] = ([], [], [], [])
ONE = (["a"], [0], [NOON], [7])


class Scene:
    def __init__(self) -> None:
        self.now = 1000.0
        self.floors = Floors(lambda: self.now)
        self.floors.raise_to("a", 0, NOON, 7)


def test_the_first_claim_is_whole() -> None:
    assert Floors().whole_is_due()
    assert Floors().columns() == NOTHING


def test_floors_last_until_it_is_time_to_look_below() -> None:
    scene = Scene()
    scene.floors.whole_done(0.001, exhausted=[])
    assert scene.floors.columns() == ONE
    assert scene.floors.columns(whole=True) == NOTHING
    scene.now += SECONDS - 0.01
    assert not scene.floors.whole_is_due()
    scene.now += 0.02
    assert scene.floors.whole_is_due()


def test_an_exhausted_queue_has_no_floors_any_more() -> None:
    scene = Scene()
    scene.floors.raise_to("b", 3, NOON, 9)
    scene.floors.whole_done(0.001, exhausted=["b"])
    assert scene.floors.columns() == ONE


def test_where_looking_below_is_slow_floors_stay_and_it_is_done_seldom() -> None:
    """As under a transaction that keeps millions of dead rows in place."""
    scene = Scene()
    scene.floors.whole_done(3.0, exhausted=[])
    scene.floors.whole_done(2.0, exhausted=["a"])
    assert scene.floors.columns() == ONE
    assert not scene.floors.whole_is_cheap()
    scene.now += 2.0 * SHARE - 0.1
    assert not scene.floors.whole_is_due()
    scene.now += 0.2
    assert scene.floors.whole_is_due()
    assert scene.floors.whole_is_cheap()


def test_one_slow_claim_is_a_hiccup() -> None:
    """The machine's, or that of a first call; what stands below must not wait for minutes then."""
    for times in ([2.0], [0.001, 2.0], [2.0, 0.001]):
        scene = Scene()
        for took in times:
            scene.floors.whole_done(took, exhausted=["a"])
        assert scene.floors.columns() == NOTHING
        assert scene.floors.whole_is_cheap()


def test_there_are_never_very_many_floors() -> None:
    scene = Scene()
    for priority in range(2 * MOST):
        scene.floors.raise_to("a", priority, NOON, 7)
        assert len(scene.floors.columns()[0]) <= MOST
