"""Large bodies share so much memory and no more; small ones do not wait, and all have an end."""

import asyncio
import gzip
import random
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from feed_server import rss
from hypothesis import given
from hypothesis import strategies as st
from town import Town

from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.check import check_feed
from heraldo_sync.fetch import Fetcher
from heraldo_sync.limits import Limits
from heraldo_sync.model import Failed, Fetched, NotModified, Reason
from heraldo_sync.room import Claim, Room
from heraldo_sync.subscribing import Found, look
from heraldo_sync.turns import Patience

LOCAL = AddressPolicy.parse("127.0.0.1")
LARGE = 600_000
LIMITS = Limits(small=100_000, body=700_000, bodies=1_500_000, per_host=100)


@dataclass(slots=True)
class Site:
    """``/large`` sends the half of a large body, and the rest when ``goes_on`` is set.

    ``/small`` is small, ``/mute`` says nothing, ``/boast`` only its length, ``/bomb`` is 4.9 MB
    in few bytes.
    """

    halves: asyncio.Queue[None] = field(default_factory=asyncio.Queue)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    base: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        match request.path:
            case "/small":
                return web.Response(body=b"s" * 50_000)
            case "/bomb":
                return web.Response(body=BOMB, headers={"Content-Encoding": "gzip"})
            case "/mute":
                await asyncio.Event().wait()
            case "/boast":
                response = web.StreamResponse(headers={"Content-Length": "4900000"})
                await response.prepare(request)
                self.halves.put_nowait(None)
                await asyncio.Event().wait()
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"l" * (LARGE // 2))
        self.halves.put_nowait(None)
        await self.goes_on.wait()
        await response.write(b"l" * (LARGE // 2))
        return response

    def url(self, path: str) -> str:
        return self.base + path


BOMB = gzip.compress(b"b" * 4_900_000)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    application = web.Application()
    application.router.add_get("/{path:.*}", site.answer)
    async with TestServer(application, host="127.0.0.1") as server:
        site.base = str(server.make_url("/")).rstrip("/")
        yield site


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher(LOCAL, limits=LIMITS) as fetcher:
        yield fetcher


async def back(room: Room) -> None:
    """Returns when all is given back, which the event loop is told of."""
    async with asyncio.timeout(5):
        while room.taken:
            await asyncio.get_running_loop().run_in_executor(None, int)


async def test_half_read_bodies_come_to_their_end_and_small_ones_pass(
    site: Site, fetcher: Fetcher
) -> None:
    most = 0

    async def large() -> int:
        nonlocal most
        answer = await fetcher.fetch(site.url("/large"))
        assert isinstance(answer, Fetched)
        most = max(most, fetcher.room.taken)
        return len(answer.body)

    asking = [asyncio.create_task(large()) for _ in range(20)]
    for _ in asking:
        await site.halves.get()
    # All have sent a half, and nobody may have more than is left for the first one.
    for _ in range(5):
        answer = await fetcher.fetch(site.url("/small"))
        assert isinstance(answer, Fetched)
    assert LIMITS.bodies - LIMITS.body - LARGE < fetcher.room.taken <= LIMITS.bodies
    site.goes_on.set()
    async with asyncio.timeout(20):
        assert await asyncio.gather(*asking) == [LARGE] * 20
    assert LARGE <= most <= LIMITS.bodies
    await back(fetcher.room)


async def test_forty_bombs_at_once_never_hold_more_than_the_room(site: Site) -> None:
    """Measured by what Python has allocated, not by the room's own count."""
    limits = Limits(bodies=16_000_000, per_host=100)
    async with Fetcher(LOCAL, limits=limits) as fetcher:

        async def bomb() -> int:
            answer = await fetcher.fetch(site.url("/bomb"))
            assert isinstance(answer, Fetched)
            # It lives on for a while, as it does until it is stored.
            await fetcher.fetch(site.url("/small"))
            return len(answer.body)

        tracemalloc.start()
        try:
            sizes = await asyncio.gather(*(bomb() for _ in range(40)))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert sizes == [4_900_000] * 40
        # Forty small beginnings, and one body twice while it is finished.
        assert peak < limits.bodies + 40 * (limits.small + 70_000) + 12_000_000
        await back(fetcher.room)


async def test_a_body_has_its_memory_as_long_as_it_lives(site: Site, fetcher: Fetcher) -> None:
    site.goes_on.set()
    answer = await fetcher.fetch(site.url("/large"))
    copy = replace(answer, **{})
    assert fetcher.room.taken == LARGE
    del answer
    await fetcher.fetch(site.url("/small"))
    assert fetcher.room.taken == LARGE
    del copy
    await back(fetcher.room)


async def test_what_is_given_up_is_given_back(site: Site, fetcher: Fetcher) -> None:
    asking = [asyncio.create_task(fetcher.fetch(site.url("/large"))) for _ in range(5)]
    for _ in asking:
        await site.halves.get()
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    await back(fetcher.room)
    answer = await fetcher.fetch(site.url("/bomb"))
    assert isinstance(answer, Failed)
    assert answer.reason is Reason.TOO_LARGE
    await back(fetcher.room)


async def test_who_only_says_that_it_is_large_waits_in_line_and_has_little(site: Site) -> None:
    """Nothing of such a body is taken in before it is its turn, and its word is no reason to
    keep megabytes for it."""
    limits = replace(LIMITS, body=5_000_000, bodies=5_000_000, total=timedelta(seconds=0.3))
    async with Fetcher(LOCAL, limits=limits) as fetcher:
        asking = [asyncio.create_task(fetcher.fetch(site.url("/boast"))) for _ in range(3)]
        for _ in asking:
            await site.halves.get()
        answer = await fetcher.fetch(site.url("/small"))
        assert isinstance(answer, Fetched)
        assert 0 < fetcher.room.taken < 500_000
        for answer in await asyncio.gather(*asking):
            assert isinstance(answer, Failed)
            assert answer.reason is Reason.TIMEOUT
        await back(fetcher.room)


async def full(fetcher: Fetcher, site: Site) -> list[Fetched | NotModified | Failed]:
    """As many large bodies as fit in, read and not given back."""
    site.goes_on.set()
    return [await fetcher.fetch(site.url("/large")) for _ in range(2)]


async def test_waiting_is_not_the_server_s_fault(site: Site) -> None:
    limits = replace(LIMITS, total=timedelta(seconds=0.3))
    async with Fetcher(LOCAL, limits=limits) as fetcher:
        bodies = await full(fetcher, site)
        waiting = asyncio.create_task(fetcher.fetch(site.url("/large")))
        for _ in range(3):
            await site.halves.get()
        # As long as a server has in all.
        slow = await fetcher.fetch(site.url("/mute"))
        assert isinstance(slow, Failed)
        assert slow.reason is Reason.TIMEOUT
        assert not waiting.done()
        bodies.clear()
        assert isinstance(await waiting, Fetched)


async def test_waiting_has_an_end_that_is_not_held_against_the_feed(site: Site, town: Town) -> None:
    limits = replace(LIMITS, turn=timedelta(seconds=0.2))
    me = await town.chat(1)
    url = town.feeds.add("blog", document=large_rss)
    feed_id = await town.follow(me, url)
    town.feeds.publish("blog")
    async with Fetcher(LOCAL, limits=limits) as fetcher:
        services = replace(town.services, fetcher=fetcher)
        bodies = await full(fetcher, site)
        answer = await fetcher.fetch(url)
        assert isinstance(answer, Failed)
        assert answer.reason is Reason.HOST_BUSY
        assert "large" in answer.message
        assert await check_feed(services, feed_id) == 0
        row = await town.pool.fetchrow("SELECT failures, failing_since FROM feeds")
        assert row is not None
        assert tuple(row) == (0, None)
        bodies.clear()
        await back(fetcher.room)
        assert await check_feed(services, feed_id) == 1
        await back(fetcher.room)


def large_rss(name: str, posts: list[int]) -> tuple[bytes, str]:
    body, kind = rss(name, posts)
    return body.replace(b"<description>d<", b"<description>" + b"d" * LARGE + b"<"), kind


async def test_a_large_page_is_gone_when_its_large_feed_is_asked_for(town: Town) -> None:
    link = b"<html><link rel=alternate type=application/rss+xml href=feed>"
    town.feeds.add("page", document=lambda *_: (link + b"p" * LARGE, "text/html"))
    town.feeds.add("feed", document=large_rss)
    limits = replace(LIMITS, bodies=LIMITS.body, turn=timedelta(seconds=5))
    async with Fetcher(LOCAL, limits=limits) as fetcher:
        services = replace(town.services, fetcher=fetcher)
        found = await look(services, town.feeds.url("page"))
        assert isinstance(found, Found)
        del found
        await back(fetcher.room)
        town.feeds.add("lonely", document=lambda *_: (b"<html>" + b"p" * LARGE, "text/html"))
        town.feeds.add("rss.xml", document=large_rss)
        assert isinstance(await look(services, town.feeds.url("lonely")), Found)


async def grow(room: Room, sizes: list[int], rng: random.Random) -> None:
    async with AsyncExitStack() as stack:
        deadline = await stack.enter_async_context(asyncio.timeout(60))
        kept: Claim | None = None
        with room.claim(Patience(60), deadline) as claim:
            for size in sorted(sizes):
                await claim.cover(size)
                assert room.taken <= 1_000
                if rng.random() < 0.5:
                    await asyncio.sleep(0)
            if rng.random() < 0.8:
                kept = claim.keep(max(sizes))
        await asyncio.sleep(0)
        del kept, claim


@given(
    st.lists(st.lists(st.integers(1, 300), min_size=1, max_size=8), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
)
def test_any_bodies_come_to_their_end_within_the_room(
    bodies: list[list[int]], rng: random.Random
) -> None:
    async def all_at_once() -> None:
        room = Room(1_000, small=20, largest=300)
        async with asyncio.timeout(5):
            await asyncio.gather(*(grow(room, sizes, rng) for sizes in bodies))
        await back(room)

    asyncio.run(all_at_once())
