"""A store against a plain model, whatever is called in whatever order. It needs hypothesis.

For authors of stores, beside `colmillo.testing.conformance`::

    def test_it_agrees_with_the_model() -> None:
        check_store(MyEnvironment(), examples=100, steps=40)

An `Environment` makes empty stores, runs calls, and moves the clock. Every step is done by the
store and by `colmillo.testing.model.Model`, and what they say is compared. Everything takes
whole hours, so that the moments a call takes change no outcome.
"""

from dataclasses import replace

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from colmillo.operations import Cancellation, Revival
from colmillo.store import FinishWith, Settlement, TaskId
from colmillo.testing.machine_calls import QUEUES, SCHEDULES, picks, whole
from colmillo.testing.machine_work import Environment, WorkMachine


class StoreMachine(WorkMachine):
    """What people do as well: cancel, take back, pause, wait for results."""

    @precondition(lambda self: self.model.live)
    @rule(pick=picks, why=st.sampled_from(["unwanted", "too late"]))
    def cancel(self, pick: int, why: str) -> None:
        """One that waits goes to the archive; of one that runs its worker hears."""
        task = sorted(self.model.live)[pick % len(self.model.live)]
        assert self.run(self.store.cancel(task, why)) is self.model.cancel(task, why)
        self.check_row(self.model.live.get(task) or self.model.archive[task])

    @precondition(lambda self: self.model.requests)
    @rule(pick=picks)
    def ask_what_to_cancel(self, pick: int) -> None:
        """A worker hears of its own; requests for what waits again are carried out."""
        worker = self.workers[pick % len(self.workers)]
        asked = self.run(self.store.cancel_requests(worker))
        said = {(request.id, request.lease, request.why) for request in asked}
        assert said == self.model.cancel_requests(worker)
        assert len(asked) == len(said)

    @precondition(lambda self: self.model.archive)
    @rule(chosen=st.lists(picks, min_size=1, max_size=4))
    def requeue(self, chosen: list[int]) -> None:
        """Archived tasks begin anew, as far as their keys are free."""
        aside = sorted(self.model.archive)
        self.take_back([aside[pick % len(aside)] for pick in chosen])

    def take_back(self, asked: list[TaskId]) -> None:
        """As if they had never been tried, but for their errors and lease numbers."""
        now = self.now()
        answers = list(self.run(self.store.requeue(asked)))
        expected = self.model.requeue(asked, now)
        for answer, model in zip(answers, expected, strict=True):
            # A holder that the same call took back may not be seen yet.
            assert answer == model or answer == replace(model, holder=None)
            if answer.revival is Revival.REQUEUED:
                self.check_row(self.model.live[answer.id], adopt=True)

    @precondition(lambda self: self.running_claims())
    @rule(pick=picks)
    def begin_anew(self, pick: int) -> None:
        """A task whose worker died is cancelled and taken back: nothing of that counts."""
        running = self.running_claims()
        task = running[pick % len(running)].id
        assert self.run(self.store.cancel(task, "meanwhile")) is self.model.cancel(
            task, "meanwhile"
        )
        worker = self.model.live[task].worker
        assert worker is not None
        self.retire_one(worker)
        self.rescue()
        assert self.run(self.store.cancel(task, "stop")) is self.model.cancel(task, "stop")
        self.take_back([task])

    @precondition(lambda self: self.running_claims())
    @rule(pick=picks, keep=st.integers(1, 3), later=st.integers(0, 3))
    def keep_a_result(self, pick: int, keep: int, later: int) -> None:
        """It is there until its time is over; a stale word about another task changes nothing."""
        running = self.running_claims()
        claimed = running[pick % len(running)]
        said = FinishWith(result=f'"{claimed.lease}"', keep=whole(keep))
        others = [old for old in self.stale_claims() if old.id != claimed.id][:1]
        batch = [Settlement(id=c.id, lease=c.lease, verdict=said) for c in (claimed, *others)]
        assert self.model.settle(claimed, said, self.now())
        assert self.run(self.store.settle(batch)) == {old.id for old in others}
        self.look_for_result(claimed.id)
        self.advance(later)
        self.look_for_result(claimed.id)

    def look_for_result(self, task: TaskId) -> None:
        """There until its time is over; never for a task that kept none."""
        now = self.now()
        assert self.run(self.store.result(task)) == self.model.result(task, now)

    @rule(pick=picks)
    def ask_about_anything(self, pick: int) -> None:
        """Calls about a task that is not where they look for it change nothing."""
        model = self.model
        known = [*sorted(model.live), *sorted(model.archive), *sorted(model.done), TaskId(10**12)]
        task = known[pick % len(known)]
        self.look_for_result(task)
        if task not in model.live:
            assert self.run(self.store.cancel(task, "gone")) is Cancellation.ABSENT
        if task not in model.archive:
            (answer,) = self.run(self.store.requeue([task]))
            assert (answer.id, answer.revival) == (task, Revival.ABSENT)

    @rule(
        schedule=st.sampled_from(SCHEDULES),
        queue=st.sampled_from(QUEUES),
        change=st.sampled_from(["declare", "pause", "pause", "resume", "remove"]),
    )
    def control(self, schedule: str, queue: str, change: str) -> None:
        """Pauses are rows: for schedules a tick heeds them, for queues the workers."""
        schedules, paused = self.model.schedules, change == "pause"
        if change == "declare":
            self.run(self.store.declare_schedule(schedule, timing="hourly", spec="{}"))
            schedules.setdefault(schedule, False)
        elif change == "remove":
            there = schedules.pop(schedule, None) is not None
            assert self.run(self.store.remove_schedule(schedule)) is there
            self.model.ticks = {tick for tick in self.model.ticks if tick[0] != schedule}
        else:
            changed = schedule in schedules and schedules[schedule] is not paused
            assert self.run(self.store.pause_schedule(schedule, paused=paused)) is changed
            if schedule in schedules:
                schedules[schedule] = paused
            changed = (queue in self.model.paused) is not paused
            assert self.run(self.store.pause_queue(queue, paused=paused)) is changed
            (self.model.paused.add if paused else self.model.paused.discard)(queue)
        assert self.run(self.store.controls()).paused == self.model.paused

    @invariant()
    def lists_agree(self) -> None:
        """What is listed is what is there, the latest first."""
        live = [record.id for record in self.run(self.store.live())]
        assert live == sorted(self.model.live, reverse=True)[:100]
        archived = [record.id for record in self.run(self.store.archived())]
        assert archived == sorted(self.model.archive, reverse=True)[:100]


def check_store(environment: Environment, *, examples: int = 100, steps: int = 40) -> None:
    """Runs the machine on empty stores; raises AssertionError with the calls that disagree."""

    class Machine(StoreMachine):
        pass

    Machine.environment = environment
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


__all__ = ["Environment", "StoreMachine", "check_store"]
