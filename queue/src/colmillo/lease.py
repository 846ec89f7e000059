"""The worker's own view of its lease, and the one role that keeps it alive."""

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random
from uuid import uuid4

from colmillo.clock import Clock
from colmillo.errors import ColmilloError
from colmillo.store import Store, WorkerId
from colmillo.waiting import Pauses, within

logger = logging.getLogger(__name__)


class Lease:
    """One registration of a worker.

    ``deadline`` lies before the moment at which the store lets others have the worker's
    tasks: it counts from before the renewal was sent, and ends a margin earlier.
    """

    def __init__(self, worker: WorkerId, clock: Clock, deadline: float) -> None:
        self.worker = worker
        self.deadline = deadline
        self._clock = clock

    def left(self) -> float:
        """Seconds until the deadline; zero when it is over."""
        return max(0.0, self.deadline - self._clock.monotonic())

    def alive(self) -> bool:
        """Whether the tasks claimed under this lease are certainly still ours."""
        return self.deadline > self._clock.monotonic()

    def end(self) -> None:
        """Takes the lease for over from now on."""
        self.deadline = float("-inf")


class LeaseKeeper:
    """Registers the worker, renews its lease three times per duration, and replaces a lost one.

    ``gained`` is called with every new lease. ``lost`` is awaited before the worker registers
    anew, under a fresh id: it has to stop everything that ran under the old one.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rng: Random,
        *,
        name: str,
        duration: timedelta,
        gained: Callable[[], None],
        lost: Callable[[], Awaitable[None]],
    ) -> None:
        self.current: Lease | None = None
        self._store = store
        self._clock = clock
        self._rng = rng
        self._name = name
        self._duration = duration
        self._gained = gained
        self._lost = lost
        self._third = duration.total_seconds() / 3
        # What a cancelled task has to clean up before another worker may start it.
        self._margin = duration.total_seconds() / 6

    async def run(self) -> None:
        """Keeps a lease until it is cancelled. Raises `ColmilloError` on a wrong schema."""
        while True:
            lease = self.current = await self._register()
            self._gained()
            while await self._renewed(lease):
                pass
            lease.end()
            self.current = None
            await self._lost()

    async def _register(self) -> Lease:
        pauses = Pauses(self._rng)
        while True:
            worker = WorkerId(uuid4())
            sent = self._clock.monotonic()
            try:
                await within(
                    self._clock,
                    self._third,
                    self._store.register(worker, name=self._name, lease=self._duration),
                )
            except (ColmilloError, TypeError):
                # The schema, or a store that was made wrong: trying again would not help.
                raise
            except Exception as error:
                logger.warning("cannot register the worker", extra={"error": repr(error)})
                await self._clock.sleep(pauses.next())
                continue
            logger.info("worker registered", extra={"worker": str(worker)})
            return Lease(worker, self._clock, self._deadline(sent))

    def _deadline(self, sent: float) -> float:
        return sent + self._duration.total_seconds() - self._margin

    async def _renewed(self, lease: Lease) -> bool:
        """Waits for the next renewal and sees it through; false when the lease is lost."""
        await self._clock.sleep(min(self._third, lease.left()))
        pauses = Pauses(self._rng)
        extra = {"worker": str(lease.worker)}
        while lease.alive():
            sent = self._clock.monotonic()
            try:
                limit = min(self._third, lease.left())
                renewal = self._store.renew(lease.worker, self._duration)
                if not await within(self._clock, limit, renewal):
                    logger.error("the lease was over before its renewal", extra=extra)
                    return False
            except Exception as error:
                logger.warning("cannot renew the lease", extra={**extra, "error": repr(error)})
                await self._clock.sleep(min(pauses.next(), lease.left()))
                continue
            lease.deadline = self._deadline(sent)
            return True
        logger.error("the lease could not be renewed in time", extra=extra)
        return False
