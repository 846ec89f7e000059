"""The worker's role that reads what is steered by rows, and fires the schedules."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from random import Random
from typing import NamedTuple

from colmillo.clock import Clock
from colmillo.controls import ScheduleRow
from colmillo.errors import InvalidTask
from colmillo.schedule import Schedule, due, task_of
from colmillo.schedule_spec import schedule_from, spec_of, timing_of
from colmillo.store import Store
from colmillo.waiting import Pauses, within

logger = logging.getLogger(__name__)

CALL_SECONDS = 30.0
# The store's clock and ours may differ a little at the moment of a fire time.
LEAST_PAUSE = 0.01


class Entry(NamedTuple):
    """A schedule that is not paused, and up to when its fire times are seen to."""

    schedule: Schedule
    mark: datetime


class Ticker:
    """Enqueues what the schedules say, on the store's clock, and passes on which queues are
    paused. Reads both every ``poll`` seconds.

    Any number of them may run, with any schedules: a tick is one row.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rng: Random,
        schedules: Sequence[Schedule],
        *,
        poll: float,
        paused: Callable[[frozenset[str]], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._static = {schedule.name: schedule for schedule in schedules}
        self._poll = poll
        self._paused = paused
        self._pauses = Pauses(rng)
        self._entries: dict[str, Entry] = {}
        self._declared = False
        self._seen: int | None = None

    async def run(self) -> None:
        """Ticks until it is cancelled."""
        while True:
            try:
                pause = await self._round()
                self._pauses.reset()
            except Exception as error:
                logger.warning("cannot tick the schedules", extra={"error": repr(error)})
                pause = self._pauses.next()
            await self._clock.sleep(pause)

    async def _round(self) -> float:
        """Fires what is due; returns the seconds until there may be more to do."""
        if not self._declared:
            await self._declare()
        controls = await within(self._clock, CALL_SECONDS, self._store.controls())
        self._paused(controls.paused)
        if controls.schedules != self._seen:
            self._load(await within(self._clock, CALL_SECONDS, self._store.schedules()))
            self._seen = controls.schedules
        now = controls.now
        for name, entry in list(self._entries.items()):
            await self._fire(name, entry, now)
        waits = [(e.schedule.next(now) - now).total_seconds() for e in self._entries.values()]
        return max(min([*waits, self._poll]), min(LEAST_PAUSE, self._poll))

    async def _declare(self) -> None:
        for schedule in self._static.values():
            declaration = self._store.declare_schedule(
                schedule.name, timing=timing_of(schedule), spec=spec_of(schedule)
            )
            await within(self._clock, CALL_SECONDS, declaration)
        self._declared = True

    def _load(self, rows: Sequence[ScheduleRow]) -> None:
        """Takes the stored schedules over. Static ones that we do not have are others' work."""
        old, self._entries = self._entries, {}
        for row in rows:
            schedule = self._schedule(row)
            if schedule is None or row.paused:
                continue
            mark = max(row.since, row.last_tick or row.since)
            if row.name in old:
                mark = max(mark, old[row.name].mark)
            self._entries[row.name] = Entry(schedule, mark)
        # Somebody may have removed what our code has.
        self._declared = self._static.keys() <= {row.name for row in rows}

    def _schedule(self, row: ScheduleRow) -> Schedule | None:
        if row.static:
            return self._static.get(row.name)
        try:
            return schedule_from(row.name, row.spec)
        except InvalidTask as error:
            # Another worker may be able to.
            extra = {"schedule": row.name, "error": error.detail}
            logger.error("a schedule cannot be read here", extra=extra)
            return None

    async def _fire(self, name: str, entry: Entry, now: datetime) -> None:
        latest = entry.schedule.latest(now)
        if latest <= entry.mark:
            return
        times = due(entry.schedule, entry.mark, now)
        passed_over = entry.schedule.next(entry.mark)
        for fire_time in times:
            tick = self._store.tick(name, fire_time, task_of(entry.schedule))
            if await within(self._clock, CALL_SECONDS, tick):
                extra = {"schedule": name, "fire_time": fire_time.isoformat()}
                logger.info("schedule ticked", extra=extra)
        if not times or passed_over < times[0]:
            missed = {"schedule": name, "from": passed_over.isoformat()}
            logger.warning("missed fire times were passed over", extra=missed)
        self._entries[name] = Entry(entry.schedule, latest)
