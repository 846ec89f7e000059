"""The Postgres store's rows that steer workers: paused queues and schedules."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from colmillo.checks import check_name
from colmillo.controls import Controls, ScheduleRow
from colmillo.database import Database
from colmillo.limits import Limits

if TYPE_CHECKING:
    from colmillo.postgres_limits import LimitedQueues


class PostgresControls:
    """The part of `colmillo.PostgresStore` that is a `colmillo.controls.ControlStore`."""

    _limits: "LimitedQueues"

    def __init__(self, database: Database, sql: Mapping[str, str]) -> None:
        self._database = database
        self._sql = sql

    async def controls(self) -> Controls:
        """What workers read at every poll; see `ControlStore.controls`."""
        (row,) = await self._database.fetch(self._sql["controls"])
        return Controls(now=row["now"], paused=frozenset(row["paused"]), schedules=row["schedules"])

    async def pause_queue(self, queue: str, *, paused: bool) -> bool:
        """Pauses or resumes; see `ControlStore.pause_queue`."""
        check_name("queue's name", queue)
        return bool(await self._database.fetch(self._sql["pause_queue"], queue, paused))

    async def set_limits(self, queue: str, limits: Limits) -> None:
        """Sets a queue's limits; see `ControlStore.set_limits`."""
        check_name("queue's name", queue)
        await self._limits.set(queue, limits)

    async def limits(self) -> Mapping[str, Limits]:
        """What is limited; see `ControlStore.limits`."""
        return await self._limits.all()

    async def schedules(self) -> Sequence[ScheduleRow]:
        """All of them; see `ControlStore.schedules`."""
        return [ScheduleRow(**row) for row in await self._database.fetch(self._sql["schedules"])]

    async def declare_schedule(self, name: str, *, timing: str, spec: str) -> None:
        """Records one from code; see `ControlStore.declare_schedule`."""
        check_name("schedule's name", name)
        await self._database.fetch(self._sql["declare_schedule"], name, timing, spec)

    async def add_schedule(self, name: str, *, timing: str, spec: str, replace: bool) -> bool:
        """Adds one; see `ControlStore.add_schedule`."""
        check_name("schedule's name", name)
        rows = await self._database.fetch(self._sql["add_schedule"], name, timing, spec, replace)
        return bool(rows)

    async def pause_schedule(self, name: str, *, paused: bool) -> bool:
        """Pauses or resumes; see `ControlStore.pause_schedule`."""
        return bool(await self._database.fetch(self._sql["pause_schedule"], name, paused))

    async def remove_schedule(self, name: str) -> bool:
        """Removes it and its ticks; see `ControlStore.remove_schedule`."""
        return bool(await self._database.fetch(self._sql["remove_schedule"], name))
