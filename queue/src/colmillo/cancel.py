"""Hears that running tasks are to be cancelled, and has them cancelled."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from colmillo.clock import Clock
from colmillo.lease import LeaseKeeper
from colmillo.operations import CANCELS, CancelRequest
from colmillo.store import Store
from colmillo.waiting import wait_any, within

logger = logging.getLogger(__name__)


class CancelWatch:
    """Asks the store when a notification says so, and every so many seconds in any case."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        keeper: LeaseKeeper,
        *,
        every: float,
        cancel: Callable[[Sequence[CancelRequest]], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._keeper = keeper
        self._every = every
        self._cancel = cancel
        self._wake = asyncio.Event()

    def heard(self, what: str) -> None:
        """Takes a notification of the store. After a reconnect anything may have happened."""
        if what == CANCELS or not what:
            self._wake.set()

    async def run(self) -> None:
        """Watches until it is cancelled."""
        while True:
            await wait_any(self._clock, self._every, self._wake)
            self._wake.clear()
            lease = self._keeper.current
            if lease is None or not lease.alive():
                continue
            try:
                asked = self._store.cancel_requests(lease.worker)
                requests = await within(self._clock, lease.left(), asked)
            except Exception as error:
                logger.warning("cannot ask what to cancel", extra={"error": repr(error)})
                continue
            self._cancel(requests)
