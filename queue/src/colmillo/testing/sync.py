"""The assertions for tests that are not async."""

from collections.abc import Mapping

from colmillo.foreign import blocking
from colmillo.memory import MemoryStore
from colmillo.postgres import PostgresStore
from colmillo.schema import DEFAULT_SCHEMA
from colmillo.store import Store, TaskRecord
from colmillo.sync import at_once
from colmillo.task import Declared
from colmillo.testing import asserting
from colmillo.testing.expected import Moment, Span


def assert_enqueued(
    where: object,
    task: "Declared[...] | str",
    *,
    args: Mapping[str, object] | None = None,
    queue: str | None = None,
    priority: int | None = None,
    run_at: Moment | None = None,
    delay: Span | None = None,
    unique: bool | None = None,
    key: str | None = None,
    count: int | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> list[TaskRecord]:
    """See `colmillo.testing.assert_enqueued`.

    ``where`` is a connection as `colmillo.sync.SyncQueue` takes it, whose open transaction is
    looked at, or a `MemoryStore`. Raises TypeError for anything else.
    """
    __tracebackhide__ = True
    store, connection = _store(where, schema)
    return at_once(
        asserting.assert_enqueued(
            store,
            task,
            args=args,
            queue=queue,
            priority=priority,
            run_at=run_at,
            delay=delay,
            unique=unique,
            key=key,
            count=count,
            connection=connection,
        )
    )


def refute_enqueued(
    where: object,
    task: "Declared[...] | str",
    *,
    args: Mapping[str, object] | None = None,
    queue: str | None = None,
    priority: int | None = None,
    run_at: Moment | None = None,
    delay: Span | None = None,
    unique: bool | None = None,
    key: str | None = None,
    schema: str = DEFAULT_SCHEMA,
) -> None:
    """See `colmillo.testing.refute_enqueued`, and above for ``where``."""
    __tracebackhide__ = True
    store, connection = _store(where, schema)
    at_once(
        asserting.refute_enqueued(
            store,
            task,
            args=args,
            queue=queue,
            priority=priority,
            run_at=run_at,
            delay=delay,
            unique=unique,
            key=key,
            connection=connection,
        )
    )


def _store(where: object, schema: str) -> tuple[Store, object | None]:
    if isinstance(where, MemoryStore):
        return where, None
    connection = blocking(where)
    if connection is None:
        raise TypeError(
            "give a MemoryStore, a psycopg Connection, or a Connection or Session of SQLAlchemy, "
            f"not a {type(where).__name__}"
        )
    return PostgresStore(None, schema), connection


__all__ = ["assert_enqueued", "refute_enqueued"]
