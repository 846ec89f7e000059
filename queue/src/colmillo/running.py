"""Attempts under way: started, timed, cancelled for a reason, and turned into verdicts."""

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from enum import StrEnum
from functools import partial
from random import Random
from typing import Any, TypeVar

from colmillo.alarms import Alarm, Alarms
from colmillo.clock import Clock
from colmillo.context import Context
from colmillo.errors import InvalidTask
from colmillo.lease import Lease
from colmillo.operations import CancelRequest
from colmillo.outcome import Cancel, Discard, Done, Outcome, Retry, Snooze
from colmillo.store import Again, ClaimedTask, Ending, SetAside, Store, TaskId, Verdict
from colmillo.task import Task
from colmillo.verdict import FINISHED, GIVEN_BACK, error_text, failed, handed_on, verdict_of

logger = logging.getLogger(__name__)
T = TypeVar("T")

# While programs are being replaced, a worker that knows the name will come by.
UNKNOWN_DELAY = timedelta(seconds=15)
# A function that goes on after its cancellation is cancelled again after so many seconds.
INSIST_SECONDS = 10.0
# After a failure whose backoff could not be computed.
FALLBACK_DELAY = timedelta(minutes=1)


class Cause(StrEnum):
    """Why the worker cancelled a run."""

    TIMEOUT = "timeout"
    SHUTDOWN = "shutdown"
    LEASE_LOST = "lease lost"
    REQUESTED = "requested"


class Run:
    """One attempt: the claim, the work on it, and why that was cancelled."""

    __slots__ = ("alarm", "cause", "claimed", "context", "known", "started", "why", "work")

    def __init__(
        self, claimed: ClaimedTask, known: Task[...], context: Context[Any], started: float
    ) -> None:
        self.claimed = claimed
        self.known = known
        self.context = context
        self.started = started
        self.work: asyncio.Task[Outcome | None] | None = None
        self.cause: Cause | None = None
        self.why = ""
        self.alarm: Alarm | None = None


