"""Queues with limits in Postgres: claiming from them, and what comes after their slots are free.

That a limit holds is the work of the statements (``claim_limited.sql``): nothing here has to be
remembered for it. What is kept in memory saves round trips.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg

from colmillo.floors import Floors
from colmillo.limits import Limits, Rate
from colmillo.store import Settlement, WorkerId

if TYPE_CHECKING:
    from colmillo.database import Database
    from colmillo.foreign import Row

_log = logging.getLogger("colmillo.limits")

Fetch = Callable[..., Awaitable[Sequence[Any]]]

WINDOW = 500
"""So many tasks are looked at, and parked, at once when those in front cannot start."""

ROUNDS = 20
"""So many windows at most are looked at by one claim."""

PAGE = 1000
"""So many keys are unparked at once."""

REMEMBERED = 10_000
"""Of so many tasks at most that were completed in a caller's transaction the keys are kept."""


class LimitedQueues:
    """The part of a `PostgresStore` that serves queues with limits."""

    def __init__(
        self, database: "Database", sql: Mapping[str, str], floors: Floors, channel: str | None
    ) -> None:
        self._database = database
        self._sql = sql
        self._plain = floors
        self._channel = channel
        self._known: dict[str, Floors] = {}
        self._forgotten = floors.forgotten
        self._completed: dict[tuple[int, int], tuple[list[str], list[str]]] = {}

    def known(self, queue: str) -> bool:
        """Whether the queue had limits when we last asked the database."""
        return queue in self._known

    def columns(self) -> tuple[list[object], ...]:
        """The floors of all queues, for ``next_due.sql``."""
        columns = self._plain.columns()
        for floors in self._own().values():
            columns = tuple(a + b for a, b in zip(columns, floors.columns(), strict=True))
        return columns

    async def claim(self, worker: WorkerId, queue: str, room: int) -> list[asyncpg.Record] | None:
        """Due tasks as the limits allow; None when the queue has no limits (any more).

        Looks past tasks whose key is full, window by window, and parks them.
        """
        floors = self._own().get(queue) or Floors()
        whole = floors.whole_is_due()
        got: list[asyncpg.Record] = []
        look, force = 0, False
        for _ in range(ROUNDS):
            started = time.monotonic()
            rows = await self._database.fetch(
                self._sql["claim_limited"],
                worker,
                queue,
                room - len(got),
                look,
                force,
                *floors.columns(whole=whole),
            )
            if not rows:
                self._known.pop(queue, None)
                return got or None
            self._known[queue] = floors
            found = _Round(rows[0], rows[1:], look)
            got += found.claimed
            for row in {row["priority"]: row for row in found.claimed}.values():
                floors.raise_to(queue, row["priority"], row["run_at"], row["id"])
            if whole:
                exhausted = [queue] if found.short and found.through else []
                floors.whole_done(time.monotonic() - started, exhausted=exhausted)
            if found.enough:
                break
            if not found.through:
                # The window was full of tasks that could not start. Should the slots of their
                # keys be held by a transaction that stays open, they are parked all the same.
                force = look == WINDOW and not found.moved
                look = WINDOW
            elif whole or not floors.whole_is_cheap():
                break
            else:
                whole = True
        return got

    async def settled(
        self, rows: Iterable["Row"], settlements: Sequence[Settlement], *, own: bool
    ) -> None:
        """Unparks tasks of keys that have free slots now; ``rows`` are the answers of settles.

        ``own`` false: a caller's transaction has to be committed first. Its tasks are settled
        once more by their worker, after that.
        """
        queues: list[str] = []
        keys: list[str] = []
        for row in rows:
            queues += row["queues"] or ()
            keys += row["keys"] or ()
        claims = [(s.id, s.lease) for s in settlements] if keys or self._completed else []
        if not own:
            if keys and len(self._completed) < REMEMBERED:
                self._completed.update(dict.fromkeys(claims, (queues, keys)))
            return
        for claim in claims:
            more = self._completed.pop(claim, ((), ()))
            queues += more[0]
            keys += more[1]
        if keys:
            try:
                await self._unpark(queues, keys)
            except Exception as error:
                # The verdicts count. The next sweep sees to this.
                _log.warning("cannot unpark tasks", extra={"error": repr(error)})

    async def sweep(self) -> None:
        """Repairs what a crash, or somebody else's statements, left behind."""
        await self._database.fetch(self._sql["sweep_slots"])
        await self._database.fetch(self._sql["sweep_key_slots"])
        if await unpark_all(self._database.fetch, self._sql, self._channel):
            self._forget()

    async def set(self, queue: str, limits: Limits) -> None:
        """Sets the limits."""
        await set_limits(self._database.fetch, self._sql, queue, limits, self._channel)
        self._forget()

    async def all(self) -> dict[str, Limits]:
        """The queues that have limits."""
        return {
            row["queue"]: limits_of(row) for row in await self._database.fetch(self._sql["limits"])
        }

    async def _unpark(self, queues: list[str], keys: list[str]) -> None:
        await self._database.fetch(self._sql["unpark"], queues, keys, self._channel)
        self._forget()

    def _own(self) -> dict[str, Floors]:
        """The limited queues' floors, without those that the store wants forgotten."""
        if self._forgotten != self._plain.forgotten:
            self._forgotten = self._plain.forgotten
            self._forget()
        return self._known

    def _forget(self) -> None:
        for floors in self._known.values():
            floors.forget()


async def set_limits(
    fetch: Fetch, sql: Mapping[str, str], queue: str, limits: Limits, channel: str | None
) -> None:
    """Sets a queue's limits, and lets what was parked go as far as they allow."""
    rate = limits.rate
    timing = (
        (None, None, None) if rate is None else (rate.tasks, rate.per.total_seconds(), rate.most)
    )
    await fetch(sql["set_limits"], queue, limits.running, limits.per_key, *timing, channel)
    await unpark_all(fetch, sql, channel)


async def unpark_all(fetch: Fetch, sql: Mapping[str, str], channel: str | None) -> int:
    """Unparks whatever may start; returns how many tasks."""
    total = 0
    while stuck := await fetch(sql["parked_keys"], PAGE):
        queues, keys = [row["queue"] for row in stuck], [row["key"] for row in stuck]
        (row,) = await fetch(sql["unpark"], queues, keys, channel)
        total += row["tasks"]
        # Those that are left are locked by somebody, or not for this moment.
        if not row["tasks"]:
            break
    return total


def limits_of(row: asyncpg.Record) -> Limits:
    """The limits in a row of ``limits.sql``."""
    rate = None
    if row["rate_tasks"] is not None:
        rate = Rate(row["rate_tasks"], timedelta(seconds=row["rate_seconds"]), row["burst"])
    return Limits(running=row["running"], per_key=row["running_per_key"], rate=rate)


class _Round:
    """What one ``claim_limited.sql`` brought, of tasks that it looked at."""

    def __init__(self, head: asyncpg.Record, claimed: list[asyncpg.Record], look: int) -> None:
        chance, keys = head["attempt"], head["name"] is not None
        self.claimed = claimed
        self.short = len(claimed) < chance
        # Whether all that was due was looked at.
        self.through = head["max_attempts"] < max(chance, look if keys else 0)
        # Without limits per key, what is lacking was taken by others a moment ago.
        self.enough = not self.short or not (keys or self.through)
        self.moved = bool(claimed or head["lease"])
