"""Flows in memory: tasks that wait for others. See `colmillo.flow_store`."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from colmillo.checks import check_tasks
from colmillo.clock import Clock
from colmillo.duplicates import refusing
from colmillo.flow_store import (
    NEVER,
    FlowTask,
    Outcome,
    Parent,
    check_flow,
    linked_positions,
)
from colmillo.store import Ending, Enqueued, NewTask, TaskId

if TYPE_CHECKING:
    from colmillo.memory import _Row


@dataclass(slots=True)
class Edge:
    """One task that waits for another. ``outcome`` None: the parent has not ended."""

    parent: TaskId
    child: TaskId
    tolerant: bool
    outcome: Outcome | None = None
    result: str | None = None


class MemoryFlows:
    """The part of `MemoryStore` that is for tasks of flows."""

    _clock: Clock
    _live: "dict[TaskId, _Row]"
    _wakers: list[Callable[[str], None]]

    def __init__(self) -> None:
        self._parents: dict[TaskId, list[Edge]] = {}
        self._children: dict[TaskId, list[Edge]] = {}

    async def enqueue_flow(
        self, tasks: Sequence[FlowTask], *, connection: object | None = None
    ) -> list[TaskId]:
        """Adds a flow; see `FlowStore.enqueue_flow`. Raises `InvalidTask` before that."""
        check_flow(tasks)
        new = [refusing(one.task) for one in tasks]
        check_tasks(new)
        ids = [answer.id for answer in await self.enqueue(new, connection=connection)]
        for position in linked_positions(tasks):
            self._live[ids[position]].linked = True
        for child, one in zip(ids, tasks, strict=True):
            if not one.after:
                continue
            self._live[child].run_at = NEVER
            for parent in one.after:
                edge = Edge(ids[parent], child, one.on_failure == "run")
                self._parents.setdefault(child, []).append(edge)
                self._children.setdefault(ids[parent], []).append(edge)
        return ids

    async def parents(self, task: TaskId) -> Sequence[Parent]:
        """What the task waited for; see `FlowStore.parents`."""
        return [
            Parent(id=edge.parent, outcome=edge.outcome, result=edge.result)
            for edge in self._parents.get(task, ())
        ]

    def _pass_on(self, row: "_Row", outcome: Outcome, result: str | None = None) -> None:
        """Tells the children of a task that has left, and theirs if they are cancelled."""
        ended: deque[tuple[TaskId, Outcome, str | None]] = deque([(row.id, outcome, result)])
        while ended:
            task, how, what = ended.popleft()
            self._parents.pop(task, None)
            for edge in self._children.pop(task, ()):
                edge.outcome, edge.result = how, what
                child = self._live.get(edge.child)
                if child is None or child.run_at != NEVER:
                    continue
                if how != "done" and not edge.tolerant:
                    why = f"its parent, task {task}, ended as {how}"
                    self._shelve(child, Ending.CANCELLED, why)
                    ended.append((child.id, "cancelled", None))
                elif all(other.outcome is not None for other in self._parents[child.id]):
                    self._release(child)

    def _release(self, child: "_Row") -> None:
        due = self._clock.now() + (child.task.delay or timedelta(0))
        child.run_at = max(due, child.task.run_at or due)
        for wake in list(self._wakers):
            wake(child.task.queue)

    if TYPE_CHECKING:

        async def enqueue(
            self, tasks: Sequence[NewTask], *, connection: object | None = None
        ) -> list[Enqueued]:
            """See `MemoryStore.enqueue`."""
            ...

        def _shelve(self, row: _Row, ending: Ending, error: str) -> None: ...
