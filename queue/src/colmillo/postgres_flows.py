"""Flows in Postgres: tasks that wait for others. See `colmillo.flow_store`.

A parent's end is recorded by the statement that ends it; what it means for the children is
found out by a statement of its own, afterwards. That one has a fresh snapshot, so of two parents
that end at once the later statement sees both, and neither ever waits for the other.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from colmillo.checks import ERRORS_KEPT, bounded_delay, check_tasks, storable_error
from colmillo.duplicates import refusing
from colmillo.flow_store import FlowTask, Parent, check_flow, linked_positions
from colmillo.store import (
    Again,
    Enqueued,
    Finish,
    FinishWith,
    NewTask,
    SetAside,
    Settlement,
    TaskId,
    Verdict,
)

if TYPE_CHECKING:
    from colmillo.database import Database
    from colmillo.foreign import Row

PAGE = 100
"""So many ends are passed on by one statement."""

SWEEP = 500
"""So many ends that were not passed on are seen to by one rescue."""

RESULTS = "_results"

logger = logging.getLogger(__name__)


class PostgresFlows:
    """The part of `PostgresStore` that is for tasks of flows."""

    _database: "Database"
    _sql: Mapping[str, str]
    _notify: str | None

    async def enqueue_flow(
        self, tasks: Sequence[FlowTask], *, connection: object | None = None
    ) -> list[TaskId]:
        """Adds a flow; see `FlowStore.enqueue_flow`. Raises `InvalidTask` before that."""
        check_flow(tasks)
        new = [refusing(one.task) for one in tasks]
        check_tasks(new)
        async with (
            self._database.connection(connection) as opened,
            self._database.undoable(opened),
        ):
            ids = [answer.id for answer in await self.enqueue(new, connection=opened)]
            linked = sorted(linked_positions(tasks))
            if linked:
                await opened.fetch(
                    self._sql["link"],
                    [ids[position] for position in linked],
                    [bool(tasks[position].after) for position in linked],
                    *edges(tasks, ids),
                    timeout=self._database.timeout,
                )
        return ids

    async def parents(self, task: TaskId) -> Sequence[Parent]:
        """What the task waited for; see `FlowStore.parents`."""
        rows = await self._database.fetch(self._sql["parents"], task)
        return [
            Parent(id=TaskId(row["parent"]), outcome=row["outcome"], result=row["result"])
            for row in rows
        ]

    async def end_linked(
        self, settlements: Sequence[Settlement], connection: object | None
    ) -> "Sequence[Row]":
        """Settles, the ends of tasks of flows among them; answers like `carry_out`."""
        ends = [s for s in settlements if is_end(s)]
        others = [s for s in settlements if not is_end(s)]
        if not others:
            return await self._end(ends, connection)
        async with self._database.transaction(connection) as opened:
            return [*await self.carry_out(others, opened), *await self._end(ends, opened)]

    async def follow_up(self, ended: Sequence[int]) -> None:
        """Passes ends on to the children, and the ends of children that are cancelled by it.

        After a commit only: before it nobody can tell which other parents have ended by then.
        Failures are left to the sweep: what ended has ended, and must not be settled again.
        """
        try:
            await follow_up(self._run, self._sql, ended, self._notify)
        except Exception as error:
            extra = {"error": repr(error)}
            logger.warning("cannot pass on the end of tasks, the sweep will", extra=extra)

    async def sweep_flows(self) -> None:
        """Passes on what was left by crashes and by ends in other transactions."""
        rows = await self._database.fetch(self._sql["followups"], SWEEP)
        if rows:
            await self.follow_up([row["task"] for row in rows])

    async def _end(self, ends: Sequence[Settlement], connection: object | None) -> "Sequence[Row]":
        columns = zip(*(_columns(s.verdict) for s in ends), strict=True)
        return await self._database.fetch(
            self._sql["settle_linked"],
            [s.id for s in ends],
            [s.lease for s in ends],
            *columns,
            ERRORS_KEPT,
            self._notify and self._notify + RESULTS,
            self._notify,
            connection=connection,
        )

    async def _run(self, query: str, *args: object) -> "Sequence[Row]":
        return await self._database.fetch(query, *args)

    if TYPE_CHECKING:

        async def enqueue(
            self, tasks: Sequence[NewTask], *, connection: object | None = None
        ) -> list[Enqueued]:
            """See `PostgresStore.enqueue`."""
            ...

        async def carry_out(
            self, settlements: Sequence[Settlement], connection: object | None
        ) -> "Sequence[Row]":
            """See `PostgresStore.carry_out`."""
            ...


class Runner(Protocol):
    """Runs one statement, outside of any transaction, and returns its rows."""

    async def __call__(self, query: str, *args: object) -> "Sequence[Row]":
        """The rows."""
        ...


async def follow_up(
    run: Runner, sql: Mapping[str, str], ended: Sequence[int], channel: str | None
) -> None:
    """Passes ends on, generation by generation. Each statement is whole by itself."""
    now = list(ended)
    while now:
        (row,) = await run(sql["follow_up"], now[:PAGE], ERRORS_KEPT, channel)
        now = [*now[PAGE:], *row["ended"]]


def ends_of(settlements: Sequence[Settlement]) -> list[TaskId]:
    """The tasks of flows that end with these verdicts."""
    return [s.id for s in settlements if s.linked and is_end(s)]


def is_end(settlement: Settlement) -> bool:
    """Whether a task of a flow ends with this verdict."""
    return settlement.linked and not isinstance(settlement.verdict, Again)


def edges(tasks: Sequence[FlowTask], ids: Sequence[TaskId]) -> tuple[list[object], ...]:
    """The dependencies as ``link.sql`` takes them: one array per column."""
    rows = [
        (ids[parent], ids[child], place, one) for child, one in enumerate(tasks)
        for place, parent in enumerate(one.after)
    ]  # fmt: skip
    return (
        [parent for parent, _, _, _ in rows],
        [child for _, child, _, _ in rows],
        [place for _, _, place, _ in rows],
        [one.on_failure == "run" for _, _, _, one in rows],
        [0.0 if one.task.delay is None else one.task.delay.total_seconds() for *_, one in rows],
        [one.task.run_at for *_, one in rows],
    )


def _columns(verdict: Verdict) -> tuple[str | None, str | None, str | None, float | None]:
    """Ending, error, result and for how many seconds it is kept."""
    match verdict:
        case Finish(result=result):
            return None, None, result, None
        case FinishWith(result=result, keep=keep):
            return None, None, result, bounded_delay(keep).total_seconds()
        case SetAside(ending=ending, error=error):
            return ending.value, storable_error(error), None, None
        case Again():
            raise AssertionError("a task that waits again has not ended")
