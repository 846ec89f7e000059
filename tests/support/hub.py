"""A WebSub hub over real HTTP, which does as the specification says or as it is told."""

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from feed_server import Document, rss

TOPIC = "https://example.org/topic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request to the hub."""

    mode: str
    topic: str
    callback: str
    secret: str
    form: dict[str, str] = field(default_factory=dict)


def naming(hub: str, topic: str = TOPIC) -> Document:
    """RSS that names a hub."""

    def document(name: str, posts: list[int]) -> tuple[bytes, str]:
        body, kind = rss(name, posts)
        links = (
            f"<atom:link xmlns:atom='http://www.w3.org/2005/Atom' rel='hub' href='{hub}'/>"
            f"<atom:link xmlns:atom='http://www.w3.org/2005/Atom' rel='self' href='{topic}'/>"
        )
        return body.replace(b"<description>d</description>", links.encode(), 1), kind

    return document


class Hub:
    """Takes subscriptions, verifies them at once, and pushes when it is told to.

    ``status`` is what requests are answered with, ``lease`` the seconds granted; with
    ``verifies`` off nothing follows a request, with ``hasty`` on it is verified before it is
    answered. ``verdicts`` are the answers to verifications.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.subscribers: dict[str, Asked] = {}
        self.verdicts: list[tuple[str, int, bytes, str | None]] = []
        self.status = 202
        self.headers: dict[str, str] = {}
        self.lease = "864000"
        self.verifies = True
        self.hasty = False
        self._changed = asyncio.Condition()
        self._verifying: set[asyncio.Task[None]] = set()
        application = web.Application()
        application.router.add_post("/", self._ask)
        application.router.add_post("/{other}", self._ask)
        self._server = TestServer(application, host="127.0.0.1")
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        self._client = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.gather(*self._verifying)
        await self.client.close()
        await self._server.close()

    @property
    def url(self) -> str:
        """The hub's address."""
        return str(self._server.make_url("/"))

    @property
    def client(self) -> aiohttp.ClientSession:
        """What the hub calls its subscribers with."""
        assert self._client is not None
        return self._client

    async def until(self, condition: Callable[[], bool], within: float = 20.0) -> None:
        """Waits for something to be true of the hub."""
        async with asyncio.timeout(within), self._changed:
            await self._changed.wait_for(condition)

    async def verify(self, asked: Asked, **changed: str) -> int:
        """Asks the subscriber whether that is so; returns the status of the answer."""
        query = {
            "hub.mode": asked.mode,
            "hub.topic": asked.topic,
            "hub.challenge": "c-h-a-l-l-e-n-g-e",
            "hub.lease_seconds": self.lease,
            **{f"hub.{name}": value for name, value in changed.items()},
        }
        async with self.client.get(asked.callback, params=query) as answer:
            body = await answer.read()
            self.verdicts.append(
                (query["hub.mode"], answer.status, body, answer.headers.get("Content-Type"))
            )
            if answer.status == 200 and body == query["hub.challenge"].encode():
                if asked.mode == "subscribe":
                    self.subscribers[asked.callback] = asked
                else:
                    self.subscribers.pop(asked.callback, None)
            return answer.status

    async def push(
        self,
        asked: Asked,
        body: bytes = b"<rss/>",
        *,
        method: str = "sha256",
        signature: str | None = None,
        secret: str | None = None,
    ) -> int:
        """Pushes a document, signed unless another signature is given; returns the status."""
        key = (asked.secret if secret is None else secret).encode()
        signed = f"{method}={hmac.new(key, body, method).hexdigest()}"
        headers = {"Content-Type": "application/rss+xml", "X-Hub-Signature": signature or signed}
        if signature == "":
            del headers["X-Hub-Signature"]
        async with self.client.post(asked.callback, data=body, headers=headers) as answer:
            return answer.status

    async def _ask(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        asked = Asked(
            mode=form["hub.mode"],
            topic=form["hub.topic"],
            callback=form["hub.callback"],
            secret=form.get("hub.secret", ""),
            form=form,
        )
        self.asked.append(asked)
        if self.hasty:
            await self.verify(asked)
        elif self.verifies and self.status == 202:
            verifying = asyncio.create_task(self._verify(asked))
            self._verifying.add(verifying)
            verifying.add_done_callback(self._verifying.discard)
        async with self._changed:
            self._changed.notify_all()
        return web.Response(status=self.status, headers=self.headers)

    async def _verify(self, asked: Asked) -> None:
        await self.verify(asked)
        async with self._changed:
            self._changed.notify_all()
