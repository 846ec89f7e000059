"""Schedules as text: for the table, and for people."""

import dataclasses
import json
import typing
from datetime import timedelta
from typing import Any

from colmillo.codec import codec_for
from colmillo.errors import InvalidTask
from colmillo.schedule import Cron, Every, Schedule
from colmillo.store import NewTask

POLICY = ("missed", "missed_most", "overlap")


def timing_of(schedule: Schedule) -> str:
    """When it fires, for people."""
    match schedule:
        case Every():
            return f"every {schedule.interval.total_seconds():g} s"
        case Cron():
            return f"{schedule.expression} {schedule.zone}"
        case _:
            return type(schedule).__qualname__


def spec_of(schedule: Schedule) -> str:
    """The definition as JSON text, which `schedule_from` reads."""
    spec: dict[str, object] = {key: getattr(schedule, key) for key in POLICY}
    spec["missed_age"] = schedule.missed_age.total_seconds()
    spec["task"] = written_task(schedule.task)
    match schedule:
        case Every():
            spec["every"] = schedule.interval.total_seconds()
        case Cron():
            spec["cron"], spec["zone"] = schedule.expression, schedule.zone
        case _:
            pass
    return json.dumps(spec, sort_keys=True)


def schedule_from(name: str, spec: str) -> Every | Cron:
    """The schedule of a stored definition.

    Raises:
        InvalidTask: it cannot be read here: written by a newer version, or an extra is missing.
    """
    try:
        values = json.loads(spec)
        policy = {key: values[key] for key in POLICY}
        policy["missed_age"] = timedelta(seconds=values["missed_age"])
        task = read_task(values["task"])
        if "every" in values:
            return Every(name, timedelta(seconds=values["every"]), task, **policy)
        return Cron(name, values["cron"], values["zone"], task, **policy)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidTask(f"schedule {name}: its definition cannot be read: {error!r}") from None


def written_task(task: NewTask) -> dict[str, object]:
    """The task's fields that are not at their defaults, as JSON can carry them."""
    hints = typing.get_type_hints(NewTask)
    written: dict[str, object] = {}
    for field in dataclasses.fields(task):
        value: Any = getattr(task, field.name)
        if value == field.default:
            continue
        is_bytes = isinstance(value, bytes)
        codec = codec_for(str if is_bytes else hints[field.name], field.name)
        written[field.name] = codec.encode(value.hex() if is_bytes else value, field.name)
    return written


def read_task(written: dict[str, Any]) -> NewTask:
    """The task of `written_task`. Raises `InvalidTask` for fields that do not exist."""
    hints = typing.get_type_hints(NewTask)
    fields: dict[str, Any] = {}
    for name, value in written.items():
        if name not in hints:
            raise InvalidTask(f"a task has no field {name!r}")
        is_bytes = bytes in (hints[name], *typing.get_args(hints[name]))
        fields[name] = (
            bytes.fromhex(value) if is_bytes else codec_for(hints[name], name).decode(value, name)
        )
    return NewTask(**fields)
