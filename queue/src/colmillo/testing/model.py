"""A plain model of a store: dictionaries, one call after the other, no clock of its own.

For tests that drive a store and the model with the same calls and compare what they say.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from colmillo.store import (
    Again,
    ClaimedTask,
    Finish,
    Happened,
    NewTask,
    SetAside,
    State,
    TaskId,
    Verdict,
    WorkerId,
)


@dataclass(slots=True)
class Row:
    """What the model knows of one task that is live."""

    id: TaskId
    task: NewTask
    queue: str
    payload: str
    priority: int
    run_at: datetime
    key: object
    worker: WorkerId | None = None
    lease: int = 0
    attempt: int = 0
    crashes: int = 0
    errors: tuple[str, ...] = ()


class Model:
    """The plain model: dictionaries, one step after the other."""

    def __init__(self) -> None:
        self.live: dict[TaskId, Row] = {}
        self.gone: dict[TaskId, State | None] = {}
        self.queues: dict[TaskId, str] = {}
        self.lasting: dict[object, TaskId] = {}
        self.leases: dict[WorkerId, datetime] = {}
        self.ticks: set[tuple[str, datetime]] = set()

    def key(self, task: NewTask, now: datetime) -> object:
        """What the task holds, by the store's clock; None for a task that is not unique."""
        if task.unique_hash is None:
            return None
        period = task.unique_period
        number = None if period is None else int(now.timestamp() // period.total_seconds())
        return (task.unique_hash, task.unique_states, period, number)

    def holder(self, key: object) -> TaskId | None:
        """The task that holds the key."""
        if key is None:
            return None
        held = [row.id for row in self.live.values() if row.key == key]
        assert len(held) <= 1
        return self.lasting.get(key, held[0] if held else None)

    def refusals(self, batch: list[NewTask], now: datetime) -> set[TaskId | None]:
        """The tasks that a refusal of this batch may name; empty when it must go through."""
        keys = [self.key(task, now) for task in batch]
        refusing = [n for n, task in enumerate(batch) if task.duplicate == "raise"]
        if any(keys[n] in keys[:n] for n in refusing):
            return {None}
        return {self.holder(keys[n]) for n in refusing} - {None}

    def enqueue(self, task: NewTask, now: datetime, answered: TaskId) -> Happened:
        """What must have happened; ``answered`` is the new task's id if it is one."""
        key = self.key(task, now)
        run_at = now + (task.delay or timedelta(0))
        holder = self.holder(key)
        if holder is None:
            assert answered not in self.queues, "an id was used twice"
            self.live[answered] = Row(
                answered, task, task.queue, task.payload, task.priority, run_at, key
            )
            self.queues[answered] = task.queue
            if task.unique_states == "finished":
                self.lasting[key] = answered
            return "inserted"
        assert answered == holder
        row = self.live.get(holder)
        if row is not None and row.worker is None:
            if task.duplicate == "replace":
                row.payload, row.priority, row.run_at = task.payload, task.priority, run_at
                return "replaced"
            if task.duplicate == "earlier" and run_at < row.run_at:
                row.run_at = run_at
                return "earlier"
        return "existing"

    def alive(self, worker: WorkerId, now: datetime) -> bool:
        """Whether the worker's lease lives."""
        return worker in self.leases and self.leases[worker] > now

    def due(self, queue: str, now: datetime) -> list[Row]:
        """What can be claimed."""
        return [
            row
            for row in self.live.values()
            if row.worker is None and row.queue == queue and row.run_at <= now
        ]

    def settle(self, claimed: ClaimedTask, verdict: Verdict, now: datetime) -> bool:
        """Carries one verdict out; whether it counted."""
        row = self.live.get(claimed.id)
        if row is None or row.worker is None or row.lease != claimed.lease:
            return False
        match verdict:
            case Finish():
                self.remove(row, None)
            case Again(delay=delay, keep_attempt=keep, error=error):
                row.worker, row.run_at = None, row.run_at if delay is None else now + delay
                row.attempt -= not keep
                row.errors = (*row.errors, *([error] if error else []))[-10:]
            case SetAside(ending=ending):
                self.remove(row, State(ending.value))
        return True

    def remove(self, row: Row, state: State | None) -> None:
        """The task has left: to the archive with a state, or without one for good."""
        del self.live[row.id]
        self.gone[row.id] = state

    def counts(self) -> dict[tuple[str, State], int]:
        """As `Store.counts`."""
        counts = Counter((row.queue, state_of(row)) for row in self.live.values())
        counts.update(
            (self.queues[task], state) for task, state in self.gone.items() if state is not None
        )
        return dict(counts)


def state_of(row: Row) -> State:
    """Waiting or running."""
    return State.WAITING if row.worker is None else State.RUNNING


def order_of(row: Row) -> tuple[int, datetime, TaskId]:
    """What claims go by."""
    return (-row.priority, row.run_at, row.id)
