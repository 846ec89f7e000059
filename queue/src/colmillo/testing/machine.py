"""A store against a plain model, whatever is called in whatever order. It needs hypothesis.

For authors of stores, beside `colmillo.testing.conformance`::

    def test_it_agrees_with_the_model() -> None:
        check_store(MyEnvironment(), examples=100, steps=40)

An `Environment` makes empty stores, runs calls, and moves the clock. Every step is done by the
store and by `colmillo.testing.model.Model`, and what they say is compared. Everything takes
whole hours, so that the moments a call takes change no outcome.
"""

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from colmillo.operations import Revival
from colmillo.store import FinishWith, TaskId
from colmillo.testing.machine_calls import QUEUES, SCHEDULES, picks, whole
from colmillo.testing.machine_work import Environment, WorkMachine


class StoreMachine(WorkMachine):
    """What people do as well: cancel, take back, pause, wait for results."""

    def some_task(self, pick: int) -> TaskId:
        """Any task there ever was, or one that never was."""
        model = self.model
        known = [*sorted(model.live), *sorted(model.archive), *sorted(model.done)]
        return TaskId(10**12) if not known else known[pick % len(known)]

    @precondition(lambda self: self.model.live)
    @rule(pick=picks, why=st.sampled_from(["unwanted", "too late"]))
    def cancel(self, pick: int, why: str) -> None:
        """One that waits goes to the archive; of one that runs its worker hears."""
        task = sorted(self.model.live)[pick % len(self.model.live)]
        assert self.run(self.store.cancel(task, why)) is self.model.cancel(task, why)
        self.check_row(self.model.live.get(task) or self.model.archive[task])

    @rule(pick=picks)
    def cancel_what_is_gone(self, pick: int) -> None:
        """Changes nothing."""
        task = self.some_task(pick)
        if task not in self.model.live:
            assert self.run(self.store.cancel(task, "gone")) is self.model.cancel(task, "gone")

    @precondition(lambda self: self.workers)
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
        asked = [aside[pick % len(aside)] for pick in chosen]
        now = self.now()
        answers = list(self.run(self.store.requeue(asked)))
        assert answers == self.model.requeue(asked, now)
        for answer in answers:
            if answer.revival is Revival.REQUEUED:
                self.check_row(self.model.live[answer.id], adopt=True)

    @precondition(lambda self: self.model.done or self.model.live)
    @rule(pick=picks)
    def requeue_what_is_not_archived(self, pick: int) -> None:
        """There is nothing to take back."""
        there = sorted(self.model.done | self.model.live.keys())
        task = there[pick % len(there)]
        (answer,) = self.run(self.store.requeue([task]))
        assert (answer.id, answer.revival) == (task, Revival.ABSENT)

    @precondition(lambda self: self.claims)
    @rule(pick=picks, keep=st.integers(1, 3))
    def keep_a_result(self, pick: int, keep: int) -> None:
        """Results are rare among the verdicts; this makes some."""
        self.settle({pick: FinishWith(result='"kept"', keep=whole(keep))})

    @rule(pick=picks)
    def result(self, pick: int) -> None:
        """There until its time is over; never for a task that kept none."""
        task, now = self.some_task(pick), self.now()
        assert self.run(self.store.result(task)) == self.model.result(task, now)

    @rule(queue=st.sampled_from(QUEUES), paused=st.booleans())
    def pause_queue(self, queue: str, paused: bool) -> None:
        """A row that says so; claims are up to workers."""
        changed = (queue in self.model.paused) is not paused
        assert self.run(self.store.pause_queue(queue, paused=paused)) is changed
        (self.model.paused.add if paused else self.model.paused.discard)(queue)
        assert self.run(self.store.controls()).paused == self.model.paused

    @rule(schedule=st.sampled_from(SCHEDULES))
    def declare_schedule(self, schedule: str) -> None:
        """From a worker's code; a pause holds."""
        self.run(self.store.declare_schedule(schedule, timing="hourly", spec="{}"))
        self.model.schedules.setdefault(schedule, False)

    @rule(schedule=st.sampled_from(SCHEDULES), paused=st.booleans())
    def pause_schedule(self, schedule: str, paused: bool) -> None:
        """No tick counts until it is resumed."""
        there = schedule in self.model.schedules
        changed = there and self.model.schedules[schedule] is not paused
        assert self.run(self.store.pause_schedule(schedule, paused=paused)) is changed
        if there:
            self.model.schedules[schedule] = paused

    @rule(schedule=st.sampled_from(SCHEDULES))
    def remove_schedule(self, schedule: str) -> None:
        """Its ticks are forgotten with it."""
        there = self.model.schedules.pop(schedule, None) is not None
        assert self.run(self.store.remove_schedule(schedule)) is there
        if there:
            self.model.ticks = {tick for tick in self.model.ticks if tick[0] != schedule}

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
