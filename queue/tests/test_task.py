"""Declarations and calls: what is wrong is refused before anything is stored."""

import inspect
import json
import pickle
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import colmillo
from colmillo import Backoff, Context, Done, InvalidTask, NewTask, Outcome, Task, Unique
from colmillo.context import Context as RenamedContext
from colmillo.errors import DuplicateTask

if TYPE_CHECKING:
    from colmillo.store import Store as OnlyForTypeCheckers

S = timedelta(seconds=1)


@colmillo.task(queue="sync", unique=True, max_attempts=5, timeout=90 * S, priority=3)
async def sync_feed(ctx: Context[None], feed_id: int, force: bool = False) -> Outcome | None:
    return Done()


@colmillo.declare(name="deliver", queue="delivery", unique=Unique(args=("target_id",)))
async def deliver(target_id: int, why: str) -> None:
    """Sends what waits."""


def test_new_carries_the_options_and_the_arguments() -> None:
    new = sync_feed.new(feed_id=3)
    assert isinstance(sync_feed, Task)
    assert (new.name, new.queue, new.max_attempts, new.priority) == ("sync_feed", "sync", 5, 3)
    assert json.loads(new.payload) == {"feed_id": 3, "force": False}


def test_positions_and_names_are_the_same_call() -> None:
    assert sync_feed.new(3, True) == sync_feed.new(force=True, feed_id=3)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"feed_id": "x"}, "sync_feed: feed_id: expected int, got str"),
        ({"feed_id": True}, "sync_feed: feed_id: expected int, got bool"),
        ({}, "sync_feed: missing a required argument: 'feed_id'"),
        ({"feed_id": 1, "colour": 2}, "sync_feed: got an unexpected keyword argument 'colour'"),
    ],
)
def test_wrong_arguments_are_refused(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidTask) as caught:
        sync_feed.new(**kwargs)
    assert caught.value.detail == message


async def three(first: int, second: str = "s", *, third: bool = False) -> None:
    """Parameters of every kind that a task may have."""


@pytest.mark.parametrize("args", [(), (1,), (1, "a"), (1, "a", True)])
@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"first": 2},
        {"third": True, "first": 2},
        {"second": "b", "third": True},
        {"fourth": 4},
        {"first": 2, "fourth": 4},
    ],
)
def test_calls_are_bound_as_python_binds_them(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    signature = inspect.signature(three)
    call = colmillo.task()(three).new
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        with pytest.raises(InvalidTask, match=re.escape(str(error))):
            call(*args, **kwargs)
        return
    bound.apply_defaults()
    assert json.loads(call(*args, **kwargs).payload) == bound.arguments


def test_a_payload_has_a_limit() -> None:
    assert deliver.new(1, "x" * 999_000)
    with pytest.raises(
        InvalidTask, match="the arguments take 1,000,027 bytes, more than 1,000,000"
    ):
        deliver.new(1, "x" * 1_000_003)
    with pytest.raises(InvalidTask, match="more than"):
        deliver.new(1, "é" * 600_000)


def test_unique_by_all_arguments_defaults_included() -> None:
    one = sync_feed.new(1).unique_hash
    assert one is not None
    assert len(one) == 32
    assert one == sync_feed.new(1, False).unique_hash
    assert one != sync_feed.new(1, True).unique_hash
    assert one != sync_feed.new(2).unique_hash


def test_unique_by_chosen_arguments() -> None:
    assert deliver.new(1, "a").unique_hash == deliver.new(1, "b").unique_hash
    assert deliver.new(1, "a").unique_hash != deliver.new(2, "a").unique_hash


def test_unique_by_a_key_of_name_and_queue() -> None:
    @colmillo.task()
    async def other() -> None: ...

    key = other.new().with_key("k").unique_hash
    assert other.new().unique_hash is None
    assert key == other.new().with_key("k").unique_hash
    assert key != other.new().with_key("l").unique_hash
    assert key != other.new().with_options(queue="else").with_key("k").unique_hash
    assert key != deliver.new(1, "a").with_key("k").unique_hash
    assert len(other.new().with_key("\ud800").unique_hash or b"") == 32


HOURLY = Unique(args=("x",), period=timedelta(hours=1), states="finished", duplicate="raise")


@colmillo.task(unique=HOURLY)
async def hourly(x: int) -> None: ...


def test_the_rules_of_uniqueness_travel_with_the_task() -> None:
    new = hourly.new(1)
    assert (new.unique_period, new.unique_states, new.duplicate) == (
        timedelta(hours=1),
        "finished",
        "raise",
    )
    key = new.with_key("k")
    assert replace(key, unique_hash=new.unique_hash) == new
    assert new.with_options(duplicate="earlier").duplicate == "earlier"
    assert new.with_options(delay=S).duplicate == "raise"
    live = new.with_key("k", states="live", period=24 * timedelta(hours=1), duplicate="skip")
    assert (live.unique_hash, live.unique_states) == (key.unique_hash, "live")
    assert (live.unique_period, live.duplicate) == (timedelta(days=1), "skip")


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"states": "finished"}, "needs a period"),
        ({"states": "done"}, r"states is one of .*'waiting', 'live', 'finished'.*, not 'done'"),
        ({"duplicate": "merge"}, "duplicate is one of .*, not 'merge'"),
        ({"period": S / 2}, "period lies between a second and 36500 days: 0:00:00.5"),
        ({"period": timedelta.max}, "period lies between"),
    ],
)
def test_rules_of_uniqueness_that_are_refused(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidTask, match=message):
        Unique(**rules)
    with pytest.raises(InvalidTask, match=message):
        sync_feed.new(1).with_key("k", **rules)


