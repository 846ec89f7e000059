"""The store in Postgres: the tables of `colmillo.schema`, through asyncpg."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

import asyncpg

from colmillo.checks import (
    ERRORS_KEPT,
    bounded_delay,
    check_aware,
    check_name,
    check_tasks,
    storable_error,
)
from colmillo.database import Database
from colmillo.errors import ColmilloError
from colmillo.listener import Listener
from colmillo.rescue import rescue
from colmillo.schema import DEFAULT_SCHEMA, channel, check, queries, quoted
from colmillo.store import (
    Again,
    ClaimedTask,
    Enqueued,
    Finish,
    NewTask,
    Rescued,
    SetAside,
    Settlement,
    State,
    TaskId,
    TaskRecord,
    WorkerId,
)

if TYPE_CHECKING:
    from colmillo.database import Pool
    from colmillo.foreign import Opened, Row

_ROUNDS = 20
"""So often an enqueue looks again for a holder that was gone before it could be named."""

_TICKS_KEPT = timedelta(days=7)


class PostgresStore:
    """Everything `Store` promises, for any number of processes on one database.

    ``pool`` is an `asyncpg.Pool`, which stays the caller's (None: every call has to come with a
    ``connection``, as in programs that only enqueue); `colmillo.migrate` has to have run for
    ``schema``. Every statement gives up with TimeoutError after ``command_timeout``, as does
    waiting for one of the pool's connections. A ``connection`` is asyncpg's or what its pool's
    ``acquire`` gives, a psycopg 3 ``AsyncConnection``, or an ``AsyncConnection`` or
    ``AsyncSession`` of SQLAlchemy 2 over one of the two; under REPEATABLE READ or above a
    duplicate may, as any conflict there, end the caller's transaction with a serialisation
    failure.

    Listening takes one of the pool's connections for as long as it lasts, or of
    ``listen_pool``'s, for when ``pool`` leads through PgBouncer in transaction mode, which
    cannot listen. ``notify`` false leaves notifications out, sent and heard: workers poll.
    """

    def __init__(
        self,
        pool: "Pool | None",
        schema: str = DEFAULT_SCHEMA,
        *,
        command_timeout: timedelta = timedelta(seconds=30),
        notify: bool = True,
        listen_pool: "Pool | None" = None,
    ) -> None:
        self._database = Database(pool, command_timeout.total_seconds())
        self._listening = Database(listen_pool or pool, command_timeout.total_seconds())
        self._schema = schema
        self._sql = queries(schema)
        self._sequence = f"{quoted(schema)}.tasks_id_seq"
        self._channel = channel(schema)
        self._notify = self._channel if notify else None

    async def enqueue(
        self, tasks: Sequence[NewTask], *, connection: object | None = None
    ) -> list[Enqueued]:
        """Adds the tasks; see `Store.enqueue`. Raises `InvalidTask` before anything is added."""
        check_tasks(tasks)
        if not tasks:
            return []
        if all(task.unique_hash is None for task in tasks):
            return await self._enqueue_plain(tasks, connection)
        if len(tasks) == 1:
            async with self._database.connection(connection) as open_connection:
                return await self._enqueue_unique(tasks, open_connection)
        # Naming the holders may take a second statement: together they are one enqueue.
        async with self._database.transaction(connection) as open_connection:
            return await self._enqueue_unique(tasks, open_connection)

    async def claim(self, worker: WorkerId, room: Mapping[str, int]) -> list[ClaimedTask]:
        """Takes due tasks; see `Store.claim`."""
        wanted = {queue: limit for queue, limit in room.items() if limit > 0}
        if not wanted:
            return []
        rows = await self._database.fetch(
            self._sql["claim"], worker, list(wanted), list(wanted.values())
        )
        return [ClaimedTask(**row) for row in rows]

    async def settle(
        self, settlements: Sequence[Settlement], *, connection: object | None = None
    ) -> frozenset[TaskId]:
        """Carries the verdicts out; see `Store.settle`."""
        if not settlements:
            return frozenset()
        ids = [s.id for s in settlements]
        leases = [s.lease for s in settlements]
        if all(isinstance(s.verdict, Finish) for s in settlements):
            rows = await self._database.fetch(
                self._sql["finish"], ids, leases, connection=connection
            )
        else:
            verdicts = zip(*(_columns(s.verdict) for s in settlements), strict=True)
            rows = await self._database.fetch(
                self._sql["settle"], ids, leases, *verdicts, ERRORS_KEPT, connection=connection
            )
        if len(rows) == len(settlements):
            return frozenset()
        settled = {(row["id"], row["lease"]) for row in rows}
        return frozenset(s.id for s in settlements if (s.id, s.lease) not in settled)

    async def release_strays(self, worker: WorkerId, running: Sequence[TaskId]) -> int:
        """Gives back what the worker does not know it has; see `Store.release_strays`."""
        return len(await self._database.fetch(self._sql["release_strays"], worker, list(running)))

    async def register(self, worker: WorkerId, *, name: str, lease: timedelta) -> None:
        """Starts the worker's lease; see `Store.register`.

        Raises `SchemaOutdated` when the tables are missing or of another version.
        """
        check_name("worker's name", name)
        async with self._database.connection() as connection:
            await check(connection, self._schema)
            await self._database.fetch(
                self._sql["register"],
                worker,
                name,
                lease.total_seconds(),
                connection=connection,
            )

    async def renew(self, worker: WorkerId, lease: timedelta) -> bool:
        """Extends the lease unless it is over; see `Store.renew`."""
        rows = await self._database.fetch(self._sql["renew"], worker, lease.total_seconds())
        return bool(rows)

    async def retire(self, worker: WorkerId) -> None:
        """Ends the lease at once; see `Store.retire`."""
        await self._database.fetch(self._sql["retire"], worker)

    async def rescue(self, *, max_crashes: int) -> Rescued:
        """Frees the tasks of dead workers; see `Store.rescue`.

        Tasks that a transaction holds at the moment are left for the next rescue.
        """
        return await rescue(self._database, self._sql, max_crashes)

    async def tick(
        self,
        schedule: str,
        fire_time: datetime,
        task: NewTask,
        *,
        connection: object | None = None,
    ) -> bool:
        """Enqueues the task once per fire time; see `Store.tick`.

        Fire times are remembered until they lie a week behind the schedule's latest.
        """
        check_name("schedule's name", schedule)
        check_aware("fire_time", fire_time)
        check_tasks([task])
        async with self._database.transaction(connection) as open_connection:
            taken = await self._fetch(open_connection, "tick", schedule, fire_time)
            if not taken:
                return False
            await self.enqueue([task], connection=open_connection)
            await self._fetch(
                open_connection, "forget_ticks", schedule, fire_time, _TICKS_KEPT.total_seconds()
            )
            return True

    async def now(self) -> datetime:
        """The database's clock."""
        (row,) = await self._database.fetch(self._sql["now"])
        return cast("datetime", row[0])

    async def next_due(self, queues: Sequence[str]) -> timedelta | None:
        """How long until something is due; see `Store.next_due`."""
        (row,) = await self._database.fetch(self._sql["next_due"], list(queues))
        due = cast("timedelta | None", row[0])
        return None if due is None else max(due, timedelta(0))

    async def get(self, task: TaskId) -> TaskRecord | None:
        """The task, live or archived; see `Store.get`."""
        rows = await self._database.fetch(self._sql["get"], task)
        return _record(rows[0]) if rows else None

    async def counts(self) -> dict[tuple[str, State], int]:
        """How many tasks there are per queue and state; see `Store.counts`.

        Reads the tables whole: for people, now and then.
        """
        rows = await self._database.fetch(self._sql["counts"])
        return {(row["queue"], State(row["state"])): row["tasks"] for row in rows}

    def listen(self, wake: Callable[[str], None]) -> AbstractAsyncContextManager[None]:
        """Hears of committed tasks on a connection of its own; see `Listener`.

        Hears nothing, at no cost, when the store leaves notifications out.
        """
        if self._notify is None:
            return nullcontext()
        return Listener(self._listening, self._channel, wake).open()

    async def _fetch(self, connection: "Opened", query: str, *args: object) -> "Sequence[Row]":
        return await connection.fetch(self._sql[query], *args, timeout=self._database.timeout)

    async def _enqueue_plain(
        self, tasks: Sequence[NewTask], connection: object | None
    ) -> list[Enqueued]:
        rows = await self._database.fetch(
            self._sql["enqueue_plain"], *_arrays(tasks), self._notify, connection=connection
        )
        return [Enqueued(id=TaskId(row["id"]), inserted=True) for row in rows]

    async def _enqueue_unique(
        self, tasks: Sequence[NewTask], connection: "Opened"
    ) -> list[Enqueued]:
        """Adds each hash once; the positions of one hash share its answer, and only the first
        of them may say that it inserted."""
        positions = _positions(tasks)
        answers: dict[int, Enqueued] = {}
        for _ in range(_ROUNDS):
            asked = [first for first in positions if first not in answers]
            batch = [tasks[position] for position in asked]
            rows = await self._fetch(
                connection,
                "enqueue_unique",
                *_arrays(batch),
                [task.unique_hash for task in batch],
                self._notify,
                self._sequence,
            )
            for first, row in zip(asked, rows, strict=True):
                if row["id"] is not None:
                    answers[first] = Enqueued(id=TaskId(row["id"]), inserted=row["inserted"])
            if len(answers) == len(positions):
                break
        else:
            raise ColmilloError(f"the holder of a unique hash was gone {_ROUNDS} times in a row")
        for first, others in positions.items():
            for other in others:
                answers[other] = Enqueued(id=answers[first].id, inserted=False)
        return [answers[position] for position in range(len(tasks))]


