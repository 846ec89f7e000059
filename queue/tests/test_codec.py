"""Values travel as JSON and come back equal and of the same type, or are refused with a path."""

import contextlib
import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal, NewType, Optional, Union, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colmillo import InvalidTask
from colmillo.codec import codec_for
from colmillo.unique import canonical

FeedId = NewType("FeedId", int)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    YES = "yes"


@dataclass(frozen=True)
class Point:
    x: int
    labels: tuple[str, ...] = ()
    seen: "datetime | None" = None
    hidden: int = field(default=0, init=False)


@dataclass(frozen=True)
class Picky:
    size: int

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("size is negative")


@dataclass
class Mutable:
    x: int


@dataclass(frozen=True)
class Loop:
    inner: "Loop | None"


NOON = datetime(2030, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))

GOOD: list[tuple[Any, Any]] = [
    (bool, True),
    (int, -(2**70)),
    (float, 1.5),
    (str, "añil ✓ \U0001f600"),
    (None, None),
    (list[int], [1, 2]),
    (list[list[str]], [["a"], []]),
    (tuple[int, ...], (1, 2, 3)),
    (tuple[int, str], (1, "x")),
    (tuple[()], ()),
    (dict[str, list[float]], {"a": [0.5]}),
    (Literal["a", 1, None], 1),
    (Optional[int], None),  # noqa: UP045 - the old spelling is what is tested
    (Union[int, str], "x"),  # noqa: UP007 - the old spelling is what is tested
    (int | str | None, 5),
    (datetime, NOON),
    (date, date(2030, 5, 1)),
    (timedelta, timedelta(days=3, microseconds=1)),
    (timedelta, timedelta(microseconds=-1)),
    (UUID, UUID(int=5)),
    (Colour, Colour.BLUE),
    (Level, Level.LOW),
    (FeedId, FeedId(3)),
    (Annotated[int, "of a feed"], 3),
    (Point, Point(1, ("a",), NOON)),
    (list[Point], [Point(1), Point(2)]),
    (Point | int, Point(1)),
]


@pytest.mark.parametrize(("annotation", "value"), GOOD, ids=str)
def test_comes_back_as_it_was(annotation: Any, value: Any) -> None:
    codec = codec_for(annotation, "x")
    back = codec.decode(codec.encode(value, "x"), "x")
    assert back == value
    assert type(back) is type(value)


BAD: list[tuple[Any, Any, str]] = [
    (int, True, "x: expected int, got bool"),
    (int, "3", "x: expected int, got str"),
    (int, 3.0, "x: expected int, got float"),
    (int, 1 << 9000, "x: an int of more than 8192 bits"),
    (bool, 1, "x: expected bool, got int"),
    (float, True, "x: expected float, got bool"),
    (float, float("nan"), "x: JSON has no nan"),
    (float, float("inf"), "x: JSON has no inf"),
    (float, 10**400, "x: too large for a float"),
    (str, 1, "x: expected str, got int"),
    (str, b"x", "x: expected str, got bytes"),
    (str, "a\0b", "x: a NUL character cannot be stored"),
    (str, "\ud800", "x: half a surrogate pair is no text"),
    (None, 0, "x: expected None, got int"),
    (list[int], (1,), "x: expected list[int], got tuple"),
    (list[int], [1, "a"], "x[1]: expected int, got str"),
    (tuple[int, int], (1,), "x: expected 2 items, got 1"),
    (tuple[int, ...], [1], "x: expected tuple[int, ...], got list"),
    (dict[str, int], {"a": "b"}, "x['a']: expected int, got str"),
    (dict[str, int], {1: 1}, "x (a key): expected str, got int"),
    (dict[str, int], [], "x: expected dict[str, int], got list"),
    (dict[str, int], {"a\0": 1}, "x (a key): a NUL character cannot be stored"),
    (Literal["a", 1], True, "x: expected Literal['a', 1], got bool"),
    (int | str, 1.5, "x: expected int | str, got float"),
    (str | None, "\0", "x: a NUL character cannot be stored"),
    (list[int] | None, ["a"], "x[0]: expected int, got str"),
    (datetime, datetime(2030, 1, 1), "x: expected a datetime with a time zone, got a naive one"),  # noqa: DTZ001
    (datetime, date(2030, 1, 1), "x: expected datetime, got date"),
    (date, NOON, "x: expected date, got datetime"),
    (timedelta, 5, "x: expected timedelta, got int"),
    (UUID, "x", "x: expected UUID, got str"),
    (Colour, "red", "x: expected Colour, got str"),
    (Point, Point(cast(int, "a")), "x.x: expected int, got str"),
    (Point, {"x": 1}, "x: expected Point, got dict"),
]


