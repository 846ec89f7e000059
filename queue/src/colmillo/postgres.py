"""The store in Postgres: the tables of `colmillo.schema`, through asyncpg."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

import asyncpg

from colmillo import copying
from colmillo.checks import (
    ERRORS_KEPT,
    bounded_delay,
    check_aware,
    check_name,
    check_tasks,
    storable_error,
)
from colmillo.compaction import Compaction
from colmillo.database import Database, is_asyncpg
from colmillo.duplicates import unrefused
from colmillo.enqueueing import UniqueEnqueue, columns, scalars
from colmillo.floors import Floors
from colmillo.housekeeping import KEEP_ARCHIVED, check_kept
from colmillo.listener import Listener
from colmillo.postgres_controls import PostgresControls
from colmillo.postgres_flows import PostgresFlows, ends_of
from colmillo.postgres_housekeeping import PostgresHousekeeping
from colmillo.postgres_limits import LimitedQueues
from colmillo.postgres_operations import PostgresOperations, record_of
from colmillo.rescue import rescue
from colmillo.schema import DEFAULT_SCHEMA, channel, check, queries, quoted
from colmillo.store import (
    Again,
    ClaimedTask,
    Enqueued,
    Finish,
    FinishWith,
    NewTask,
    Rescued,
    SetAside,
    Settlement,
    State,
    TaskId,
    TaskRecord,
    Verdict,
    WorkerId,
)

if TYPE_CHECKING:
    from colmillo.database import Pool
    from colmillo.foreign import Opened, Row

_TICKS_KEPT = timedelta(days=7)

_PLACE_KEPT = -1.0
"""The delay by which ``settle.sql`` knows a task that stays due when it was due."""


class PostgresStore(PostgresOperations, PostgresControls, PostgresHousekeeping, PostgresFlows):
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

    Workers remove archived tasks ``keep_archived`` after they were set aside (None: never). If
    stores differ in it, the shortest counts.
    """

    def __init__(
        self,
        pool: "Pool | None",
        schema: str = DEFAULT_SCHEMA,
        *,
        command_timeout: timedelta = timedelta(seconds=30),
        notify: bool = True,
        listen_pool: "Pool | None" = None,
        keep_archived: timedelta | None = KEEP_ARCHIVED,
    ) -> None:
        if pool is not None and not hasattr(pool, "acquire"):
            raise TypeError(f"a store takes an asyncpg pool, not a {type(pool).__name__}")
        super().__init__(Database(pool, command_timeout.total_seconds()), queries(schema))
        self._listening = Database(listen_pool or pool, command_timeout.total_seconds())
        self._schema = schema
        self._floors = Floors()
        self._compaction = Compaction(self._database, self._sql, schema)
        self._keep_archived = check_kept(keep_archived)
        self._rescued = False
        self._channel = channel(schema)
        self._notify = self._channel if notify else None
        self._sequence = f"{quoted(schema)}.tasks_id_seq"
        self._limits = LimitedQueues(self._database, self._sql, self._floors, self._notify)
        self._unique = UniqueEnqueue(self._database, self._sql, self._sequence, self._notify)

    async def enqueue(
        self, tasks: Sequence[NewTask], *, connection: object | None = None
    ) -> list[Enqueued]:
        """Adds the tasks; see `Store.enqueue`. Raises `InvalidTask` before anything is added."""
        check_tasks(tasks)
        if not tasks:
            return []
        # Such tasks may come to wait below a floor; a duplicate may change its holder's time.
        if any(task.run_at is not None or task.duplicate != "skip" for task in tasks):
            self._floors.forget()
        if all(task.unique_hash is None for task in tasks):
            return await self._enqueue_plain(tasks, connection)
        return await self._unique.enqueue(tasks, connection)

    async def claim(self, worker: WorkerId, room: Mapping[str, int]) -> list[ClaimedTask]:
        """Takes due tasks; see `Store.claim`."""
        wanted = {queue: limit for queue, limit in room.items() if limit > 0}
        if not wanted:
            return []
        limited = await self._claim_limited(worker, wanted, filter(self._limits.known, room))
        rows: list[asyncpg.Record] = []
        if wanted:
            whole = self._floors.whole_is_due()
            rows, short, found = await self._claim(worker, wanted, whole=whole)
            limited += await self._claim_limited(worker, short, found)
            if short and not whole and self._floors.whole_is_cheap():
                more, _, _ = await self._claim(worker, short, whole=True)
                rows = sorted(rows + more, key=_order) if more else rows
        if limited:
            rows = sorted(rows + limited, key=_order)
        return [ClaimedTask._make(row) for row in rows]

    async def _claim_limited(
        self, worker: WorkerId, wanted: dict[str, int], queues: Iterable[str]
    ) -> list[asyncpg.Record]:
        """The tasks of those of these queues that have limits, which are no longer wanted."""
        got: list[asyncpg.Record] = []
        for queue in queues:
            if queue in wanted:
                rows = await self._limits.claim(worker, queue, wanted[queue])
                if rows is not None:
                    del wanted[queue]
                    got += rows
        return got

    async def _claim(
        self, worker: WorkerId, wanted: Mapping[str, int], *, whole: bool
    ) -> tuple[list[asyncpg.Record], dict[str, int], list[str]]:
        """The tasks, the room that was left, and the queues that have limits.

        ``whole``: below the floors too.
        """
        started = time.monotonic()
        rows = await self._database.fetch(
            self._sql["claim"],
            worker,
            list(wanted),
            list(wanted.values()),
            *self._floors.columns(whole=whole),
        )
        limited: list[str] = []
        if rows and rows[0]["id"] is None:
            limited = [row["queue"] for row in rows if row["id"] is None]
            rows = rows[len(limited) :]
        if len(wanted) == 1:
            got = dict.fromkeys(wanted, len(rows))
        else:
            got = Counter(row["queue"] for row in rows)
        short = {queue: room - got[queue] for queue, room in wanted.items() if got[queue] < room}
        for row in _last_of_lanes(rows, len(wanted)):
            self._floors.raise_to(row["queue"], row["priority"], row["run_at"], row["id"])
        if whole:
            self._floors.whole_done(time.monotonic() - started, exhausted=short)
        return rows, short, limited

    async def settle(
        self, settlements: Sequence[Settlement], *, connection: object | None = None
    ) -> frozenset[TaskId]:
        """Carries the verdicts out; see `Store.settle`."""
        if not settlements:
            return frozenset()
        rows = await self.carry_out(settlements, connection)
        await self._limits.settled(rows, settlements, own=connection is None)
        if connection is None:
            await self.follow_up(ends_of(settlements))
        if sum(len(row["ids"] or ()) for row in rows) == len(settlements):
            return frozenset()
        current = {
            claim
            for row in rows
            for claim in zip(row["ids"] or (), row["leases"] or (), strict=True)
        }
        return frozenset(s.id for s in settlements if (s.id, s.lease) not in current)

    async def carry_out(
        self, settlements: Sequence[Settlement], connection: object | None
    ) -> "Sequence[Row]":
        """Settles, and returns the statements' answers: a row each, none for no settlements."""
        if not settlements:
            return []
        if ends_of(settlements):
            return await self.end_linked(settlements, connection)
        ids = [s.id for s in settlements]
        leases = [s.lease for s in settlements]
        if all(isinstance(s.verdict, Finish) for s in settlements):
            return await self._database.fetch(
                self._sql["finish"], ids, leases, self._notify, connection=connection
            )
        if any(isinstance(s.verdict, FinishWith) for s in settlements):
            return await self.settle_with_results(settlements, connection)
        # Where such a task comes to wait is below a floor.
        if any(isinstance(s.verdict, Again) and s.verdict.delay is None for s in settlements):
            self._floors.forget()
        verdicts = zip(*(_columns(s.verdict) for s in settlements), strict=True)
        return await self._database.fetch(
            self._sql["settle"],
            ids,
            leases,
            *verdicts,
            ERRORS_KEPT,
            self._notify,
            connection=connection,
        )

    async def release_strays(self, worker: WorkerId, running: Sequence[TaskId]) -> int:
        """Gives back what the worker does not know it has; see `Store.release_strays`."""
        strays = await self._database.fetch(self._sql["release_strays"], worker, list(running))
        self._floors.forget()
        return len(strays)

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

        Tasks that a transaction holds at the moment are left for the next rescue. The first one
        of a store looks for tasks of unknown workers too (a restored backup may have some).
        """
        thorough = not self._rescued
        rescued = await rescue(self._database, self._sql, max_crashes, thorough=thorough)
        self._rescued = True
        if rescued.released:
            self._floors.forget()
        await self._limits.sweep()
        await self.sweep_flows()
        return rescued

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
            await self.enqueue([unrefused(task)], connection=open_connection)
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
        (row,) = await self._database.fetch(
            self._sql["next_due"], list(queues), *self._limits.columns()
        )
        due = cast("timedelta | None", row[0])
        return None if due is None else max(due, timedelta(0))

    async def get(self, task: TaskId) -> TaskRecord | None:
        """The task, live or archived; see `Store.get`."""
        rows = await self._database.fetch(self._sql["get"], task)
        return record_of(rows[0]) if rows else None

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
        async with self._database.connection(connection) as open_connection:
            if len(tasks) >= copying.LEAST and is_asyncpg(open_connection):
                return await copying.copy(
                    open_connection,
                    self._sql,
                    self._schema,
                    tasks,
                    channel=self._notify,
                    sequence=self._sequence,
                    seconds=self._database.timeout,
                )
            # One by itself needs no arrays, which the driver takes long to write.
            query, values = (
                ("enqueue_one", scalars(tasks[0]))
                if len(tasks) == 1
                else ("enqueue_plain", columns(tasks))
            )
            rows = await self._fetch(open_connection, query, *values, self._notify)
        return [Enqueued(id=TaskId(row["id"])) for row in rows]


def _last_of_lanes(rows: list[asyncpg.Record], queues: int) -> list[asyncpg.Record]:
    """The last row of each queue and priority. Rows come by priority, the highest first."""
    if rows and queues == 1 and rows[0]["priority"] == rows[-1]["priority"]:
        return rows[-1:]
    return list({(row["queue"], row["priority"]): row for row in rows}.values())


def _order(row: asyncpg.Record) -> tuple[int, datetime, int]:
    """Highest priority first, then by due time, then by id."""
    return -row["priority"], row["run_at"], row["id"]


def _columns(
    verdict: Verdict,
) -> tuple[str | None, float | None, int, str | None]:
    """Ending, delay in seconds, attempts given back and error, as ``settle.sql`` takes them."""
    match verdict:
        case Finish() | FinishWith():
            return None, None, 0, None
        case Again(delay=delay, keep_attempt=keep_attempt, error=error):
            seconds = _PLACE_KEPT if delay is None else bounded_delay(delay).total_seconds()
            kept = None if error is None else storable_error(error)
            return None, seconds, 0 if keep_attempt else 1, kept
        case SetAside(ending=ending, error=error):
            return ending.value, None, 0, storable_error(error)
