"""Where claims ended, so that the next one need not walk over the same rows again.

Rows that run, and dead rows which vacuum may not remove yet, stay in front of those that wait;
under a long transaction there may be millions. A floor skips them. What comes to wait below a
floor (a late commit, a rescue) is found by the next claim without floors: `SECONDS` later at the
most, or after fifty times what such claims take, if that is longer. With no backlog there are
no floors, and every claim sees everything.
"""

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

SECONDS = 0.5
SHARE = 50
"""Claims without floors may take one part in so many of a worker's time."""

SLOW = 0.05
"""A claim without floors that takes longer walks over much: it is made when it is due, only."""

MOST = 200
"""More floors than this are forgotten: each costs every claim a little."""


class Floor(NamedTuple):
    """The last task that a claim got of a queue and priority."""

    run_at: datetime
    id: int


class Floors:
    """The floors of one store. Kept in memory only, so that nothing is written for them."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._floors: dict[tuple[str, int], Floor] = {}
        self._whole_at = float("-inf")
        self._pause = 0.0
        self._last_took = 0.0
        self.forgotten = 0

    def columns(self, *, whole: bool = False) -> tuple[list[object], ...]:
        """The floors as parameters of ``claim.sql``; none for a ``whole`` claim."""
        known = {} if whole else self._floors
        return (
            [queue for queue, _ in known],
            [priority for _, priority in known],
            [floor.run_at for floor in known.values()],
            [floor.id for floor in known.values()],
        )

    def whole_is_due(self) -> bool:
        """Whether the next claim has to look below the floors."""
        return not self._floors or self._monotonic() - self._whole_at >= self._pause

    def whole_is_cheap(self) -> bool:
        """Whether looking below the floors costs so little that it may be done at any time."""
        return self._pause <= SHARE * SLOW or self.whole_is_due()

    def whole_done(self, seconds: float, *, exhausted: Iterable[str]) -> None:
        """A claim without floors took so long, and left nothing due in the queues ``exhausted``.

        One slow claim may be the machine's hiccup, after which nothing should be found late: two
        in a row count.
        """
        took = min(seconds, self._last_took)
        self._last_took = seconds
        self._whole_at = self._monotonic()
        self._pause = max(SECONDS, SHARE * took)
        if took <= SLOW:
            gone = set(exhausted)
            self._floors = {lane: at for lane, at in self._floors.items() if lane[0] not in gone}

    def raise_to(self, queue: str, priority: int, run_at: datetime, task: int) -> None:
        """A claim got this task last of its queue and priority."""
        self._floors[queue, priority] = Floor(run_at, task)
        if len(self._floors) > MOST:
            self._floors.clear()

    def forget(self) -> None:
        """Something came to wait that may stand anywhere."""
        self.forgotten += 1
        self._floors.clear()
