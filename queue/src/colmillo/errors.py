"""The queue's exceptions: one base, the data as attributes, the docstring as the message."""

from typing import Any


class ColmilloError(Exception):
    """The task queue failed."""

    def __init__(self, detail: str = "") -> None:
        self.detail = detail
        super().__init__(detail)

    def __str__(self) -> str:
        """The class's first docstring line without its full stop, then the detail."""
        message = (type(self).__doc__ or type(self).__name__).strip().splitlines()[0].rstrip(".")
        return f"{message}: {self.detail}" if self.detail else message

    def __reduce__(self) -> tuple[Any, ...]:
        """Survives pickling: errors cross process borders in workers."""
        return (type(self), (self.detail,))


class LeaseLost(ColmilloError):
    """The task belongs to another worker now; nothing was changed."""


class InvalidTask(ColmilloError):
    """The task's declaration or arguments are wrong."""


class DuplicateTask(ColmilloError):
    """A unique task that is to be refused when it is there already; nothing was added.

    ``existing`` is the id of the task that holds the key; None when the call itself held
    two of them.
    """

    def __init__(self, detail: str = "", existing: int | None = None) -> None:
        self.existing = existing
        super().__init__(detail)

    def __reduce__(self) -> tuple[Any, ...]:
        """Survives pickling."""
        return (type(self), (self.detail, self.existing))


class UnknownTask(ColmilloError):
    """No task of this name is known to this worker."""


class SchemaOutdated(ColmilloError):
    """The queue's tables are missing or of another version."""
