"""What a store does for flows: tasks that wait for others. Part of `colmillo.store.Store`.

A task with parents is blocked until the last of them has ended. Then it waits like any other,
and is due at once or after its delay. When a parent is set aside, or deleted, before it is
done, a child is archived as cancelled, and has ended in its turn; one with ``on_failure`` "run"
waits for its other parents and runs all the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Protocol

from colmillo.errors import InvalidTask

if TYPE_CHECKING:
    from colmillo.store import NewTask, TaskId

MOST_TASKS = 1_000
"""A flow has no more tasks."""

MOST_DEPENDENCIES = 10_000
"""A flow has no more dependencies: pairs of a task and one it waits for."""

NEVER = datetime.max.replace(tzinfo=UTC)
"""When a blocked task is due."""

OnFailure = Literal["cancel", "run"]
"""What becomes of a task when one that it waits for ends without being done."""

Outcome = Literal["done", "failed", "cancelled", "discarded", "quarantined", "deleted"]
"""How a task ended, for those that waited for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowTask:
    """A task of a flow. ``after`` are the positions, in the flow, of those it waits for."""

    task: "NewTask"
    after: tuple[int, ...] = ()
    on_failure: OnFailure = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """What a task hears of one that it waited for. ``result`` is JSON text, or None.

    ``outcome`` None: it has not ended yet; only a blocked task has such parents.
    """

    id: "TaskId"
    outcome: Outcome | None
    result: str | None


class FlowStore(Protocol):
    """The part of a `Store` that is for flows. It costs tasks outside of flows nothing."""

    async def enqueue_flow(
        self, tasks: "Sequence[FlowTask]", *, connection: object | None = None
    ) -> "list[TaskId]":
        """Adds the tasks and what they wait for, all or none; answers with the ids in order.

        A unique task that is there already is refused whatever its ``duplicate`` says: a task
        of somebody else's is no part of the flow.

        Raises:
            InvalidTask: too many tasks, a task that waits for one which does not come before
                it, or one that cannot be stored.
            DuplicateTask: a task is there already; nothing was added, the caller's
                transaction goes on.
        """
        ...

    async def parents(self, task: "TaskId") -> Sequence[Parent]:
        """What a live task of a flow waits or waited for, in the order given; else nothing."""
        ...


def check_flow(tasks: Sequence[FlowTask]) -> None:
    """Raises `InvalidTask` unless the tasks are a flow that can be stored."""
    if len(tasks) > MOST_TASKS:
        raise InvalidTask(f"a flow has at most {MOST_TASKS:,} tasks, not {len(tasks):,}")
    edges = sum(len(one.after) for one in tasks)
    if edges > MOST_DEPENDENCIES:
        raise InvalidTask(f"a flow has at most {MOST_DEPENDENCIES:,} dependencies, not {edges:,}")
    for position, one in enumerate(tasks):
        if one.on_failure not in ("cancel", "run"):
            raise InvalidTask(f"on_failure is 'cancel' or 'run', not {one.on_failure!r}")
        if len(set(one.after)) < len(one.after):
            raise InvalidTask(f"{one.task.name} waits twice for the same task")
        if any(not 0 <= parent < position for parent in one.after):
            raise InvalidTask(f"{one.task.name} waits for a task that does not come before it")


def linked_positions(tasks: Sequence[FlowTask]) -> set[int]:
    """The tasks that wait for others or that others wait for."""
    parents = {parent for one in tasks for parent in one.after}
    return parents | {position for position, one in enumerate(tasks) if one.after}