class Runs:
    """All attempts of one worker. ``ended(claimed, verdict, completed)`` is called for each."""

    def __init__(
        self,
        tasks: Mapping[str, Task[...]],
        resources: object,
        *,
        store: Store,
        clock: Clock,
        rng: Random,
        alarms: Alarms,
        ended: Callable[[ClaimedTask, Verdict, bool], None],
    ) -> None:
        self.idle = asyncio.Event()
        self.idle.set()
        self.per_queue = Counter[str]()
        self._tasks = tasks
        self.resources = resources
        self._store = store
        self._clock = clock
        self._rng = rng
        self._alarms = alarms
        self._ended = ended
        self._active: set[Run] = set()

    def __len__(self) -> int:
        return len(self._active)

    def tasks(self) -> list[TaskId]:
        """The tasks that are being worked on."""
        return [run.claimed.id for run in self._active]

    def start(self, claimed: ClaimedTask, lease: Lease) -> None:
        """Starts work on a claimed task, or ends it at once when that is not possible."""
        known = self._tasks.get(claimed.name)
        if known is None:
            logger.warning("no such task here, giving it back", extra=fields(claimed))
            self._ended(claimed, Again(delay=UNKNOWN_DELAY, keep_attempt=False), False)
            return
        try:
            values = known.arguments.read(claimed.payload)
        except InvalidTask as error:
            logger.error("the payload does not fit the task any more", extra=fields(claimed))
            why = f"the payload does not fit the function: {error.detail}"
            self._ended(claimed, SetAside(ending=Ending.DISCARDED, error=why), False)
            return
        context = Context(
            claimed, self.resources, store=self._store, clock=self._clock, lease=lease
        )
        run = Run(claimed, known, context, self._clock.monotonic())
        self._active.add(run)
        self.idle.clear()
        self.per_queue[claimed.queue] += 1
        try:
            under_way = run.work = begun(work(run, values), claimed.name)
        except KeyboardInterrupt:
            self._forget(run)
            self._ended(claimed, GIVEN_BACK, False)
            raise
        if under_way.done():
            self._finished(run, under_way)
            return
        under_way.add_done_callback(partial(self._finished, run))
        if known.options.timeout is not None:
            seconds = known.options.timeout.total_seconds()
            run.alarm = self._alarms.set(seconds, lambda: self._cancel(run, Cause.TIMEOUT))

    def cancel_all(self, cause: Cause) -> None:
        """Cancels everything under way."""
        for run in list(self._active):
            self._cancel(run, cause)

    def cancel(self, request: CancelRequest) -> bool:
        """Cancels a run because somebody asked for it; false when there is no such run (any
        more)."""
        for run in self._active:
            claimed = run.claimed
            if (claimed.id, claimed.lease) == (request.id, request.lease):
                if run.cause is None:
                    run.why = request.why
                    self._cancel(run, Cause.REQUESTED)
                return True
        return False

    def _cancel(self, run: Run, cause: Cause) -> None:
        if run.work is None or run.work.done():
            return
        extra = {**fields(run.claimed), "cause": cause.value}
        if run.cause is None:
            logger.info("cancelling a task", extra=extra)
        else:
            logger.warning("the task goes on although it was cancelled", extra=extra)
        # Whether the task is still ours matters more than anything that was said before.
        if run.cause is None or cause is Cause.LEASE_LOST:
            run.cause = cause
        if run.alarm is not None:
            run.alarm.off = True
        run.alarm = self._alarms.set(INSIST_SECONDS, lambda: self._cancel(run, cause))
        run.work.cancel(cause.value)

    def _finished(self, run: Run, done: asyncio.Task[Outcome | None]) -> None:
        claimed = run.claimed
        self._forget(run)
        if run.alarm is not None:
            run.alarm.off = True
        try:
            verdict = self._judge(run, done)
        except Exception as error:
            # Only the user's own backoff can do this; the task must not be lost for it.
            logger.exception("the backoff failed", extra=fields(claimed))
            verdict = Again(delay=FALLBACK_DELAY, error=error_text(error))
        if run.cause is Cause.REQUESTED and not came_to_an_end(done, verdict):
            verdict = SetAside(ending=Ending.CANCELLED, error=run.why)
        if logger.isEnabledFor(logging.INFO):
            seconds = round(self._clock.monotonic() - run.started, 6)
            extra = {"verdict": type(verdict).__name__.lower(), "seconds": seconds}
            logger.info("task ended", extra={**fields(claimed), **extra})
        self._ended(claimed, verdict, run.context.completed)

    def _forget(self, run: Run) -> None:
        self._active.remove(run)
        self.per_queue[run.claimed.queue] -= 1
        if not self._active:
            self.idle.set()

    def _judge(self, run: Run, done: asyncio.Task[Outcome | None]) -> Verdict:
        """The verdict. An outcome counts even if it came after a cancellation."""
        backoff = run.known.options.backoff
        error = None if done.cancelled() else done.exception()
        if error is None and not done.cancelled():
            outcome: object = done.result()
            if outcome is None:
                return FINISHED
            # Type checkers see to this, but not everybody runs one.
            if isinstance(outcome, Done | Retry | Snooze | Cancel | Discard):
                return verdict_of(outcome, run.claimed, backoff, self._rng)
            error = TypeError(f"a task returns an Outcome or None, not {type(outcome).__name__}")
        if isinstance(error, KeyboardInterrupt) or run.cause in (Cause.SHUTDOWN, Cause.LEASE_LOST):
            return GIVEN_BACK
        if run.cause is Cause.TIMEOUT:
            text = f"timed out after {run.known.options.timeout}"
        elif error is None:
            text = "the function was cancelled, but not by the worker"
        else:
            text = error_text(error)
        extra = {**fields(run.claimed), "error_type": type(error).__name__ if error else "none"}
        logger.warning("task failed", extra=extra)
        if error is not None:
            # Messages of exceptions may quote arguments: for those who ask only.
            logger.debug("the failure in full", extra=extra, exc_info=error)
        return failed(text, run.claimed, backoff, self._rng)


def came_to_an_end(done: asyncio.Task[Outcome | None], verdict: Verdict) -> bool:
    """Whether the function itself said that this was its last attempt."""
    said = not done.cancelled() and done.exception() is None
    return said and not isinstance(verdict, Again)


def begun(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """The coroutine as a task. Where asyncio can (Python 3.12) it runs up to its first wait at
    once, and one that never waits costs no turn of the loop."""
    # The name has no id in it: to write that would cost as much as the rest of this.
    if sys.version_info >= (3, 12):
        loop = asyncio.get_running_loop()
        return asyncio.Task(work, loop=loop, name=name, eager_start=True)
    return asyncio.create_task(work, name=name)


async def work(run: Run, values: dict[str, object]) -> Outcome | None:
    """Calls the function. Its attempt to end the program is a failure like others."""
    try:
        outcome = await run.known.call(run.context, values)
    except SystemExit as error:
        raise RuntimeError(f"the function called exit({error.code!r})") from error
    return handed_on(outcome) if run.claimed.linked else outcome


def fields(claimed: ClaimedTask) -> dict[str, object]:
    """What a log event says of a task. Never its payload."""
    return {
        "task_id": claimed.id,
        "task": claimed.name,
        "queue": claimed.queue,
        "attempt": claimed.attempt,
    }
