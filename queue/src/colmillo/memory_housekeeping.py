"""What the memory store drops because its time is over: `colmillo.housekeeping`."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from colmillo.clock import Clock
from colmillo.housekeeping import Housekept
from colmillo.store import TaskId, TaskRecord

if TYPE_CHECKING:
    from colmillo.memory import _Row

K = TypeVar("K")
V = TypeVar("V")

WEEK = timedelta(days=7)


class MemoryHousekeeping:
    """The part of `MemoryStore` that is a `colmillo.housekeeping.Housekeeping`."""

    _clock: Clock
    _keep_archived: timedelta | None
    _archive: dict[TaskId, TaskRecord]
    _aside: "dict[TaskId, _Row]"
    _results: dict[TaskId, tuple[str, datetime]]
    _lasting: dict[bytes, tuple[TaskId, datetime]]
    _ticks: set[tuple[str, datetime]]

    async def housekeep(self) -> Housekept:
        """Removes what is over; see `Housekeeping.housekeep`."""
        now = self._clock.now()
        before = self._size()
        if self._keep_archived is not None:
            limit = now - self._keep_archived
            self._archive = kept(self._archive, lambda one: (one.archived_at or now) >= limit)
            self._aside = {task: row for task, row in self._aside.items() if task in self._archive}
        self._results = kept(self._results, lambda one: one[1] > now)
        self._lasting = kept(self._lasting, lambda one: one[1] > now - timedelta(hours=1))
        latest: dict[str, datetime] = {}
        for schedule, fire_time in self._ticks:
            latest[schedule] = max(fire_time, latest.get(schedule, fire_time))
        self._ticks = {(by, at) for by, at in self._ticks if at >= min(latest[by], now - WEEK)}
        return Housekept(removed=before - self._size())

    def _size(self) -> int:
        kinds = (self._archive, self._results, self._lasting, self._ticks)
        return sum(len(kind) for kind in kinds)


def kept(things: Mapping[K, V], stays: Callable[[V], bool]) -> dict[K, V]:
    """Those that stay."""
    return {key: value for key, value in things.items() if stays(value)}
