"""From what a function did to what the store is told. Pure."""

import json
import traceback
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import assert_never

from colmillo.checks import ERROR_LENGTH
from colmillo.errors import ProcessError
from colmillo.outcome import Cancel, Discard, Done, Outcome, Retry, Snooze
from colmillo.retry import Backoff
from colmillo.store import Again, ClaimedTask, Ending, Finish, FinishWith, SetAside, Verdict

RESULT_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Done):
    """Done, with the result as JSON text, and for how long it is kept (None: for the tasks that
    wait for this one, only)."""

    text: str
    keep: timedelta | None


def kept(done: Done, keep: timedelta | None) -> Kept:
    """The outcome with its result to be kept.

    Raises:
        TypeError, ValueError: JSON cannot carry the result, or it is too long.
    """
    return Kept(text=json_result(done.result), keep=keep)


def json_result(result: object) -> str:
    """The result as JSON text.

    Raises:
        TypeError, ValueError: JSON cannot carry the result, or it is too long.
    """
    text = json.dumps(result, allow_nan=False, separators=(",", ":"))
    if len(text) > RESULT_BYTES:
        raise ValueError(f"the result takes {len(text):,} bytes, more than {RESULT_BYTES:,}")
    return text


def handed_on(outcome: Outcome | None) -> Outcome | None:
    """The outcome of a task of a flow, its result made ready for those that wait for it.

    Raises:
        TypeError, ValueError: JSON cannot carry the result, or it is too long.
    """
    if not isinstance(outcome, Done) or isinstance(outcome, Kept) or outcome.result is None:
        return outcome
    return kept(outcome, None)


GIVEN_BACK = Again(delay=None, keep_attempt=False)
FINISHED = Finish()


def verdict_of(outcome: Outcome, claimed: ClaimedTask, backoff: Backoff, rng: Random) -> Verdict:
    """The verdict for a function that returned."""
    match outcome:
        case Done():
            if not isinstance(outcome, Kept):
                return FINISHED
            if outcome.keep is None:
                return Finish(result=outcome.text)
            return FinishWith(result=outcome.text, keep=outcome.keep)
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
    if isinstance(error, ProcessError):
        # The text was made where the error was; where it arrived says nothing.
        return error.detail
    lines = traceback.TracebackException.from_exception(error, compact=True)
    summary = "".join(lines.format_exception_only()).strip()
    head = f"{summary[: ERROR_LENGTH // 4]}\n"
    trace = "".join(lines.format())
    room = ERROR_LENGTH - len(head)
    return head + (trace if len(trace) <= room else f"…{trace[len(trace) - room + 1 :]}")
