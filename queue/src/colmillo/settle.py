"""Verdicts to the store: in batches, at once when idle, again and again until one is answered."""

import asyncio
import logging
from collections.abc import Callable
from itertools import islice
from random import Random

from colmillo.clock import Clock
from colmillo.store import Settlement, Store, TaskId
from colmillo.waiting import Pauses, wait_any, within

logger = logging.getLogger(__name__)

BATCH = 500
CALL_SECONDS = 30.0


class Settler:
    """Delivers verdicts while `run` runs; `settled` is called after each batch.

    Nothing waits for company: a batch is whatever gathered while the one before was on its
    way. A verdict is kept until the store has answered. A lease that ended meanwhile does not
    make it worthless: it is fenced, and if nobody took the task it still counts.
    """

    def __init__(
        self, store: Store, clock: Clock, rng: Random, *, most: int, settled: Callable[[], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._pauses = Pauses(rng)
        self._most = most
        self._settled = settled
        # By id and lease, as all of these.
        self._pending: dict[tuple[object, ...], Settlement] = {}
        # Those whose tasks may be gone by their own doing.
        self._completed: set[tuple[object, ...]] = set()
        # Those that were sent before: the answer may have been lost.
        self._repeated: set[tuple[object, ...]] = set()
        self._filled = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._size = BATCH
        self.lost = 0

    @property
    def full(self) -> bool:
        """Whether so many verdicts wait that nothing new should be started."""
        return len(self._pending) >= self._most

    @property
    def idle(self) -> bool:
        """Whether no verdict waits."""
        return not self._pending

    @property
    def failing(self) -> bool:
        """Whether the last delivery failed."""
        return self._pauses.failures > 0

    def tasks(self) -> list[TaskId]:
        """The tasks whose verdicts wait."""
        return [settlement.id for settlement in self._pending.values()]

    def put(self, settlement: Settlement, *, completed: bool = False) -> None:
        """Takes a verdict. ``completed`` says that the task may be gone, by its own doing."""
        self._pending[key(settlement)] = settlement
        if completed:
            self._completed.add(key(settlement))
        self._filled.set()
        self._empty.clear()

    async def drain(self, seconds: float) -> bool:
        """Waits until no verdict waits, at most that long. Returns whether it came to that."""
        return await wait_any(self._clock, seconds, self._empty)

    async def run(self) -> None:
        """Delivers until it is cancelled."""
        while True:
            await self._filled.wait()
            batch = self._batch()
            try:
                sent = self._store.settle(batch)
                refused = await within(self._clock, CALL_SECONDS, sent)
            except Exception as error:
                self._failed(batch, error)
                await self._clock.sleep(self._pauses.next())
                continue
            self._delivered(batch, refused)

    def _batch(self) -> list[Settlement]:
        """The oldest verdicts, no task twice: the store answers by task."""
        batch = list(islice(self._pending.values(), self._size))
        if len({settlement.id for settlement in batch}) == len(batch):
            return batch
        oldest: dict[TaskId, Settlement] = {}
        for settlement in batch:
            oldest.setdefault(settlement.id, settlement)
        return list(oldest.values())

    def _failed(self, batch: list[Settlement], error: Exception) -> None:
        extra = {"verdicts": len(self._pending), "error": repr(error)}
        logger.warning("cannot deliver verdicts, will try again", extra=extra)
        # Should one verdict be the reason, smaller and smaller batches find and pass it.
        self._size = max(1, len(batch) // 2)
        for settlement in batch:
            self._repeated.add(key(settlement))
            self._pending[key(settlement)] = self._pending.pop(key(settlement))

    def _delivered(self, batch: list[Settlement], refused: frozenset[TaskId]) -> None:
        self._size = BATCH
        self._pauses.reset()
        for settlement in batch:
            del self._pending[key(settlement)]
        if refused:
            for settlement in batch:
                if settlement.id in refused and key(settlement) not in self._completed:
                    self._refused(settlement)
        if self._completed or self._repeated:
            keys = [key(settlement) for settlement in batch]
            self._completed.difference_update(keys)
            self._repeated.difference_update(keys)
        if not self._pending:
            self._filled.clear()
            self._empty.set()
        self._settled()

    def _refused(self, settlement: Settlement) -> None:
        extra = {"task_id": settlement.id, "lease": settlement.lease}
        if key(settlement) in self._repeated:
            logger.info("verdict delivered before, or lease lost", extra=extra)
            return
        self.lost += 1
        logger.warning("lease lost: the verdict changed nothing", extra=extra)


def key(settlement: Settlement) -> tuple[object, ...]:
    """The claim that the verdict is about."""
    return settlement[:2]
