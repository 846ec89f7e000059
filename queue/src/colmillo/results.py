"""Waiting for what a task returned: told by the store, or by asking it again and again."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from colmillo.clock import Clock
from colmillo.errors import ResultExpired, TaskCancelled, TaskFailed
from colmillo.waiting import wait_any

if TYPE_CHECKING:
    from colmillo.store import Store, TaskId

# A task that ends badly is not announced, so even a listener asks now and then.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0

logger = logging.getLogger(__name__)


async def result_of(store: "Store", task: "TaskId", clock: Clock) -> Any:
    """Waits until the task has ended; returns its result.

    Raises:
        TaskFailed: it was archived as failed, discarded or quarantined.
        TaskCancelled: it was archived as cancelled.
        ResultExpired: it is done, but its result is not kept any more, or never was.
    """
    pause = FIRST_PAUSE
    async with announced(store, task) as told:
        while True:
            told.clear()
            # In this order: what ends in between has its result there when we ask for it.
            record = await store.get(task)
            if record is None:
                text = await store.result(task)
                if text is None:
                    raise ResultExpired(f"task {task}")
                return json.loads(text)
            if record.state == "cancelled":
                raise TaskCancelled(f"task {task}: {record.errors[-1]}")
            if record.state not in ("waiting", "blocked", "running"):
                raise TaskFailed(f"task {task}: {record.errors[-1]}")
            await wait_any(clock, pause, told)
            pause = min(2 * pause, LONGEST_PAUSE)


class Board:
    """Who waits for which task's result, and the one listener they share."""

    def __init__(self) -> None:
        self.waiters: dict[TaskId, list[asyncio.Event]] = {}
        self.listener: asyncio.Task[None] | None = None

    def heard(self, what: str) -> None:
        """Takes the store's announcement: an id, or nothing when any may have been missed."""
        for task, events in self.waiters.items():
            if not what or what == str(task):
                for event in events:
                    event.set()

    async def listen(self, store: "Store") -> None:
        """Listens until it is cancelled; without a listener everybody polls."""
        try:
            async with store.listen_results(self.heard):
                await asyncio.Event().wait()
        except Exception as error:
            logger.warning("results are not announced, polling", extra={"error": repr(error)})


boards: "WeakKeyDictionary[Store, Board]" = WeakKeyDictionary()


@asynccontextmanager
async def announced(store: "Store", task: "TaskId") -> AsyncIterator[asyncio.Event]:
    """An event that is set when a result of the task is kept (or was missed, perhaps)."""
    board = boards.setdefault(store, Board())
    told = asyncio.Event()
    board.waiters.setdefault(task, []).append(told)
    if board.listener is None:
        board.listener = asyncio.create_task(board.listen(store))
    try:
        yield told
    finally:
        board.waiters[task].remove(told)
        if not board.waiters[task]:
            del board.waiters[task]
        if not board.waiters and board.listener is not None:
            listener, board.listener = board.listener, None
            listener.cancel()
            await asyncio.wait([listener])
