"""Half of `colmillo.testing.machine`: enqueueing, claiming, settling, leases, ticks."""

from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import uuid4

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from colmillo.errors import DuplicateTask
from colmillo.store import (
    ClaimedTask,
    NewTask,
    Settlement,
    State,
    Store,
    TaskId,
    Verdict,
    WorkerId,
)
from colmillo.testing.machine_calls import (
    HOUR,
    LATE,
    MAX_CRASHES,
    QUEUES,
    SCHEDULES,
    duplicates,
    hours,
    picks,
    tasks,
    verdicts,
)
from colmillo.testing.model import Model, Row, order_of, state_of
from colmillo.unique import Duplicate

T = TypeVar("T")


class Environment(Protocol):
    """Empty stores, one after the other, and a hand on their clock."""

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """What the call returns, on the environment's event loop."""
        ...

    async def store(self) -> Store:
        """A store with nothing in it, at the start of a period of `machine_calls.PERIOD`."""
        ...

    async def advance(self, by: timedelta) -> None:
        """Moves the store's clock on."""
        ...


class WorkMachine(RuleBasedStateMachine):
    """What producers, workers and schedulers do."""

    environment: Environment

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.workers: list[WorkerId] = []
        self.claims: list[ClaimedTask] = []
        self.store = self.run(self.environment.store())
        self.register(4)

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """What the call returns."""
        return self.environment.run(call)

    def now(self) -> datetime:
        """The store's time."""
        return self.run(self.store.now())

    @rule(
        fresh=st.lists(tasks, min_size=1, max_size=4),
        said=st.lists(verdicts, min_size=1, max_size=4),
        lease=st.integers(1, 3),
    )
    def work(self, fresh: list[NewTask], said: list[Verdict], lease: int) -> None:
        """What a worker does all day: most of a queue's life is this."""
        self.enqueue(fresh)
        self.register(lease)
        self.claim_for(self.workers[-1], dict.fromkeys(QUEUES, 4))
        current = self.running_claims()
        self.settle_all(list(zip(current, said, strict=False)))

    @rule(batch=st.lists(tasks, min_size=1, max_size=4), at=st.none() | st.integers(-2, 2))
    def enqueue(self, batch: list[NewTask], at: int | None = None) -> None:
        """Some tasks at once, unique and not."""
        now = self.now()
        if at is not None:
            # Half hours: no delay ever comes to the same moment.
            fixed = replace(batch[0], delay=None, run_at=now + (at + 0.5) * HOUR)
            batch = [fixed, *batch[1:]]
        refusals = self.model.refusals(batch, now)
        try:
            answers = self.run(self.store.enqueue(batch))
        except DuplicateTask as error:
            if error.existing not in refusals:
                raise
            return
        assert not refusals, "a duplicate was not refused"
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
        """The like of a task that was enqueued before, wherever that is by now."""
        rows = self.unique_rows()
        like = replace(rows[pick % len(rows)].task, run_at=None, delay=delay)
        self.enqueue([replace(like, duplicate=duplicate, payload=payload)])

    def unique_rows(self) -> list[Row]:
        """The tasks with a key that there ever were."""
        model = self.model
        rows = (*model.live.values(), *model.archive.values(), *model.done.values())
        return [row for row in rows if row.task.unique_hash is not None]

    def register(self, lease: int) -> None:
        """A new worker; three are remembered."""
        worker = WorkerId(uuid4())
        self.register_one(worker, lease)
        self.workers = [*self.workers, worker][-3:]

    def register_one(self, worker: WorkerId, lease: int) -> None:
        """This one's lease starts, again perhaps."""
        self.model.leases[worker] = self.now() + lease * HOUR
        self.run(self.store.register(worker, name="model", lease=lease * HOUR))

    def retire_one(self, worker: WorkerId) -> None:
        """Its tasks stay with it until somebody rescues them: a late settle counts."""
        self.run(self.store.retire(worker))
        self.model.leases.pop(worker, None)

    @rule(
        pick=picks,
        lease=st.integers(1, 4),
        what=st.sampled_from(["register", "renew", "renew", "retire", "come back"]),
    )
    def worker(self, pick: int, lease: int, what: str) -> None:
        """Workers come, go on, go, and come back under their old name with tasks of theirs."""
        worker, now = self.workers[pick % len(self.workers)], self.now()
        if what == "register":
            self.register(lease)
        elif what == "retire":
            self.retire_one(worker)
        elif what == "come back":
            self.register_one(worker, lease)
        else:
            alive = self.model.alive(worker, now)
            assert self.run(self.store.renew(worker, lease * HOUR)) == alive
            if alive:
                self.model.leases[worker] = now + lease * HOUR

    @rule(
        pick=picks,
        room=st.dictionaries(st.sampled_from(QUEUES), st.integers(1, 4), min_size=1),
        fresh=st.lists(tasks, min_size=1, max_size=3),
    )
    def claim(self, pick: int, room: dict[str, int], fresh: list[NewTask]) -> None:
        """Any worker, dead or alive. There is something to be had."""
        if not any(self.model.alive(worker, self.now()) for worker in self.workers):
            self.register(3)
        if not any(self.model.due(queue, self.now()) for queue in room):
            self.enqueue(fresh)
        self.claim_for(self.workers[pick % len(self.workers)], room)

    def claim_for(self, worker: WorkerId, room: dict[str, int]) -> None:
        """The first of the order, as many as there is room for."""
        now = self.now()
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
        """Claims of any age in one call: the stale ones must change nothing."""
        pairs = {self.claims[pick % len(self.claims)].id: (pick, v) for pick, v in said.items()}
        self.settle_all([(self.claims[pick % len(self.claims)], v) for pick, v in pairs.values()])

    def settle_all(self, chosen: list[tuple[ClaimedTask, Verdict]]) -> None:
        """One call with several verdicts."""
        now = self.now()
        lost = self.run(
            self.store.settle([Settlement(id=c.id, lease=c.lease, verdict=v) for c, v in chosen])
        )
        stale = {c.id for c, v in chosen if not self.model.settle(c, v, now)}
        assert lost == stale
        for task in {claimed.id for claimed, _ in chosen} & self.model.live.keys():
            self.check_row(self.model.live[task], adopt=task not in stale)

    @precondition(lambda self: self.running_claims())
    @rule(pick=picks, verdict=verdicts, again=verdicts)
    def settle_one(self, pick: int, verdict: Verdict, again: Verdict) -> None:
        """A word about a task that runs counts, and a second one does not."""
        running = self.running_claims()
        claimed = running[pick % len(running)]
        said = Settlement(id=claimed.id, lease=claimed.lease, verdict=verdict)
        assert self.model.settle(claimed, verdict, self.now())
        assert self.run(self.store.settle([said])) == frozenset()
        if claimed.id in self.model.live:
            self.check_row(self.model.live[claimed.id], adopt=True)
        repeated = said._replace(verdict=again)
        assert self.run(self.store.settle([repeated])) == {claimed.id}

    @precondition(lambda self: self.running_claims())
    @rule(pick=picks)
    def lose(self, pick: int) -> None:
        """A task's worker dies, another takes the task over, and then the first one speaks."""
        running = self.running_claims()
        claimed = running[pick % len(running)]
        worker = self.model.live[claimed.id].worker
        assert worker is not None
        self.retire_one(worker)
        self.rescue()
        self.register(4)
        self.claim_for(self.workers[-1], dict.fromkeys(QUEUES, 9))
        for verdict in LATE:
            said = Settlement(id=claimed.id, lease=claimed.lease, verdict=verdict)
            assert self.run(self.store.settle([said])) == {claimed.id}
        if claimed.id in self.model.live:
            self.check_row(self.model.live[claimed.id])

    def running_claims(self) -> list[ClaimedTask]:
        """Claims that are current."""
        live = self.model.live
        return [
            claimed
            for claimed in self.claims
            if claimed.id in live
            and live[claimed.id].lease == claimed.lease
            and live[claimed.id].worker is not None
        ]

    def stale_claims(self) -> list[ClaimedTask]:
        """Claims whose tasks are live, and were taken or given back since."""
        live = self.model.live
        return [
            claimed
            for claimed in self.claims
            if claimed.id in live
            and (live[claimed.id].lease != claimed.lease or live[claimed.id].worker is None)
        ]

    @precondition(lambda self: self.running_claims())
    @rule(pick=picks, keep=st.sets(picks, max_size=4))
    def release_strays(self, pick: int, keep: set[int]) -> None:
        """A worker gives back what it does not know of."""
        worker = self.workers[pick % len(self.workers)]
        mine = sorted(row.id for row in self.model.live.values() if row.worker == worker)
        known = [task for n, task in enumerate(mine) if n in keep]
        strays = [self.model.live[task] for task in mine if task not in known]
        assert self.run(self.store.release_strays(worker, known)) == len(strays)
        for row in strays:
            row.worker = None
            row.attempt -= 1
            self.check_row(row)

    @precondition(lambda self: self.running_claims())
    @rule()
    def rescue(self) -> None:
        """Tasks of dead workers wait again, or have killed too many."""
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
                said = self.run(self.store.get(row.id))
                assert said is not None, f"task {row.id} is lost"
                assert "died" in said.errors[-1]
                self.model.set_aside(row, State.QUARANTINED, said.errors[-1])
            else:
                row.worker = None
                self.check_row(row)
        ended = {row.id for row in orphans if row.crashes >= MAX_CRASHES}
        assert set(rescued.quarantined) == ended
        assert rescued.released == len(orphans) - len(ended)

    @rule(by=st.integers(1, 3))
    def advance(self, by: int) -> None:
        """Time goes on."""
        self.run(self.environment.advance(by * HOUR))

    @rule(schedule=st.sampled_from(SCHEDULES), task=tasks, ago=st.integers(0, 2))
    def tick(self, schedule: str, task: NewTask, ago: int) -> None:
        """A scheduler, once per fire time."""
        now = self.now()
        fire_time = now.replace(minute=0, second=0, microsecond=0) - ago * HOUR
        ticked = self.run(self.store.tick(schedule, fire_time, task))
        assert ticked == self.model.may_tick(schedule, fire_time)
        if not ticked:
            return
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
        assert (found.unique_hash is None) == (row.key is None)
        if adopt:
            assert abs(found.run_at - row.run_at) < HOUR / 2
            row.run_at = found.run_at
        assert found.run_at == row.run_at

    @invariant()
    def counts_agree(self) -> None:
        """Nothing is lost, and nothing is there twice."""
        assert self.run(self.store.counts()) == self.model.counts()

    @invariant()
    def next_due_agrees(self) -> None:
        """What workers wait for is what comes next."""
        now = self.now()
        waiting = [row.run_at for row in self.model.live.values() if row.worker is None]
        due = self.run(self.store.next_due(QUEUES))
        assert (due is None) == (not waiting)
        if due is not None:
            assert abs(due - max(timedelta(0), min(waiting) - now)) < HOUR / 2

    def teardown(self) -> None:
        """Every task is where it should be, with everything about it."""
        for row in (*self.model.live.values(), *self.model.archive.values()):
            self.check_row(row)
        for task in self.model.done:
            assert self.run(self.store.get(task)) is None
