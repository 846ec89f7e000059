"""How an attempt ended, in one word: for measures and traces, which middleware makes."""

import asyncio
from typing import Literal

from colmillo.outcome import Cancel, Discard, Done, Outcome, Retry, Snooze

Ended = Literal[
    "done",
    "retry",
    "snooze",
    "cancel",
    "discard",
    "error",
    "timeout",
    "cancelled",
    "given_back",
    "lease_lost",
]
"""The first five are the outcomes; ``error`` is an exception. The last four are those of a
function that its worker cancelled: it ran out of time, somebody called `Queue.cancel`, the
worker is shut down and the task goes to another one, or the worker could not keep its lease."""

FAILURES: frozenset[Ended] = frozenset({"retry", "discard", "error", "timeout", "lease_lost"})
"""Those that mean that something is wrong."""

# What a worker's cancellations say (`colmillo.running.Cause`).
_CANCELLED: dict[object, Ended] = {
    "timeout": "timeout",
    "requested": "cancelled",
    "shutdown": "given_back",
    "lease lost": "lease_lost",
}


def ended_with(outcome: Outcome) -> Ended:
    """The word for what a function returned."""
    match outcome:
        case Done():
            return "done"
        case Retry():
            return "retry"
        case Snooze():
            return "snooze"
        case Cancel():
            return "cancel"
        case Discard():
            return "discard"


def ended_by(error: BaseException) -> Ended:
    """The word for what a function raised."""
    if isinstance(error, asyncio.CancelledError):
        return _CANCELLED.get(error.args[0] if error.args else None, "error")
    return "error"
