"""Whatever somebody sends to /subscribe gets a reply that says what was wrong; the bot goes on."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer
from application import application_running, make_services
from feed_server import FeedServer, rss

from heraldo.botapi import BotApiServer, Message, Person
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.database import Pool
from heraldo_sync.fetch import Fetcher
from heraldo_sync.limits import Limits

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MEGABYTE = 1 << 20
PRIVATE = "private network"


class Names(AbstractResolver):
    """Names of the test's own; ``metadata.test`` is where clouds keep their secrets."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = {"metadata.test": "169.254.169.254", "inside.test": "127.0.0.1"}
        if host not in addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            ResolveResult(
                hostname=host,
                host=addresses[host],
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=0,
            )
        ]

    async def close(self) -> None:
        """Nothing is open."""


class Hostile:
    """A server that does what servers should not."""

    def __init__(self) -> None:
        self._gone = asyncio.Event()
        application = web.Application()
        application.add_routes(
            [
                web.get("/stall", self._stall),
                web.get("/endless", self._endless),
                web.get("/bomb", self._bomb),
                web.get("/page", self._page),
                web.get("/redirect/metadata", self._redirect("http://169.254.169.254/latest/")),
                web.get("/redirect/name", self._redirect("http://metadata.test/latest/")),
                web.get("/redirect/mapped", self._redirect("http://[::ffff:127.0.0.1]/")),
                web.get("/redirect/file", self._redirect("file:///etc/passwd")),
                web.get("/circle", self._redirect("/circle")),
            ]
        )
        self._server = TestServer(application, host="127.0.0.1")
        self._bytes = gzip.compress(bytes(200 * MEGABYTE))

    async def __aenter__(self) -> str:
        await self._server.start_server()
        return str(self._server.make_url("")).rstrip("/")

    async def __aexit__(self, *_: object) -> None:
        self._gone.set()
        await self._server.close()

    async def _stall(self, _: web.Request) -> web.Response:
        await self._gone.wait()
        return web.Response()

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/rss+xml"})
        await response.prepare(request)
        for _ in range(200):
            await response.write(bytes(MEGABYTE))
        return response

    async def _bomb(self, _: web.Request) -> web.Response:
        return web.Response(body=self._bytes, headers={"Content-Encoding": "gzip"})

    async def _page(self, _: web.Request) -> web.Response:
        return web.Response(text="<html><body><p>Hello</p></body></html>", content_type="text/html")

    def _redirect(self, to: str) -> Handler:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(status=302, headers={"Location": to})

        return answer


@asynccontextmanager
async def bot(pool: Pool) -> AsyncIterator[tuple[BotApiServer, Person]]:
    """The application, with a fetcher that is less patient than the real one."""
    limits = Limits(
        connect=timedelta(seconds=5), read=timedelta(seconds=3), total=timedelta(seconds=15)
    )
    fetcher = Fetcher(AddressPolicy.parse("127.0.0.1"), limits=limits, resolver=Names())
    async with (
        BotApiServer() as server,
        fetcher,
        make_services(pool, server, fetcher) as services,
    ):
        owner = server.person("Olga")
        async with application_running(services, server, owner):
            yield server, owner


async def answer_to(owner: Person, text: str) -> str:
    """What the bot says in the end to a message."""
    before = len(owner.private.from_bot)
    await owner.says(text)

    def final(message: Message) -> bool:
        return message in owner.private.from_bot[before:] and not message.text.startswith("Looking")

    [message] = await owner.private.wait_for(final, within=30)
    return message.text


async def test_every_bad_input_gets_a_clear_answer_and_the_bot_goes_on(
    pool: Pool, feeds: FeedServer, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Hostile() as base, bot(pool) as (_, owner):
        expected = {
            "foo bar": "is not a web address",
            "ftp://example.org/feed": "http",
            f"{base}/page": "feed",
            f"{base}/nothing-here": "404",
            f"{base}/stall": "did not answer",
            f"{base}/endless": "larger than 5 MB",
            f"{base}/bomb": "larger than 5 MB",
            "http://169.254.169.254/": PRIVATE,
            "http://10.0.0.1/feed": PRIVATE,
            "http://[::1]/": PRIVATE,
            "http://metadata.test/": PRIVATE,
            f"{base}/redirect/metadata": PRIVATE,
            f"{base}/redirect/name": PRIVATE,
            f"{base}/redirect/file": "redirects",
            f"{base}/circle": "redirects",
            "http://no-such-host.test/": "no host of this name",
        }
        answers = {text: await answer_to(owner, f"/subscribe {text}") for text in expected}
        for text, words in expected.items():
            assert words in answers[text], (text, answers[text])
        feeds.add("blog", document=rss)
        assert "Done!" in await answer_to(owner, f"/subscribe {feeds.url('blog')}")
        await owner.private.wait_for(lambda message: "blog post 3" in message.text)
    assert "Traceback" not in capsys.readouterr().err


async def test_an_address_mapped_into_ipv6_is_the_address_it_maps(pool: Pool) -> None:
    """127.0.0.1 is permitted in the test above, so this one permits nothing."""
    async with (
        Hostile() as base,
        BotApiServer() as server,
        Fetcher(AddressPolicy.parse(""), resolver=Names()) as fetcher,
        make_services(pool, server, fetcher) as services,
    ):
        owner = server.person("Olga")
        async with application_running(services, server, owner):
            port = base.rpartition(":")[2]
            for host in ("[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "inside.test", "127.1"):
                answer = await answer_to(owner, f"/subscribe http://{host}:{port}/page")
                assert PRIVATE in answer, (host, answer)
