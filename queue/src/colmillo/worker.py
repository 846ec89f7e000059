"""The worker: claims tasks, runs them, settles them, and keeps its promises about leases."""

import asyncio
import logging
import os
import socket
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from datetime import timedelta
from random import Random
from typing import Any, TypeVar

from colmillo.alarms import Alarms
from colmillo.cancel import CancelWatch
from colmillo.claiming import Claimer
from colmillo.clock import Clock, SystemClock
from colmillo.errors import InvalidTask
from colmillo.executors import Executors
from colmillo.housekeeper import Housekeeper
from colmillo.lease import LeaseKeeper
from colmillo.middleware import Lifespan, Middleware
from colmillo.running import Cause, Runs
from colmillo.schedule import Schedule
from colmillo.settle import Settler
from colmillo.store import ClaimedTask, Settlement, Store, Verdict
from colmillo.task import Task
from colmillo.ticker import Ticker
from colmillo.verdict import GIVEN_BACK
from colmillo.waiting import Pauses, wait_any, within

logger = logging.getLogger(__name__)

# What a cancelled task has for its cleaning up before the worker goes on without it.
UNWIND_SECONDS = 10.0
CALL_SECONDS = 30.0
# So many verdicts may wait before the worker stops claiming.
LEAST_BACKLOG = 1000
T = TypeVar("T")


