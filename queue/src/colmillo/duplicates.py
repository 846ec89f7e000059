"""Duplicates within one batch: what is asked of the store for them, and what is answered. Pure.

The outcome is that of enqueueing the tasks one after the other. Each layer of a plan names
each hash once, so a statement per layer is enough, and most batches have one layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from colmillo.errors import DuplicateTask
from colmillo.store import Enqueued, Happened, NewTask, TaskId


@dataclass(slots=True)
class Ask:
    """One task to be enqueued, and the positions in the batch that its answer is for."""

    task: NewTask
    position: int
    followers: list[tuple[int, Happened]] = field(default_factory=list)

    def takes(self, task: NewTask, position: int) -> bool:
        """Whether the later task could be made part of this one."""
        if task.duplicate == "skip":
            self.followers.append((position, "existing"))
            return True
        if task.duplicate == self.task.duplicate == "replace":
            self.task = replace(
                self.task,
                payload=task.payload,
                priority=task.priority,
                run_at=task.run_at,
                delay=task.delay,
                concurrency_key=task.concurrency_key,
            )
            self.followers.append((position, "replaced"))
            return True
        if task.duplicate == self.task.duplicate == "earlier" and _not_earlier(task, self.task):
            self.followers.append((position, "existing"))
            return True
        return False

    def answers(self, answer: Enqueued) -> dict[int, Enqueued]:
        """The answers by position. What could not be replaced once was not replaced later."""
        untouched = answer.happened == "existing"
        found = {self.position: answer}
        for position, happened in self.followers:
            found[position] = Enqueued(id=answer.id, happened="existing" if untouched else happened)
        return found


def plan(tasks: Sequence[NewTask]) -> list[list[Ask]]:
    """The layers to be asked in this order; within one every hash comes once."""
    layers: list[list[Ask]] = []
    latest: dict[object, tuple[int, Ask]] = {}
    for position, task in enumerate(tasks):
        same = _same(task)
        depth = 0
        if same in latest:
            depth, ask = latest[same]
            if ask.takes(task, position):
                continue
            depth += 1
        if depth == len(layers):
            layers.append([])
        ask = Ask(task, position)
        layers[depth].append(ask)
        if same is not None:
            latest[same] = (depth, ask)
    return layers


def refuse_twins(tasks: Sequence[NewTask]) -> None:
    """Raises `DuplicateTask` when one that is to be refused as a duplicate follows its like."""
    seen: set[object] = set()
    for task in tasks:
        same = _same(task)
        if same in seen and task.duplicate == "raise":
            raise DuplicateTask(f"{task.name} comes twice in one call")
        if same is not None:
            seen.add(same)


def refused(task: NewTask, existing: TaskId) -> DuplicateTask:
    """The error for a task that is there already."""
    return DuplicateTask(f"{task.name} is task {existing}", existing)


def unrefused(task: NewTask) -> NewTask:
    """The task, skipped where it would be refused: for callers that nobody listens to."""
    return replace(task, duplicate="skip") if task.duplicate == "raise" else task


def refusing(task: NewTask) -> NewTask:
    """The task, refused when it is there already."""
    return task if task.unique_hash is None else replace(task, duplicate="raise")


def _same(task: NewTask) -> object:
    if task.unique_hash is None:
        return None
    return (task.unique_hash, task.unique_period, task.unique_states)


def _not_earlier(task: NewTask, than: NewTask) -> bool:
    """Whether the task is certainly not due before the other; False when only the store's
    clock can tell."""
    if task.run_at is not None and than.run_at is not None:
        return task.run_at >= than.run_at
    if task.run_at is None and than.run_at is None:
        nothing = timedelta(0)
        return (task.delay or nothing) >= (than.delay or nothing)
    return False
