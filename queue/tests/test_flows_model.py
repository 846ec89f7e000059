"""Both stores against a plain model of flows: random graphs, outcomes, transactions and orders."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colmillo.flow_store import FlowTask
from colmillo.memory import MemoryStore
from colmillo.operations import Cancellation
from colmillo.postgres import PostgresStore
from colmillo.store import (
    Again,
    ClaimedTask,
    Ending,
    Finish,
    NewTask,
    SetAside,
    Settlement,
    State,
    Store,
    TaskId,
    Verdict,
    WorkerId,
)

if TYPE_CHECKING:
    from colmillo.database import Pool

PLAIN = NewTask(name="work", queue="main", payload="{}")
ROOM = 3
TRANSACTIONS = 3
ENDED = ("done", *Ending)

Pick = tuple[str, int, int]


@st.composite
def graphs(draw: st.DrawFn) -> list[FlowTask]:
    """Any flow of up to nine tasks."""
    tasks: list[FlowTask] = []
    for position in range(draw(st.integers(1, 9))):
        after = draw(st.permutations(range(position)))[: draw(st.integers(0, 3))]
        tasks.append(
            FlowTask(
                task=PLAIN,
                after=tuple(after),
                on_failure=draw(st.sampled_from(["cancel", "cancel", "run"])),
            )
        )
    return tasks


actions = st.sampled_from(
    ["claim", "claim", "settle", "settle", "begin", "begin", "commit", "undo", "sweep", "cancel",
     "requeue"]
)  # fmt: skip
steps = st.lists(
    st.tuples(actions, st.integers(0, 50), st.integers(0, 5)), min_size=10, max_size=60
)


class Model:
    """What should be: each task's state, and what it waits for."""

    def __init__(self, tasks: Sequence[FlowTask], ids: Sequence[TaskId]) -> None:
        self.ids = list(ids)
        self.parents = {
            task: [ids[parent] for parent in one.after]
            for task, one in zip(ids, tasks, strict=True)
        }
        self.tolerant = {
            task for task, one in zip(ids, tasks, strict=True) if one.on_failure == "run"
        }
        self.state = {task: "blocked" if self.parents[task] else "waiting" for task in ids}
        self.outcome: dict[TaskId, str] = {}
        self.result: dict[TaskId, str | None] = {}

    def of(self, *states: str) -> list[TaskId]:
        """The tasks in one of these states."""
        return [task for task in self.ids if self.state[task] in states]

    def end(self, task: TaskId, outcome: str, result: str | None) -> None:
        """A task has left, and what follows from that. It ends for others once."""
        ended = deque([(task, outcome)])
        self.result.setdefault(task, result)
        while ended:
            parent, how = ended.popleft()
            self.state[parent] = how
            self.outcome.setdefault(parent, how)
            for child in self.of("blocked"):
                if parent not in self.parents[child]:
                    continue
                if self.outcome[parent] != "done" and child not in self.tolerant:
                    self.result.setdefault(child, None)
                    ended.append((child, "cancelled"))
                elif all(one in self.outcome for one in self.parents[child]):
                    self.state[child] = "waiting"

    def heard(self, task: TaskId) -> list[tuple[TaskId, str, str | None]]:
        """What a task that runs hears of its parents."""
        return [(one, self.outcome[one], self.result[one]) for one in self.parents[task]]


