"""What a store must do. `PostgresStore` and `MemoryStore` are the two that ship.

Guarantees every store gives (the conformance suite in `colmillo.testing` checks them):

* A task is run by one worker at a time. Each claim gives it a larger lease number, and every
  later word about the task must carry that number; a stale one changes nothing.
* A unique hash is held by at most one task, as long as the task's ``unique_states`` say.
* Times are taken from the store's own clock, never from the caller's.
* With a ``connection``, everything happens in that connection's open transaction, and is
  undone with it. Without one, each call is atomic by itself.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, NamedTuple, NewType, Protocol, Self
from uuid import UUID

from colmillo.controls import ControlStore
from colmillo.errors import InvalidTask
from colmillo.flow_store import FlowStore
from colmillo.housekeeping import Housekeeping
from colmillo.operations import Operations
from colmillo.payload import with_headers
from colmillo.unique import Duplicate, States, check_unique, key_hash

TaskId = NewType("TaskId", int)
WorkerId = NewType("WorkerId", UUID)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """A task to be enqueued. Made by `Task.new`; change it with `with_options`.

    ``payload`` is JSON text of one object: the arguments by name, and what `with_headers` puts
    beside them. ``run_at`` and ``delay`` exclude each other; neither means now. Higher
    ``priority`` runs first. ``max_attempts`` None means no limit. ``unique_hash`` is 32 bytes or
    None; those below it, which mean nothing without it, are of `colmillo.Unique`; the
    ``concurrency_key`` is what a limit per key counts by (`colmillo.limits`).
    """

    name: str
    queue: str
    payload: str
    priority: int = 0
    max_attempts: int | None = 25
    run_at: datetime | None = None
    delay: timedelta | None = None
    unique_hash: bytes | None = None
    unique_period: timedelta | None = None
    unique_states: States = "live"
    duplicate: Duplicate = "skip"
    concurrency_key: str | None = None

    def with_options(
        self,
        *,
        delay: timedelta | None = None,
        run_at: datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        duplicate: Duplicate | None = None,
        concurrency_key: str | None = None,
    ) -> Self:
        """Returns a copy with the given options changed; those left out stay.

        A ``delay`` replaces a ``run_at`` and the other way round. A unique task that is sent
        to another queue keeps its hash: it is still the same task. ``duplicate`` is what to
        do about a task that is there already; see `colmillo.unique.Duplicate`.

        Raises `InvalidTask` for both times, ``run_at`` without a zone, a negative delay, or no
        such ``duplicate``.
        """
        if delay is not None and run_at is not None:
            raise InvalidTask(f"{self.name}: give delay or run_at, not both")
        if run_at is not None and run_at.utcoffset() is None:
            raise InvalidTask(f"{self.name}: run_at needs a time zone")
        if delay is not None and delay < timedelta(0):
            raise InvalidTask(f"{self.name}: the delay is negative")
        chosen = self.duplicate if duplicate is None else duplicate
        check_unique(self.unique_period, self.unique_states, chosen)
        timed = delay is not None or run_at is not None
        return replace(
            self,
            delay=delay if timed else self.delay,
            run_at=run_at if timed else self.run_at,
            priority=self.priority if priority is None else priority,
            queue=self.queue if queue is None else queue,
            duplicate=chosen,
            concurrency_key=self.concurrency_key if concurrency_key is None else concurrency_key,
        )

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Returns a copy that carries these texts beside its arguments, for ``context.headers``.

        For what is about the call and no argument of it, as a trace's id. They are no part of
        what makes a task unique, and count as a part of the payload, which has a million bytes
        at most. Headers that the task has already stay, unless they are given again.

        Raises `InvalidTask` for a header that is no text, or too much of them.
        """
        return replace(self, payload=with_headers(self.payload, headers))

    def with_key(
        self,
        key: str,
        *,
        period: timedelta | None = None,
        states: States | None = None,
        duplicate: Duplicate | None = None,
    ) -> Self:
        """Returns a copy that is unique by this key, within its name and queue.

        What is left out stays as the task's declaration has it. Raises `InvalidTask` for a
        combination that means nothing; see `colmillo.Unique`.
        """
        changed = replace(
            self,
            unique_hash=key_hash(self.name, self.queue, key),
            unique_period=self.unique_period if period is None else period,
            unique_states=self.unique_states if states is None else states,
            duplicate=self.duplicate if duplicate is None else duplicate,
        )
        check_unique(changed.unique_period, changed.unique_states, changed.duplicate)
        return changed


