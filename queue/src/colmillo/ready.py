"""Tasks that are claimed and wait, for a moment, for a slot of their queue.

Should their worker die, that counts as a crash of theirs too: a task that has one already never
waits here, so being claimed ahead costs a task one crash at most.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from colmillo.clock import Clock
from colmillo.lease import Lease
from colmillo.store import ClaimedTask, TaskId

AHEAD_SECONDS = 0.1
"""So much work, at the pace of late, may be claimed ahead. Slow tasks are never claimed ahead."""

MOST = 1000
"""No queue has more than this ahead."""

WINDOW_SECONDS = 0.02
"""The pace is taken over at least this long."""

PATIENCE_SECONDS = 1.0
"""What waited longer goes back to the store: the pace has changed."""


class Lane:
    """One queue: its tasks ahead, and how fast its tasks ended of late."""

    def __init__(self, now: float) -> None:
        self.tasks: deque[tuple[ClaimedTask, Lease]] = deque()
        self.since = now
        self.ended = 0
        self.allowed = 0
        self.moved = False
        self.moved_at = now
        self.limited = False
        self.careful_until = now


class Ready:
    """The tasks ahead of all queues of a worker."""

    def __init__(self, clock: Clock, queues: Iterable[str], *, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        now = clock.monotonic()
        self._lanes = {queue: Lane(now) for queue in queues}

    def tasks(self) -> list[TaskId]:
        """What waits here."""
        return [claimed.id for lane in self._lanes.values() for claimed, _ in lane.tasks]

    def ended(self, queue: str) -> None:
        """A task of the queue ended: one more for its pace."""
        self._lanes[queue].ended += 1

    def put(self, claimed: ClaimedTask, lease: Lease) -> None:
        """Keeps a claimed task until there is a slot."""
        lane = self._lanes[claimed.queue]
        lane.moved = lane.moved or not lane.tasks
        lane.limited = claimed.limited
        lane.tasks.append((claimed, lease))

    def take(self, queue: str) -> tuple[ClaimedTask, Lease] | None:
        """The next task for a slot."""
        lane = self._lanes[queue]
        if not lane.tasks:
            return None
        lane.moved = True
        return lane.tasks.popleft()

    def remove(self, task: TaskId, lease: int) -> ClaimedTask | None:
        """Takes one claim out of the line, if it is there."""
        for lane in self._lanes.values():
            for place, (claimed, _) in enumerate(lane.tasks):
                if (claimed.id, claimed.lease) == (task, lease):
                    del lane.tasks[place]
                    return claimed
        return None

    def be_careful(self, queue: str) -> None:
        """Claims nothing ahead for `PATIENCE_SECONDS`: tasks came that must not wait here."""
        self._lanes[queue].careful_until = self._clock.monotonic() + PATIENCE_SECONDS

    def room(self, queue: str) -> int:
        """How many more may be claimed ahead; none while more than half of them wait, and of
        limited queues never: they would hold slots of all workers without running."""
        lane = self._lanes[queue]
        if lane.limited:
            return -len(lane.tasks)
        now = self._clock.monotonic()
        passed = now - lane.since
        if passed >= WINDOW_SECONDS:
            lane.allowed = min(int(lane.ended / passed * AHEAD_SECONDS), self._most)
            lane.since, lane.ended = now, 0
        waiting = len(lane.tasks)
        if now < lane.careful_until:
            return 0
        return lane.allowed - waiting if waiting <= lane.allowed // 2 else 0

    def limited(self, queue: str) -> bool:
        """Whether the queue had limits when it was last claimed from."""
        return self._lanes[queue].limited

    def surplus(self, free: Mapping[str, int]) -> list[ClaimedTask]:
        """Takes what limited queues have beyond their free slots: they had no limits when it
        was asked for."""
        taken: list[ClaimedTask] = []
        for queue, lane in self._lanes.items():
            while lane.limited and len(lane.tasks) > free.get(queue, 0):
                taken.append(lane.tasks.pop()[0])
        return taken

    def stale(self) -> list[ClaimedTask]:
        """Takes the tasks of queues whose slots have been taken for too long."""
        now = self._clock.monotonic()
        late: list[Lane] = []
        for lane in self._lanes.values():
            if lane.moved:
                lane.moved, lane.moved_at = False, now
            elif lane.tasks and now - lane.moved_at >= PATIENCE_SECONDS:
                late.append(lane)
        return self._emptied(late)

    def clear(self, queues: Iterable[str] | None = None) -> list[ClaimedTask]:
        """Takes all tasks, or those of some queues, of which we may have none."""
        chosen = self._lanes.keys() if queues is None else self._lanes.keys() & queues
        return self._emptied([self._lanes[queue] for queue in chosen])

    def _emptied(self, lanes: Iterable[Lane]) -> list[ClaimedTask]:
        taken: list[ClaimedTask] = []
        for lane in lanes:
            taken += [claimed for claimed, _ in lane.tasks]
            lane.tasks.clear()
            lane.allowed = lane.ended = 0
            lane.since = self._clock.monotonic()
        return taken
