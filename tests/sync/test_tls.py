"""TLS sessions are used again, by the origin that gave them and by nobody else."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from colmillo.testing import FakeClock
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.fetch import Fetcher
from heraldo_sync.model import Failed, Fetched, Reason
from heraldo_sync.tls import PLACE_SECONDS, SessionContext

# Made for these tests, as are the keys in it; the names are localhost, a.test and b.test.
TLS = Path(__file__).parent.parent / "support" / "tls"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]

Serve = Callable[[ssl.TLSVersion], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server that answers whether the connection's session was resumed, then closes."""
    async with AsyncExitStack() as stack:

        async def start(version: ssl.TLSVersion) -> str:
            async def answer(request: web.Request) -> web.Response:
                assert request.transport is not None
                tls = request.transport.get_extra_info("ssl_object")
                kept = "keep" in request.path
                headers = {} if kept else {"Connection": "close"}
                return web.Response(text=str(tls.session_reused), headers=headers)

            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(TLS / "server.pem")
            context.minimum_version = context.maximum_version = version
            application = web.Application()
            application.router.add_get("/{path:.*}", answer)
            server = TestServer(application, scheme="https")
            await server.start_server(ssl=context)
            stack.push_async_callback(server.close)
            return f"https://localhost:{server.port}"

        yield start


def trusting(limit: int = 9) -> SessionContext:
    return SessionContext.for_clients(cafile=str(TLS / "ca.pem"), limit=limit)


def fetching(tls: SessionContext) -> Fetcher:
    return Fetcher(AddressPolicy.parse("localhost,127.0.0.1"), tls=tls)


async def resumed(fetcher: Fetcher, url: str) -> bool:
    answer = await fetcher.fetch(url)
    assert isinstance(answer, Fetched), answer
    return answer.body == b"True"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_session_is_resumed_after_the_connection_was_closed(
    serve: Serve, version: ssl.TLSVersion
) -> None:
    url = await serve(version)
    tls = trusting()
    async with fetching(tls) as fetcher:
        assert [await resumed(fetcher, url) for _ in range(4)] == [False, True, True, True]
    assert tls.kept == 1


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_connection_that_stays_open_is_used_first(
    serve: Serve, version: ssl.TLSVersion
) -> None:
    url = await serve(version)
    async with fetching(trusting()) as fetcher:
        assert [await resumed(fetcher, f"{url}/keep") for _ in range(3)] == [False] * 3


async def test_a_session_belongs_to_its_origin(serve: Serve) -> None:
    first, second = await serve(VERSIONS[0]), await serve(VERSIONS[0])
    tls = trusting()
    async with fetching(tls) as fetcher:
        assert not await resumed(fetcher, first)
        assert tls.kept == 1
        assert not await resumed(fetcher, second)
        assert tls.kept == 2
        assert await resumed(fetcher, first)
    offered = tls.offered_to("a.test", int(first.rpartition(":")[2]))
    assert offered is None


async def test_no_more_sessions_are_kept_than_allowed(serve: Serve) -> None:
    """Those met first keep their places: in a round of many hosts they are met again first."""
    urls = [await serve(version) for version in VERSIONS]
    tls = trusting(limit=1)
    async with fetching(tls) as fetcher:
        found = [await resumed(fetcher, url) for url in (*urls, *urls, *urls)]
    assert found == [False, False, True, False, True, False]
    assert tls.kept == 1


async def test_a_place_is_free_when_its_origin_was_not_met_for_long(serve: Serve) -> None:
    urls = [await serve(version) for version in VERSIONS]
    clock = FakeClock()
    tls = SessionContext.for_clients(cafile=str(TLS / "ca.pem"), limit=1, clock=clock)
    async with fetching(tls) as fetcher:
        await resumed(fetcher, urls[0])
        await clock.advance(timedelta(seconds=PLACE_SECONDS + 1))
        assert not await resumed(fetcher, urls[1])
        assert await resumed(fetcher, urls[1])
        assert not await resumed(fetcher, urls[0])
    assert tls.kept == 1


async def test_a_certificate_is_still_checked(serve: Serve) -> None:
    url = await serve(VERSIONS[1])
    async with fetching(SessionContext.for_clients()) as fetcher:
        answer = await fetcher.fetch(url)
        assert isinstance(answer, Failed)
        assert answer.reason is Reason.TLS
    async with fetching(trusting()) as fetcher:
        answer = await fetcher.fetch(url.replace("localhost", "127.0.0.1"))
        assert isinstance(answer, Failed)
        assert answer.reason is Reason.TLS


def test_the_context_is_as_careful_as_the_usual_one() -> None:
    ours, usual = SessionContext.for_clients(), ssl.create_default_context()
    for name in ("verify_mode", "check_hostname", "verify_flags", "options", "minimum_version"):
        assert getattr(ours, name) == getattr(usual, name)
    assert ours.cert_store_stats() == usual.cert_store_stats()
