"""Assertions about what is in the queue. They need no test framework."""

from collections import Counter
from collections.abc import Mapping, Sequence

from colmillo.store import Store, TaskId, TaskRecord
from colmillo.task import Declared
from colmillo.testing.expected import Expected, Moment, Span

_PAGE = 1000
_NEAREST = 3
_LISTED = 10


async def assert_enqueued(
    store: Store,
    task: "Declared[...] | str",
    *,
    args: Mapping[str, object] | None = None,
    queue: str | None = None,
    priority: int | None = None,
    run_at: Moment | None = None,
    delay: Span | None = None,
    unique: bool | None = None,
    key: str | None = None,
    count: int | None = None,
    connection: object | None = None,
) -> list[TaskRecord]:
    """Looks for tasks that wait or run, and returns those that match, oldest first.

    Args:
        store: where to look.
        task: the task, or its name; with a name ``args`` are compared as JSON, unchecked.
        args: some of its arguments by name; the others may be anything.
        queue: in which queue it has to be.
        priority: its priority.
        run_at: when it is due, within a second; or from when until when, as a pair.
        delay: the same, counted from when it was enqueued.
        unique: whether it has to hold a unique key.
        key: the key it has to hold, as given to `NewTask.with_key`.
        count: how many have to match, exactly; one or more when left out.
        connection: looks from within this connection's open transaction.

    Raises:
        AssertionError: there is none, or not ``count``; says what is there instead.
        InvalidTask: arguments that the task does not have, or of the wrong type.
    """
    __tracebackhide__ = True
    expected = Expected(
        task=task,
        args=args or {},
        queue=queue,
        priority=priority,
        run_at=run_at,
        delay=delay,
        unique=unique,
        key=key,
    )
    named = await _live(store, expected.name, connection)
    matching = [record for record in named if not expected.differences(record)]
    if matching if count is None else len(matching) == count:
        return matching
    others = [] if named else await _live(store, None, connection)
    aside = [] if connection is not None else await store.archived(name=expected.name, limit=3)
    raise AssertionError(_missing(expected, count, matching, named, others, aside))


async def refute_enqueued(
    store: Store,
    task: "Declared[...] | str",
    *,
    args: Mapping[str, object] | None = None,
    queue: str | None = None,
    priority: int | None = None,
    run_at: Moment | None = None,
    delay: Span | None = None,
    unique: bool | None = None,
    key: str | None = None,
    connection: object | None = None,
) -> None:
    """Sees to it that no task that waits or runs matches; see `assert_enqueued`.

    Raises:
        AssertionError: there is one; says which.
        InvalidTask: arguments that the task does not have, or of the wrong type.
    """
    __tracebackhide__ = True
    expected = Expected(
        task=task,
        args=args or {},
        queue=queue,
        priority=priority,
        run_at=run_at,
        delay=delay,
        unique=unique,
        key=key,
    )
    named = await _live(store, expected.name, connection)
    matching = [record for record in named if not expected.differences(record)]
    if matching:
        lines = [
            f"expected no {expected}, and found {len(matching)}:",
            *_listed(expected, matching),
        ]
        raise AssertionError("\n".join(lines))


async def _live(store: Store, name: str | None, connection: object | None) -> list[TaskRecord]:
    """All of them, oldest first."""
    found: list[TaskRecord] = []
    before: TaskId | None = None
    while True:
        page = await store.live(name=name, before=before, limit=_PAGE, connection=connection)
        found += page
        if len(page) < _PAGE:
            return found[::-1]
        before = page[-1].id


def _missing(
    expected: Expected,
    count: int | None,
    matching: Sequence[TaskRecord],
    named: Sequence[TaskRecord],
    others: Sequence[TaskRecord],
    aside: Sequence[TaskRecord],
) -> str:
    number = "no task matches" if not matching else f"{len(matching)} tasks match, not {count}"
    lines = [f"{number}: {expected}", *_listed(expected, matching)]
    if not matching and count is not None:
        lines[0] += f" ({count} expected)"
    rest = [record for record in named if record not in matching]
    if rest:
        nearest = sorted(rest, key=lambda record: len(expected.differences(record)))
        lines.append(f"nearest of {len(rest)} other {expected.name!r} tasks:")
        for record in nearest[:_NEAREST]:
            lines.append(f"  {expected.described(record)}")
            lines += [f"    {difference}" for difference in expected.differences(record)]
    elif others:
        lines.append(f"no {expected.name!r} is live; the queue holds:")
        kinds = Counter((record.name, record.queue) for record in others)
        lines += [f"  {n} × {name!r} in {queue!r}" for (name, queue), n in kinds.most_common(9)]
    elif not matching:
        lines.append("nothing is live in this store")
    for record in aside:
        why = record.errors[-1].splitlines()[0] if record.errors and record.errors[-1] else ""
        lines.append(f"in the archive: {expected.described(record)}: {why}")
    return "\n".join(lines)


def _listed(expected: Expected, records: Sequence[TaskRecord]) -> list[str]:
    lines = [f"  {expected.described(record)}" for record in records[:_LISTED]]
    if len(records) > _LISTED:
        lines.append(f"  … and {len(records) - _LISTED} more")
    return lines
