"""Feeds over real HTTP, changed while they are served."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from html import escape
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.test_utils import TestServer

Document = Callable[[str, list[int]], tuple[bytes, str]]


def rss(name: str, posts: list[int]) -> tuple[bytes, str]:
    """RSS 2.0, newest first, with guids."""
    items = "".join(
        f"<item><guid isPermaLink='false'>{name}-{number}</guid>"
        f"<title>{escape(name)} post {number}</title>"
        f"<link>https://example.org/{name}/{number}</link>"
        f"<description>Text of {name} post {number}</description></item>"
        for number in reversed(posts)
    )
    text = (
        f"<?xml version='1.0'?><rss version='2.0'><channel><title>{escape(name)}</title>"
        f"<link>https://example.org/{name}</link><description>d</description>{items}</channel></rss>"
    )
    return text.encode(), "application/rss+xml"


class FeedServer:
    """Serves ``/<name>`` with as many posts as were published there; answers 304 by ETag."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self._posts: dict[str, list[int]] = {}
        self._documents: dict[str, Document] = {}
        self._status: dict[str, int] = {}
        self._headers: dict[str, dict[str, str]] = {}
        self._stalls: dict[str, tuple[asyncio.Event, asyncio.Event]] = {}
        self._moved: dict[str, tuple[int, str]] = {}
        application = web.Application()
        application.router.add_get("/{name}", self._answer)
        self._server = TestServer(application, host="127.0.0.1")

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._server.close()

    def url(self, name: str) -> str:
        """The address of a feed."""
        return str(self._server.make_url(f"/{name}"))

    def add(self, name: str, *, posts: int = 3, document: Document = rss) -> str:
        """Puts a feed with posts 1 … ``posts`` up; returns its address."""
        self._posts[name] = list(range(1, posts + 1))
        self._documents[name] = document
        return self.url(name)

    @asynccontextmanager
    async def stalled(self, name: str) -> AsyncIterator[None]:
        """Answers nothing to this name while the block lasts."""
        self._stalls[name] = asyncio.Event(), asyncio.Event()
        try:
            yield
        finally:
            self._stalls[name][1].set()

    async def reached(self, name: str) -> None:
        """Returns when somebody has asked for a stalled name."""
        await self._stalls[name][0].wait()

    def same_as(self, name: str) -> Document:
        """A document that shows the posts of another name."""
        return lambda _name, _posts: rss(name, self._posts.get(name, [1, 2, 3]))

    def publish(self, name: str) -> int:
        """Adds a post and returns its number."""
        number = self._posts[name][-1] + 1 if self._posts[name] else 1
        self._posts[name].append(number)
        return number

    def fail(self, name: str, status: int, **headers: str) -> None:
        """Answers with this status from now on; 200 ends it."""
        self._status[name] = status
        self._headers[name] = {key.replace("_", "-"): value for key, value in headers.items()}

    def move(self, name: str, to: str, status: int = 301) -> None:
        """Redirects to another name from now on."""
        self._moved[name] = status, to

    async def _answer(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.requests[name] += 1
        if name in self._stalls:
            reached, goes_on = self._stalls[name]
            reached.set()
            await goes_on.wait()
        if name in self._moved:
            status, to = self._moved[name]
            return web.Response(status=status, headers={"Location": f"/{to}"})
        status = self._status.get(name, 200)
        headers = self._headers.get(name, {})
        if status != 200 or name not in self._posts:
            return web.Response(status=status if status != 200 else 404, headers=headers)
        posts = self._posts[name]
        etag = f'"{name}-{len(posts)}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        body, content_type = self._documents[name](name, posts)
        return web.Response(body=body, headers={"ETag": etag, "Content-Type": content_type})