@pytest.mark.parametrize(("annotation", "value", "message"), BAD, ids=str)
def test_refuses_and_says_where(annotation: Any, value: Any, message: str) -> None:
    with pytest.raises(InvalidTask) as caught:
        codec_for(annotation, "x").encode(value, "x")
    assert caught.value.detail == message


STALE: list[tuple[Any, Any, str]] = [
    (int, "3", "x: expected int, got str"),
    (tuple[int, str], [1], "x: expected 2 items, got 1"),
    (tuple[int, str], {}, "x: expected tuple[int, str], got dict"),
    (Colour, "green", "x: not one of Colour"),
    (Literal["a"], "b", "x: not one of Literal['a']"),
    (datetime, "yesterday", "x: not a datetime"),
    (datetime, "2030-01-01T00:00:00", "x: expected a datetime with a time zone, got a naive one"),
    (date, 3, "x: expected date, got int"),
    (timedelta, "1", "x: expected timedelta (microseconds), got str"),
    (timedelta, 10**30, "x: too long for a timedelta"),
    (UUID, "no", "x: not a UUID"),
    (Point, {"x": 1, "colour": 2}, "x: Point has no field 'colour'"),
    (Point, {}, "x.x: missing"),
    (Point, 3, "x: expected Point, got int"),
    (Picky, {"size": -1}, "x: Picky refused its fields: size is negative"),
    (int | None, "a", "x: expected int | None, got str"),
]


@pytest.mark.parametrize(("annotation", "value", "message"), STALE, ids=str)
def test_refuses_json_that_does_not_fit(annotation: Any, value: Any, message: str) -> None:
    with pytest.raises(InvalidTask) as caught:
        codec_for(annotation, "x").decode(value, "x")
    assert caught.value.detail == message


UNFIT: list[tuple[Any, str]] = [
    (bytes, "bytes cannot be carried; store large data elsewhere and pass its key"),
    (list, "list cannot be carried; say what is in it, as in list"),
    (set[int], r"set\[int\] cannot be carried"),
    (dict[int, str], r"dict\[int, str\] cannot be carried"),
    (Any, "Any cannot be carried"),
    (object, "object cannot be carried"),
    (str | datetime, "str and datetime look alike in JSON"),
    (int | float, "int and float look alike in JSON"),
    (Mutable, "Mutable must be a frozen dataclass"),
    (Loop, "Loop contains itself"),
    (Literal[b"x"], "neither text nor int"),
    (Enum("Odd", {"A": 1.5}), "Odd has members that are neither text nor int"),
    (Annotated[list[bytes], 1], r"x\[\]: arguments of type bytes"),
]


@pytest.mark.parametrize(("annotation", "message"), UNFIT, ids=str)
def test_annotations_that_cannot_be_carried(annotation: Any, message: str) -> None:
    with pytest.raises(InvalidTask, match=message):
        codec_for(annotation, "x")


def test_members_of_str_and_int_enums_travel_as_plain_values() -> None:
    text = codec_for(str, "x").encode(Word.YES, "x")
    number = codec_for(int, "x").encode(Level.LOW, "x")
    assert (type(text), text) == (str, "yes")
    assert (type(number), number) == (int, 1)


def test_a_number_that_lost_its_point_on_the_way_is_a_float_again() -> None:
    back = codec_for(float, "x").decode(100000000000000000000, "x")
    assert type(back) is float


def test_equal_moments_are_written_alike() -> None:
    codec = codec_for(datetime, "x")
    assert codec.encode(NOON, "x") == codec.encode(NOON.astimezone(UTC), "x")


RICH = dict[str, list[tuple[int, str | None, float]] | bool]


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
        st.booleans()
        | st.lists(
            st.tuples(
                st.integers(-(2**100), 2**100),
                st.none()
                | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
                st.floats(allow_nan=False, allow_infinity=False),
            )
        ),
    )
)
def test_any_value_of_a_type_survives_its_text(value: Any) -> None:
    codec = codec_for(RICH, "x")
    text = canonical(codec.encode(value, "x"))
    assert codec.decode(json.loads(text), "x") == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON, st.sampled_from([annotation for annotation, _ in GOOD]))
def test_foreign_json_is_read_or_refused_and_never_crashes(value: Any, annotation: Any) -> None:
    codec = codec_for(annotation, "x")
    with contextlib.suppress(InvalidTask):
        back = codec.decode(value, "x")
        assert codec.decode(codec.encode(back, "x"), "x") == back
