"""How often one host is asked: turns in a process, and holds for all workers."""

import asyncio
from datetime import timedelta

import pytest
from town import Town

from colmillo.clock import SystemClock
from colmillo.testing import FakeClock
from heraldo_sync.hosts import take_turn
from heraldo_sync.limits import Limits
from heraldo_sync.model import Failed, Reason
from heraldo_sync.schedule import MAX_HOLD, hold_of
from heraldo_sync.statements import statement
from heraldo_sync.turns import HostBusy, HostTurns, Patience
from heraldo_sync.urls import normalise, parse

SECOND = timedelta(seconds=1)


async def test_requests_to_a_host_begin_apart_and_other_hosts_do_not_wait() -> None:
    clock = FakeClock()
    turns = HostTurns(at_once=2, between=SECOND, clock=clock)
    begun: list[tuple[str, float]] = []

    async def ask(host: str) -> None:
        async with turns.turn(host, Patience(60)):
            begun.append((host, clock.monotonic()))

    asking = [asyncio.create_task(ask(host)) for host in ("a", "a", "a", "b")]
    for _ in range(3):
        await clock.advance(SECOND)
    await asyncio.gather(*asking)
    assert sorted(begun) == [("a", 0.0), ("a", 1.0), ("a", 2.0), ("b", 0.0)]


async def test_so_many_at_once_and_no_more() -> None:
    turns = HostTurns(at_once=2, between=timedelta(), clock=SystemClock())
    full, go = asyncio.Event(), asyncio.Event()
    inside = most = 0

    async def ask() -> None:
        nonlocal inside, most
        async with turns.turn("a", Patience(60)):
            inside += 1
            most = max(most, inside)
            if inside == 2:
                full.set()
            await go.wait()
            inside -= 1

    asking = [asyncio.create_task(ask()) for _ in range(7)]
    await full.wait()
    async with turns.turn("b", Patience(60)):
        go.set()
    await asyncio.gather(*asking)
    assert most == 2


async def test_patience_ends_a_wait_and_leaves_the_turn_to_others() -> None:
    turns = HostTurns(at_once=1, between=timedelta(), clock=SystemClock())
    patience = Patience(0.02)
    async with turns.turn("a", patience):
        with pytest.raises(HostBusy):
            async with turns.turn("a", patience):
                pass
    assert patience.left < 0.01
    async with turns.turn("a", Patience(1)):
        pass


async def test_a_host_that_many_lead_to_takes_so_many_places_and_others_go_on() -> None:
    """Redirects lead to it: the tick could not see that, and spreads nothing."""
    turns = HostTurns(at_once=2, between=timedelta(), clock=SystemClock(), waiting=3)
    go = asyncio.Event()

    async def ask() -> bool:
        try:
            async with turns.turn("slow", Patience(60)):
                await go.wait()
        except HostBusy:
            return False
        return True

    asking = [asyncio.create_task(ask()) for _ in range(9)]
    _, waiting = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    assert len(waiting) == 5
    async with turns.turn("another", Patience(1)):
        go.set()
    assert sorted(await asyncio.gather(*asking)) == [False] * 4 + [True] * 5
    assert await ask()


async def test_patience_that_ends_between_two_requests_leaves_the_turn_too() -> None:
    clock = FakeClock()
    turns = HostTurns(at_once=1, between=SECOND, clock=clock)
    async with turns.turn("a", Patience(60)):
        pass
    with pytest.raises(HostBusy):
        async with turns.turn("a", Patience(0.02)):
            pass
    await clock.advance(3 * SECOND)
    async with turns.turn("a", Patience(0.02)):
        pass


async def test_a_feed_whose_turn_did_not_come_has_not_failed(town: Town) -> None:
    feed_id = await town.follow(await town.chat(1), town.feeds.add("blog"))
    impatient = Limits(turn=timedelta(milliseconds=1))
    busy = await town.impatient(feed_id, impatient)
    assert busy == 0
    [row] = await town.pool.fetch("SELECT failures, last_reason FROM feeds")
    assert (row["failures"], row["last_reason"]) == (0, None)
    assert timedelta() < await town.next_check(feed_id) < timedelta(minutes=3)


async def test_a_host_that_asks_to_wait_is_left_alone_with_all_its_feeds(town: Town) -> None:
    ana = await town.chat(1)
    first = await town.follow(ana, town.feeds.add("first"))
    second = await town.follow(ana, town.feeds.add("second"))
    elsewhere = town.feeds.add("elsewhere").replace("127.0.0.1", "localhost")
    third = await town.follow(ana, elsewhere)
    town.feeds.fail("first", 429, Retry_After="300")
    await town.check(first)
    before = town.feeds.requests.copy()
    for feed_id in (first, second, third):
        await town.check(feed_id)
    assert town.feeds.requests - before == {"elsewhere": 1}
    assert timedelta(minutes=5) <= await town.next_check(second) <= timedelta(minutes=7.5)
    assert await town.pool.fetchval("SELECT sum(failures) FROM feeds") == 1
    await town.pool.execute("UPDATE host_holds SET held_until = now() - interval '1 second'")
    await town.check(second)
    assert town.feeds.requests["second"] == before["second"] + 1
    await town.pool.execute(statement("forget_holds"))
    assert await town.pool.fetchval("SELECT count(*) FROM host_holds") == 0


def failed(status: int, retry_after: timedelta | None, host: str | None = "a.test") -> Failed:
    return Failed(
        reason=Reason.HTTP_STATUS, message="", status=status, retry_after=retry_after, host=host
    )


def test_how_long_a_host_is_left_alone() -> None:
    assert hold_of(failed(429, 90 * SECOND)) == 90 * SECOND
    assert hold_of(failed(429, None)) == 60 * SECOND
    assert hold_of(failed(503, None)) is None
    assert hold_of(failed(503, timedelta(days=1))) == MAX_HOLD
    assert hold_of(failed(404, None, host=None)) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/feed",
        "example.org:8443/a:b@c?d#e",
        "http://me:p%40ss@example.org/x@y",
        "http://[2001:db8::1]:81/feed",
        "https://b\u00fccher.example/",
        "http://192.0.2.7?x=/@",
    ],
)
async def test_the_database_finds_the_host_that_the_fetcher_asks(town: Town, url: str) -> None:
    feed_id = await town.pool.fetchval(
        "INSERT INTO feeds (url) VALUES ($1) RETURNING id", normalise(url)
    )
    host = parse(normalise(url)).host
    await town.pool.execute(statement("hold_host"), host, timedelta(minutes=1))
    [row] = await town.pool.fetch(statement("feed"), [feed_id])
    assert row["held"] is not None
    [due] = await town.pool.fetch(statement("due_feeds"), 9, SECOND)
    assert due["host"] == host
    assert not due["busy"]
    await town.pool.execute("INSERT INTO busy_hosts VALUES ($1, now(), now())", host)
    [due] = await town.pool.fetch(statement("due_feeds"), 9, SECOND)
    assert due["busy"]
    assert (await take_turn(town.pool, feed_id, SECOND)).wait > timedelta()
