"""A plain model of a store: dictionaries, one call after the other, no clock of its own.

For tests that drive a store and the model with the same calls and compare what they say.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from colmillo.checks import ERRORS_KEPT
from colmillo.operations import Cancellation, Requeued, Revival
from colmillo.store import (
    Again,
    ClaimedTask,
    Finish,
    FinishWith,
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
    ending: State | None = field(default=None)
    """Why it lies in the archive; None while it is live."""


class Model:
    """The plain model: dictionaries, one step after the other."""

    def __init__(self) -> None:
        self.live: dict[TaskId, Row] = {}
        self.done: dict[TaskId, Row] = {}
        self.archive: dict[TaskId, Row] = {}
        self.results: dict[TaskId, tuple[str, datetime]] = {}
        self.requests: dict[TaskId, str] = {}
        self.paused: set[str] = set()
        self.schedules: dict[str, bool] = {}
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
        run_at = task.run_at or now + (task.delay or timedelta(0))
        holder = self.holder(key)
        if holder is None:
            used = self.live.keys() | self.archive.keys() | self.done.keys()
            assert answered not in used, "an id was used twice"
            self.live[answered] = Row(
                answered, task, task.queue, task.payload, task.priority, run_at, key
            )
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
                self.finish(row)
            case FinishWith(result=result, keep=keep):
                self.finish(row)
                self.results[row.id] = result, now + keep
            case Again(delay=delay, keep_attempt=keep, error=error):
                row.worker, row.run_at = None, row.run_at if delay is None else now + delay
                row.attempt -= not keep
                if error is not None:
                    self.add_error(row, error)
            case SetAside(ending=ending, error=error):
                self.set_aside(row, State(ending.value), error)
        return True

    def add_error(self, row: Row, error: str) -> None:
        """The history is bounded."""
        row.errors = (*row.errors, error)[-ERRORS_KEPT:]

    def finish(self, row: Row) -> None:
        """The task has left for good."""
        self.done[row.id] = self.live.pop(row.id)

    def set_aside(self, row: Row, state: State, error: str) -> None:
        """The task has left for the archive."""
        self.add_error(row, error)
        row.ending = state
        self.archive[row.id] = self.live.pop(row.id)

    def cancel(self, task: TaskId, why: str) -> Cancellation:
        """As `Store.cancel`."""
        row = self.live.get(task)
        if row is None:
            return Cancellation.ABSENT
        if row.worker is None:
            self.set_aside(row, State.CANCELLED, why)
            return Cancellation.ARCHIVED
        self.requests[task] = why
        return Cancellation.REQUESTED

    def cancel_requests(self, worker: WorkerId) -> set[tuple[TaskId, int, str]]:
        """As `Store.cancel_requests`: id, lease number and reason."""
        found: set[tuple[TaskId, int, str]] = set()
        for task, why in list(self.requests.items()):
            row = self.live.get(task)
            if row is not None and row.worker is None:
                self.set_aside(row, State.CANCELLED, why)
            if row is None or row.worker is None:
                del self.requests[task]
            elif row.worker == worker:
                found.add((task, row.lease, why))
        return found

    def requeue(self, tasks: list[TaskId], now: datetime) -> list[Requeued]:
        """As `Store.requeue`."""
        answers = {task: self.revive(task, now) for task in sorted(set(tasks))}
        return [answers[task] for task in dict.fromkeys(tasks)]

    def revive(self, task: TaskId, now: datetime) -> Requeued:
        """Takes one task back, unless it is not there or its key is held."""
        row = self.archive.get(task)
        if row is None:
            return Requeued(id=task, revival=Revival.ABSENT)
        holders = [other.id for other in self.live.values() if row.key and other.key == row.key]
        if holders:
            return Requeued(id=task, revival=Revival.HELD, holder=holders[0])
        del self.archive[task]
        self.requests.pop(task, None)
        row.worker, row.ending, row.run_at, row.attempt, row.crashes = None, None, now, 0, 0
        self.live[task] = row
        return Requeued(id=task, revival=Revival.REQUEUED)

    def result(self, task: TaskId, now: datetime) -> str | None:
        """As `Store.result`."""
        text, end = self.results.get(task, (None, now))
        return text if end > now else None

    def may_tick(self, schedule: str, fire_time: datetime) -> bool:
        """Whether a tick counts; it is remembered if so."""
        if self.schedules.get(schedule) or (schedule, fire_time) in self.ticks:
            return False
        self.ticks.add((schedule, fire_time))
        return True

    def counts(self) -> dict[tuple[str, State], int]:
        """As `Store.counts`."""
        rows = [*self.live.values(), *self.archive.values()]
        return dict(Counter((row.queue, state_of(row)) for row in rows))


def state_of(row: Row) -> State:
    """Where the task is."""
    if row.ending is not None:
        return row.ending
    return State.WAITING if row.worker is None else State.RUNNING


def order_of(row: Row) -> tuple[int, datetime, TaskId]:
    """What claims go by."""
    return (-row.priority, row.run_at, row.id)
