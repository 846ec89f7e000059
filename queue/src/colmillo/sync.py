"""For programs and functions that are not async: tasks in the caller's transaction.

A web application with SQLAlchemy's or psycopg's ordinary connections enqueues with `SyncQueue`;
a task that runs in a thread finishes in its own transaction with `complete`. Workers stay
async. The statements and the answers are those of `colmillo.Queue`.
"""

from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from colmillo.context import Context
from colmillo.foreign import Adapter, blocking
from colmillo.postgres import PostgresStore
from colmillo.queue import Outgoing, Queue
from colmillo.schema import DEFAULT_SCHEMA
from colmillo.store import Enqueued, NewTask, TaskId

if TYPE_CHECKING:
    from colmillo.flows import Flow

T = TypeVar("T")


class SyncQueue:
    """Where programs that are not async put tasks. Holds no connection and may be a global.

    A ``connection`` is a psycopg 3 ``Connection``, or a ``Connection`` or ``Session`` of
    SQLAlchemy 2 over psycopg. What is enqueued is part of its transaction, and committing that
    is the caller's; under autocommit it is there at once. ``outgoing`` as in `colmillo.Queue`.
    """

    def __init__(
        self,
        schema: str = DEFAULT_SCHEMA,
        *,
        notify: bool = True,
        outgoing: Outgoing | None = None,
    ) -> None:
        self._queue = Queue(PostgresStore(None, schema, notify=notify), outgoing=outgoing)

    def enqueue(self, new: NewTask, *, connection: object) -> Enqueued:
        """Adds one task. See `enqueue_many`."""
        return self.enqueue_many([new], connection=connection)[0]

    def enqueue_many(self, new: Iterable[NewTask], *, connection: object) -> list[Enqueued]:
        """Adds the tasks and answers in their order; see `colmillo.Queue.enqueue_many`.

        Raises:
            TypeError: the connection is of another kind.
        """
        return at_once(self._queue.enqueue_many(new, connection=_checked(connection)))

    def enqueue_flow(self, flow: "Flow", *, connection: object) -> list[TaskId]:
        """Adds the tasks of a flow and answers with their ids; see `Queue.enqueue_flow`.

        Raises:
            TypeError: the connection is of another kind.
        """
        return at_once(self._queue.enqueue_flow(flow, connection=_checked(connection)))


def complete(context: Context[Any], *, connection: object) -> None:
    """Finishes the context's task inside the open transaction of a `SyncQueue`'s connection.

    See `Context.complete`. Raises LeaseLost when another worker owns the task: roll back.
    """
    at_once(context.complete(connection=_checked(connection)))


def _checked(given: object) -> Adapter:
    connection = blocking(given)
    if connection is None:
        raise TypeError(
            "connection has to be a psycopg Connection, or a Connection or Session of SQLAlchemy, "
            f"not a {type(given).__name__}"
        )
    return connection


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that has nothing to wait for: its connection blocks."""
    try:
        work.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    work.close()
    raise RuntimeError("a statement on a blocking connection waited for the event loop")


__all__ = ["SyncQueue", "complete"]
