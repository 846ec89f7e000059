"""What a test expects to be in the queue, and in what a task differs from it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from colmillo.errors import InvalidTask
from colmillo.store import TaskRecord
from colmillo.task import Declared
from colmillo.unique import States, canonical, held_hash, key_hash

NEAR = timedelta(seconds=1)
"""A single due time or delay is met within so much."""

_MISSING = object()
_HELD: tuple[States, ...] = ("live", "waiting", "finished")

Moment = datetime | tuple[datetime, datetime]
Span = timedelta | tuple[timedelta, timedelta]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The task, and what is asked of it; None asks for nothing."""

    task: "Declared[...] | str"
    args: Mapping[str, object] = field(default_factory=dict)
    queue: str | None = None
    priority: int | None = None
    run_at: Moment | None = None
    delay: Span | None = None
    unique: bool | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        """Raises `InvalidTask` for arguments that the task does not have, or does not take."""
        for name in self.args:
            self._written(name)

    @property
    def name(self) -> str:
        """The task's name."""
        return self.task if isinstance(self.task, str) else self.task.name

    def differences(self, record: TaskRecord) -> list[str]:
        """In what the task is not the one that is expected, field by field."""
        found = self._arguments(record)
        if self.queue is not None and record.queue != self.queue:
            found.append(f"queue: {record.queue!r}, not {self.queue!r}")
        if self.priority is not None and record.priority != self.priority:
            found.append(f"priority: {record.priority}, not {self.priority}")
        if self.run_at is not None:
            first, last = window(self.run_at, NEAR)
            if not first <= record.run_at <= last:
                found.append(f"run_at: {record.run_at}, not {between(self.run_at)}")
        if self.delay is not None:
            least, most = window(self.delay, NEAR)
            delay = record.run_at - record.enqueued_at
            if not least <= delay <= most:
                found.append(f"delay: {delay}, not {between(self.delay)}")
        held = record.unique_hash is not None
        if self.unique is not None and held is not self.unique:
            found.append("unique: yes, not no" if held else "unique: no, not yes")
        if self.key is not None and not self._has_key(record, self.key):
            found.append(f"key: another one than {self.key!r}" if held else "key: none")
        return found

    def described(self, record: TaskRecord) -> str:
        """A stored task of this name in one line."""
        told = (f"{name}={self._read(name, v)!r}" for name, v in payload_of(record).items())
        return f"task {record.id}, {record.state.value}: {record.name}({', '.join(told)})"

    def __str__(self) -> str:
        """The expectation as one would write the call."""
        parts = [f"queue {self.queue!r}"] if self.queue is not None else []
        parts += [f"priority {self.priority}"] if self.priority is not None else []
        parts += [f"run_at {between(self.run_at)}"] if self.run_at is not None else []
        parts += [f"delay {between(self.delay)}"] if self.delay is not None else []
        if self.unique is not None:
            parts.append("unique" if self.unique else "not unique")
        parts += [f"key {self.key!r}"] if self.key is not None else []
        told = ", ".join(f"{name}={value!r}" for name, value in self.args.items())
        return f"{self.name}({told})" + (f" with {', '.join(parts)}" if parts else "")

    def _arguments(self, record: TaskRecord) -> list[str]:
        given = payload_of(record)
        found: list[str] = []
        for name, value in self.args.items():
            there = given.get(name, _MISSING)
            if there is _MISSING:
                found.append(f"{name}: not there, instead of {value!r}")
            elif canonical(there) != canonical(self._written(name)):
                found.append(f"{name}: {self._read(name, there)!r}, not {value!r}")
        return found

    def _written(self, name: str) -> object:
        """The expected argument as the payload has it."""
        value = self.args[name]
        if isinstance(self.task, str):
            return value
        codec = self.task.arguments.codecs.get(name)
        if codec is None:
            known = ", ".join(self.task.arguments.codecs) or "none"
            raise InvalidTask(f"{self.name}: no argument {name!r}; it takes {known}")
        return codec.encode(value, name)

    def _read(self, name: str, there: object) -> object:
        if isinstance(self.task, str):
            return there
        try:
            return self.task.arguments.codecs[name].decode(there, name)
        except (InvalidTask, KeyError):
            # Of an older or newer version of the task.
            return there

    def _has_key(self, record: TaskRecord, key: str) -> bool:
        unique = None if isinstance(self.task, str) else self.task.options.unique
        period = None if unique is None else unique.period
        queues = {record.queue}
        if not isinstance(self.task, str):
            queues.add(self.task.options.queue)
        return any(
            record.unique_hash == held_hash(hashed, span, states, record.enqueued_at)
            for hashed in (key_hash(self.name, queue, key) for queue in queues)
            for span in (period, None)
            for states in _HELD
        )


def payload_of(record: TaskRecord) -> dict[str, Any]:
    """The arguments of a stored task, as JSON values."""
    try:
        given: Any = json.loads(record.payload)
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}


def window(asked: Any, near: timedelta) -> tuple[Any, Any]:
    """First and last of what is asked for."""
    return asked if isinstance(asked, tuple) else (asked - near, asked + near)


def between(asked: Moment | Span) -> str:
    """What is asked for, for people."""
    if isinstance(asked, tuple):
        return f"between {asked[0]} and {asked[1]}"
    return str(asked)
