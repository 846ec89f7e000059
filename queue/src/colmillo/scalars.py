"""Single values to JSON and back, strictly: ``True`` is no int, "3" is none.

Every complaint is an `InvalidTask` that names the path: ``feed_id: expected int, got str``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from colmillo.errors import InvalidTask

MICROSECOND = timedelta(microseconds=1)
# Python reads back no decimal of more than 4,300 digits.
INT_BITS = 8192
T = TypeVar("T")


class Codec(Protocol):
    """Writes one type as JSON and reads it back.

    ``name`` is the type as people write it; ``kinds`` are the JSON shapes it may take, by
    which the members of a union are told apart.
    """

    @property
    def name(self) -> str:
        """The type as people write it."""
        ...

    @property
    def kinds(self) -> frozenset[str]:
        """The JSON shapes a value may take."""
        ...

    def encode(self, value: object, path: str, /) -> object:
        """Returns the JSON value. Raises `InvalidTask` when the value is of another type."""
        ...

    def decode(self, value: object, path: str, /) -> object:
        """Returns the value that was encoded. Raises `InvalidTask` when it cannot be."""
        ...


def mismatch(path: str, expected: str, value: object) -> InvalidTask:
    """The complaint about a value of the wrong type. Never shows the value itself."""
    return InvalidTask(f"{path}: expected {expected}, got {type(value).__name__}")


def kind_of(value: object) -> str:
    """The JSON shape of a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def checked_text(value: str, path: str) -> str:
    """The text itself. Refuses what PostgreSQL cannot hold."""
    if "\0" in value:
        raise InvalidTask(f"{path}: a NUL character cannot be stored")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidTask(f"{path}: half a surrogate pair is no text") from None
    return str.__str__(value)


def write_bool(value: object, path: str) -> object:
    """Only True and False."""
    if not isinstance(value, bool):
        raise mismatch(path, "bool", value)
    return value


def write_int(value: object, path: str) -> object:
    """Whole numbers, booleans not among them."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise mismatch(path, "int", value)
    if value.bit_length() > INT_BITS:
        raise InvalidTask(f"{path}: an int of more than {INT_BITS} bits")
    return int(value)


def write_float(value: object, path: str) -> object:
    """Finite numbers; an int is a float, as type checkers say."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise mismatch(path, "float", value)
    try:
        number = float(value)
    except OverflowError:
        raise InvalidTask(f"{path}: too large for a float") from None
    if not math.isfinite(number):
        raise InvalidTask(f"{path}: JSON has no {number}")
    return number


def write_str(value: object, path: str) -> object:
    """Text that PostgreSQL can hold."""
    if not isinstance(value, str):
        raise mismatch(path, "str", value)
    return checked_text(value, path)


def write_none(value: object, path: str) -> object:
    """Only None."""
    if value is not None:
        raise mismatch(path, "None", value)
    return None


def write_datetime(value: object, path: str) -> object:
    """Aware moments, written in UTC so that equal moments are equal text."""
    if not isinstance(value, datetime):
        raise mismatch(path, "datetime", value)
    if value.utcoffset() is None:
        raise InvalidTask(f"{path}: expected a datetime with a time zone, got a naive one")
    try:
        return value.astimezone(UTC).isoformat()
    except OverflowError:
        raise InvalidTask(f"{path}: no such moment in UTC") from None


def read_datetime(value: object, path: str) -> object:
    """The moment, in UTC."""
    moment = from_text(datetime.fromisoformat, "datetime", value, path)
    if moment.utcoffset() is None:
        raise InvalidTask(f"{path}: expected a datetime with a time zone, got a naive one")
    return moment.astimezone(UTC)


def write_date(value: object, path: str) -> object:
    """Days; a datetime is none."""
    if not isinstance(value, date) or isinstance(value, datetime):
        raise mismatch(path, "date", value)
    return value.isoformat()


def write_timedelta(value: object, path: str) -> object:
    """Durations, as whole microseconds: nothing is rounded."""
    if not isinstance(value, timedelta):
        raise mismatch(path, "timedelta", value)
    return value // MICROSECOND


def read_timedelta(value: object, path: str) -> object:
    """The duration."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise mismatch(path, "timedelta (microseconds)", value)
    try:
        return timedelta(microseconds=value)
    except OverflowError:
        raise InvalidTask(f"{path}: too long for a timedelta") from None


def write_uuid(value: object, path: str) -> object:
    """UUIDs in their usual form."""
    if not isinstance(value, UUID):
        raise mismatch(path, "UUID", value)
    return str(value)


def from_text(read: Callable[[str], T], name: str, value: object, path: str) -> T:
    """What ``read`` makes of a text, its ValueError turned into a complaint."""
    if not isinstance(value, str):
        raise mismatch(path, name, value)
    try:
        return read(value)
    except ValueError:
        raise InvalidTask(f"{path}: not a {name}") from None


def read_date(value: object, path: str) -> object:
    """The day."""
    return from_text(date.fromisoformat, "date", value, path)


def read_uuid(value: object, path: str) -> object:
    """The UUID."""
    return from_text(UUID, "UUID", value, path)


@dataclass(frozen=True, slots=True)
class Scalar:
    """The codec of one plain type."""

    name: str
    kinds: frozenset[str]
    encode: Callable[[object, str], object]
    decode: Callable[[object, str], object]


SCALARS: dict[object, Codec] = {
    bool: Scalar("bool", frozenset({"bool"}), write_bool, write_bool),
    int: Scalar("int", frozenset({"number"}), write_int, write_int),
    float: Scalar("float", frozenset({"number"}), write_float, write_float),
    str: Scalar("str", frozenset({"string"}), write_str, write_str),
    None: Scalar("None", frozenset({"null"}), write_none, write_none),
    type(None): Scalar("None", frozenset({"null"}), write_none, write_none),
    datetime: Scalar("datetime", frozenset({"string"}), write_datetime, read_datetime),
    date: Scalar("date", frozenset({"string"}), write_date, read_date),
    timedelta: Scalar("timedelta", frozenset({"number"}), write_timedelta, read_timedelta),
    UUID: Scalar("UUID", frozenset({"string"}), write_uuid, read_uuid),
}