class Trial:
    """One flow in one store, and the same in the model."""

    def __init__(self, store: Store, held: Sequence[Any]) -> None:
        self.store = store
        self.held: dict[int, tuple[Any, Settlement | None]] = {
            number: (connection, None) for number, connection in enumerate(held)
        }
        self.by = WorkerId(uuid4())
        self.running: dict[TaskId, ClaimedTask] = {}
        # Ends were committed and not passed on: the store may know less than the model.
        self.behind = False

    async def run(self, tasks: Sequence[FlowTask], picks: Sequence[Pick]) -> None:
        await self.store.register(self.by, name="model", lease=timedelta(hours=1))
        self.model = Model(tasks, await self.store.enqueue_flow(tasks))
        for action, pick, kind in picks:
            await getattr(self, action)(pick, kind)
            await self.compare()
        for number in self.held:
            await self.commit(number, 0)
        await self.sweep(0, 0)
        while self.model.of("waiting", "running"):
            await self.claim(0, 0)
            for _ in list(self.running):
                await self.settle(0, 0)
            await self.compare()
        assert self.model.of("blocked") == []

    async def compare(self) -> None:
        """All states, when the store had its chance to pass everything on."""
        if self.behind:
            return
        for task, state in self.model.state.items():
            record = await self.store.get(task)
            assert (None if record is None else record.state) == (
                None if state == "done" else State(state)
            )

    async def claim(self, _pick: int, _kind: int) -> None:
        waiting = self.model.of("waiting")
        for claimed in await self.store.claim(self.by, {"main": ROOM}):
            assert claimed.id in waiting, "it should still wait, or is there no more"
            heard = [(p.id, p.outcome, p.result) for p in await self.store.parents(claimed.id)]
            assert heard == self.model.heard(claimed.id)
            self.model.state[claimed.id] = "running"
            self.running[claimed.id] = claimed
        if not self.behind:
            assert len(waiting) - len(self.model.of("waiting")) == min(ROOM, len(waiting))

    async def settle(self, pick: int, kind: int) -> None:
        if (settlement := self.settlement(pick, kind)) is not None:
            assert await self.store.settle([settlement]) == frozenset()
            self.carry_out(settlement)

    async def begin(self, pick: int, kind: int) -> None:
        """Settles in a transaction that is held open."""
        for number, (connection, pending) in self.held.items():
            settlement = self.settlement(pick, kind) if pending is None else None
            if settlement is not None:
                if connection is not None:
                    await connection.execute("BEGIN")
                    lost = await self.store.settle([settlement], connection=connection)
                    assert lost == frozenset()
                self.held[number] = connection, settlement
                return

    async def commit(self, pick: int, kind: int) -> None:
        number = pick % TRANSACTIONS
        connection, settlement = self.held[number]
        if settlement is None:
            return
        self.held[number] = connection, None
        if connection is None:
            assert await self.store.settle([settlement]) == frozenset()
        else:
            await connection.execute("COMMIT")
            self.behind = True
        self.carry_out(settlement)
        if kind < 3:
            # As a worker does for what was completed in a transaction.
            assert await self.store.settle([settlement]) == {settlement.id}

    async def undo(self, pick: int, _kind: int) -> None:
        number = pick % TRANSACTIONS
        connection, settlement = self.held[number]
        if settlement is not None:
            self.held[number] = connection, None
            if connection is not None:
                await connection.execute("ROLLBACK")

    async def sweep(self, _pick: int, _kind: int) -> None:
        assert (await self.store.rescue(max_crashes=99)).quarantined == ()
        self.behind = False

    async def cancel(self, pick: int, _kind: int) -> None:
        choice = self.model.of("waiting", "blocked")
        if choice and not self.behind:
            task = choice[pick % len(choice)]
            assert await self.store.cancel(task, "why") is Cancellation.ARCHIVED
            self.model.end(task, "cancelled", None)

    async def requeue(self, pick: int, _kind: int) -> None:
        """What comes back from the archive is in the flow no more."""
        choice = self.model.of(*Ending)
        if choice and not self.behind:
            task = choice[pick % len(choice)]
            await self.store.requeue([task])
            self.model.parents[task] = []
            self.model.state[task] = "waiting"

    def settlement(self, pick: int, kind: int) -> Settlement | None:
        """A verdict over a task that runs and that no open transaction has settled."""
        busy = {pending.id for _, pending in self.held.values() if pending is not None}
        free = [claimed for task, claimed in self.running.items() if task not in busy]
        if not free:
            return None
        claimed = free[pick % len(free)]
        verdicts: list[Verdict] = [
            Finish(result=str(pick)),
            Finish(),
            Finish(result=f'"{claimed.lease}"'),
            SetAside(ending=Ending.FAILED, error="no"),
            SetAside(ending=Ending.DISCARDED, error="no"),
            Again(error="again"),
        ]
        return Settlement(
            id=claimed.id, lease=claimed.lease, verdict=verdicts[kind], linked=claimed.linked
        )

    def carry_out(self, settlement: Settlement) -> None:
        del self.running[settlement.id]
        match settlement.verdict:
            case Finish(result=result):
                self.model.end(settlement.id, "done", result)
            case SetAside(ending=ending):
                self.model.end(settlement.id, ending.value, None)
            case _:
                self.model.state[settlement.id] = "waiting"


EXAMPLES = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@EXAMPLES
@given(graphs(), steps)
def test_flows_in_memory_agree_with_the_model(tasks: list[FlowTask], picks: list[Pick]) -> None:
    asyncio.run(Trial(MemoryStore(), [None] * TRANSACTIONS).run(tasks, picks))


async def connected(dsn: str) -> "Pool":
    return await asyncpg.create_pool(dsn, min_size=1, max_size=2)


@contextmanager
def opened(dsn: str) -> "Iterator[tuple[asyncio.Runner, Pool, list[Any]]]":
    """A loop of our own with a pool, and connections for transactions."""
    with asyncio.Runner() as runner:
        pool = runner.run(connected(dsn))
        held = [runner.run(asyncpg.connect(dsn)) for _ in range(TRANSACTIONS)]
        yield runner, pool, held
        for connection in held:
            runner.run(connection.close())
        runner.run(pool.close())


async def trial(pool: "Pool", held: list[Any], tasks: list[FlowTask], picks: list[Pick]) -> None:
    await pool.execute(
        "TRUNCATE colmillo.tasks, colmillo.archive, colmillo.dependencies, colmillo.followups,"
        " colmillo.workers, colmillo.results, colmillo.cancellations"
    )
    await Trial(PostgresStore(pool), held).run(tasks, picks)
    for table in ("tasks", "dependencies", "followups"):
        assert await pool.fetch(f"TABLE colmillo.{table}") == [], table


def test_flows_in_postgres_agree_with_the_model(dsn: str) -> None:
    with opened(dsn) as (runner, pool, held):

        @EXAMPLES
        @given(graphs(), steps)
        def check(tasks: list[FlowTask], picks: list[Pick]) -> None:
            runner.run(trial(pool, held, tasks, picks))

        check()
