"""Tasks that wait for other tasks: chains, groups, fan-in, and any graph without a ring.

    flow = chain(fetch.new(1), group(parse.new(), index.new()), report.new())
    ids = await queue.enqueue_flow(flow)

A task starts when all those before it are done; `colmillo.Context.parents` gives it what they
returned. When one of them is set aside instead (failed, cancelled, discarded, quarantined) or
deleted, the tasks after it are cancelled, and those after them; ``Step(task, on_failure="run")``
runs when all before it have ended, however they did.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from colmillo.errors import InvalidTask
from colmillo.flow_store import (
    MOST_DEPENDENCIES,
    MOST_TASKS,
    FlowTask,
    OnFailure,
    Outcome,
    check_flow,
)
from colmillo.store import NewTask


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A task of a flow, and the steps that it waits for.

    Each step is one task: the same object in two places is the same task. Parts of a chain
    need no steps of their own, except to say what becomes of a task when one before it fails:
    ``on_failure`` "cancel" (it is cancelled) or "run" (it runs when all have ended).
    """

    task: NewTask
    after: Sequence["Step"] = ()
    on_failure: OnFailure = "cancel"

    def __post_init__(self) -> None:
        """Keeps what it waits for, each step once."""
        object.__setattr__(self, "after", tuple(dict.fromkeys(self.after)))


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """Steps that are enqueued together, in an order in which each comes after its parents.

    Made by `chain`, `group`, `graph` and `then`. Flows never change: a flow that becomes part of
    another is copied into it, each step anew.
    """

    steps: tuple[Step, ...]

    def then(self, *parts: "Part") -> "Flow":
        """Returns a flow in which the parts start, side by side, when all of this is done."""
        return chain(self, group(*parts))

    def tasks(self) -> list[FlowTask]:
        """The flow as a store takes it.

        Raises:
            InvalidTask: too many tasks or dependencies.
        """
        places = {step: place for place, step in enumerate(self.steps)}
        tasks = [
            FlowTask(
                task=step.task,
                after=tuple(places[parent] for parent in step.after),
                on_failure=step.on_failure,
            )
            for step in self.steps
        ]
        check_flow(tasks)
        return tasks


Part = NewTask | Step | Flow
"""What flows are made of."""


def graph(*steps: Step) -> Flow:
    """Returns the flow of these steps and all that they wait for: any graph.

    The steps are in the order given, except that those before a step come before it.

    Raises:
        InvalidTask: steps that wait for each other in a ring.
    """
    placed: dict[Step, None] = {}
    begun: set[Step] = set()
    for wanted in steps:
        stack = [wanted]
        while stack:
            step = stack[-1]
            missing = [parent for parent in step.after if parent not in placed]
            if not missing:
                placed[stack.pop()] = None
                continue
            begun.add(step)
            if not begun.isdisjoint(missing):
                raise InvalidTask(f"the steps wait for each other in a ring: {step.task.name}")
            stack += reversed(missing)
    return Flow(tuple(placed))


def chain(*parts: Part) -> Flow:
    """Returns a flow in which each part starts when all of the one before it is done."""
    steps: list[Step] = []
    lasts: tuple[Step, ...] = ()
    for part in parts:
        added = _after(_flow_of(part), lasts)
        steps += added
        lasts = _lasts(added) or lasts
    return Flow(tuple(steps))


def group(*parts: Part) -> Flow:
    """Returns a flow in which the parts run side by side."""
    return Flow(tuple(step for part in parts for step in _after(_flow_of(part), ())))


def _flow_of(part: Part) -> Flow:
    if isinstance(part, Flow):
        return part
    return graph(part if isinstance(part, Step) else Step(part))


def _after(part: Flow, lasts: tuple[Step, ...]) -> list[Step]:
    """The part's steps anew; those that waited for nothing wait for ``lasts``."""
    copies: dict[Step, Step] = {}
    for step in part.steps:
        after = tuple(copies[parent] for parent in step.after) or lasts
        copies[step] = replace(step, after=after)
    return list(copies.values())


def _lasts(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Those that nobody waits for."""
    known = list(steps)
    before = {parent for step in known for parent in step.after}
    return tuple(step for step in known if step not in before)


__all__ = [
    "MOST_DEPENDENCIES",
    "MOST_TASKS",
    "Flow",
    "OnFailure",
    "Outcome",
    "Part",
    "Step",
    "chain",
    "graph",
    "group",
]
