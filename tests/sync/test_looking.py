"""From an address to its feed on real servers: known sites, the page's word, the usual places."""

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer
from feed_server import rss

from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.discover import common_places
from heraldo_sync.fetch import Exchange, Fetcher
from heraldo_sync.model import Failed, Reason
from heraldo_sync.parse import Parser
from heraldo_sync.subscribing import Choices, Found, look

PAGE = (b"<!DOCTYPE html><html><body>Hello</body></html>", "text/html")
FEED = rss("blog", [1, 2])


class NoNames(AbstractResolver):
    """No test asks the internet."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise socket.gaierror(socket.EAI_NONAME, "no names here")

    async def close(self) -> None:
        pass


@dataclass(slots=True)
class Site:
    """Answers what it was told to, 404 else; ``asked`` are the paths, in order."""

    fetcher: Fetcher
    parser: Parser
    server: TestServer
    asked: list[str]
    pages: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    rsshub: str | None = None

    def url(self, path: str) -> str:
        return str(self.server.make_url(path))

    async def answer(self, request: web.Request) -> web.Response:
        if request.path in self.status:
            return web.Response(status=self.status[request.path])
        if request.path not in self.pages:
            return web.Response(status=404)
        body, kind = self.pages[request.path]
        return web.Response(body=body, headers={"Content-Type": kind})


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    asked: list[str] = []

    def watch(exchange: Exchange) -> None:
        asked.append("/" + exchange.url.split("/", 3)[3])

    async def answer(request: web.Request) -> web.Response:
        return await made.answer(request)

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    server = TestServer(application, host="127.0.0.1")
    policy = AddressPolicy.parse("127.0.0.1")
    async with (
        server,
        Fetcher(policy, resolver=NoNames(), watch=watch) as fetcher,
        Parser() as parser,
    ):
        made = Site(fetcher, parser, server, asked)
        yield made


async def test_the_usual_places_one_after_the_other(site: Site) -> None:
    site.pages = {"/": PAGE, "/feed": (b"<html>a page</html>", "text/html"), "/feed.xml": FEED,
                  "/index.xml": FEED}  # fmt: skip
    found = await look(site, site.url("/"))
    assert isinstance(found, Found)
    assert found.url == site.url("/feed.xml")
    assert site.asked == ["/", "/feed", "/rss.xml", "/atom.xml", "/feed.xml"]


async def test_beside_the_page_first(site: Site) -> None:
    site.pages = {"/blog/": PAGE, "/blog/feed": FEED, "/feed": FEED}
    found = await look(site, site.url("/blog/"))
    assert isinstance(found, Found)
    assert found.url == site.url("/blog/feed")


async def test_a_page_that_names_its_feed_is_believed(site: Site) -> None:
    link = b"<html><link rel=alternate type=application/rss+xml href=/mine></html>"
    site.pages = {"/": (link, "text/html"), "/mine": FEED, "/feed": FEED}
    found = await look(site, site.url("/"))
    assert isinstance(found, Found)
    assert site.asked == ["/", "/mine"]


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_site_in_trouble_is_asked_no_more(site: Site, status: int) -> None:
    site.pages = {"/": PAGE, "/rss.xml": FEED}
    site.status = {"/feed": status}
    found = await look(site, site.url("/"))
    assert isinstance(found, Failed)
    assert found.reason is Reason.NOT_A_FEED
    assert site.asked == ["/", "/feed"]


async def test_a_site_with_one_page_for_everything_is_asked_once(site: Site) -> None:
    site.pages = dict.fromkeys(["/", "/feed", "/rss.xml"], PAGE)
    assert isinstance(await look(site, site.url("/")), Failed)
    assert site.asked == ["/", "/feed"]


async def test_what_is_no_page_is_not_searched(site: Site) -> None:
    site.pages = {"/data": (b'{"a": 1}', "application/json"), "/feed": FEED}
    assert isinstance(await look(site, site.url("/data")), Failed)
    assert site.asked == ["/data"]


async def test_a_known_site_s_feeds_are_offered_without_asking(site: Site) -> None:
    choices = await look(site, "https://github.com/o/r")
    assert isinstance(choices, Choices)
    assert [link.title for link in choices.links] == ["Releases", "Commits", "Tags"]
    assert site.asked == []


async def test_the_operator_s_rsshub(site: Site) -> None:
    site.rsshub = site.url("/hub")
    site.pages = {"/hub/telegram/channel/somebody": FEED}
    found = await look(site, "https://t.me/somebody")
    assert isinstance(found, Found)
    assert found.url == site.url("/hub/telegram/channel/somebody")
    lost = await look(site, "https://t.me/nobody")
    assert isinstance(lost, Failed)
    assert lost.status == 404


def test_common_places_hold_no_password() -> None:
    assert common_places("https://me:pw@example.org/a/b?c=1")[:3] == (
        "https://example.org/a/feed",
        "https://example.org/a/index.xml",
        "https://example.org/feed",
    )
    assert len(common_places("https://example.org/")) == 6
