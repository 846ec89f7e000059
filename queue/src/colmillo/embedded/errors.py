"""What can be wrong with the embedded server, in words for the person who starts it."""

from colmillo.errors import ColmilloError


class EmbeddedError(ColmilloError):
    """The embedded PostgreSQL cannot be used."""


class EmbeddedMissing(EmbeddedError):
    """The embedded PostgreSQL is not installed."""


class EmbeddedVersion(EmbeddedError):
    """The data folder belongs to another major version of PostgreSQL."""
