"""What a store lets people do with single tasks. Part of `colmillo.store.Store`."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from colmillo.store import Ending, TaskId, TaskRecord, WorkerId

CANCELS = "\x1bcancel"
"""What a store's listeners hear instead of a queue's name when a running task is to be
cancelled."""


class Cancellation(StrEnum):
    """What a cancel came to."""

    ARCHIVED = "archived"
    """The task was waiting. It is in the archive, and will not run."""

    REQUESTED = "requested"
    """The task is running. Its worker is told; if the function ends before it hears of it,
    what the function did counts."""

    ABSENT = "absent"
    """No such task is live: done, archived already, or never there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequest:
    """A running task that is to be cancelled."""

    id: "TaskId"
    lease: int
    why: str


class Revival(StrEnum):
    """What a requeue came to."""

    REQUEUED = "requeued"
    """The task waits again, under its old id, due now, with all its attempts before it."""

    HELD = "held"
    """Another live task holds its unique hash. It stays in the archive."""

    ABSENT = "absent"
    """It is not in the archive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeued:
    """What became of one task that was to be requeued; ``holder`` is the task in its way.

    ``holder`` may be None for one that is held, when the holder is very new.
    """

    id: "TaskId"
    revival: Revival
    holder: "TaskId | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """What lies in a queue: how many tasks are due, wait for a later time, and run.

    ``oldest`` is for how long the task that is due for the longest has been; None without one.
    """

    due: int
    later: int
    running: int
    oldest: timedelta | None


class Operations(Protocol):
    """Rare calls. None of them costs claims or settles anything."""

    async def cancel(
        self, task: "TaskId", why: str, *, connection: object | None = None
    ) -> Cancellation:
        """Archives the task as cancelled if it waits; asks for that if it runs.

        A request stays until the task has left the live table: should the running attempt
        end with another one to come, that one is cancelled.
        """
        ...

    async def cancel_requests(self, worker: "WorkerId") -> Sequence[CancelRequest]:
        """The worker's running tasks that are to be cancelled.

        Requests for tasks that wait again are carried out on the way, and those for tasks
        that are gone are dropped.
        """
        ...

    async def archived(
        self,
        *,
        queue: str | None = None,
        name: str | None = None,
        ending: "Ending | None" = None,
        before: "TaskId | None" = None,
        limit: int = 100,
    ) -> "Sequence[TaskRecord]":
        """Archived tasks, the latest ids first, with the errors of their attempts.

        ``before`` is the last id of the page before.
        """
        ...

    async def live(
        self,
        *,
        queue: str | None = None,
        name: str | None = None,
        before: "TaskId | None" = None,
        limit: int = 100,
        connection: object | None = None,
    ) -> "Sequence[TaskRecord]":
        """Tasks that wait or run, the latest ids first; pages as `archived` does.

        With a ``connection``, as its open transaction sees them.
        """
        ...

    async def requeue(
        self, tasks: "Sequence[TaskId]", *, connection: object | None = None
    ) -> Sequence[Requeued]:
        """Lets archived tasks wait again, due now; answers in the order asked, ids once.

        The attempts and crashes are counted anew, the errors kept, the lease number goes on.
        Of several that share a unique hash at most one comes back, the one with the lowest id.
        """
        ...

    async def depths(self) -> dict[str, Depth]:
        """The queues that have live tasks, and what lies in them; ages by the store's clock.

        Looks at every live task: for measures, now and then.
        """
        ...

    async def result(self, task: "TaskId") -> str | None:
        """The kept result of a task that is done, JSON text, until its time is over."""
        ...

    def listen_results(self, wake: Callable[[str], None]) -> AbstractAsyncContextManager[None]:
        """While open, calls ``wake(str(id))`` when a task's result was kept.

        Best effort, as with `Store.listen`; ``wake("")`` after a reconnect.
        """
        ...
