"""Both stores against a plain model: whatever is called in whatever order, they agree."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from colmillo.errors import DuplicateTask
from colmillo.memory import MemoryStore
from colmillo.postgres import PostgresStore
from colmillo.store import (
    Again,
    ClaimedTask,
    Ending,
    Finish,
    Happened,
    NewTask,
    SetAside,
    Settlement,
    State,
    Store,
    TaskId,
    Verdict,
    WorkerId,
)
from colmillo.testing import FakeClock, database_clock
from colmillo.unique import Duplicate

T = TypeVar("T")

HOUR = timedelta(hours=1)
"""Everything takes whole hours, so that the moments a call takes change no outcome."""

PERIOD = 2 * HOUR
MAX_CRASHES = 3
SCHEDULES = ("nightly", "hourly")
QUEUES = ("a", "b")

hours = st.integers(0, 3).map(lambda n: n * HOUR)
picks = st.integers(0, 30)

duplicates: st.SearchStrategy[Duplicate] = st.sampled_from(["skip", "raise", "replace", "earlier"])

plain_tasks = st.builds(
    NewTask,
    name=st.just("work"),
    queue=st.sampled_from(QUEUES),
    payload=st.integers(0, 9).map(str),
    priority=st.integers(0, 1),
    max_attempts=st.none(),
    delay=st.none() | hours,
)
unique_tasks = st.builds(
    lambda task, key, rules, duplicate: replace(
        task,
        unique_hash=hashlib.sha256(key.encode()).digest(),
        unique_states=rules[0],
        unique_period=rules[1],
        duplicate=duplicate,
    ),
    plain_tasks,
    st.sampled_from("xy"),
    st.sampled_from([("live", None), ("waiting", None), ("live", PERIOD), ("finished", PERIOD)]),
    duplicates,
)
tasks = plain_tasks | unique_tasks

verdicts: st.SearchStrategy[Verdict] = st.one_of(
    st.builds(Finish),
    st.builds(Again, delay=hours, keep_attempt=st.booleans(), error=st.none() | st.just("no")),
    st.builds(SetAside, ending=st.sampled_from(Ending), error=st.just("never")),
)


@dataclass(slots=True)
class Row:
    """What the model knows of one task that is live."""

    id: TaskId
    task: NewTask
    queue: str
    payload: str
    priority: int
    run_at: datetime
    key: object
    worker: WorkerId | None = None
    lease: int = 0
    attempt: int = 0
    crashes: int = 0
    errors: tuple[str, ...] = ()


class Model:
    """The plain model: dictionaries, one step after the other."""

    def __init__(self) -> None:
        self.live: dict[TaskId, Row] = {}
        self.gone: dict[TaskId, State | None] = {}
        self.queues: dict[TaskId, str] = {}
        self.lasting: dict[object, TaskId] = {}
        self.leases: dict[WorkerId, datetime] = {}
        self.ticks: set[tuple[str, datetime]] = set()

    def key(self, task: NewTask, now: datetime) -> object:
        if task.unique_hash is None:
            return None
        period = task.unique_period
        number = None if period is None else int(now.timestamp() // period.total_seconds())
        return (task.unique_hash, task.unique_states, period, number)

    def holder(self, key: object) -> TaskId | None:
        if key is None:
            return None
        held = [row.id for row in self.live.values() if row.key == key]
        assert len(held) <= 1
        return self.lasting.get(key, held[0] if held else None)

    def refusals(self, batch: list[NewTask], now: datetime) -> set[TaskId | None]:
        """The tasks that a refusal of this batch may name; empty when it must go through."""
        keys = [self.key(task, now) for task in batch]
        refusing = [n for n, task in enumerate(batch) if task.duplicate == "raise"]
        if any(keys[n] in keys[:n] for n in refusing):
            return {None}
        return {self.holder(keys[n]) for n in refusing} - {None}

    def enqueue(self, task: NewTask, now: datetime, answered: TaskId) -> Happened:
        """What must have happened; ``answered`` is the new task's id if it is one."""
        key = self.key(task, now)
        run_at = now + (task.delay or timedelta(0))
        holder = self.holder(key)
        if holder is None:
            assert answered not in self.queues, "an id was used twice"
            self.live[answered] = Row(
                answered, task, task.queue, task.payload, task.priority, run_at, key
            )
            self.queues[answered] = task.queue
            if task.unique_states == "finished":
                self.lasting[key] = answered
            return "inserted"
        assert answered == holder
        row = self.live.get(holder)
        if row is not None and row.worker is None:
            if task.duplicate == "replace":
                row.payload, row.priority, row.run_at = task.payload, task.priority, run_at
                return "replaced"
            if task.duplicate == "earlier" and run_at < row.run_at:
                row.run_at = run_at
                return "earlier"
        return "existing"

    def alive(self, worker: WorkerId, now: datetime) -> bool:
        return worker in self.leases and self.leases[worker] > now

    def due(self, queue: str, now: datetime) -> list[Row]:
        return [
            row
            for row in self.live.values()
            if row.worker is None and row.queue == queue and row.run_at <= now
        ]

    def settle(self, claimed: ClaimedTask, verdict: Verdict, now: datetime) -> bool:
        row = self.live.get(claimed.id)
        if row is None or row.worker is None or row.lease != claimed.lease:
            return False
        match verdict:
            case Finish():
                self.remove(row, None)
            case Again(delay=delay, keep_attempt=keep, error=error):
                row.worker, row.run_at = None, now + delay
                row.attempt -= not keep
                row.errors = (*row.errors, *([error] if error else []))[-10:]
            case SetAside(ending=ending):
                self.remove(row, State(ending.value))
        return True

    def remove(self, row: Row, state: State | None) -> None:
        del self.live[row.id]
        self.gone[row.id] = state

    def counts(self) -> dict[tuple[str, State], int]:
        counts = Counter((row.queue, _state(row)) for row in self.live.values())
        counts.update(
            (self.queues[task], state) for task, state in self.gone.items() if state is not None
        )
        return dict(counts)


