"""The memory store's rows that steer workers: paused queues, schedules and their ticks."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from colmillo.checks import check_name
from colmillo.clock import Clock
from colmillo.controls import Controls, ScheduleRow


class MemoryControls:
    """The part of `colmillo.MemoryStore` that is a `colmillo.controls.ControlStore`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._paused_queues: set[str] = set()
        self._schedules: dict[str, ScheduleRow] = {}
        self._schedule_changes = 0
        self._ticks: set[tuple[str, datetime]] = set()

    async def controls(self) -> Controls:
        """What workers read at every poll; see `ControlStore.controls`."""
        return Controls(
            now=self._clock.now(),
            paused=frozenset(self._paused_queues),
            schedules=self._schedule_changes,
        )

    async def pause_queue(self, queue: str, *, paused: bool) -> bool:
        """Pauses or resumes; see `ControlStore.pause_queue`."""
        check_name("queue's name", queue)
        changed = (queue in self._paused_queues) is not paused
        (self._paused_queues.add if paused else self._paused_queues.discard)(queue)
        return changed

    async def schedules(self) -> Sequence[ScheduleRow]:
        """All of them; see `ControlStore.schedules`."""
        return [
            replace(row, last_tick=max((at for by, at in self._ticks if by == name), default=None))
            for name, row in sorted(self._schedules.items())
        ]

    async def declare_schedule(self, name: str, *, timing: str, spec: str) -> None:
        """Records one from code; see `ControlStore.declare_schedule`."""
        check_name("schedule's name", name)
        old = self._schedules.get(name)
        keeps = old is not None and old.timing == timing
        self._put(
            ScheduleRow(
                name=name,
                timing=timing,
                spec=spec,
                static=True,
                paused=old is not None and old.paused,
                since=old.since if old is not None and keeps else self._clock.now(),
                last_tick=None,
            )
        )

    async def add_schedule(self, name: str, *, timing: str, spec: str, replace: bool) -> bool:
        """Adds one; see `ControlStore.add_schedule`."""
        check_name("schedule's name", name)
        old = self._schedules.get(name)
        if old is not None and (old.static or not replace):
            return False
        self._put(
            ScheduleRow(
                name=name,
                timing=timing,
                spec=spec,
                static=False,
                paused=old is not None and old.paused,
                since=self._clock.now(),
                last_tick=None,
            )
        )
        return True

    async def pause_schedule(self, name: str, *, paused: bool) -> bool:
        """Pauses or resumes; see `ControlStore.pause_schedule`."""
        row = self._schedules.get(name)
        if row is None or row.paused is paused:
            return False
        self._put(replace(row, paused=paused, since=self._clock.now()))
        return True

    async def remove_schedule(self, name: str) -> bool:
        """Removes it and its ticks; see `ControlStore.remove_schedule`."""
        self._ticks = {(by, at) for by, at in self._ticks if by != name}
        if self._schedules.pop(name, None) is None:
            return False
        self._schedule_changes += 1
        return True

    def _put(self, row: ScheduleRow) -> None:
        if self._schedules.get(row.name) != row:
            self._schedules[row.name] = row
            self._schedule_changes += 1

    def _take_tick(self, schedule: str, fire_time: datetime) -> bool:
        row = self._schedules.get(schedule)
        if (schedule, fire_time) in self._ticks or (row is not None and row.paused):
            return False
        self._ticks.add((schedule, fire_time))
        return True
