"""Tasks by the clock. Any number of workers may run the same schedules: each tick is one row."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo

from colmillo.clock import Clock
from colmillo.errors import InvalidTask
from colmillo.store import NewTask, Store
from colmillo.waiting import Pauses, within

if TYPE_CHECKING:
    from cronsim import CronSim

logger = logging.getLogger(__name__)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A tick that was missed longer ago is not made up for. Stores remember ticks for longer.
CATCH_UP = timedelta(days=1)
# The store's clock is asked at least this often.
RESYNC_SECONDS = 60.0
CALL_SECONDS = 30.0


class Schedule(Protocol):
    """When a task is due: `Every` or `Cron`."""

    @property
    def name(self) -> str:
        """What the ticks are recorded under; the same in every worker."""
        ...

    @property
    def task(self) -> NewTask:
        """What a tick enqueues."""
        ...

    def latest(self, now: datetime) -> datetime:
        """The last fire time that is not after ``now``."""
        ...

    def next(self, now: datetime) -> datetime:
        """The first fire time after ``now``."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """A fixed interval. Fire times are its multiples since 1970 in UTC, in every process.

    Raises:
        InvalidTask: an interval under one second.
    """

    name: str
    interval: timedelta
    task: NewTask

    def __post_init__(self) -> None:
        """Checks the interval."""
        if self.interval < timedelta(seconds=1):
            raise InvalidTask(f"schedule {self.name}: the interval is under one second")

    def latest(self, now: datetime) -> datetime:
        """The last fire time that is not after ``now``."""
        return EPOCH + (now - EPOCH) // self.interval * self.interval

    def next(self, now: datetime) -> datetime:
        """The first fire time after ``now``."""
        return self.latest(now) + self.interval


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression of five fields, in the local time of an IANA zone.

    A time that daylight saving skips fires right after the gap; one that it repeats fires
    once (unless the expression fires every hour), as in Debian's cron. Needs colmillo[cron].

    Raises:
        InvalidTask: an expression or a zone that does not exist, or the extra is missing.
    """

    name: str
    expression: str
    zone: str
    task: NewTask

    def __post_init__(self) -> None:
        """Checks the expression and the zone."""
        now = datetime(2024, 1, 1, tzinfo=UTC)
        self.latest(now)
        self.next(now)

    def latest(self, now: datetime) -> datetime:
        """The last fire time that is not after ``now``."""
        # Searching backwards excludes the start, and fire times are whole minutes.
        start = now.replace(microsecond=0) + timedelta(seconds=1)
        return next(self._times(start, reverse=True)).astimezone(UTC)

    def next(self, now: datetime) -> datetime:
        """The first fire time after ``now``."""
        return next(self._times(now, reverse=False)).astimezone(UTC)

    def _times(self, start: datetime, *, reverse: bool) -> "CronSim":
        try:
            from cronsim import CronSim, CronSimError
        except ImportError:
            raise InvalidTask(
                f"schedule {self.name}: cron expressions need an extra: pip install colmillo[cron]"
            ) from None
        try:
            local = start.astimezone(ZoneInfo(self.zone))
        except (OSError, ValueError, LookupError):
            raise InvalidTask(
                f"schedule {self.name}: no time zone is called {self.zone!r} "
                "(where the system has none at all, install tzdata)"
            ) from None
        try:
            return CronSim(self.expression, local, reverse=reverse)
        except CronSimError as error:
            raise InvalidTask(f"schedule {self.name}: {self.expression!r}: {error}") from None


class Ticker:
    """Enqueues what the schedules say, on the store's clock.

    Of the ticks that nobody was there for, only the latest is made up for.
    """

    def __init__(
        self, store: Store, clock: Clock, rng: Random, schedules: Sequence[Schedule]
    ) -> None:
        self._store = store
        self._clock = clock
        self._schedules = schedules
        self._pauses = Pauses(rng, first=1.0, most=15.0)
        self._ticked: dict[str, datetime] = {}

    async def run(self) -> None:
        """Ticks until it is cancelled; ends at once without schedules."""
        while self._schedules:
            try:
                pause = await self._tick()
                self._pauses.reset()
            except Exception as error:
                logger.warning("cannot tick the schedules", extra={"error": repr(error)})
                pause = self._pauses.next()
            await self._clock.sleep(pause)

    async def _tick(self) -> float:
        """Fires what is due; returns the seconds until there is more to do."""
        now = await within(self._clock, CALL_SECONDS, self._store.now())
        for schedule in self._schedules:
            fire_time = schedule.latest(now)
            if fire_time <= self._ticked.get(schedule.name, now - CATCH_UP):
                continue
            tick = self._store.tick(schedule.name, fire_time, schedule.task)
            if await within(self._clock, CALL_SECONDS, tick):
                extra = {"schedule": schedule.name, "fire_time": fire_time.isoformat()}
                logger.info("schedule ticked", extra=extra)
            self._ticked[schedule.name] = fire_time
        wait = min(schedule.next(now) for schedule in self._schedules) - now
        return min(wait.total_seconds(), RESYNC_SECONDS)
