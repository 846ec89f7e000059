"""Limits of queues in memory: `colmillo.limits`, by counting, as nothing overlaps here."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from colmillo.checks import check_name
from colmillo.clock import Clock
from colmillo.flow_store import NEVER
from colmillo.limits import NO_LIMITS, Limits, Rate

if TYPE_CHECKING:
    from colmillo.memory import _Row
    from colmillo.store import TaskId

MANY = 2**31
EXACT = 0.000001
"""A token is whole that lacks less than this."""


class MemoryLimits:
    """The part of `colmillo.MemoryStore` that decides what may start."""

    _clock: Clock
    _live: "dict[TaskId, _Row]"
    _wakers: list[Callable[[str], None]]

    def __init__(self) -> None:
        self._limits: dict[str, Limits] = {}
        self._buckets: dict[str, tuple[float, datetime]] = {}

    async def set_limits(self, queue: str, limits: Limits) -> None:
        """Sets a queue's limits; see `ControlStore.set_limits`."""
        check_name("queue's name", queue)
        self._limits.pop(queue, None)
        if limits:
            self._limits[queue] = limits
        if limits.rate is None:
            self._buckets.pop(queue, None)
        else:
            tokens, since = self._buckets.get(queue, (limits.rate.most, self._clock.now()))
            self._buckets[queue] = min(tokens, limits.rate.most), since
        for wake in list(self._wakers):
            wake(queue)

    async def limits(self) -> Mapping[str, Limits]:
        """What is limited; see `ControlStore.limits`."""
        return dict(sorted(self._limits.items()))

    def _start(self, queue: str, room: int, now: datetime) -> "list[_Row]":
        """Up to so many tasks that may start now, as the limits are; takes their tokens."""
        limits = self._limits.get(queue, NO_LIMITS)
        room = min(room, self._free(queue), self._tokens(queue, now))
        per_key = self._running_by_key(queue)
        picked: list[_Row] = []
        due = [row for row in self._waiting(queue) if row.run_at <= now]
        # Where keys have limits, some of the first may have to stay behind.
        ahead = len(due) if limits.per_key is not None else room
        for row in heapq.nsmallest(ahead, due, key=lambda row: row.order()):
            if len(picked) >= room:
                break
            key = row.task.concurrency_key
            if self._key_is_full(limits, key, per_key):
                continue
            per_key[key] += 1
            picked.append(row)
            row.limited = bool(limits)
            row.has_slot = limits.running is not None
            row.has_key_slot = limits.per_key is not None and key is not None
        if limits.rate is not None and picked:
            self._buckets[queue] = self._level(queue, limits.rate, now) - len(picked), now
        return picked

    def _starts(self, queue: str, now: datetime) -> list[datetime]:
        """When waiting tasks may start, of those for which no running one has to end."""
        limits = self._limits.get(queue, NO_LIMITS)
        if self._free(queue) < 1:
            return []
        token_at = now
        if limits.rate is not None:
            lacking = max(0.0, 1 - self._level(queue, limits.rate, now))
            token_at += lacking * limits.rate.per / limits.rate.tasks
        per_key = self._running_by_key(queue)
        return [
            max(row.run_at, token_at)
            for row in self._waiting(queue)
            if not self._key_is_full(limits, row.task.concurrency_key, per_key)
        ]

    def _waiting(self, queue: str) -> "Iterator[_Row]":
        return (
            row
            for row in self._live.values()
            if row.worker is None and row.task.queue == queue and row.run_at < NEVER
        )

    def _running(self, queue: str) -> "Iterator[_Row]":
        return (
            row for row in self._live.values() if row.worker is not None and row.task.queue == queue
        )

    def _free(self, queue: str) -> int:
        most = self._limits.get(queue, NO_LIMITS).running
        if most is None:
            return MANY
        return most - sum(row.has_slot for row in self._running(queue))

    def _running_by_key(self, queue: str) -> Counter[str | None]:
        return Counter(row.task.concurrency_key for row in self._running(queue) if row.has_key_slot)

    def _key_is_full(self, limits: Limits, key: str | None, running: "Counter[str | None]") -> bool:
        return limits.per_key is not None and key is not None and running[key] >= limits.per_key

    def _tokens(self, queue: str, now: datetime) -> int:
        rate = self._limits.get(queue, NO_LIMITS).rate
        return MANY if rate is None else int(self._level(queue, rate, now) + EXACT)

    def _level(self, queue: str, rate: Rate, now: datetime) -> float:
        tokens, since = self._buckets[queue]
        return min(rate.most, tokens + rate.tasks * ((now - since) / rate.per))
