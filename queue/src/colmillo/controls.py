"""What is steered by rows while workers run: paused and limited queues, and the schedules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from colmillo.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """What a worker reads at every poll.

    ``schedules`` is some number that changes whenever any schedule's row does.
    """

    now: datetime
    paused: frozenset[str]
    schedules: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRow:
    """A schedule as it is stored.

    ``timing`` says when it fires, for people; ``spec`` is the whole definition as JSON text.
    ``static`` ones come from a program's code. Fire times up to ``since`` are not its concern:
    it did not exist then, fired at other times, or was paused.
    """

    name: str
    timing: str
    spec: str
    static: bool
    paused: bool
    since: datetime
    last_tick: datetime | None


class ControlStore(Protocol):
    """The part of a `Store` that keeps these rows. They are the truth; nothing is notified."""

    async def controls(self) -> Controls:
        """The store's clock, the paused queues, and whether schedules changed."""
        ...

    async def pause_queue(self, queue: str, *, paused: bool) -> bool:
        """Pauses or resumes a queue; whether that changed anything."""
        ...

    async def set_limits(self, queue: str, limits: Limits) -> None:
        """Sets a queue's limits, in place of those it has. They hold for every claim that
        begins after that; what runs already is not counted, and what is too much ends first."""
        ...

    async def limits(self) -> Mapping[str, Limits]:
        """The limits of all queues that have any."""
        ...

    async def schedules(self) -> Sequence[ScheduleRow]:
        """All schedules by name."""
        ...

    async def declare_schedule(self, name: str, *, timing: str, spec: str) -> None:
        """Records a schedule from code. It stays paused if it was; a new timing counts from now."""
        ...

    async def add_schedule(self, name: str, *, timing: str, spec: str, replace: bool) -> bool:
        """Adds a schedule, or replaces one that was added; false when the name is taken
        (by a static one, or by any without ``replace``)."""
        ...

    async def pause_schedule(self, name: str, *, paused: bool) -> bool:
        """Pauses a schedule, or resumes it from now on; false when that changed nothing."""
        ...

    async def remove_schedule(self, name: str) -> bool:
        """Removes a schedule and its ticks, which go even if it has no row; false without a row."""
        ...
