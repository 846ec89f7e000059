"""The application's exceptions: one base, the docstring is the message."""

from typing import Any


class HeraldoError(Exception):
    """El Heraldo cannot go on."""

    def __init__(self, detail: str = "") -> None:
        self.detail = detail
        super().__init__(detail)

    def __str__(self) -> str:
        """The class's first docstring line without its full stop, then the detail."""
        message = (type(self).__doc__ or type(self).__name__).strip().splitlines()[0].rstrip(".")
        return f"{message}: {self.detail}" if self.detail else message

    def __reduce__(self) -> tuple[Any, ...]:
        """Survives pickling."""
        return (type(self), (self.detail,))


class BadSettings(HeraldoError):
    """Some settings are wrong."""


class DatabaseUnavailable(HeraldoError):
    """The database cannot be used."""