Happened = Literal["inserted", "existing", "replaced", "earlier"]
"""What an enqueue did: added the task; left the one that is there as it was; gave that one the
new payload, priority and due time; made that one due earlier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """The answer to an enqueue: the task's id and what happened.

    Unless it was inserted, ``id`` is the task that already held the unique hash.
    """

    id: TaskId
    happened: Happened = "inserted"

    @property
    def inserted(self) -> bool:
        """Whether this call added the task."""
        return self.happened == "inserted"


class ClaimedTask(NamedTuple):
    """A task that this worker owns until its worker lease ends.

    ``crashes`` is how many workers died while it was theirs; ``limited``, whether its queue has
    limits; ``linked``, whether it is part of a flow. A tuple, because one is made for every
    task; give and read its fields by name.
    """

    id: TaskId
    lease: int
    name: str
    queue: str
    payload: str
    attempt: int
    max_attempts: int | None
    enqueued_at: datetime
    run_at: datetime
    priority: int = 0
    crashes: int = 0
    limited: bool = False
    linked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Done: the task is removed. The ``result`` (JSON text) is for its children in a flow."""

    result: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """The task waits again, for ``delay`` from the store's now; None: as if it had never been
    claimed, due when it was due, in front of what came later.

    ``keep_attempt`` false gives the attempt back (snooze, release). ``error`` is added to the
    task's bounded error history.
    """

    delay: timedelta | None = timedelta(0)
    keep_attempt: bool = True
    error: str | None = None


class Ending(StrEnum):
    """Why a task was set aside in the archive."""

    FAILED = "failed"
    CANCELLED = "cancelled"
    DISCARDED = "discarded"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """The task leaves the live table for the archive."""

    ending: Ending
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishWith:
    """Done: the task is removed, its result (JSON text) kept for so long, and for its children."""

    result: str
    keep: timedelta


Verdict = Finish | Again | SetAside | FinishWith


class Settlement(NamedTuple):
    """One verdict over one claim. Matches on id and lease, or changes nothing.

    ``linked`` is what the claim said: the end of a task of a flow changes nothing without it.
    A tuple as `ClaimedTask` is one.
    """

    id: TaskId
    lease: int
    verdict: Verdict
    linked: bool = False


class State(StrEnum):
    """Where a task is. The archive's endings are states too: a task has one story.

    A blocked one waits for other tasks of its flow; see `colmillo.flows`.
    """

    WAITING = "waiting"
    BLOCKED = "blocked"
    RUNNING = "running"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DISCARDED = "discarded"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """What the store knows of a task, live or archived. For people and tests, not for workers.

    ``unique_hash`` is the key as it is held (`colmillo.unique.held_hash`), None without one.
    The ``run_at`` of a blocked task is `colmillo.flow_store.NEVER`.
    """

    id: TaskId
    name: str
    queue: str
    state: State
    payload: str
    priority: int
    attempt: int
    max_attempts: int | None
    run_at: datetime
    enqueued_at: datetime
    lease: int
    crashes: int
    worker: WorkerId | None = None
    errors: tuple[str, ...] = field(default=())
    archived_at: datetime | None = None
    unique_hash: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescued:
    """What a rescue did: how many tasks wait again, and which were quarantined."""

    released: int
    quarantined: tuple[TaskId, ...]


