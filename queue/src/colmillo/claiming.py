"""The claim loop's decisions: when to ask for how many tasks of which queues."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from random import Random

from colmillo.clock import Clock
from colmillo.errors import ColmilloError
from colmillo.lease import Lease, LeaseKeeper
from colmillo.operations import CancelRequest
from colmillo.ready import MOST, PATIENCE_SECONDS, Ready
from colmillo.running import Runs
from colmillo.settle import Settler
from colmillo.store import ClaimedTask, Ending, SetAside, Store, TaskId, Verdict
from colmillo.verdict import GIVEN_BACK
from colmillo.waiting import Pauses, wait_any, within

logger = logging.getLogger(__name__)

# Due tasks that a claim did not get are being claimed by others: a moment, not a busy loop.
LEAST_PAUSE = 0.05
# So many tasks are started in a row before the event loop gets a turn.
STARTS = 100


class Claimer:
    """Claims tasks into free slots. A queue is asked again and again until it proves empty.

    After that it is asked when a notification comes, when its next task is due, or after
    ``poll`` seconds. All claims are made one after the other, by `step`. Queues whose tasks are
    quick are claimed ahead of their slots (see `Ready`), so that slots need not wait, unless
    ``ahead`` is false.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rng: Random,
        *,
        queues: Mapping[str, int],
        poll: float,
        keeper: LeaseKeeper,
        runs: Runs,
        settler: Settler,
        settle: Callable[[ClaimedTask, Verdict], None],
        ahead: bool,
    ) -> None:
        self.stopping = asyncio.Event()
        # A claim may have been carried out although its answer was lost: ask the store.
        self.strays = False
        self._strays_later = False
        self._store = store
        self._clock = clock
        self._queues = dict(queues)
        self._poll = poll
        self._keeper = keeper
        self._runs = runs
        self._settler = settler
        self._settle = settle
        # Wanted cancelled, by id and lease, before we had them.
        self._early: dict[tuple[TaskId, int], CancelRequest] = {}
        self._ready = Ready(clock, queues, most=MOST if ahead else 0)
        self._filling = False
        # Limited queues whose slots come free with the verdicts that are on their way.
        self._freeing = set[str]()
        # Queues of which enough was started for this turn of the loop.
        self._resting: set[str] = set()
        self._hungry = set(self._queues)
        # Nothing is claimed before the store has said which queues are paused.
        self._paused: frozenset[str] | None = None
        self._wake = asyncio.Event()
        self._pauses = Pauses(rng)

    def stop(self) -> None:
        """No more claims; one that is under way is given back, and what has not started yet."""
        self.stopping.set()
        self._wake.set()
        self.give_back_ready()

    def give_back_ready(self) -> None:
        """Gives back what is claimed and has not started."""
        for claimed in self._ready.clear():
            self._give_back(claimed)

    def cancel(self, requests: Sequence[CancelRequest]) -> None:
        """Cancels the tasks that these ask for: what runs, what waits for a slot, and what
        arrives with the claim that is under way. They are all the requests there are."""
        self._early.clear()
        for request in requests:
            waiting = self._ready.remove(request.id, request.lease)
            if waiting is not None:
                self._settle(waiting, cancelled(request))
            elif not self._runs.cancel(request):
                self._early[request.id, request.lease] = request

    def _give_back(self, claimed: ClaimedTask) -> None:
        self._settle(claimed, GIVEN_BACK)

    def wake(self, queue: str = "") -> None:
        """There may be tasks in this queue, or in any when the name is empty."""
        if queue in self._queues:
            self._hungry.add(queue)
        elif not queue:
            self._hungry |= self._queues.keys()
        else:
            return
        self._wake.set()

    def pause(self, paused: frozenset[str]) -> None:
        """Claims from these queues no more, and from all others (again).

        What was claimed ahead of them and has not started is given back.
        """
        resumed = self._queues.keys() - paused
        if self._paused is not None:
            resumed &= self._paused
        self._paused = paused
        for claimed in self._ready.clear(paused):
            self._give_back(claimed)
        if resumed:
            self._hungry |= resumed
            self._wake.set()

    def slot_freed(self, queue: str) -> None:
        """A task of this queue ended."""
        self._ready.ended(queue)
        if self._ready.limited(queue):
            self._freeing.add(queue)
        if not self._filling:
            # Else the task ended while it was being started: that loop goes on.
            self._fill(queue)
        if queue in self._hungry:
            self._wake.set()

    def verdicts_delivered(self) -> None:
        """The backlog of verdicts shrank."""
        for queue in self._queues:
            self._fill(queue)
        self._hungry |= self._freeing
        if self._settler.idle:
            self._freeing.clear()
        if self._hungry:
            self._wake.set()

    def look_again_for_strays(self) -> None:
        """Asks once more about a claim that failed: it may have been carried out late."""
        if self._strays_later:
            self._strays_later = False
            self.strays = True
            self._wake.set()

    async def step(self) -> None:
        """Does one thing: claims, or waits for a reason to."""
        self._wake.clear()
        lease = self._keeper.current
        if self.stopping.is_set():
            return
        if lease is None or not lease.alive() or self._settler.full or self._paused is None:
            await wait_any(self._clock, self._poll, self._wake)
            return
        try:
            if self.strays:
                await self.release_strays(lease)
            elif room := self._room():
                await self._claim(lease, room)
            else:
                await self._idle(lease)
        except ColmilloError:
            raise
        except Exception as error:
            logger.warning("cannot claim tasks", extra={"error": repr(error)})
            await wait_any(self._clock, self._pauses.next(), self.stopping)

    async def release_strays(self, lease: Lease) -> None:
        """Gives back what the store thinks we run and we know nothing of."""
        known = [*self._runs.tasks(), *self._settler.tasks(), *self._ready.tasks()]
        strays = self._store.release_strays(lease.worker, known)
        released = await within(self._clock, lease.left(), strays)
        self.strays = False
        if released:
            logger.warning("gave back tasks of a claim that failed", extra={"tasks": released})
            self.wake()

    def _free(self) -> dict[str, int]:
        """The queues with free slots that are not paused, and how many."""
        taken, paused = self._runs.per_queue, self._paused or ()
        return {
            queue: most - taken[queue]
            for queue, most in self._queues.items()
            if taken[queue] < most and queue not in paused
        }

    def _room(self) -> dict[str, int]:
        """For how many tasks of which queues to ask: free slots, and some ahead of them."""
        free, wanted = self._free(), self._hungry - (self._paused or frozenset())
        room = {queue: free.get(queue, 0) + self._ready.room(queue) for queue in wanted}
        return {queue: number for queue, number in room.items() if number > 0}

    def _fill(self, queue: str) -> None:
        """Starts what is ready, as long as there are slots."""
        if queue in self._resting:
            return
        running, most = self._runs.per_queue, self._queues[queue]
        self._filling = True
        try:
            for _ in range(STARTS):
                found = None
                if running[queue] < most and not self._settler.full:
                    found = self._ready.take(queue)
                if found is None:
                    return
                self._start(*found)
        finally:
            self._filling = False
        # Tasks that never wait leave their slots free: others want the loop too.
        self._resting.add(queue)
        asyncio.get_running_loop().call_soon(self._go_on, queue)

    def _go_on(self, queue: str) -> None:
        self._resting.discard(queue)
        self._fill(queue)

    def _start(self, claimed: ClaimedTask, lease: Lease) -> None:
        if self.stopping.is_set() or not lease.alive():
            self._give_back(claimed)
        else:
            self._runs.start(claimed, lease)

    def _start_suspect(self, claimed: ClaimedTask, lease: Lease) -> bool:
        """Starts a task whose worker died once, or gives it back; false for that.

        While it waits here another task's crash would count as one more of its own. It keeps
        its place in the line, and for a while claims are for free slots only: no busy loop.
        """
        self._ready.be_careful(claimed.queue)
        if self._runs.per_queue[claimed.queue] < self._queues[claimed.queue]:
            self._runs.start(claimed, lease)
            return True
        self._give_back(claimed)
        return False

    async def _claim(self, lease: Lease, room: dict[str, int]) -> None:
        # Before the claim: what is committed while it is under way must not go unnoticed.
        self._hungry -= room.keys()
        try:
            claimed = await within(self._clock, lease.left(), self._store.claim(lease.worker, room))
        except BaseException:
            self.strays = self._strays_later = True
            self._hungry |= room.keys()
            raise
        self._pauses.reset()
        got = dict.fromkeys(room, 0)
        returned: set[str] = set()
        # A queue may have been paused while the claim was under way.
        paused = self._paused or ()
        over = self.stopping.is_set() or not lease.alive()
        for task in claimed:
            got[task.queue] += 1
            if self._early and (request := self._early.pop((task.id, task.lease), None)):
                self._settle(task, cancelled(request))
            elif over or task.queue in paused:
                self._give_back(task)
            elif not task.crashes:
                self._ready.put(task, lease)
            elif not self._start_suspect(task, lease):
                returned.add(task.queue)
        for queue in room:
            self._fill(queue)
        for task in self._ready.surplus(self._free()):
            self._give_back(task)
        self._hungry |= returned | {queue for queue, number in got.items() if number == room[queue]}

    async def _idle(self, lease: Lease) -> None:
        for stale in self._ready.stale():
            self._give_back(stale)
        queues = list(self._free())
        pause = min(self._poll, PATIENCE_SECONDS) if self._ready.tasks() else self._poll
        if queues:
            due = await within(self._clock, lease.left(), self._store.next_due(queues))
            if due is not None:
                pause = min(max(due.total_seconds(), LEAST_PAUSE), pause)
        if not await wait_any(self._clock, pause, self._wake):
            self._hungry |= self._free().keys()


def cancelled(request: CancelRequest) -> SetAside:
    """The verdict for a task that has not started."""
    return SetAside(ending=Ending.CANCELLED, error=request.why)
