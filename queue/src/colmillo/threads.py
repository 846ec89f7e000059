"""Plain functions in threads: what they are passed, and the threads of one worker."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from colmillo.context import Context, Ended
from colmillo.queue import Queue
from colmillo.store import ClaimedTask

R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")
Job = Callable[[], None]


class ThreadContext(Generic[R_co]):
    """Passed as the first argument to functions in threads that ask for it.

    ``stopping``, an event, is set when the function should end: its time is over, the worker
    stops, its lease is lost, or it was cancelled. A thread cannot be stopped from outside, so a
    function that takes long looks at it now and then, or waits on it instead of sleeping.
    """

    def __init__(self, context: Context[R_co], loop: asyncio.AbstractEventLoop) -> None:
        self.stopping = threading.Event()
        self._context = context
        self._loop = loop

    @property
    def task(self) -> ClaimedTask:
        """The task: id, attempt and so on."""
        return self._context.task

    @property
    def resources(self) -> R_co:
        """What the worker was given for its tasks. Whether it is thread-safe is up to you."""
        return self._context.resources

    @property
    def headers(self) -> Mapping[str, str]:
        """What travels with the task beside its arguments; see `NewTask.with_headers`."""
        return self._context.headers

    @property
    def queue(self) -> Queue:
        """The queue, to be used through `wait`."""
        return self._context.queue

    def check_lease(self) -> None:
        """Raises `LeaseLost` when, as far as this worker can tell, another may own the task."""
        self._context.check_lease()

    def parents(self) -> list[Ended]:
        """The tasks that this one waited for in its flow; see `Context.parents`."""
        return self.wait(self._context.parents())

    def wait(self, call: Coroutine[Any, Any, T]) -> T:
        """Runs the coroutine on the worker's loop, and returns or raises what it does."""
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()


class Threads:
    """Threads that are started when needed and kept for the next task.

    There are never more than tasks under way. They are daemons: one that cannot be stopped
    ends with the program, and does not keep it from ending.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._started = 0
        self.busy = 0
        self._waiting: set[asyncio.Future[None]] = set()

    async def call(self, function: Callable[[], T], stopping: threading.Event) -> T:
        """Returns or raises what the function does in a thread.

        A cancellation sets ``stopping`` and goes on waiting: until the thread is free again
        its place must not be given away.
        """
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        answer: list[T] = []
        failure: list[BaseException] = []
        inside = copy_context()

        def job() -> None:
            try:
                answer.append(inside.run(function))
            except BaseException as error:
                failure.append(error)
            try:
                loop.call_soon_threadsafe(self._ended, ended)
            except RuntimeError:
                # The loop was closed meanwhile: nobody asks any more.
                return

        self._start(job)
        self._waiting.add(ended)
        while not ended.done():
            try:
                await asyncio.wait([ended])
            except asyncio.CancelledError:
                stopping.set()
        if failure:
            raise failure.pop()
        if not answer:
            raise asyncio.CancelledError("the worker went on without the thread")
        return answer[0]

    def close(self) -> None:
        """Lets idle threads end, and goes on without those that do not."""
        for _ in range(self._started):
            self._jobs.put(None)
        for ended in list(self._waiting):
            self._ended(ended)

    def _start(self, job: Job) -> None:
        self.busy += 1
        if self.busy > self._started:
            self._started += 1
            threading.Thread(target=serve, args=(self._jobs,), daemon=True).start()
        self._jobs.put(job)

    def _ended(self, ended: "asyncio.Future[None]") -> None:
        if ended in self._waiting:
            self._waiting.remove(ended)
            self.busy -= 1
            ended.set_result(None)


def serve(jobs: "SimpleQueue[Job | None]") -> None:
    """What a thread does: one job after the other until there is None."""
    while (job := jobs.get()) is not None:
        job()
