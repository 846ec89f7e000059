"""What became of one call of a task, as a value."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from colmillo.outcome import Done, Outcome
from colmillo.store import Again, ClaimedTask, Finish, FinishWith, SetAside, TaskRecord, Verdict
from colmillo.task import Declared

_SHOWN = 20


class Ended(StrEnum):
    """How an attempt ended."""

    DONE = "done"
    RETRIED = "retried"
    """It failed, and the task waits for another attempt."""

    SNOOZED = "snoozed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DISCARDED = "discarded"
    GIVEN_BACK = "given back"
    """The attempt was cut short, and counts for nothing."""

    LOST = "lost"
    """Somebody else took the task meanwhile: what the attempt came to changed nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call of a task and what it came to.

    ``outcome`` is what the worker made of it: what the function, the middleware and the rules
    for errors returned; None when an exception (or a timeout) ended it. ``error`` is the
    exception that the function raised, also where a rule turned it into an outcome. ``why`` is
    what the task's history says: the error as text, the reason of a `Cancel`. ``delay`` is the
    time to the next attempt, None when there is none.
    """

    task: ClaimedTask
    arguments: Mapping[str, object]
    ended: Ended
    outcome: Outcome | None = None
    error: BaseException | None = None
    why: str = ""
    delay: timedelta | None = None

    @property
    def result(self) -> object:
        """What `Done` carries; None for every other end."""
        return self.outcome.result if isinstance(self.outcome, Done) else None

    @property
    def failed(self) -> bool:
        """Whether the function raised, timed out, asked for a retry or could not be called."""
        wrong = (Ended.RETRIED, Ended.FAILED)
        unread = self.ended is Ended.DISCARDED and self.outcome is None
        return self.error is not None or self.ended in wrong or unread

    def __str__(self) -> str:
        """One line: which call, which attempt, how it ended."""
        told = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        why = f": {self.why.splitlines()[0]}" if self.why else ""
        after = f", again in {self.delay}" if self.delay is not None else ""
        number = f"task {self.task.id}, attempt {self.task.attempt}"
        return f"{self.task.name}({told}) [{number}]: {self.ended.value}{after}{why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What `drain` did: the attempts in their order, and the tasks that it left.

    ``set_aside`` are the tasks that went to the archive, with the errors of all their attempts;
    ``waiting`` those that still wait (the latest thousand), the next one first.
    """

    attempts: tuple[Attempt, ...] = ()
    set_aside: tuple[TaskRecord, ...] = ()
    waiting: tuple[TaskRecord, ...] = ()
    ended: Mapping[Ended, int] = field(init=False)

    def __post_init__(self) -> None:
        """Counts."""
        object.__setattr__(self, "ended", Counter(attempt.ended for attempt in self.attempts))

    def of(self, task: "Declared[...] | str") -> tuple[Attempt, ...]:
        """The attempts of one task, by itself or by its name."""
        name = task if isinstance(task, str) else task.name
        return tuple(attempt for attempt in self.attempts if attempt.task.name == name)

    def __str__(self) -> str:
        """What happened, for people: at most the last twenty attempts."""
        counts = ", ".join(f"{number} {ended.value}" for ended, number in self.ended.items())
        number = f"{len(self.attempts)} attempt{'s' if len(self.attempts) != 1 else ''}"
        lines = [f"{number} ({counts})" if counts else "nothing was due"]
        lines += [f"  {attempt}" for attempt in self.attempts[-_SHOWN:]]
        for record in self.set_aside:
            why = record.errors[-1].splitlines()[0] if record.errors and record.errors[-1] else ""
            lines.append(f"set aside: {record.name} {record.id} as {record.state.value}: {why}")
        if self.waiting:
            first = self.waiting[0]
            lines.append(
                f"{len(self.waiting)} still waiting, first {first.name} {first.id}"
                f" (due {first.run_at:%Y-%m-%d %H:%M:%S} UTC)"
            )
        return "\n".join(lines)


def ended_by(verdict: Verdict, outcome: Outcome | None) -> Ended:
    """The end that the verdict stands for."""
    match verdict:
        case Finish() | FinishWith():
            return Ended.DONE
        case Again(keep_attempt=True):
            return Ended.RETRIED
        case Again():
            return Ended.GIVEN_BACK if outcome is None else Ended.SNOOZED
        case SetAside(ending=ending):
            return Ended(ending.value)


def why_of(verdict: Verdict) -> str:
    """What the task's history says about it."""
    if isinstance(verdict, Again | SetAside):
        return verdict.error or ""
    return ""
