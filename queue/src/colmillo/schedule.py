"""Tasks by the clock: when a schedule fires, and what becomes of what it missed.

`colmillo.ticker` fires them; `colmillo.schedules` adds and pauses them while workers run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol, get_args

from colmillo.crontab import EPOCH, Crontab
from colmillo.errors import InvalidTask
from colmillo.store import NewTask

# A fire time that was seen this soon was not missed, whatever the policy.
ON_TIME = timedelta(seconds=30)
# Stores remember ticks for longer than this.
LONGEST_CATCH_UP = timedelta(days=7)
MOST_CATCH_UP = 10_000

MissedRuns = Literal["none", "last", "all"]
"""Which fire times are made up for when nobody was there: none, the latest, or each."""

Overlap = Literal["allow", "skip"]
"""What happens while the previous task is still live: another one, or nothing."""


class Schedule(Protocol):
    """When a task is due: `Every`, `Cron`, or a class of your own derived from `Policy`."""

    @property
    def name(self) -> str:
        """What the ticks are recorded under; the same in every worker."""
        ...

    @property
    def task(self) -> NewTask:
        """What a tick enqueues."""
        ...

    @property
    def missed(self) -> MissedRuns:
        """Which missed fire times are made up for."""
        ...

    @property
    def missed_most(self) -> int:
        """How many of them at most."""
        ...

    @property
    def missed_age(self) -> timedelta:
        """How old they may be."""
        ...

    @property
    def overlap(self) -> Overlap:
        """What to do while the previous task is still live."""
        ...

    def latest(self, now: datetime) -> datetime:
        """The last fire time that is not after ``now``."""
        ...

    def next(self, now: datetime) -> datetime:
        """The first fire time after ``now``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What becomes of fire times that nobody was there for, and of runs that overlap.

    ``missed``: "none" passes over them, "last" makes up for the latest one, "all" for each, but
    for ``missed_most`` at most (the newest), and for none that is older than ``missed_age``.
    Times before a schedule existed, or while it was paused, were not missed.

    ``overlap``: "skip" enqueues nothing while the schedule's previous task is live; "allow" does.
    It takes the task's unique hash, so the task may not be unique in another way than that.
    """

    missed: MissedRuns = "last"
    missed_most: int = 100
    missed_age: timedelta = timedelta(days=1)
    overlap: Overlap = "allow"

    def check(self, name: str, task: NewTask) -> None:
        """Raises `InvalidTask`, naming the schedule, for values that make no sense."""
        if self.missed not in get_args(MissedRuns):
            raise InvalidTask(f"schedule {name}: missed is none, last or all, not {self.missed!r}")
        if self.overlap not in get_args(Overlap):
            raise InvalidTask(f"schedule {name}: overlap is allow or skip, not {self.overlap!r}")
        other = task.unique_period is not None or task.unique_states != "live"
        if self.overlap == "skip" and other:
            raise InvalidTask(
                f"schedule {name}: a task that is unique per period, or not while it lives, "
                "cannot have overlap skip"
            )
        if not 1 <= self.missed_most <= MOST_CATCH_UP:
            raise InvalidTask(f"schedule {name}: missed_most lies between 1 and {MOST_CATCH_UP}")
        if not timedelta(0) < self.missed_age <= LONGEST_CATCH_UP:
            raise InvalidTask(f"schedule {name}: missed_age is at most {LONGEST_CATCH_UP}")


@dataclass(frozen=True, slots=True)
class Every(Policy):
    """A fixed interval. Fire times are its multiples since 1970 in UTC, in every process.

    Raises:
        InvalidTask: an interval under one second, or a policy that makes no sense.
    """

    name: str
    interval: timedelta
    task: NewTask

    def __post_init__(self) -> None:
        """Checks the interval and the policy."""
        if self.interval < timedelta(seconds=1):
            raise InvalidTask(f"schedule {self.name}: the interval is under one second")
        self.check(self.name, self.task)

    def latest(self, now: datetime) -> datetime:
        """The last fire time that is not after ``now``."""
        return EPOCH + (now - EPOCH) // self.interval * self.interval

    def next(self, now: datetime) -> datetime:
        """The first fire time after ``now``."""
        return self.latest(now) + self.interval


@dataclass(frozen=True, slots=True)
class Cron(Policy):
    """A cron expression of five fields, in the local time of an IANA zone.

    ``*`` in the minute or the hour follows elapsed time through a change to or from summer
    time. Fixed times fire once: one that is skipped at the moment of the switch, one that is
    repeated the first time. See `colmillo.crontab`. Needs colmillo[cron].

    Raises:
        InvalidTask: an expression or a zone that does not exist, a policy that makes no sense,
            or the extra is missing.
    """

    name: str
    expression: str
    zone: str
    task: NewTask
    _crontab: Crontab = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Checks the expression, the zone and the policy."""
        self.check(self.name, self.task)
        try:
            crontab = Crontab(self.expression, self.zone)
        except InvalidTask as error:
            raise InvalidTask(f"schedule {self.name}: {error.detail}") from None
        object.__setattr__(self, "_crontab", crontab)

    def latest(self, now: datetime) -> datetime:
        """The last fire time that is not after ``now``."""
        return self._crontab.latest(now)

    def next(self, now: datetime) -> datetime:
        """The first fire time after ``now``."""
        return self._crontab.next(now)


def due(schedule: Schedule, mark: datetime, now: datetime) -> Sequence[datetime]:
    """The fire times after ``mark`` that its policy wants enqueued ``now``, oldest first."""
    latest = schedule.latest(now)
    if latest <= mark:
        return []
    limit = now - (ON_TIME if schedule.missed == "none" else max(schedule.missed_age, ON_TIME))
    most = schedule.missed_most if schedule.missed == "all" else 1
    times: list[datetime] = []
    while latest > mark and latest >= limit and len(times) < most:
        times.append(latest)
        latest = schedule.latest(latest - timedelta(microseconds=1))
    return times[::-1]


def task_of(schedule: Schedule) -> NewTask:
    """What a tick enqueues. With overlap "skip" it is unique: by its own hash if it has one."""
    task = schedule.task
    if schedule.overlap == "skip" and task.unique_hash is None:
        return task.with_key(f"schedule {schedule.name}")
    return task
