import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from colmillo.testing import FakeClock
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.fetch import Fetcher
from heraldo_sync.limits import Limits
from heraldo_sync.model import Failed, Fetched, NotModified, Reason, Validators

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
LOCAL = AddressPolicy.parse("127.0.0.1")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server that gives every path to the handler; returns its address."""
    async with AsyncExitStack() as stack:

        async def start(handler: Handler) -> str:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", handler)
            server = await stack.enter_async_context(TestServer(app))
            return str(server.make_url("/")).rstrip("/")

        yield start


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher(LOCAL, clock=FakeClock(NOW), limits=Limits(body=100_000)) as fetcher:
        yield fetcher


def answering(status: int = 200, **headers: str) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(
            status=status,
            body=b"<rss/>",
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )

    return handler


async def test_a_page(serve: Serve, fetcher: Fetcher) -> None:
    url = await serve(
        answering(
            ETag='W/"a, b"',
            Last_Modified="yesterday evening",
            Content_Type="text/xml; charset=koi8-r",
            Cache_Control="public, max-age=600",
        )
    )
    assert await fetcher.fetch(url) == Fetched(
        url=f"{url}/",
        body=b"<rss/>",
        content_type="text/xml; charset=koi8-r",
        validators=Validators(etag='W/"a, b"', last_modified="yesterday evening"),
        fresh_for=timedelta(minutes=10),
    )


async def test_what_is_asked(serve: Serve, fetcher: Fetcher) -> None:
    asked: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request)
        response = web.Response(body=b"x")
        response.set_cookie("tracked", "yes")
        return response

    url = await serve(handler)
    await fetcher.fetch(f"{url}/%7Ea%2Fb//c?d=%20&&e=ñ#f")
    await fetcher.fetch(url, Validators(etag='"1"', last_modified="x"))
    first, second = asked
    assert first.raw_path == "/%7Ea%2Fb//c?d=%20&&e=%C3%B1"
    assert first.headers["User-Agent"].startswith("ElHeraldo/0.1")
    assert "application/rss+xml" in first.headers["Accept"]
    assert first.headers["Accept-Encoding"] == "gzip, deflate, br, zstd"
    assert not {"If-None-Match", "If-Modified-Since", "Authorization"} & set(first.headers)
    assert second.headers["If-None-Match"] == '"1"'
    assert second.headers["If-Modified-Since"] == "x"
    assert "Cookie" not in second.headers


async def test_not_modified_keeps_the_validators(serve: Serve, fetcher: Fetcher) -> None:
    url = await serve(answering(304, ETag='"2"', Cache_Control="max-age=60"))
    answer = await fetcher.fetch(url, Validators(etag='"1"', last_modified="x"))
    assert answer == NotModified(
        validators=Validators(etag='"2"', last_modified="x"), fresh_for=timedelta(minutes=1)
    )


async def test_not_modified_without_being_asked(serve: Serve, fetcher: Fetcher) -> None:
    answer = await fetcher.fetch(await serve(answering(304)))
    assert isinstance(answer, Failed)
    assert (answer.reason, answer.status) == (Reason.HTTP_STATUS, 304)


async def test_validators_that_cannot_be_stored_are_dropped(serve: Serve, fetcher: Fetcher) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(
            b"HTTP/1.1 200 OK\r\nETag: \xff\xfe\r\nContent-Type: \x80\r\n"
            b"Last-Modified: " + b"x" * 2000 + b"\r\nContent-Length: 1\r\n\r\nx"
        )
        request.transport.close()
        return web.Response()

    answer = await fetcher.fetch(await serve(handler))
    assert isinstance(answer, Fetched)
    assert answer.validators == Validators()
    assert answer.content_type is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418, 451, 500, 502, 204, 206, 300])
async def test_statuses(serve: Serve, fetcher: Fetcher, status: int) -> None:
    answer = await fetcher.fetch(await serve(answering(status, Retry_After="5")))
    assert isinstance(answer, Failed)
    assert (answer.reason, answer.status) == (Reason.HTTP_STATUS, status)
    assert str(status) in answer.message
    assert answer.retry_after is None


async def test_the_words_for_404(serve: Serve, fetcher: Fetcher) -> None:
    answer = await fetcher.fetch(await serve(answering(404)))
    assert isinstance(answer, Failed)
    assert answer.message == "The server says there is no such page (404). Check the address."


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("120", timedelta(minutes=2)),
        ("0", timedelta()),
        ("999999999999", timedelta(days=1)),
        ("Mon, 06 May 2024 07:18:09 GMT", timedelta(minutes=10)),
        ("Mon, 06 May 2019 07:18:09 GMT", timedelta()),
        ("soon", None),
        ("-5", None),
        ("\u0665", None),
    ],
)
async def test_retry_after(
    serve: Serve, fetcher: Fetcher, status: int, value: str, wait: timedelta | None
) -> None:
    url = await serve(answering(status, Retry_After=value, Date="Mon, 06 May 2024 07:08:09 GMT"))
    answer = await fetcher.fetch(url)
    assert isinstance(answer, Failed)
    assert answer.retry_after == wait


def gzipped(body: bytes) -> bytes:
    # With the time in it, the names of the tests would change from process to process.
    return gzip.compress(body, mtime=0)


def raw_deflated(body: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(body) + engine.flush()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzipped(b"hello " * 1000)),
        ("X-GZIP", gzipped(b"hello " * 1000)),
        ("gzip", gzipped(b"hello " * 400) + gzipped(b"hello " * 600)),
        ("gzip", gzipped(b"hello " * 1000) + b"\0" * 50),
        ("gzip", b"hello " * 1000),
        ("identity", b"hello " * 1000),
        ("", gzipped(b"hello " * 1000)),
        ("deflate", zlib.compress(b"hello " * 1000)),
        ("deflate", raw_deflated(b"hello " * 1000)),
    ],
)
async def test_compression(serve: Serve, fetcher: Fetcher, encoding: str, body: bytes) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Encoding": encoding})
        await response.prepare(request)
        for start in range(0, len(body), 7):
            await response.write(body[start : start + 7])
        return response

    answer = await fetcher.fetch(await serve(handler))
    assert isinstance(answer, Fetched)
    assert answer.body == b"hello " * 1000


@pytest.mark.parametrize("body", [b"", b"x"])
async def test_tiny_bodies(serve: Serve, fetcher: Fetcher, body: bytes) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=body)

    answer = await fetcher.fetch(await serve(handler))
    assert isinstance(answer, Fetched)
    assert answer.body == body


def redirecting(*steps: tuple[int, str]) -> Handler:
    """/0 redirects to the first location, /1 to the second …, anything else is a page."""

    async def handler(request: web.Request) -> web.Response:
        step = request.path[1:]
        if step.isdigit() and int(step) < len(steps):
            status, location = steps[int(step)]
            return web.Response(status=status, headers={"Location": location}, text="moved")
        return web.Response(text=f"{request.path} {request.headers.get('Authorization')}")

    return handler


async def test_a_permanent_move(serve: Serve, fetcher: Fetcher) -> None:
    url = await serve(redirecting((301, "/1"), (308, "feed#part")))
    answer = await fetcher.fetch(f"{url}/0")
    assert isinstance(answer, Fetched)
    assert answer.url == answer.permanent_url == f"{url}/feed"


@pytest.mark.parametrize("status", [302, 303, 307])
async def test_a_move_that_is_permanent_only_in_part(
    serve: Serve, fetcher: Fetcher, status: int
) -> None:
    url = await serve(redirecting((301, "/1"), (status, "/feed")))
    answer = await fetcher.fetch(f"{url}/0")
    assert isinstance(answer, Fetched)
    assert (answer.url, answer.permanent_url) == (f"{url}/feed", None)


async def test_a_location_that_is_not_ascii(serve: Serve, fetcher: Fetcher) -> None:
    url = await serve(redirecting((301, "/a b/ñ")))
    answer = await fetcher.fetch(f"{url}/0")
    assert isinstance(answer, Fetched)
    assert answer.url == f"{url}/a%20b/%C3%B1"


async def test_five_redirects_and_no_more(serve: Serve, fetcher: Fetcher) -> None:
    url = await serve(redirecting(*[(302, f"/{step + 1}") for step in range(6)]))
    assert isinstance(await fetcher.fetch(f"{url}/1"), Fetched)
    answer = await fetcher.fetch(f"{url}/0")
    assert isinstance(answer, Failed)
    assert answer.reason is Reason.REDIRECTS


@pytest.mark.parametrize(
    "location", ["", "ftp://example.org/", "javascript:x", "http://", "https://[", "file:///x"]
)
async def test_redirects_to_nowhere(serve: Serve, fetcher: Fetcher, location: str) -> None:
    answer = await fetcher.fetch(f"{await serve(redirecting((302, location)))}/0")
    assert isinstance(answer, Failed)
    assert (answer.reason, answer.status) == (Reason.REDIRECTS, 302)


async def test_credentials_are_sent_and_stay_with_their_origin(
    serve: Serve, fetcher: Fetcher
) -> None:
    other = await serve(redirecting())
    url = await serve(redirecting((301, "/1"), (301, f"{other}/feed")))
    private = url.replace("http://", "http://me:p%40ss@")
    basic = "Basic bWU6cEBzcw=="

    direct = await fetcher.fetch(f"{private}/feed")
    assert isinstance(direct, Fetched)
    assert direct.body == f"/feed {basic}".encode()

    abroad = await fetcher.fetch(f"{private}/0")
    assert isinstance(abroad, Fetched)
    assert (abroad.body, abroad.url) == (b"/feed None", f"{other}/feed")

    moved = await serve(redirecting((301, "/feed")))
    home = await fetcher.fetch(moved.replace("http://", "http://me:p%40ss@") + "/0")
    assert isinstance(home, Fetched)
    assert home.body == f"/feed {basic}".encode()
    assert home.permanent_url == f"{moved}/feed"


async def test_at_most_two_requests_to_a_host(serve: Serve, fetcher: Fetcher) -> None:
    inside = most = 0
    both, release = asyncio.Event(), asyncio.Event()

    async def handler(_request: web.Request) -> web.Response:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        if inside == 2:
            both.set()
        await release.wait()
        inside -= 1
        return web.Response(text="x")

    url = await serve(handler)
    async with asyncio.TaskGroup() as group:
        fetches = [group.create_task(fetcher.fetch(f"{url}/{n}")) for n in range(6)]
        await both.wait()
        release.set()
    assert all(isinstance(fetch.result(), Fetched) for fetch in fetches)
    assert most == 2


@pytest.mark.parametrize("url", ["foo bar", "", "ftp://example.org/", "https://user:pw@a..b/"])
async def test_no_address(fetcher: Fetcher, url: str) -> None:
    answer = await fetcher.fetch(url)
    assert isinstance(answer, Failed)
    assert answer.reason is Reason.INVALID_URL
    assert "pw" not in answer.message


async def test_cancelling_is_not_an_answer(serve: Serve, fetcher: Fetcher) -> None:
    asked = asyncio.Event()

    async def handler(_request: web.Request) -> web.Response:
        asked.set()
        await asyncio.Event().wait()
        return web.Response()

    url = await serve(handler)
    fetch = asyncio.create_task(fetcher.fetch(url))
    await asked.wait()
    fetch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetch
