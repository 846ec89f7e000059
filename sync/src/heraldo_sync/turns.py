"""Whose turn it is to ask a host, within one process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

from colmillo.clock import Clock
from heraldo_sync.errors import SyncError
from heraldo_sync.limits import Limits


class HostBusy(SyncError):
    """So many others wait for this host that it was not this one's turn in time."""


@dataclass(slots=True)
class _Host:
    semaphore: asyncio.Semaphore
    users: int = 0
    free_at: float = 0.0


@dataclass(slots=True)
class Patience:
    """How long one fetch, redirects included, may still wait for its turns, in seconds."""

    left: float


@dataclass(slots=True, kw_only=True)
class HostTurns:
    """At most ``at_once`` requests to a host at a time, each begun ``between`` after the last.

    So many others may wait: each of them has a worker's place that other hosts could have.
    """

    at_once: int
    between: timedelta
    clock: Clock
    waiting: int = 100
    _hosts: dict[str, _Host] = field(default_factory=dict)

    @classmethod
    def within(cls, limits: Limits, clock: Clock) -> Self:
        """The turns that these limits allow."""
        return cls(
            at_once=limits.per_host, between=limits.between, clock=clock, waiting=limits.waiting
        )

    @asynccontextmanager
    async def turn(self, host: str, patience: Patience) -> AsyncIterator[None]:
        """Waits for a turn and has it while the block lasts; the wait comes off ``patience``.

        Raises:
            HostBusy: patience was over first, or too many others wait.
        """
        known = self._hosts.setdefault(host, _Host(asyncio.Semaphore(self.at_once)))
        if known.users >= self.at_once + self.waiting:
            raise HostBusy("too many others wait for the host")
        known.users += 1
        try:
            await self._wait(known, patience)
            try:
                yield
            finally:
                known.semaphore.release()
        finally:
            known.users -= 1
            # A host that is idle is forgotten, at once or when it may be asked again.
            if not known.users:
                self._forget(host, known)

    async def _wait(self, known: _Host, patience: Patience) -> None:
        started = self.clock.monotonic()
        taken = False
        try:
            async with asyncio.timeout(max(patience.left, 0.0)):
                await known.semaphore.acquire()
                taken = True
                now = self.clock.monotonic()
                begin = max(known.free_at, now)
                known.free_at = begin + self.between.total_seconds()
                if begin > now:
                    await self.clock.sleep(begin - now)
        except BaseException as error:
            if taken:
                known.semaphore.release()
            if isinstance(error, TimeoutError):
                raise HostBusy("the host is busy") from error
            raise
        finally:
            patience.left -= self.clock.monotonic() - started

    def _forget(self, host: str, known: _Host) -> None:
        wait = known.free_at - self.clock.monotonic()
        if wait <= 0:
            if self._hosts.get(host) is known and not known.users:
                del self._hosts[host]
        else:
            asyncio.get_running_loop().call_later(wait, self._forget, host, known)
