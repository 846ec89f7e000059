"""What a task's function may return. Outcomes are values; an exception is a failed attempt.

Returning ``None`` means `Done`.
"""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Done:
    """The task is finished and leaves the table.

    The ``result``, anything that JSON can carry, is kept if the task says for how long
    (``@task(keep_result=…)``), and lost otherwise.
    """

    result: object = None


@dataclass(frozen=True, slots=True)
class Retry:
    """The attempt failed in a way the function knows about; run the task again.

    Counts as an attempt. ``after`` overrides the task's backoff; ``why`` is kept in the
    task's error history.
    """

    why: str = ""
    after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Snooze:
    """Not now: run the task again after ``delay``. Costs no attempt."""

    delay: timedelta


@dataclass(frozen=True, slots=True)
class Cancel:
    """The work is no longer wanted. The task is archived as cancelled, with the reason."""

    why: str


@dataclass(frozen=True, slots=True)
class Discard:
    """The work cannot succeed. The task is archived as discarded, with the reason."""

    why: str


Outcome = Done | Retry | Snooze | Cancel | Discard
"""What a function may return; None means `Done`."""
