"""Many small calls carried out as few large ones.

Nothing waits for company: a call that finds nothing under way goes at once, alone. What comes
while it is under way goes together when it is back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_Waiting = tuple[Item, asyncio.Future[Answer]]


class Together(Generic[Item, Answer]):
    """Calls ``carry_out`` with up to ``most`` items, one call at a time.

    It answers in the order of the items. When it fails for several and ``culpable`` says that
    one of them may be the reason, each is carried out alone, so that it costs that one only.
    """

    def __init__(
        self,
        carry_out: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        culpable: Callable[[Exception], bool],
        most: int = 500,
    ) -> None:
        self._carry_out = carry_out
        self._culpable = culpable
        self._most = most
        self._waiting: list[_Waiting[Item, Answer]] = []
        self._running: asyncio.Task[None] | None = None

    async def call(self, item: Item) -> Answer:
        """Returns the answer to this item, or raises what it failed with.

        Cancelling is safe: an item that is under way is carried out, one that waits is not.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        batch: list[_Waiting[Item, Answer]] = []
        try:
            while self._waiting:
                # Those who do not wait any more need nothing.
                batch = [pair for pair in self._waiting[: self._most] if not pair[1].done()]
                del self._waiting[: self._most]
                await self._answer(batch)
        finally:
            # Nothing is left but when the event loop ends, which cancels this task.
            for _, future in [*batch, *self._waiting]:
                future.cancel()
            self._waiting.clear()
            self._running = None

    async def _answer(self, batch: Sequence[_Waiting[Item, Answer]]) -> None:
        if not batch:
            return
        try:
            answers = await self._carry_out([item for item, _ in batch])
        except Exception as error:
            if len(batch) > 1 and self._culpable(error):
                for pair in batch:
                    await self._answer([pair])
            else:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
