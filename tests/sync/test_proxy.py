"""Feeds by way of a real proxy server on this machine."""

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import RawTestServer

from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.fetch import Fetcher
from heraldo_sync.model import Failed, Fetched, Reason
from heraldo_sync.proxy import Proxy

SECRET = "hunter2"


class Names(AbstractResolver):
    """The look-up of a made-up internet; whatever is not in it is on this machine."""

    def __init__(self, names: dict[str, list[str]]) -> None:
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host not in self._names:
            raise socket.gaierror(socket.EAI_NONAME, "no such host")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0,
                          flags=socket.AI_NUMERICHOST)
            for address in self._names[host]
        ]  # fmt: skip

    async def close(self) -> None:
        pass


@dataclass(slots=True)
class Asked:
    """What the proxy was asked for."""

    lines: list[str] = field(default_factory=list)
    authorisations: set[str | None] = field(default_factory=set)


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
async def proxy(asked: Asked) -> AsyncIterator[str]:
    """Answers for every site itself; refuses tunnels."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        asked.lines.append(f"{request.method} {request.raw_path}")
        asked.authorisations.add(request.headers.get("Proxy-Authorization"))
        if request.method == "CONNECT":
            return web.Response(status=403)
        if request.raw_path.endswith("/moved"):
            raise web.HTTPFound("http://inside.example/secret")
        return web.Response(body=b"by proxy", headers={"Content-Type": "text/plain"})

    server = RawTestServer(handle, host="127.0.0.1")
    await server.start_server()
    yield f"http://127.0.0.1:{server.port}"
    await server.close()


NAMES = {
    "public.example": ["93.184.215.14"],
    "inside.example": ["10.0.0.1"],
    "both.example": ["93.184.215.14", "192.168.1.1"],
    "direct.example": ["127.0.0.1"],
}


def fetcher(proxy: str, *, policy: str = "", bypass: str = "") -> Fetcher:
    return Fetcher(
        AddressPolicy.parse(policy),
        resolver=Names(NAMES),
        proxy=Proxy(url=proxy, bypass=AddressPolicy.parse(bypass)),
    )


async def test_a_feed_comes_by_the_proxy(proxy: str, asked: Asked) -> None:
    async with fetcher(proxy) as by:
        answer = await by.fetch("http://public.example/feed?a=1")
    assert isinstance(answer, Fetched)
    assert answer.body == b"by proxy"
    assert answer.url == "http://public.example/feed?a=1"
    assert asked.lines == ["GET http://public.example/feed?a=1"]


async def test_a_hub_is_asked_by_the_proxy_too(proxy: str, asked: Asked) -> None:
    async with fetcher(proxy) as by:
        assert await by.post("http://public.example/hub", {"hub.mode": "subscribe"}) == 200
        inside = await by.post("http://inside.example/hub", {"hub.mode": "subscribe"})
    assert isinstance(inside, Failed)
    assert inside.reason is Reason.FORBIDDEN_ADDRESS
    assert asked.lines == ["POST http://public.example/hub"]


@pytest.mark.parametrize(
    "url",
    [
        "http://inside.example/",
        "http://both.example/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://169.254.169.254/latest",
    ],
)
async def test_what_is_not_permitted_is_not_asked_for(url: str, proxy: str, asked: Asked) -> None:
    async with fetcher(proxy) as by:
        answer = await by.fetch(url)
    assert isinstance(answer, Failed)
    assert answer.reason is Reason.FORBIDDEN_ADDRESS
    assert asked.lines == []


async def test_nor_by_a_redirect(proxy: str, asked: Asked) -> None:
    async with fetcher(proxy) as by:
        answer = await by.fetch("http://public.example/moved")
    assert isinstance(answer, Failed)
    assert answer.reason is Reason.FORBIDDEN_ADDRESS
    assert asked.lines == ["GET http://public.example/moved"]


async def test_the_proxy_s_own_host_is_no_feed_s(proxy: str, asked: Asked) -> None:
    """That the bot may connect to the proxy permits nobody else to."""
    async with fetcher(proxy, bypass="127.0.0.1") as by:
        answer = await by.fetch(f"{proxy}/feed")
    assert isinstance(answer, Failed)
    assert answer.reason is Reason.FORBIDDEN_ADDRESS
    assert asked.lines == []


async def test_a_name_that_nobody_here_knows(proxy: str, asked: Asked) -> None:
    """A name of the proxy's own network would be a way in; the operator may permit it."""
    async with fetcher(proxy) as by:
        answer = await by.fetch("http://intranet.example/")
    assert isinstance(answer, Failed)
    assert answer.reason is Reason.DNS
    async with fetcher(proxy, policy="*.example") as by:
        assert isinstance(await by.fetch("http://intranet.example/"), Fetched)
    assert asked.lines == ["GET http://intranet.example/"]


async def test_what_goes_around_the_proxy(proxy: str, asked: Asked) -> None:
    port = proxy.rpartition(":")[2]
    async with fetcher(proxy, policy="direct.example", bypass="*.other,direct.example") as by:
        answer = await by.fetch(f"http://direct.example:{port}/feed")
    assert isinstance(answer, Fetched)
    assert asked.lines == ["GET /feed"]


async def test_a_tunnel_for_https_and_a_proxy_that_refuses(proxy: str, asked: Asked) -> None:
    named = proxy.replace("http://", f"http://me:{SECRET}@")
    async with fetcher(named) as by:
        answer = await by.fetch("https://public.example/feed")
    assert isinstance(answer, Failed)
    assert answer.reason is Reason.CONNECT
    assert "FEED_PROXY" in answer.message
    assert asked.lines == ["CONNECT public.example:443"]
    assert asked.authorisations == {"Basic bWU6aHVudGVyMg=="}
    assert SECRET not in repr(Proxy(url=named)) + answer.message


async def test_a_proxy_that_is_down() -> None:
    async with fetcher("http://127.0.0.1:1") as by:
        answer = await by.fetch("http://public.example/feed")
    assert isinstance(answer, Failed)
    assert answer.reason is Reason.CONNECT
    assert "proxy" in answer.message


@pytest.mark.parametrize(
    "url",
    [
        "socks4://proxy.lan:1080",
        "socks5://proxy.lan",
        "proxy.lan:3128",
        "http://proxy.lan",
        "https://p.lan:1",
        "",
    ],
)
def test_what_is_no_proxy(url: str) -> None:
    with pytest.raises(ValueError, match="no HTTP or SOCKS5 proxy"):
        Proxy(url=url)
