"""Feeds by way of a real SOCKS5 proxy, with the address policy and TLS as without it."""

import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer
from socks_server import SocksServer

from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.fetch import Fetcher
from heraldo_sync.model import Failed, Fetched, Reason
from heraldo_sync.proxy import Proxy
from heraldo_sync.tls import SessionContext

TLS = Path(__file__).parent.parent / "support" / "tls"
SECRET = "hunter2"


class Names(AbstractResolver):
    """Every name is public but inside.test."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = "10.0.0.1" if host == "inside.test" else "93.184.215.14"
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        pass


async def answer(request: web.Request) -> web.Response:
    if request.path == "/moved":
        raise web.HTTPFound("http://inside.test/secret")
    tls = request.transport and request.transport.get_extra_info("ssl_object")
    said = f"by proxy, {tls.session_reused}" if tls else "by proxy"
    return web.Response(text=said, headers={"Connection": "close"})


@pytest.fixture
async def proxy() -> AsyncIterator[SocksServer]:
    """Leads http and https of a.test and b.test to servers here."""
    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "server.pem")
    plain, secure = TestServer(application), TestServer(application, scheme="https")
    await plain.start_server()
    await secure.start_server(ssl=context)
    assert plain.port is not None
    assert secure.port is not None
    async with SocksServer() as server:
        for host in ("a.test", "other.test"):
            server.leads |= {(host, 80): plain.port, (host, 443): secure.port}
        yield server
    await plain.close()
    await secure.close()


def fetcher(url: str) -> Fetcher:
    return Fetcher(
        AddressPolicy(),
        resolver=Names(),
        proxy=Proxy(url=url),
        tls=SessionContext.for_clients(cafile=str(TLS / "ca.pem")),
    )


async def test_a_feed_comes_by_the_proxy(proxy: SocksServer) -> None:
    async with fetcher(proxy.url()) as by:
        found = await by.fetch("http://a.test/feed")
    assert isinstance(found, Fetched), found
    assert found.body == b"by proxy"
    assert proxy.asked == [("a.test", 80)]


async def test_tls_is_the_target_s_and_is_resumed(proxy: SocksServer) -> None:
    async with fetcher(proxy.url()) as by:
        bodies = []
        for _ in range(2):
            found = await by.fetch("https://a.test/feed")
            assert isinstance(found, Fetched), found
            bodies.append(found.body)
        assert bodies == [b"by proxy, False", b"by proxy, True"]
        wrong = await by.fetch("https://other.test/feed")
    assert isinstance(wrong, Failed)
    assert wrong.reason is Reason.TLS


@pytest.mark.parametrize(
    "url", ["http://inside.test/", "http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/"]
)
async def test_what_is_not_permitted_is_not_asked_for(proxy: SocksServer, url: str) -> None:
    async with fetcher(proxy.url()) as by:
        found = await by.fetch(url)
        moved = await by.fetch("http://a.test/moved")
    for refused in (found, moved):
        assert isinstance(refused, Failed)
        assert refused.reason is Reason.FORBIDDEN_ADDRESS
    assert proxy.asked == [("a.test", 80)]


async def test_a_login(proxy: SocksServer) -> None:
    proxy.login = ("me", SECRET)
    async with fetcher(proxy.url(f"me:{SECRET}@")) as by:
        assert isinstance(await by.fetch("http://a.test/feed"), Fetched)
    async with fetcher(proxy.url(f"me:{SECRET}x@")) as by:
        refused = await by.fetch("http://a.test/feed")
    assert proxy.logins == [("me", SECRET), ("me", f"{SECRET}x")]
    assert isinstance(refused, Failed)
    assert "FEED_PROXY" in refused.message
    assert SECRET not in refused.message


async def test_a_server_that_the_proxy_cannot_reach(proxy: SocksServer) -> None:
    async with fetcher(proxy.url()) as by:
        found = await by.fetch("http://nobody.test/feed")
    assert isinstance(found, Failed)
    assert found.reason is Reason.CONNECT
    assert "The server of this address cannot be reached" in found.message


async def test_a_proxy_that_is_down() -> None:
    async with fetcher("socks5://127.0.0.1:1") as by:
        found = await by.fetch("http://a.test/feed")
    assert isinstance(found, Failed)
    assert found.reason is Reason.CONNECT
    assert "FEED_PROXY" in found.message
