"""Both stores against a plain model: whatever is called in whatever order, they agree."""

import asyncio
import hashlib
from collections.abc import Coroutine
from dataclasses import replace
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
from colmillo.testing.model import Model, Row, order_of, state_of
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
    delay=st.sampled_from([None, None, None, HOUR, 2 * HOUR]),
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

    async def close(self) -> None: ...


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
        assert self.pool is not None
        await database_clock.advance(self.pool, by)

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
        worker, now = self.workers[pick % len(self.workers)], self.now()
        alive = self.model.alive(worker, now)
        assert self.run(self.store.renew(worker, lease * HOUR)) == alive
        if alive:
            self.model.leases[worker] = now + lease * HOUR

    @rule(pick=picks, room=st.dictionaries(st.sampled_from(QUEUES), st.integers(1, 4), min_size=1))
    def claim(self, pick: int, room: dict[str, int]) -> None:
        if not any(self.model.alive(worker, self.now()) for worker in self.workers):
            self.register(3)
        worker, now = self.workers[pick % len(self.workers)], self.now()
        expected: list[Row] = []
        if self.model.alive(worker, now):
            for queue, limit in room.items():
                expected += sorted(self.model.due(queue, now), key=order_of)[:limit]
        claimed = self.run(self.store.claim(worker, room))
        assert [task.id for task in claimed] == [row.id for row in sorted(expected, key=order_of)]
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
        stale = self.stale_claims()
        claimed = stale[pick % len(stale)]
        said = Settlement(id=claimed.id, lease=claimed.lease, verdict=verdict)
        assert self.run(self.store.settle([said])) == {claimed.id}
        self.check_row(self.model.live[claimed.id])

    @precondition(lambda self: self.claims)
    @rule(pick=picks)
    def lose(self, pick: int) -> None:
        row = self.model.live.get(self.claims[pick % len(self.claims)].id)
        if row is not None and (worker := row.worker) is not None:
            self.run(self.store.retire(worker))
            self.model.leases.pop(worker, None)
            self.rescue()
            self.claim(pick, dict.fromkeys(QUEUES, 4))

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
        worker = self.workers[pick % len(self.workers)]
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
        """Compares one task with the store's; ``adopt`` takes its exact time over."""
        found = self.run(self.store.get(row.id))
        assert found is not None, f"task {row.id} is lost"
        assert (found.state, found.worker, found.lease) == (state_of(row), row.worker, row.lease)
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
        assert (due is None) == (not waiting)
        if due is not None:
            assert abs(due - max(timedelta(0), min(waiting) - now)) < HOUR / 2

    def teardown(self) -> None:
        """Nothing is lost, and nothing is left of what is done."""
        for row in self.model.live.values():
            self.check_row(row)
        for task, state in self.model.gone.items():
            found = self.run(self.store.get(task))
            assert (None if found is None else found.state) == state


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
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            ),
        )
    finally:
        environment.run(environment.close())
        environment.runner.close()


def test_memory_agrees_with_the_model() -> None:
    run_machine(Environment(), examples=150, steps=40)


def test_postgres_agrees_with_the_model(dsn: str) -> None:
    run_machine(PostgresEnvironment(dsn), examples=20, steps=30)
