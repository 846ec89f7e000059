"""Cron expressions in local time: which instants they mean, summer time included.

The rule, which is Debian's cron's:

* An expression whose minute or hour starts with ``*`` follows elapsed time. It fires at every
  instant whose local time matches: what the clocks skip does not happen, what they repeat
  happens twice. Every-minute and hourly jobs keep their rhythm through both switches.
* Any other expression names fixed local times, and each fires once. One that the clocks skip
  fires at the moment of the switch; one that they repeat fires the first time it is shown.

The library cronsim matches expressions against plain local times; zones are dealt with here, as
its own treatment of the repeated hour answers with instants that are over already.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from colmillo.errors import InvalidTask

if TYPE_CHECKING:
    from cronsim import CronSim

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
FIELDS = 5
# What counts as a local time that may be named again after the clocks were put back.
MAY_REPEAT = DAY


class Crontab:
    """The fire times of one expression in one zone. All instants are aware, answers in UTC.

    Raises:
        InvalidTask: an expression that is wrong or never matches, an unknown zone, or the
            extra colmillo[cron] is missing.
    """

    def __init__(self, expression: str, zone: str) -> None:
        fields = expression.split()
        if len(fields) != FIELDS:
            raise InvalidTask(f"{expression!r}: a cron expression has {FIELDS} fields")
        self._expression = expression
        self._zone = zone_of(zone)
        self._elapsed = fields[0].startswith("*") or fields[1].startswith("*")
        if next(self._walk(local(EPOCH, self._zone)), None) is None:
            raise InvalidTask(f"{expression!r}: no such day ever comes")

    def next(self, now: datetime) -> datetime:
        """The first fire time after ``now``."""
        return self._next_elapsed(now) if self._elapsed else self._next_fixed(now)

    def latest(self, now: datetime) -> datetime:
        """The last fire time that is not after ``now``."""
        return self._latest_elapsed(now) if self._elapsed else self._latest_fixed(now)

    def _next_fixed(self, now: datetime) -> datetime:
        # Local times up to the one shown now have come once already, even if they are repeated.
        walk = self._walk(local(now, self._zone))
        while (instant := once(next(walk), self._zone)) <= now:
            pass
        return instant

    def _latest_fixed(self, now: datetime) -> datetime:
        shown = now.astimezone(self._zone)
        start = shown.replace(tzinfo=None, fold=0)
        # In a repeated hour, later local times than the one shown have come already.
        walk = self._walk(start + (MAY_REPEAT if shown.fold else timedelta(0)), reverse=True)
        while (instant := once(next(walk), self._zone)) > now:
            pass
        return instant

    def _next_elapsed(self, now: datetime) -> datetime:
        """Searches the stretches between two switches of the clocks one after the other."""
        here, start = now, local(now, self._zone)
        while True:
            offset = offset_at(here, self._zone)
            instant = (next(self._walk(start)) - offset).replace(tzinfo=UTC)
            switch = next_switch(here, instant, self._zone)
            if switch is None:
                return instant
            # The switch itself may be a fire time.
            here, start = switch, local(switch, self._zone) - SECOND

    def _latest_elapsed(self, now: datetime) -> datetime:
        here = now
        while True:
            offset = offset_at(here, self._zone)
            match = next(self._walk(local(here, self._zone), reverse=True))
            instant = (match - offset).replace(tzinfo=UTC)
            switch = last_switch(instant, here, self._zone)
            if switch is None:
                return instant
            here = switch - SECOND

    def _walk(self, start: datetime, *, reverse: bool = False) -> "CronSim":
        """Matching local times: after ``start``, or in reverse from ``start`` on."""
        try:
            from cronsim import CronSim, CronSimError
        except ImportError:
            raise InvalidTask(
                "cron expressions need an extra: pip install colmillo[cron]"
            ) from None
        if reverse:
            # Searching backwards excludes the start, and fire times are whole minutes.
            start = start.replace(microsecond=0) + SECOND
        try:
            return CronSim(self._expression, start, reverse=reverse)
        except CronSimError as error:
            raise InvalidTask(f"{self._expression!r}: {error}") from None


def zone_of(name: str) -> ZoneInfo:
    """The zone of this IANA name. Raises `InvalidTask` when there is none."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise InvalidTask(
            f"no time zone is called {name!r} (where the system has none at all, install tzdata)"
        ) from None


def local(instant: datetime, zone: tzinfo) -> datetime:
    """What clocks show at the instant, as a plain time."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def offset_at(instant: datetime, zone: tzinfo) -> timedelta:
    """How far the zone's clocks are ahead of UTC at the instant."""
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def once(shown: datetime, zone: tzinfo) -> datetime:
    """The one instant that stands for a local time: the first of two, and for a local time that
    is skipped the switch of the clocks."""
    first = shown.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if local(first, zone) == shown:
        return first
    # By the offset before the switch it is later than the switch, by the one after it earlier.
    earlier = shown.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return bisect(earlier, first, zone)


def next_switch(start: datetime, end: datetime, zone: tzinfo) -> datetime | None:
    """The first instant after ``start`` and not after ``end`` with another offset."""
    offset = offset_at(start, zone)
    while start < end:
        stop = min(start + DAY, end)
        if offset_at(stop, zone) != offset:
            return bisect(start, stop, zone)
        start = stop
    return None


def last_switch(start: datetime, end: datetime, zone: tzinfo) -> datetime | None:
    """The last instant after ``start`` and not after ``end`` at which the offset changed."""
    offset = offset_at(end, zone)
    while start < end:
        stop = max(end - DAY, start)
        if offset_at(stop, zone) != offset:
            return bisect(stop, end, zone)
        end = stop
    return None


def bisect(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The whole second at which the offset changes between two instants that differ in it."""
    offset = offset_at(before, zone)
    first = int(before.timestamp())
    last = int(-(-after.timestamp() // 1))
    while last - first > 1:
        middle = (first + last) // 2
        if offset_at(datetime.fromtimestamp(middle, UTC), zone) == offset:
            first = middle
        else:
            last = middle
    return datetime.fromtimestamp(last, UTC)
