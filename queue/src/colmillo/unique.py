"""What makes two tasks the same task, for how long, and what becomes of the second one."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from colmillo.errors import InvalidTask

States = Literal["waiting", "live", "finished"]
"""Until when a task holds its key: until it is first claimed, until it has left the table
(done or set aside), or until the period is over, whatever became of the task."""

Duplicate = Literal["skip", "raise", "replace", "earlier"]
"""What is done about a task whose key is held: nothing; `DuplicateTask`; the holder, if it
waits, gets its payload, priority and due time; the holder, if it waits, gets its due time
where that is the earlier one. A holder that runs (or is finished) is never changed."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SHORTEST_PERIOD = timedelta(seconds=1)
LONGEST_PERIOD = timedelta(days=36_500)
HASH_BYTES = 32
_STATES = get_args(States)
_DUPLICATES = get_args(Duplicate)
# Made once: making an encoder takes longer than most payloads take.
_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode


@dataclass(frozen=True, slots=True)
class Unique:
    """At most one task per value of these arguments (all of them when None).

    With a ``period`` at most one in each: periods are multiples since 1970 in UTC on the
    store's clock, and the time of the enqueue counts, not the time the task is due. See
    `States` for ``states`` ("finished" needs a period) and `Duplicate` for ``duplicate``.

    Raises:
        InvalidTask: a period under a second, or a combination that means nothing.
    """

    args: tuple[str, ...] | None = None
    period: timedelta | None = None
    states: States = "live"
    duplicate: Duplicate = "skip"

    def __post_init__(self) -> None:
        """Checks the combination."""
        check_unique(self.period, self.states, self.duplicate)


def check_unique(period: timedelta | None, states: str, duplicate: str) -> None:
    """Raises `InvalidTask` unless these can be a task's rules of uniqueness."""
    if states not in _STATES:
        raise InvalidTask(f"states is one of {_STATES}, not {states!r}")
    if duplicate not in _DUPLICATES:
        raise InvalidTask(f"duplicate is one of {_DUPLICATES}, not {duplicate!r}")
    if period is None and states == "finished":
        raise InvalidTask("unique among finished tasks needs a period, which is when it ends")
    if period is not None and not SHORTEST_PERIOD <= period <= LONGEST_PERIOD:
        raise InvalidTask(
            f"a unique task's period lies between a second and {LONGEST_PERIOD.days} days: {period}"
        )


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return _encode(value)


def key_text(values: Sequence[object]) -> str | None:
    """The concurrency key of these (JSON) values: a single text as it is, all else as JSON."""
    if not values or (len(values) == 1 and values[0] is None):
        return None
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return canonical(values[0] if len(values) == 1 else list(values))


def args_hash(name: str, queue: str, args: Mapping[str, object]) -> bytes:
    """The 32 bytes that stand for this task with these (JSON) arguments."""
    return digest(["args", name, queue, args])


def key_hash(name: str, queue: str, key: str) -> bytes:
    """The 32 bytes that stand for this task under an explicit key."""
    return digest(["key", name, queue, key])


def digest(parts: list[object]) -> bytes:
    """SHA-256 of the parts' canonical JSON. A lone surrogate is hashed, not refused."""
    return hashlib.sha256(canonical(parts).encode("utf-8", "surrogatepass")).digest()


def held_hash(unique_hash: bytes, period: timedelta | None, states: States, now: datetime) -> bytes:
    """The bytes that a store keeps unique: the enqueue statements compute the same.

    A period adds its number, by the store's clock. One byte more than 32 marks a hash that
    the first claim releases.
    """
    held = unique_hash
    if period is not None:
        number = (now - EPOCH) // period
        parts = (unique_hash, number.to_bytes(8, "big", signed=True), states.encode())
        held = hashlib.sha256(b"".join(parts)).digest()
    return held + b"\0" if states == "waiting" else held


def period_end(period: timedelta, now: datetime) -> datetime:
    """When the period that ``now`` lies in is over."""
    return EPOCH + ((now - EPOCH) // period + 1) * period
