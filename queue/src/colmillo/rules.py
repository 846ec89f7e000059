"""What becomes of a task by the kind of its error. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from colmillo.errors import InvalidTask, ProcessError
from colmillo.outcome import Discard, Outcome
from colmillo.verdict import error_text

OnError = Callable[[Exception], Outcome | None]
"""Says what an exception means; None leaves it to the other rules."""

Kinds = tuple[type[Exception], ...]
"""Kinds of exceptions; derived ones are meant too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of one task; see `colmillo.task`. What they say nothing about is tried again.

    Raises:
        InvalidTask: a kind of error that is no class of exceptions.
    """

    retry_on: Kinds | None = None
    discard_on: Kinds = ()
    on_error: OnError | None = None

    def __post_init__(self) -> None:
        """Checks the kinds."""
        for kind in (*(self.retry_on or ()), *self.discard_on):
            if not (isinstance(kind, type) and issubclass(kind, Exception)):
                raise InvalidTask(f"{kind!r} is no class of exceptions")

    def outcome(self, error: Exception) -> Outcome | None:
        """What the error means; None when it is a failed attempt like others."""
        if self.on_error is not None and (said := self.on_error(error)) is not None:
            return said
        if is_any(error, self.discard_on):
            return Discard(error_text(error))
        if self.retry_on is not None and not is_any(error, self.retry_on):
            return Discard(error_text(error))
        return None


def rules_of(
    retry_on: Kinds | type[Exception] | None,
    discard_on: Kinds | type[Exception],
    on_error: OnError | None,
) -> Rules | None:
    """The rules as `colmillo.task` takes them; None when there are none."""
    if retry_on is None and discard_on == () and on_error is None:
        return None
    return Rules(
        retry_on=(retry_on,) if isinstance(retry_on, type) else retry_on,
        discard_on=(discard_on,) if isinstance(discard_on, type) else discard_on,
        on_error=on_error,
    )


def is_any(error: Exception, kinds: Kinds) -> bool:
    """Whether the error is of one of the kinds; one from a process goes by its types' names."""
    if isinstance(error, ProcessError):
        names = (f"{kind.__module__}.{kind.__qualname__}" for kind in kinds)
        return isinstance(error, kinds) or any(name in error.types for name in names)
    return isinstance(error, kinds)