def _positions(tasks: Sequence[NewTask]) -> dict[int, list[int]]:
    """The first position of every hash (and each without one), and where it comes again."""
    positions: dict[int, list[int]] = {}
    firsts: dict[bytes, int] = {}
    for position, task in enumerate(tasks):
        first = position
        if task.unique_hash is not None:
            first = firsts.setdefault(task.unique_hash, position)
        if first == position:
            positions[position] = []
        else:
            positions[first].append(position)
    return positions


def _arrays(tasks: Sequence[NewTask]) -> tuple[list[object], ...]:
    """The first parameters of both enqueue statements: one array per column."""
    return (
        [task.queue for task in tasks],
        [task.name for task in tasks],
        [task.payload for task in tasks],
        [task.priority for task in tasks],
        [task.max_attempts for task in tasks],
        [task.run_at for task in tasks],
        [None if task.delay is None else task.delay.total_seconds() for task in tasks],
    )


def _columns(
    verdict: Finish | Again | SetAside,
) -> tuple[str | None, float | None, int, str | None]:
    """Ending, delay in seconds, attempts given back and error, as ``settle.sql`` takes them."""
    match verdict:
        case Finish():
            return None, None, 0, None
        case Again(delay=delay, keep_attempt=keep_attempt, error=error):
            seconds = bounded_delay(delay).total_seconds()
            kept = None if error is None else storable_error(error)
            return None, seconds, 0 if keep_attempt else 1, kept
        case SetAside(ending=ending, error=error):
            return ending.value, None, 0, storable_error(error)


def _record(row: asyncpg.Record) -> TaskRecord:
    fields = dict(row)
    fields["state"] = State(fields["state"])
    fields["errors"] = tuple(fields["errors"] or ())
    return TaskRecord(**fields)
