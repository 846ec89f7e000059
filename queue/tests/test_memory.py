"""What is particular to the store in memory, and the clock that goes with it."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from colmillo.memory import MemoryStore
from colmillo.store import Finish, NewTask, Settlement, WorkerId
from colmillo.testing import FakeClock

PLAIN = NewTask(name="work", queue="main", payload="{}")


async def test_connections_are_taken_and_ignored() -> None:
    store = MemoryStore()
    (answer,) = await store.enqueue([PLAIN], connection=object())
    worker = WorkerId(uuid4())
    await store.register(worker, name="test", lease=timedelta(seconds=30))
    (claimed,) = await store.claim(worker, {"main": 1})
    assert claimed.id == answer.id
    done = Settlement(id=claimed.id, lease=claimed.lease, verdict=Finish())
    assert await store.settle([done], connection=object()) == frozenset()
    assert await store.tick("clean", await store.now(), PLAIN, connection=object())


async def test_time_is_the_clocks() -> None:
    start = datetime(2031, 2, 3, tzinfo=UTC)
    clock = FakeClock(start)
    store = MemoryStore(clock)
    assert await store.now() == start
    await clock.advance(1.5)
    assert await store.now() == start + timedelta(seconds=1.5)
    assert clock.monotonic() == 1.5


async def test_clock_wakes_sleepers_in_order_at_their_time() -> None:
    clock = FakeClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *pauses: float) -> None:
        for pause in pauses:
            await clock.sleep(pause)
            woken.append((name, clock.monotonic()))

    sleepers = [
        asyncio.create_task(sleeper("a", 3, 3)),
        asyncio.create_task(sleeper("b", 1, 1, 1, 1)),
        asyncio.create_task(sleeper("c", 100)),
        asyncio.create_task(sleeper("d", 0, -1)),
    ]
    await clock.advance(3)
    assert clock.monotonic() == 3
    assert woken == [("d", 0), ("d", 0), ("b", 1), ("b", 2), ("a", 3), ("b", 3)]
    assert clock.sleepers == 3
    sleepers[2].cancel()
    await clock.advance(timedelta(seconds=200))
    assert woken[6:] == [("b", 4), ("a", 6)]
    assert clock.sleepers == 0
    assert clock.monotonic() == 203
    await asyncio.wait(sleepers)


async def test_clock_never_goes_back() -> None:
    clock = FakeClock()
    await clock.advance(5)
    await clock.advance(-3)
    assert clock.monotonic() == 5
