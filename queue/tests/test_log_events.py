"""What colmillo logs: constant messages, fields that can be told, and a table that has them all."""

import ast
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import colmillo
from colmillo.prometheus import LEASE_LOST

SOURCE = Path(colmillo.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "colmillo" / "operate.md"
ROW = re.compile(r"^\| `([^`]+)` \| (\w+) \| ([\w, ]*) \| .+ \|$", re.MULTILINE)
# What a record has already, and what nothing that is logged may be called.
TAKEN = {*vars(logging.makeLogRecord({})), "message", "asctime"}
SECRET = {"payload", "arguments", "args", "dsn", "password", "headers"}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
TASK = {"task_id", "task", "queue", "attempt"}


class Event(NamedTuple):
    """One event. The fields are those of all the places that log it."""

    message: str
    level: str
    fields: frozenset[str]


def logged() -> dict[str, Event]:
    """All events by message. Raises AssertionError for a call that cannot be an event."""
    found: dict[str, Event] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [
            n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        for function in functions:
            for call in calls(function):
                event = read(call, function, f"{path.name}:{call.lineno}")
                other = found.get(event.message)
                assert other is None or other.level == event.level, event.message
                fields = event.fields | (other.fields if other else frozenset())
                found[event.message] = event._replace(fields=fields)
    return found


def calls(function: ast.AST) -> Iterator[ast.Call]:
    """The logger's calls within a function."""
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LEVELS
            and ast.unparse(node.func.value) in {"logger", "_log", "log", "logging"}
        ):
            yield node


def read(call: ast.Call, function: ast.AST, where: str) -> Event:
    """The event of a call."""
    assert isinstance(call.func, ast.Attribute)
    assert len(call.args) == 1, f"{where}: what varies is a field, not a part of the message"
    message = call.args[0]
    assert isinstance(message, ast.Constant), f"{where}: the message is a constant"
    assert isinstance(message.value, str), where
    level = "error" if call.func.attr == "exception" else call.func.attr
    extra = [keyword.value for keyword in call.keywords if keyword.arg == "extra"]
    fields = frozenset(name for value in extra for name in names(value, function, where))
    return Event(message.value, level, fields)


def names(value: ast.expr, function: ast.AST, where: str) -> set[str]:
    """The keys of an expression for a dict."""
    match value:
        case ast.Dict(keys=keys, values=values):
            told: set[str] = set()
            for key, part in zip(keys, values, strict=True):
                if key is None:
                    told |= names(part, function, where)
                else:
                    assert isinstance(key, ast.Constant), where
                    told.add(str(key.value))
            return told
        case ast.Call(func=ast.Name(id="fields")):
            return TASK
        case ast.Name(id=name):
            assigned = [
                node.value
                for node in ast.walk(function)
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
            ]
            assert assigned, f"{where}: {name}"
            return set().union(*(names(one, function, where) for one in assigned))
        case _:
            raise AssertionError(f"{where}: fields that cannot be read: {ast.unparse(value)}")


def test_the_table_has_every_event_with_its_level_and_fields() -> None:
    told = {
        message: Event(message, level, frozenset(fields.replace(",", " ").split()))
        for message, level, fields in ROW.findall(PAGE.read_text(encoding="utf-8"))
    }
    assert len(told) > 30
    assert logged() == told


def test_no_field_hides_a_records_own_or_tells_what_is_secret() -> None:
    for event in logged().values():
        assert event.fields & (TAKEN | SECRET) == set(), event


def test_the_metrics_know_events_that_exist() -> None:
    assert logged().keys() >= LEASE_LOST


def test_what_cannot_be_told_is_refused() -> None:
    for line in ('logger.info(f"{x}")', 'logger.info("a %s", x)', 'logger.info("a", extra=x())'):
        function = ast.parse(line)
        (call,) = calls(function)
        with pytest.raises(AssertionError):
            read(call, function, line)
