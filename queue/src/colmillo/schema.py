"""The queue's tables: as a list of statements for any migration tool, or by `migrate`.

The SQL lives in ``sql/``, one statement per file. The one thing that is ever put into its text
is the schema's name, quoted; all else are parameters.
"""

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, cast

import asyncpg

from colmillo.errors import SchemaOutdated

if TYPE_CHECKING:
    from colmillo.database import Connection, Pool

DEFAULT_SCHEMA = "colmillo"

_SQL = files("colmillo") / "sql"
_PLACEHOLDER = "{schema}"
_LONGEST_IDENTIFIER = 63
_FUNCTION_QUOTE = "$colmillo$"
"""What functions' bodies stand between in the migrations."""


def quoted(schema: str) -> str:
    """The name as a quoted SQL identifier. Raises ValueError if Postgres could not hold it."""
    size = len(schema.encode("utf-8"))
    if not 1 <= size <= _LONGEST_IDENTIFIER or "\0" in schema:
        raise ValueError(
            f"a schema's name has 1 to {_LONGEST_IDENTIFIER} bytes and no NUL: {schema!r}"
        )
    if _FUNCTION_QUOTE in schema:
        raise ValueError(f"a schema's name cannot contain {_FUNCTION_QUOTE}: {schema!r}")
    return '"' + schema.replace('"', '""') + '"'


def channel(schema: str) -> str:
    """The notification channel of a schema: an identifier whatever the schema is called."""
    return "colmillo_" + hashlib.sha256(schema.encode("utf-8")).hexdigest()[:16]


@cache
def queries(schema: str) -> Mapping[str, str]:
    """The text of every ``sql/*.sql`` by name, for this schema."""
    return {
        file.name.removesuffix(".sql"): _text(file, schema)
        for file in _SQL.iterdir()
        if file.name.endswith(".sql")
    }


def latest() -> int:
    """The newest version this colmillo knows, which is the one it works with."""
    return _versions()[-1]


def statements(schema: str = DEFAULT_SCHEMA, since: int = 0, until: int | None = None) -> list[str]:
    """The migrations after version ``since`` up to ``until`` (None: the latest), in order.

    Each string is one SQL statement without parameters. Run them in one transaction, for
    instance each by alembic's ``op.execute``; the last ones of each version record it in the
    table ``versions``, so `check` and `migrate` know. Raises ValueError for versions that do
    not exist.
    """
    last = latest() if until is None else until
    if not 0 <= since <= last <= latest():
        raise ValueError(f"there are versions 0 to {latest()}, not {since} to {last}")
    return [
        _text(file, schema)
        for version in _versions()
        if since < version <= last
        for file in _sorted(_migrations() / f"{version:04}")
    ]


async def migrate(pool_or_connection: "Pool | Connection", schema: str = DEFAULT_SCHEMA) -> int:
    """Brings the schema to the latest version, in one transaction; returns that version.

    Does nothing when it is there already, so it may run at every start, from any number of
    processes at once: an advisory lock lets one at a time through. On a connection with an
    open transaction it becomes part of that. Raises `SchemaOutdated` when the schema is newer
    than this colmillo.
    """
    if isinstance(pool_or_connection, asyncpg.Pool):
        async with pool_or_connection.acquire() as connection:
            return await _migrate(connection, schema)
    return await _migrate(pool_or_connection, schema)


async def check(pool_or_connection: "Pool | Connection", schema: str = DEFAULT_SCHEMA) -> None:
    """Raises `SchemaOutdated`, saying what to do, unless the schema has the latest version."""
    if isinstance(pool_or_connection, asyncpg.Pool):
        async with pool_or_connection.acquire() as connection:
            found = await _version(connection, schema)
    else:
        found = await _version(pool_or_connection, schema)
    if found == 0:
        raise SchemaOutdated(f"the schema {schema!r} has no tables of colmillo yet; run migrate")
    if found < latest():
        raise SchemaOutdated(
            f"the schema {schema!r} has version {found}, this colmillo needs {latest()}; "
            "run migrate"
        )
    _refuse_newer(schema, found)


async def _migrate(connection: "Connection", schema: str) -> int:
    async with connection.transaction():
        await connection.execute(queries(schema)["migration_lock"], schema)
        found = await _version(connection, schema)
        _refuse_newer(schema, found)
        for statement in statements(schema, since=found):
            await connection.execute(statement)
    return latest()


async def _version(connection: "Connection", schema: str) -> int:
    texts = queries(schema)
    if not await connection.fetchval(texts["installed"], schema, "versions"):
        return 0
    return cast("int", await connection.fetchval(texts["version"]))


def _refuse_newer(schema: str, found: int) -> None:
    if found > latest():
        raise SchemaOutdated(
            f"the schema {schema!r} has version {found}, newer than this colmillo knows "
            f"({latest()}); upgrade colmillo"
        )


def _migrations() -> Traversable:
    return _SQL / "migrations"


@cache
def _versions() -> tuple[int, ...]:
    names = (folder.name for folder in _migrations().iterdir())
    return tuple(sorted(int(name) for name in names if re.fullmatch(r"\d{4}", name)))


def _sorted(folder: Traversable) -> list[Traversable]:
    found = (file for file in folder.iterdir() if file.name.endswith(".sql"))
    return sorted(found, key=lambda file: file.name)


def _text(file: Traversable, schema: str) -> str:
    return file.read_text(encoding="utf-8").strip().replace(_PLACEHOLDER, quoted(schema))


__all__ = [
    "DEFAULT_SCHEMA",
    "channel",
    "check",
    "latest",
    "migrate",
    "queries",
    "quoted",
    "statements",
]