class Worker:
    """Runs tasks until it is stopped.

    Args:
        store: where the tasks are.
        tasks: what this worker can run. Others of its queues are left for workers that can.
        queues: from which queues, and how many tasks of each at a time. Of tasks that prove
            quick, up to a tenth of a second's work is claimed ahead of that.
        resources: what tasks find as ``context.resources``.
        lifespan: makes an async context manager that yields the resources instead. It is
            opened before the first task is claimed, and closed when the last has ended, what
            was to be said about it is said and the lease is given up.
        middleware: called around each task, the first outermost; see `colmillo.middleware`.
        schedules: what to enqueue by the clock; the same in every worker. Those that were
            added at run time (`colmillo.schedules`) need not be named.
        lease: how long a worker that stopped answering keeps its tasks. Others have them
            at most a third of this later.
        poll: how often to look for tasks when no notification comes.
        grace: how long tasks may go on after the first `stop`.
        max_crashes: a task whose workers died so many times is quarantined.
        clock: times everything inside this process.
        rng: the jitter's source.

    Raises:
        InvalidTask: two tasks or two schedules of one name.
        ValueError: a number or duration that makes no sense.
    """

    def __init__(
        self,
        store: Store,
        *,
        tasks: Sequence[Task[...]],
        queues: Mapping[str, int],
        resources: object = None,
        lifespan: Lifespan | None = None,
        middleware: Sequence[Middleware] = (),
        schedules: Sequence[Schedule] = (),
        lease: timedelta = timedelta(seconds=20),
        poll: timedelta = timedelta(seconds=1),
        grace: timedelta = timedelta(seconds=20),
        max_crashes: int = 5,
        clock: Clock | None = None,
        rng: Random | None = None,
    ) -> None:
        if not hasattr(store, "register"):
            raise TypeError(
                f"a worker takes a store, PostgresStore(pool) say, not a {type(store).__name__}"
            )
        if not queues or min(queues.values()) < 1:
            raise ValueError("a worker needs at least one queue, and room for one task in each")
        if min(lease, poll) <= timedelta(0) or grace < timedelta(0) or max_crashes < 1:
            raise ValueError("lease, poll and max_crashes must be positive, grace not negative")
        if resources is not None and lifespan is not None:
            raise ValueError("give a worker resources or a lifespan that yields them, not both")
        self._store = store
        self._lifespan = lifespan
        self._third = lease.total_seconds() / 3
        self._grace = grace.total_seconds()
        self._max_crashes = max_crashes
        self._clock = clock = clock or SystemClock()
        self._rng = rng = rng or Random()
        self._executors = Executors()
        prepared = [self._executors.prepare(task, middleware) for task in tasks]
        by_name = unique_names([(task.name, task) for task in prepared], "tasks")
        unique_names([(schedule.name, schedule) for schedule in schedules], "schedules")
        self._alarms = Alarms(clock)
        self._runs = Runs(
            by_name,
            resources,
            store=store,
            clock=clock,
            rng=rng,
            alarms=self._alarms,
            ended=self._ended,
        )
        most = max(LEAST_BACKLOG, 2 * sum(queues.values()))
        self._settler = Settler(store, clock, rng, most=most, settled=self._settled)
        self._keeper = LeaseKeeper(
            store,
            clock,
            rng,
            name=f"{socket.gethostname()[:100]}:{os.getpid()}",
            duration=lease,
            gained=self._lease_gained,
            lost=self._lease_lost,
        )
        self._claimer = Claimer(
            store,
            clock,
            rng,
            queues=queues,
            poll=poll.total_seconds(),
            keeper=self._keeper,
            runs=self._runs,
            settler=self._settler,
            settle=lambda claimed, verdict: self._ended(claimed, verdict, False),
            # What waits when a worker dies counts a crash: where one is enough, nothing waits.
            ahead=max_crashes > 1,
        )
        self._cancels = CancelWatch(
            store, clock, self._keeper, every=self._third, cancel=self._claimer.cancel
        )
        self._ticker = Ticker(
            store,
            clock,
            rng,
            schedules,
            poll=poll.total_seconds(),
            paused=self._claimer.pause,
        )
        self._housekeeper = Housekeeper(store, clock, rng, ready=self._may_sweep)
        self._aborting = asyncio.Event()
        self._started = False
        self._failure: BaseException | None = None
        self._verdicts = Counter[str]()

    def stop(self) -> None:
        """Starts the shutdown: no more claims, and what runs may go on for the grace period.

        A second call ends the grace period: what runs is cancelled and given back at once.
        Safe to call at any time from the event loop (a signal handler of the loop, say).
        """
        if self._claimer.stopping.is_set():
            self._aborting.set()
        self._claimer.stop()

    async def run(self) -> None:
        """Works until `stop`; returns when everything is settled or given back.

        Survives a lost database: it goes on when the database is back. Cancelling this call
        is an immediate shutdown that still gives the tasks back. A worker runs once.

        Raises:
            ColmilloError: the store cannot be used, because of its schema for example.
        """
        if self._started:
            raise RuntimeError("a worker runs once; make another one")
        self._started = True
        if self._lifespan is None:
            await self._work()
            return
        async with self._lifespan() as resources:
            self._runs.resources = resources
            await self._work()

    async def _work(self) -> None:
        seekers = self._roles(
            self._listen(), self._sweep(), self._ticker.run(), self._housekeeper.run()
        )
        keepers = self._roles(
            self._keeper.run(), self._settler.run(), self._alarms.run(), self._cancels.run()
        )
        try:
            while not self._claimer.stopping.is_set():
                await self._claimer.step()
            cancel(seekers)
            logger.info("worker stopping", extra={"running": len(self._runs)})
            await wait_any(self._clock, self._grace, self._runs.idle, self._aborting)
        finally:
            cancel(seekers)
            try:
                await self._close()
            finally:
                cancel(keepers)
                await asyncio.gather(*seekers, *keepers, return_exceptions=True)
                await self._executors.close()
        if self._failure is not None:
            raise self._failure

    def _roles(self, *roles: Coroutine[Any, Any, None]) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(role) for role in roles]
        for task in tasks:
            task.add_done_callback(self._role_ended)
        return tasks

    def _role_ended(self, role: asyncio.Task[None]) -> None:
        """A role that fails ends the worker: half a worker would break its promises."""
        if not role.cancelled() and (error := role.exception()) is not None:
            self._failure = self._failure or error
            self._aborting.set()
            self._claimer.stop()

    async def _close(self) -> None:
        """Cancels what still runs, delivers every verdict, and ends the lease."""
        self._claimer.stop()
        self._runs.cancel_all(Cause.SHUTDOWN)
        if not await wait_any(self._clock, UNWIND_SECONDS, self._runs.idle):
            logger.error("tasks go on although cancelled", extra={"running": len(self._runs)})
        lease = self._keeper.current
        limit = self._third if lease is None else lease.left()
        if not await self._settler.drain(limit):
            # Their tasks are rescued when the lease is over.
            dropped = {"verdicts": len(self._settler.tasks())}
            logger.error("lease lost: verdicts could not be delivered", extra=dropped)
        # A thread that goes on keeps the lease until it runs out: it cannot be stopped.
        if lease is not None and not self._executors.busy:
            try:
                if self._claimer.strays:
                    await self._claimer.release_strays(lease)
                await within(self._clock, lease.left(), self._store.retire(lease.worker))
            except Exception as error:
                logger.warning("cannot end the lease early", extra={"error": repr(error)})
        verdicts = {kind.lower(): number for kind, number in self._verdicts.items()}
        summary = {**verdicts, "leases_lost": self._settler.lost}
        logger.info("worker stopped", extra={"summary": summary})

    def _ended(self, claimed: ClaimedTask, verdict: Verdict, completed: bool) -> None:
        self._verdicts["given_back" if verdict is GIVEN_BACK else type(verdict).__name__] += 1
        settlement = Settlement(claimed.id, claimed.lease, verdict, claimed.linked)
        self._settler.put(settlement, completed=completed)
        self._claimer.slot_freed(claimed.queue)

    def _settled(self) -> None:
        self._claimer.verdicts_delivered()

    def _lease_gained(self) -> None:
        self._claimer.wake()

    async def _lease_lost(self) -> None:
        """Stops what ran under the lease, before others may start it."""
        self._claimer.give_back_ready()
        self._runs.cancel_all(Cause.LEASE_LOST)
        await wait_any(self._clock, UNWIND_SECONDS, self._runs.idle)

    async def _listen(self) -> None:
        pauses = Pauses(self._rng, first=1.0, most=15.0)
        while True:
            try:
                async with self._store.listen(self._heard):
                    pauses.reset()
                    await asyncio.Event().wait()
            except Exception as error:
                logger.warning("no notifications, polling", extra={"error": repr(error)})
                await self._clock.sleep(pauses.next())

    def _heard(self, what: str) -> None:
        self._claimer.wake(what)
        self._cancels.heard(what)

    def _may_sweep(self) -> bool:
        """After an outage our own verdicts go first: what is finished needs no rescue."""
        return self._keeper.current is not None and not self._settler.failing

    async def _sweep(self) -> None:
        """Rescues the tasks of dead workers. Everybody does, at moments drawn by chance."""
        while True:
            await self._clock.sleep(self._third * self._rng.uniform(0.5, 1.0))
            self._claimer.look_again_for_strays()
            if not self._may_sweep():
                continue
            try:
                rescue = self._store.rescue(max_crashes=self._max_crashes)
                rescued = await within(self._clock, CALL_SECONDS, rescue)
            except Exception as error:
                logger.warning("cannot rescue tasks", extra={"error": repr(error)})
                continue
            if rescued.released or rescued.quarantined:
                extra = {"released": rescued.released, "quarantined": rescued.quarantined}
                logger.warning("took tasks from dead workers", extra=extra)
                self._claimer.wake()


def cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancels them all; does not wait."""
    for task in tasks:
        task.cancel()


def unique_names(pairs: Sequence[tuple[str, T]], what: str) -> dict[str, T]:
    """The things by name. Raises `InvalidTask` when two have the same."""
    by_name = dict(pairs)
    if len(by_name) < len(pairs):
        twice = {name for name, count in Counter(name for name, _ in pairs).items() if count > 1}
        raise InvalidTask(f"two {what} are called {', '.join(sorted(twice))}")
    return by_name