def _state(row: Row) -> State:
    return State.WAITING if row.worker is None else State.RUNNING


class Environment:
    """Empty stores, one after the other, and a hand on their clock."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.clock = FakeClock()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    async def store(self) -> Store:
        self.clock = FakeClock()
        return MemoryStore(self.clock)

    async def advance(self, by: timedelta) -> None:
        await self.clock.advance(by)

    async def close(self) -> None:
        """Nothing to be done."""


class PostgresEnvironment(Environment):
    """One database, emptied for each example."""

    def __init__(self, dsn: str) -> None:
        super().__init__()
        self.dsn = dsn
        self.pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def store(self) -> Store:
        if self.pool is None:
            await database_clock.install(self.dsn)
            self.pool = await asyncpg.create_pool(
                self.dsn, min_size=1, max_size=2, server_settings=database_clock.SETTINGS
            )
        assert self.pool is not None
        tables = await self.pool.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_catalog.pg_tables"
            " WHERE schemaname = 'colmillo' AND tablename <> 'versions'"
        )
        await self.pool.execute(
            "TRUNCATE " + ", ".join(row["name"] for row in tables) + " RESTART IDENTITY"
        )
        store = PostgresStore(self.pool)
        # To the start of a period: what a test takes must not reach into the next one.
        past = (await store.now()).timestamp() % PERIOD.total_seconds()
        await self.advance(PERIOD - timedelta(seconds=past))
        return store

    async def advance(self, by: timedelta) -> None:
        await database_clock.advance(self.dsn, by)

    async def close(self) -> None:
        if self.pool is not None:
            await self.pool.close()


class StoreMachine(RuleBasedStateMachine):
    """Every step is done by the store and by the model, and what they say is compared."""

    environment: Environment

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.workers: list[WorkerId] = []
        self.claims: list[ClaimedTask] = []
        self.store = self.run(self.environment.store())
        self.register(4)

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.environment.run(call)

    def now(self) -> datetime:
        return self.run(self.store.now())

    def a_worker(self, pick: int) -> WorkerId:
        return self.workers[pick % len(self.workers)]

    @rule(batch=st.lists(tasks, min_size=1, max_size=4))
    def enqueue(self, batch: list[NewTask]) -> None:
        now = self.now()
        refusals = self.model.refusals(batch, now)
        if refusals:
            with pytest.raises(DuplicateTask) as caught:
                self.run(self.store.enqueue(batch))
            assert caught.value.existing in refusals
            return
        answers = self.run(self.store.enqueue(batch))
        happened = [
            self.model.enqueue(task, now, answer.id)
            for task, answer in zip(batch, answers, strict=True)
        ]
        assert [answer.happened for answer in answers] == happened
        for answer in answers:
            if answer.id in self.model.live:
                self.check_row(self.model.live[answer.id], adopt=True)

    @precondition(lambda self: self.unique_rows())
    @rule(pick=picks, duplicate=duplicates, payload=st.integers(10, 19).map(str), delay=hours)
    def enqueue_again(
        self, pick: int, duplicate: Duplicate, payload: str, delay: timedelta
    ) -> None:
        """The like of a task that is there, waiting or running."""
        rows = self.unique_rows()
        like = rows[pick % len(rows)].task
        self.enqueue([replace(like, duplicate=duplicate, payload=payload, delay=delay)])

    def unique_rows(self) -> list[Row]:
        return [row for row in self.model.live.values() if row.task.unique_hash is not None]

    @rule(lease=st.integers(1, 4))
    def register(self, lease: int) -> None:
        worker = WorkerId(uuid4())
        self.model.leases[worker] = self.now() + lease * HOUR
        self.run(self.store.register(worker, name="model", lease=lease * HOUR))
        self.workers = [*self.workers, worker][-3:]

    @precondition(lambda self: self.workers)
    @rule(pick=picks, lease=st.integers(1, 4))
    def renew(self, pick: int, lease: int) -> None:
        worker, now = self.a_worker(pick), self.now()
        alive = self.model.alive(worker, now)
        assert self.run(self.store.renew(worker, lease * HOUR)) == alive
        if alive:
            self.model.leases[worker] = now + lease * HOUR

    @precondition(lambda self: self.workers)
    @rule(pick=picks)
    def retire(self, pick: int) -> None:
        worker = self.a_worker(pick)
        self.run(self.store.retire(worker))
        self.model.leases.pop(worker, None)

    @precondition(lambda self: self.workers)
    @rule(pick=picks, room=st.dictionaries(st.sampled_from(QUEUES), st.integers(1, 4)))
    def claim(self, pick: int, room: dict[str, int]) -> None:
        worker, now = self.a_worker(pick), self.now()
        expected: list[Row] = []
        if self.model.alive(worker, now):
            for queue, limit in room.items():
                expected += sorted(self.model.due(queue, now), key=_order)[:limit]
        claimed = self.run(self.store.claim(worker, room))
        assert [task.id for task in claimed] == [row.id for row in sorted(expected, key=_order)]
        for task in claimed:
            row = self.model.live[task.id]
            assert task.lease > row.lease
            row.worker, row.lease = worker, task.lease
            row.attempt += 1
            if isinstance(row.key, tuple) and row.key[1] == "waiting":
                row.key = None
            assert (task.queue, task.payload, task.attempt) == (row.queue, row.payload, row.attempt)
            self.check_row(row)
        self.claims = [*self.claims, *claimed][-20:]

    @precondition(lambda self: self.claims)
    @rule(said=st.dictionaries(picks, verdicts, min_size=1, max_size=4))
    def settle(self, said: dict[int, Verdict]) -> None:
        """Claims of any age: the stale ones must change nothing."""
        pairs = {self.claims[pick % len(self.claims)].id: (pick, v) for pick, v in said.items()}
        chosen = [(self.claims[pick % len(self.claims)], v) for pick, v in pairs.values()]
        now = self.now()
        lost = self.run(
            self.store.settle([Settlement(id=c.id, lease=c.lease, verdict=v) for c, v in chosen])
        )
        stale = {c.id for c, v in chosen if not self.model.settle(c, v, now)}
        assert lost == stale
        for task in {claimed.id for claimed, _ in chosen} & self.model.live.keys():
            self.check_row(self.model.live[task], adopt=task not in stale)

    @precondition(lambda self: self.stale_claims())
    @rule(pick=picks, verdict=verdicts)
    def settle_stale(self, pick: int, verdict: Verdict) -> None:
        """A word about a claim that somebody else has taken over, or that was given back."""
        stale = self.stale_claims()
        claimed = stale[pick % len(stale)]
        said = Settlement(id=claimed.id, lease=claimed.lease, verdict=verdict)
        assert self.run(self.store.settle([said])) == {claimed.id}
        self.check_row(self.model.live[claimed.id])

    def stale_claims(self) -> list[ClaimedTask]:
        live = self.model.live
        return [
            claimed
            for claimed in self.claims
            if claimed.id in live
            and (live[claimed.id].lease != claimed.lease or live[claimed.id].worker is None)
        ]

    @precondition(lambda self: self.workers)
    @rule(pick=picks, keep=st.sets(picks, max_size=4))
    def release_strays(self, pick: int, keep: set[int]) -> None:
        worker = self.a_worker(pick)
        mine = sorted(row.id for row in self.model.live.values() if row.worker == worker)
        known = [task for n, task in enumerate(mine) if n in keep]
        strays = [self.model.live[task] for task in mine if task not in known]
        assert self.run(self.store.release_strays(worker, known)) == len(strays)
        for row in strays:
            row.worker = None
            row.attempt -= 1
            self.check_row(row)

    @rule()
    def rescue(self) -> None:
        now = self.now()
        orphans = [
            row
            for row in self.model.live.values()
            if row.worker is not None and not self.model.alive(row.worker, now)
        ]
        self.model.leases = {w: end for w, end in self.model.leases.items() if end > now}
        rescued = self.run(self.store.rescue(max_crashes=MAX_CRASHES))
        for row in orphans:
            row.crashes += 1
            if row.crashes >= MAX_CRASHES:
                self.model.remove(row, State.QUARANTINED)
            else:
                row.worker = None
                self.check_row(row)
        ended = {row.id for row in orphans if row.crashes >= MAX_CRASHES}
        assert set(rescued.quarantined) == ended
        assert rescued.released == len(orphans) - len(ended)

    @rule(by=st.integers(1, 3))
    def advance(self, by: int) -> None:
        self.run(self.environment.advance(by * HOUR))

    @rule(schedule=st.sampled_from(SCHEDULES), task=tasks, ago=st.integers(0, 2))
    def tick(self, schedule: str, task: NewTask, ago: int) -> None:
        now = self.now()
        fire_time = now.replace(minute=0, second=0, microsecond=0) - ago * HOUR
        ticked = self.run(self.store.tick(schedule, fire_time, task))
        assert ticked == ((schedule, fire_time) not in self.model.ticks)
        if not ticked:
            return
        self.model.ticks.add((schedule, fire_time))
        task = replace(task, duplicate="skip") if task.duplicate == "raise" else task
        ticks = self.model.holder(self.model.key(task, now))
        if ticks is None:
            # A tick does not say which task it added. Ids come one after the other here.
            marker = NewTask(name="work", queue="a", payload="0")
            (after,) = self.run(self.store.enqueue([marker]))
            ticks = TaskId(after.id - 1)
            self.model.enqueue(marker, now, after.id)
            self.check_row(self.model.live[after.id], adopt=True)
        self.model.enqueue(task, now, ticks)
        if ticks in self.model.live:
            self.check_row(self.model.live[ticks], adopt=True)

    def check_row(self, row: Row, *, adopt: bool = False) -> None:
        """Compares one task with the store's; ``adopt`` takes over its time to the microsecond,
        once it was found to be the right one."""
        found = self.run(self.store.get(row.id))
        assert found is not None, f"task {row.id} is lost"
        assert (found.state, found.worker, found.lease) == (_state(row), row.worker, row.lease)
        assert (found.queue, found.payload) == (row.queue, row.payload)
        assert (found.priority, found.attempt) == (row.priority, row.attempt)
        assert (found.crashes, found.errors) == (row.crashes, row.errors)
        if adopt:
            assert abs(found.run_at - row.run_at) < HOUR / 2
            row.run_at = found.run_at
        assert found.run_at == row.run_at

    @invariant()
    def counts_agree(self) -> None:
        assert self.run(self.store.counts()) == self.model.counts()

    @invariant()
    def next_due_agrees(self) -> None:
        now = self.now()
        waiting = [row.run_at for row in self.model.live.values() if row.worker is None]
        due = self.run(self.store.next_due(QUEUES))
        if due is None or not waiting:
            assert due is None
            assert not waiting
        else:
            assert abs(due - max(timedelta(0), min(waiting) - now)) < HOUR / 2

    def teardown(self) -> None:
        """Nothing is lost, and nothing is left of what is done."""
        for row in self.model.live.values():
            self.check_row(row)
        for task, state in self.model.gone.items():
            found = self.run(self.store.get(task))
            assert (None if found is None else found.state) == state


def _order(row: Row) -> tuple[int, datetime, TaskId]:
    return (-row.priority, row.run_at, row.id)


def run_machine(environment: Environment, *, examples: int, steps: int) -> None:
    class Machine(StoreMachine):
        pass

    Machine.environment = environment
    try:
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        environment.run(environment.close())
        environment.runner.close()


def test_memory_agrees_with_the_model() -> None:
    run_machine(Environment(), examples=100, steps=40)


def test_postgres_agrees_with_the_model(dsn: str) -> None:
    run_machine(PostgresEnvironment(dsn), examples=20, steps=30)
