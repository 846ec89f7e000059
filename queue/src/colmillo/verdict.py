"""From what a function did to what the store is told. Pure."""

import traceback
from datetime import timedelta
from random import Random
from typing import assert_never

from colmillo.checks import ERROR_LENGTH
from colmillo.outcome import Cancel, Discard, Done, Outcome, Retry, Snooze
from colmillo.retry import Backoff
from colmillo.store import Again, ClaimedTask, Ending, Finish, SetAside, Verdict

GIVEN_BACK = Again(keep_attempt=False)
FINISHED = Finish()


def verdict_of(outcome: Outcome, claimed: ClaimedTask, backoff: Backoff, rng: Random) -> Verdict:
    """The verdict for a function that returned."""
    match outcome:
        case Done():
            return FINISHED
        case Retry(why=why, after=after):
            return failed(why or "asked to be run again", claimed, backoff, rng, after=after)
        case Snooze(delay=delay):
            return Again(delay=delay, keep_attempt=False)
        case Cancel(why=why):
            return SetAside(ending=Ending.CANCELLED, error=why)
        case Discard(why=why):
            return SetAside(ending=Ending.DISCARDED, error=why)
        case never:
            assert_never(never)


def failed(
    error: str,
    claimed: ClaimedTask,
    backoff: Backoff,
    rng: Random,
    *,
    after: timedelta | None = None,
) -> Verdict:
    """The verdict for a failed attempt: another one after a pause, or none if it was the last."""
    if claimed.max_attempts is not None and claimed.attempt >= claimed.max_attempts:
        return SetAside(ending=Ending.FAILED, error=error)
    delay = backoff.delay(claimed.attempt, rng) if after is None else after
    return Again(delay=delay, error=error)


def error_text(error: BaseException) -> str:
    """The exception in one line, then the end of its traceback, in at most `ERROR_LENGTH`."""
    lines = traceback.TracebackException.from_exception(error, compact=True)
    summary = "".join(lines.format_exception_only()).strip()
    head = f"{summary[: ERROR_LENGTH // 4]}\n"
    trace = "".join(lines.format())
    room = ERROR_LENGTH - len(head)
    return head + (trace if len(trace) <= room else f"…{trace[len(trace) - room + 1 :]}")
