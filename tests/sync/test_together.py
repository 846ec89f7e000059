"""Calls that go together: when they do, and what a failure of one costs the others."""

import asyncio
from collections.abc import Sequence

import pytest

from heraldo_sync.together import Together


class Ledger:
    """Carries out by doubling; holds every call until it is let go."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.poison: set[int] = set()
        self.broken: Exception | None = None
        self._begun = asyncio.Event()
        self._gate = asyncio.Semaphore(0)
        self.together = Together[int, int](
            self._carry_out, culpable=lambda error: isinstance(error, ValueError), most=4
        )

    def let_go(self, calls: int = 1) -> None:
        for _ in range(calls):
            self._gate.release()

    def call(self, item: int) -> asyncio.Task[int]:
        return asyncio.create_task(self.together.call(item))

    async def called(self) -> None:
        await self._begun.wait()

    async def _carry_out(self, items: Sequence[int]) -> list[int]:
        self.calls.append(list(items))
        self._begun.set()
        await self._gate.acquire()
        if self.broken is not None:
            raise self.broken
        if self.poison.intersection(items):
            raise ValueError("poison")
        return [item * 2 for item in items]


async def test_the_first_goes_alone_and_the_others_together() -> None:
    ledger = Ledger()
    first = ledger.call(1)
    await ledger.called()
    others = [ledger.call(item) for item in (2, 3, 4, 5, 6)]
    ledger.let_go(3)
    assert await asyncio.gather(first, *others) == [2, 4, 6, 8, 10, 12]
    assert ledger.calls == [[1], [2, 3, 4, 5], [6]]


async def test_it_works_again_after_a_rest() -> None:
    ledger = Ledger()
    ledger.let_go(2)
    assert await ledger.call(1) == 2
    assert await ledger.call(2) == 4
    assert ledger.calls == [[1], [2]]


async def test_what_is_wrong_with_one_costs_that_one_only() -> None:
    ledger = Ledger()
    ledger.poison = {3}
    first = ledger.call(1)
    await ledger.called()
    others = [ledger.call(item) for item in (2, 3, 4)]
    ledger.let_go(5)
    found = await asyncio.gather(first, *others, return_exceptions=True)
    assert [str(each) for each in found] == ["2", "4", "poison", "8"]
    assert ledger.calls == [[1], [2, 3, 4], [2], [3], [4]]


async def test_what_is_no_item_s_fault_is_tried_once() -> None:
    ledger = Ledger()
    ledger.broken = OSError("down")
    first = ledger.call(1)
    await ledger.called()
    others = [ledger.call(item) for item in (2, 3)]
    ledger.let_go(2)
    for each in (first, *others):
        with pytest.raises(OSError, match="down"):
            await each
    assert ledger.calls == [[1], [2, 3]]


async def test_who_is_cancelled_while_waiting_is_left_out() -> None:
    ledger = Ledger()
    first = ledger.call(1)
    await ledger.called()
    gone, stays = ledger.call(2), ledger.call(3)
    await asyncio.sleep(0)
    gone.cancel()
    ledger.let_go(2)
    assert (await first, await stays) == (2, 6)
    assert ledger.calls == [[1], [3]]


async def test_cancelling_one_under_way_stops_nobody_else() -> None:
    ledger = Ledger()
    first, second = ledger.call(1), ledger.call(2)
    await ledger.called()
    assert ledger.calls == [[1, 2]]
    first.cancel()
    ledger.let_go()
    assert await second == 4
