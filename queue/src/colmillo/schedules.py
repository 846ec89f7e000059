"""Schedules that are added, paused and removed while workers run."""

from colmillo.checks import check_tasks
from colmillo.controls import ControlStore, ScheduleRow
from colmillo.errors import InvalidTask
from colmillo.schedule import Cron, Every, task_of
from colmillo.schedule_spec import spec_of, timing_of


class Schedules:
    """The schedules of a store, as rows: they survive restarts, and every worker picks changes
    up within one poll. Any worker fires them; those of a worker's code (static ones) are listed
    too and can be paused, but are added and removed in the code."""

    def __init__(self, store: ControlStore) -> None:
        self._store = store

    async def add(self, schedule: Every | Cron, *, replace: bool = False) -> None:
        """Adds a schedule; its first fire time is after now.

        With ``replace`` it takes the place of one that was added under this name.

        Raises:
            InvalidTask: the name is taken, or the task cannot be stored.
        """
        check_tasks([task_of(schedule)])
        timing, spec = timing_of(schedule), spec_of(schedule)
        if not await self._store.add_schedule(
            schedule.name, timing=timing, spec=spec, replace=replace
        ):
            raise InvalidTask(f"schedule {schedule.name}: there is one of this name already")

    async def pause(self, name: str) -> bool:
        """Stops a schedule, static or not, until `resume`; false if it was or is not there.

        After the call no worker fires it any more.
        """
        return await self._store.pause_schedule(name, paused=True)

    async def resume(self, name: str) -> bool:
        """Lets it go on. What fell into the pause is not made up for."""
        return await self._store.pause_schedule(name, paused=False)

    async def remove(self, name: str) -> bool:
        """Removes a schedule; false when there was none. What it enqueued stays.

        A static one comes back, unpaused, while a worker has it in its code.
        """
        return await self._store.remove_schedule(name)

    async def all(self) -> list[ScheduleRow]:
        """All schedules by name."""
        return list(await self._store.schedules())