def test_a_duplicate_error_names_the_task_that_is_there() -> None:
    copy = pickle.loads(pickle.dumps(DuplicateTask("work is task 3", 3)))
    assert (copy.existing, copy.detail) == (3, "work is task 3")


def test_with_options() -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    new = sync_feed.new(1).with_options(delay=5 * S, priority=-1, queue="slow")
    assert (new.delay, new.run_at, new.priority, new.queue) == (5 * S, None, -1, "slow")
    assert new.unique_hash == sync_feed.new(1).unique_hash
    later = new.with_options(run_at=moment)
    assert (later.delay, later.run_at, later.priority) == (None, moment, -1)
    assert new.with_options() == new


@pytest.mark.parametrize(
    "options",
    [
        {"delay": S, "run_at": datetime(2030, 1, 1, tzinfo=UTC)},
        {"run_at": datetime(2030, 1, 1)},  # noqa: DTZ001
        {"delay": -S},
    ],
)
def test_with_options_refuses(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidTask):
        sync_feed.new(1).with_options(**options)


async def unannotated(x: int) -> None: ...
async def starred(*args: int) -> None: ...
async def double_starred(**kwargs: int) -> None: ...
async def positional(x: int, /) -> None: ...
async def unfit(x: bytes) -> None: ...
async def bad_default(x: int = 1) -> None: ...
async def unknown_type(x: "OnlyForTypeCheckers") -> None: ...
async def context_last(x: int, ctx: Context[None]) -> None: ...
async def fine(x: int) -> None: ...


class Callable:
    async def __call__(self) -> None: ...


del unannotated.__annotations__["x"]
bad_default.__defaults__ = ("a",)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (unannotated, "unannotated: x: needs a type annotation"),
        (starred, r"starred: \*args: int: a task's arguments are passed by name"),
        (double_starred, "passed by name"),
        (positional, "passed by name"),
        (unfit, "unfit: x: arguments of type bytes cannot be carried"),
        (bad_default, r"x \(its default\): expected int, got str"),
        (unknown_type, "x: name 'OnlyForTypeCheckers' is not defined, needed at run time"),
        (context_last, r"ctx: arguments of type .*Context.* cannot be carried"),
        (Callable(), "Callable: a task's function is a def or an async def"),
    ],
)
def test_functions_that_are_refused(function: Any, message: str) -> None:
    with pytest.raises(InvalidTask, match=message):
        colmillo.task()(function)


@pytest.mark.parametrize(
    "options",
    [
        {"unique": Unique(args=("y",))},
        {"timeout": timedelta(0)},
        {"max_attempts": 0},
        {"priority": 10**6},
        {"name": "x" * 1000},
        {"queue": ""},
        {"name": "a\0"},
    ],
)
def test_options_that_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidTask):
        colmillo.task(**options)(fine)


def test_a_context_is_known_by_any_spelling() -> None:
    @colmillo.task()
    async def text(ctx: "Context[OnlyForTypeCheckers]", x: int) -> None: ...

    @colmillo.task()
    async def dotted(ctx: "colmillo.Context[None]", x: int) -> None: ...

    @colmillo.task()
    async def renamed(ctx: RenamedContext[None], x: int) -> None: ...

    @colmillo.task()
    async def none(x: int) -> None: ...

    takes = [task.arguments.takes_context for task in (text, dotted, renamed, none)]
    assert takes == [True, True, True, False]


def test_handled_by_needs_the_declared_parameters() -> None:
    async def good(ctx: Context[None], target_id: int, why: str) -> Outcome | None:
        return None

    async def other(ctx: Context[None], target_id: str, why: str) -> None: ...

    handled = deliver.handled_by(good)
    assert isinstance(handled, Task)
    assert handled.new(1, "a") == deliver.new(1, "a")
    handled_by: Any = deliver.handled_by
    with pytest.raises(InvalidTask, match=r"deliver: declared with .*int.* takes .*str"):
        handled_by(other)


def test_a_declaration_takes_no_context() -> None:
    async def wrong(ctx: Context[None]) -> None: ...

    declare: Any = colmillo.declare()
    with pytest.raises(InvalidTask, match="takes no Context"):
        declare(wrong)


def test_an_old_payload_is_read_with_the_defaults_of_today() -> None:
    assert sync_feed.arguments.read('{"feed_id": 1}') == {"feed_id": 1}
    for payload in ("[]", "{", '{"feed": 1}', "{}", '{"feed_id": "1"}'):
        with pytest.raises(InvalidTask):
            sync_feed.arguments.read(payload)


def test_the_default_backoff_is_exponential() -> None:
    assert isinstance(sync_feed.options.backoff, Backoff)
    assert isinstance(sync_feed.new(1), NewTask)
