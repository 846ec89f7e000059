"""Enqueueing unique tasks in Postgres: one statement per layer of a batch, all or nothing."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from colmillo.duplicates import Ask, plan, refuse_twins, refused
from colmillo.errors import ColmilloError
from colmillo.foreign import sqlstate
from colmillo.store import Enqueued, NewTask, TaskId

if TYPE_CHECKING:
    from colmillo.database import Database
    from colmillo.foreign import Opened, Row

_ROUNDS = 20
"""So often an enqueue looks again for a holder that was gone before it could be named."""

_DEADLOCKS = 3
"""So often a batch is tried again that Postgres found in a ring of waiting transactions."""

_DEADLOCK = "40P01"

_MICROSECOND = timedelta(microseconds=1)


class UniqueEnqueue:
    """Puts unique tasks into the tables. ``channel`` None wakes nobody."""

    def __init__(
        self, database: "Database", sql: Mapping[str, str], sequence: str, channel: str | None
    ) -> None:
        self._database = database
        self._sql = sql
        self._sequence = sequence
        self._channel = channel

    async def enqueue(self, tasks: Sequence[NewTask], connection: object | None) -> list[Enqueued]:
        """Adds the tasks and answers in their order; see `Store.enqueue`.

        One task is one statement. Several are a transaction of their own, within the
        caller's a savepoint: a duplicate that is to be refused, or a ring of waiting
        transactions, undoes the batch and nothing else.
        """
        refuse_twins(tasks)
        layers = plan(tasks)
        async with self._database.connection(connection) as open_connection:
            if len(tasks) == 1:
                return await self._ask_all(layers, open_connection)
            for _ in range(_DEADLOCKS):
                # Each statement takes its hashes in order; a ring needs a second round of
                # questions, or locks that the caller's transaction had before.
                try:
                    async with self._database.undoable(open_connection):
                        return await self._ask_all(layers, open_connection)
                except Exception as error:
                    if sqlstate(error) != _DEADLOCK:
                        raise
            async with self._database.undoable(open_connection):
                return await self._ask_all(layers, open_connection)

    async def _ask_all(
        self, layers: Sequence[Sequence[Ask]], connection: "Opened"
    ) -> list[Enqueued]:
        answers: dict[int, Enqueued] = {}
        for layer in layers:
            for ask, answer in zip(layer, await self._ask(layer, connection), strict=True):
                answers |= ask.answers(answer)
        return [answers[position] for position in range(len(answers))]

    async def _ask(self, layer: Sequence[Ask], connection: "Opened") -> list[Enqueued]:
        answers: dict[int, Enqueued] = {}
        changing = any(
            ask.task.duplicate in ("replace", "earlier") or ask.task.unique_states == "finished"
            for ask in layer
        )
        query = self._sql["enqueue_changing" if changing else "enqueue_unique"]
        for _ in range(_ROUNDS):
            batch = [ask for ask in layer if ask.position not in answers]
            tasks = [ask.task for ask in batch]
            arrays = columns(tasks) + unique_columns(tasks)
            if changing:
                arrays += ([task.duplicate for task in tasks],)
            rows = await connection.fetch(
                query, *arrays, self._channel, self._sequence, timeout=self._database.timeout
            )
            for ask, row in zip(batch, rows, strict=True):
                if row["id"] is not None:
                    answers[ask.position] = _answer(ask, row)
            if len(answers) == len(layer):
                return [answers[ask.position] for ask in layer]
        raise ColmilloError(f"the holder of a unique hash was gone {_ROUNDS} times in a row")


def scalars(task: NewTask) -> tuple[object, ...]:
    """One task as ``enqueue_one.sql`` takes it: its `columns`, without the arrays."""
    return (
        task.queue,
        task.name,
        task.payload,
        task.priority,
        task.max_attempts,
        task.run_at,
        None if task.delay is None else task.delay.total_seconds(),
        task.concurrency_key,
    )


def columns(tasks: Sequence[NewTask]) -> tuple[list[object], ...]:
    """The first parameters of every enqueue statement: one array per column."""
    return (
        [task.queue for task in tasks],
        [task.name for task in tasks],
        [task.payload for task in tasks],
        [task.priority for task in tasks],
        [task.max_attempts for task in tasks],
        [task.run_at for task in tasks],
        [None if task.delay is None else task.delay.total_seconds() for task in tasks],
        [task.concurrency_key for task in tasks],
    )


def unique_columns(tasks: Sequence[NewTask]) -> tuple[list[object], ...]:
    """Hashes, periods in microseconds and states."""
    return (
        [task.unique_hash for task in tasks],
        [_microseconds(task.unique_period) for task in tasks],
        [task.unique_states for task in tasks],
    )


def _microseconds(period: timedelta | None) -> int | None:
    return None if period is None else period // _MICROSECOND


def _answer(ask: Ask, row: "Row") -> Enqueued:
    answer = Enqueued(id=TaskId(row["id"]), happened=row["happened"])
    if answer.happened == "existing" and ask.task.duplicate == "raise":
        raise refused(ask.task, answer.id)
    return answer
