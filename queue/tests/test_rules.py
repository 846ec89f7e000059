"""What becomes of a task by the kind of its error."""

import asyncio
import sys
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from colmillo import Backoff, Done, InvalidTask, MemoryStore, Outcome, Queue, Snooze, Worker, task
from colmillo.clock import SystemClock
from colmillo.errors import ProcessError
from colmillo.rules import Rules
from colmillo.store import State, TaskRecord
from colmillo.testing import FakeClock
from colmillo.testing.working import working

HOUR = timedelta(hours=1)


class BusyError(Exception):
    pass


def meaning(error: Exception) -> Outcome | None:
    if isinstance(error, BusyError):
        return Snooze(HOUR)
    if isinstance(error, OSError):
        raise RuntimeError("the rule is broken")
    return None


async def tried(error: Exception, **options: Any) -> TaskRecord | None:
    clock = FakeClock()
    store = MemoryStore(clock)

    @task(max_attempts=5, backoff=Backoff.constant(HOUR), **options)
    async def job() -> None:
        raise error

    added = await Queue(store).enqueue(job.new())
    async with working(Worker(store, tasks=[job], queues={"default": 1}, clock=clock)):
        await clock.advance(1)
        return await store.get(added.id)


@pytest.mark.parametrize(
    ("error", "options", "state", "attempt", "text"),
    [
        (KeyError("x"), {}, State.WAITING, 1, "KeyError"),
        (KeyError("x"), {"retry_on": (LookupError, OSError)}, State.WAITING, 1, "KeyError"),
        (ValueError("x"), {"retry_on": LookupError}, State.DISCARDED, 1, "ValueError: x"),
        (ValueError("x"), {"retry_on": ()}, State.DISCARDED, 1, "ValueError: x"),
        (KeyError("x"), {"discard_on": LookupError}, State.DISCARDED, 1, "KeyError: 'x'"),
        (ValueError("x"), {"discard_on": (LookupError,)}, State.WAITING, 1, "ValueError"),
        (BusyError(), {"on_error": meaning, "discard_on": BusyError}, State.WAITING, 0, None),
        (KeyError("x"), {"on_error": meaning, "discard_on": KeyError}, State.DISCARDED, 1, "Key"),
        (OSError("x"), {"on_error": meaning}, State.WAITING, 1, "RuntimeError: the rule is br"),
    ],
)
async def test_rules(
    error: Exception, options: dict[str, Any], state: State, attempt: int, text: str | None
) -> None:
    record = await tried(error, **options)
    assert record is not None
    assert (record.state, record.attempt) == (state, attempt)
    assert [kept.startswith(text or "-") for kept in record.errors] == ([True] if text else [])
    if state is State.DISCARDED:
        assert "Traceback" in record.errors[0] or "line" in record.errors[0]


async def test_a_rule_may_forgive() -> None:
    assert await tried(KeyError("x"), on_error=lambda error: Done()) is None


async def test_rules_do_not_hold_for_a_cancelled_run() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    started = asyncio.Event()

    @task(discard_on=Exception)
    async def job() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while cleaning up")

    added = await Queue(store).enqueue(job.new())
    async with working(Worker(store, tasks=[job], queues={"default": 1}, clock=clock)):
        await started.wait()
    record = await store.get(added.id)
    assert record is not None
    assert (record.state, record.attempt, record.errors) == (State.WAITING, 0, ())


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    yield import_module("process_tasks")
    del sys.modules["process_tasks"]


async def test_errors_from_processes_go_by_their_types(processes: Any) -> None:
    store = MemoryStore()
    added = await Queue(store).enqueue(processes.picky.new("raise"))
    async with working(Worker(store, tasks=[processes.picky], queues={"cpu": 1})):
        while (record := await store.get(added.id)) and record.state is not State.DISCARDED:
            await SystemClock().sleep(0.005)
    assert record is not None
    assert record.errors[0].startswith("LookupError: nothing there")


def test_names_of_other_types_do_not_match() -> None:
    rules = Rules(discard_on=(LookupError,))
    assert rules.outcome(ProcessError("x", frozenset({"other.LookupError"}))) is None
    assert Rules(discard_on=(ProcessError,)).outcome(ProcessError("x")) is not None


@pytest.mark.parametrize("kinds", [(KeyboardInterrupt,), ("ValueError",), int])
def test_what_is_no_exception_is_refused(kinds: Any) -> None:
    with pytest.raises(InvalidTask, match="is no class of exceptions"):
        task(discard_on=kinds)