class Store(Operations, ControlStore, Housekeeping, FlowStore, Protocol):
    """A place where tasks live. See the module's docstring for what all methods guarantee.

    Any method may raise the driver's own errors when the database cannot be reached.
    """

    async def enqueue(
        self, tasks: Sequence[NewTask], *, connection: object | None = None
    ) -> list[Enqueued]:
        """Adds the tasks, all or none, and answers in their order.

        A task whose unique hash is held is dealt with as its ``duplicate`` says; the answer
        names the holder. Duplicates within ``tasks`` are treated as if enqueued one after the
        other. The caller's transaction is never aborted by a duplicate. Workers of the queues
        concerned are woken when the transaction commits.

        Raises `DuplicateTask` when a task that is to be refused is there already, or twice in
        ``tasks``: nothing was added or changed, the transaction goes on.
        """
        ...

    async def claim(self, worker: WorkerId, room: Mapping[str, int]) -> list[ClaimedTask]:
        """Takes up to ``room[queue]`` due tasks of each queue for a worker whose lease lives.

        Highest priority first, then by due time, then by id. Takes nothing for a worker whose
        lease is over. The queues' limits hold; what they leave out is passed by.
        """
        ...

    async def settle(
        self, settlements: Sequence[Settlement], *, connection: object | None = None
    ) -> frozenset[TaskId]:
        """Carries the verdicts out; returns the ids that were *not* settled because their lease
        number is no longer current (the lease was lost).

        The end of a task of a flow is passed on to its children, without a ``connection`` at
        once, else when the same verdict is settled again without one, or by the next `rescue`.
        """
        ...

    async def release_strays(self, worker: WorkerId, running: Sequence[TaskId]) -> int:
        """Gives back the worker's running tasks that are not in ``running``, attempts restored.

        For a claim whose answer was lost on the way; call it with no claim under way.
        """
        ...

    async def register(self, worker: WorkerId, *, name: str, lease: timedelta) -> None:
        """Starts the worker's lease. ``name`` is for people (host and process)."""
        ...

    async def renew(self, worker: WorkerId, lease: timedelta) -> bool:
        """Extends the lease from now; false when it was over already (it stays over)."""
        ...

    async def retire(self, worker: WorkerId) -> None:
        """Ends the lease at once; whatever the worker still held can be rescued."""
        ...

    async def rescue(self, *, max_crashes: int) -> Rescued:
        """Makes the tasks of workers without a living lease wait again.

        A task whose workers died ``max_crashes`` times while running it is quarantined.
        Degrades per row: one odd task never keeps the others from being rescued. Also passes
        on to their children the ends of tasks of flows that were not passed on yet.
        """
        ...

    async def tick(
        self,
        schedule: str,
        fire_time: datetime,
        task: NewTask,
        *,
        connection: object | None = None,
    ) -> bool:
        """Enqueues the schedule's task for this fire time unless somebody did already, or the
        schedule is paused.

        The tick is a unique row per (schedule, fire_time), so any number of schedulers is safe.
        A task that is to be refused as a duplicate is skipped instead: there is no caller.
        """
        ...

    async def now(self) -> datetime:
        """The store's clock."""
        ...

    async def next_due(self, queues: Sequence[str]) -> timedelta | None:
        """How long until the earliest waiting task of these queues is due.

        Zero when one is due already, None when nothing waits (blocked tasks aside), or only for
        running tasks of limited queues to end. A task of a queue with a rate is due when its
        token is.
        """
        ...

    async def get(self, task: TaskId) -> TaskRecord | None:
        """The task, live or archived; None once it is done or was never there."""
        ...

    async def counts(self) -> dict[tuple[str, State], int]:
        """How many tasks there are per queue and state, archive included."""
        ...

    def listen(self, wake: Callable[[str], None]) -> AbstractAsyncContextManager[None]:
        """While open, calls ``wake(queue)`` when tasks were committed to a queue.

        Best effort: wake-ups may be lost or merged; callers poll as well. A lost connection is
        reopened by the store itself, which then calls ``wake("")``: any queue may have tasks.
        ``wake(CANCELS)`` (of `colmillo.operations`) says that running tasks are to be cancelled.
        """
        ...
