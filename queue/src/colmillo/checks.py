"""What every store refuses or bounds before it stores anything.

Shared by the stores, so that a task one of them takes is taken by all of them.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from colmillo.errors import InvalidTask
from colmillo.store import NewTask
from colmillo.unique import HASH_BYTES, check_unique

ERRORS_KEPT = 10
"""So many of a task's latest errors are kept."""

ERROR_LENGTH = 2_000
"""Longer errors are cut to this many characters."""

NAME_LENGTH = 200
"""The longest name of a task, queue or schedule, in characters. A queue's name has to fit
into a notification, which Postgres limits to 8,000 bytes."""

FAR = timedelta(days=36_500)
"""Nothing waits longer than this."""

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)
_PRIORITIES = range(-32_768, 32_768)
_ATTEMPTS = range(1, 2**31)
_UNIQUENESS = attrgetter("unique_period", "unique_states", "duplicate")
_NONE = (None, "live", "skip")


def check_tasks(tasks: Iterable[NewTask]) -> None:
    """Raises `InvalidTask` for the first task that cannot be stored, naming what is wrong."""
    known: set[str] = set()
    for task in tasks:
        if task.name not in known:
            check_name("task's name", task.name)
            known.add(task.name)
        if task.queue not in known:
            check_name("queue's name", task.queue)
            known.add(task.queue)
        if task.concurrency_key is not None:
            check_name("concurrency key", task.concurrency_key)
        _check_text("payload", task.payload)
        _check_numbers(task)
        # Most tasks have none of these: calls are spared.
        if task.run_at is not None or task.delay is not None:
            _check_time(task)
        if task.unique_hash is not None or _UNIQUENESS(task) != _NONE:
            _check_unique(task)


def check_name(what: str, name: str) -> None:
    """Raises `InvalidTask` unless the name is 1 to `NAME_LENGTH` storable characters."""
    if not 1 <= len(name) <= NAME_LENGTH:
        raise InvalidTask(f"a {what} has 1 to {NAME_LENGTH} characters, not {len(name)}")
    _check_text(what, name)


def check_aware(what: str, moment: datetime) -> None:
    """Raises `InvalidTask` unless the time has a zone and lies between 1970 and 9000."""
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise InvalidTask(f"{what} needs a time zone: {moment.isoformat()}")
    if not _EARLIEST <= moment <= _LATEST:
        raise InvalidTask(f"{what} lies outside of the years 1970 to 9000: {moment.isoformat()}")


def storable_error(error: str) -> str:
    """The error as it is stored: cut to `ERROR_LENGTH`, without what Postgres refuses.

    NUL and lone surrogates become replacement characters: an error text is whatever an
    exception said, and recording it must not fail.
    """
    cut = error if len(error) <= ERROR_LENGTH else error[: ERROR_LENGTH - 1] + "…"
    return cut.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def bounded_delay(delay: timedelta) -> timedelta:
    """The delay, at least nothing and at most `FAR`."""
    return max(timedelta(0), min(delay, FAR))


def _check_text(what: str, text: str) -> None:
    if "\0" in text:
        raise InvalidTask(f"the {what} contains a NUL character, which Postgres cannot store")
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidTask(f"the {what} contains half of a surrogate pair") from None


def _check_numbers(task: NewTask) -> None:
    if task.priority not in _PRIORITIES:
        raise InvalidTask(f"a priority lies between -32768 and 32767: {task.priority}")
    if task.max_attempts is not None and task.max_attempts not in _ATTEMPTS:
        raise InvalidTask(f"max_attempts lies between 1 and 2147483647: {task.max_attempts}")


def _check_unique(task: NewTask) -> None:
    check_unique(task.unique_period, task.unique_states, task.duplicate)
    if task.unique_hash is not None and len(task.unique_hash) != HASH_BYTES:
        raise InvalidTask(f"a unique hash has {HASH_BYTES} bytes, not {len(task.unique_hash)}")
    if task.unique_hash is None and task.duplicate != "skip":
        raise InvalidTask(
            f"{task.name}: duplicate={task.duplicate!r} is for unique tasks: "
            "declare it unique, or give it a key with with_key"
        )


def _check_time(task: NewTask) -> None:
    if task.run_at is not None and task.delay is not None:
        raise InvalidTask("run_at and delay exclude each other")
    if task.run_at is not None:
        check_aware("run_at", task.run_at)
    if task.delay is not None and not timedelta(0) <= task.delay <= FAR:
        raise InvalidTask(f"a delay lies between 0 and {FAR.days} days: {task.delay}")
