"""Many hosts on one server, each an address of this machine, that counts who asks them and when."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import timedelta
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.test_utils import TestServer

from heraldo_sync.database import Pool


class Crowd:
    """Answers 404, which is soon read. ``slow`` hosts wait with that until they are let go, or so
    long; ``most`` is how many requests a host had at a time."""

    def __init__(self, slow: Iterable[str] = (), *, delay: timedelta | None = None) -> None:
        self.asked: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.times: defaultdict[str, list[float]] = defaultdict(list)
        self._paths: Counter[str] = Counter()
        self._slow = frozenset(slow)
        self._delay = delay
        self._inside: Counter[str] = Counter()
        self._released = asyncio.Event()
        self._changed = asyncio.Condition()
        application = web.Application()
        application.router.add_get("/{name}", self._answer)
        self._server = TestServer(application, host="0.0.0.0")

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
        await self._server.close()

    def url(self, host: str, number: int = 0) -> str:
        """The address of one of a host's feeds."""
        return f"http://{host}:{self._server.port}/{number}"

    async def add(self, pool: Pool, host: str, feeds: int) -> None:
        """Stores so many feeds of a host, all due."""
        await pool.executemany(
            "INSERT INTO feeds (url, next_check_at) VALUES ($1, now())",
            [(self.url(host, number),) for number in range(feeds)],
        )

    def release(self) -> None:
        """The slow hosts answer from now on."""
        self._released.set()

    async def met(self, reached: Callable[[], bool]) -> None:
        """Waits until a request makes this true."""
        async with self._changed:
            await self._changed.wait_for(reached)

    @property
    def repeats(self) -> dict[str, int]:
        """The feeds that were asked for more than once, and how often."""
        return {path: times for path, times in self._paths.items() if times > 1}

    async def _answer(self, request: web.Request) -> web.Response:
        host = request.url.host or ""
        self.asked[host] += 1
        self._paths[str(request.url)] += 1
        self.times[host].append(asyncio.get_running_loop().time())
        self._inside[host] += 1
        self.most[host] = max(self.most[host], self._inside[host])
        async with self._changed:
            self._changed.notify_all()
        try:
            if host in self._slow:
                await self._wait()
        finally:
            self._inside[host] -= 1
        return web.Response(status=404)

    async def _wait(self) -> None:
        if self._delay is None:
            await self._released.wait()
            return
        done = asyncio.Event()
        asyncio.get_running_loop().call_later(self._delay.total_seconds(), done.set)
        await done.wait()
