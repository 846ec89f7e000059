"""The worker's role that sees to it that the store stays small."""

import logging
from collections.abc import Callable
from random import Random

from colmillo.clock import Clock
from colmillo.store import Store
from colmillo.waiting import within

logger = logging.getLogger(__name__)

SECONDS = 5.0
AGAIN_SECONDS = 0.2
CALL_SECONDS = 60.0

SHARE = 50
"""Housekeeping may take one part in so many of the time, unless there is more to do at once."""


class Housekeeper:
    """Calls `Store.housekeep` every few seconds, at moments drawn by chance. Every worker does.

    ``ready`` says whether now is a good time.
    """

    def __init__(
        self, store: Store, clock: Clock, rng: Random, *, ready: Callable[[], bool]
    ) -> None:
        self._store = store
        self._clock = clock
        self._rng = rng
        self._ready = ready

    async def run(self) -> None:
        """Keeps house until it is cancelled."""
        pause = SECONDS
        while True:
            await self._clock.sleep(pause * self._rng.uniform(0.5, 1.0))
            pause = SECONDS
            if self._ready():
                pause = await self._round()

    async def _round(self) -> float:
        """One round; returns the pause after it."""
        started = self._clock.monotonic()
        try:
            done = await within(self._clock, CALL_SECONDS, self._store.housekeep())
        except Exception as error:
            logger.warning("cannot keep house", extra={"error": repr(error)})
            return SECONDS
        if done.more:
            return AGAIN_SECONDS
        return max(SECONDS, SHARE * (self._clock.monotonic() - started))
