"""What several requests to servers that mean harm come to; single ones are in test_hostile.py."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import timedelta

import pytest
from hostile_case import OK, QUICK
from hostile_run import Names

from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.fetch import Fetcher
from heraldo_sync.limits import Limits
from heraldo_sync.model import Failed, Fetched, Reason
from heraldo_sync.steady import MAX_HEADS

LOCAL = AddressPolicy.parse("127.0.0.1")
PAGE = OK + b"Content-Length: 2\r\n\r\nok"
HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Serve = Callable[[Talk], Awaitable[int]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a raw TCP server that reads a request and then talks; returns its port."""
    async with AsyncExitStack() as stack:

        async def start(talk: Talk) -> int:
            talking: set[asyncio.Task[None]] = set()

            async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                with suppress(OSError, EOFError):
                    await reader.readuntil(b"\r\n\r\n")
                    await talk(reader, writer)

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                task = asyncio.create_task(serve_one(reader, writer))
                talking.add(task)
                task.add_done_callback(lambda _task: writer.close())

            async def stop() -> None:
                server.close()
                for task in talking:
                    task.cancel()
                await asyncio.gather(*talking, return_exceptions=True)

            server = await asyncio.start_server(accept, "127.0.0.1", 0)
            stack.push_async_callback(stop)
            port: int = server.sockets[0].getsockname()[1]
            return port

        yield start


def saying(*parts: bytes) -> Talk:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return talk


async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        await writer.drain()


def reason(answer: object) -> Reason:
    assert isinstance(answer, Failed)
    return answer.reason


async def test_a_name_permits_what_it_resolves_to_and_only_for_itself(serve: Serve) -> None:
    port = await serve(saying(PAGE))
    names = Names({"rsshub.lan": ["127.0.0.1"], "evil.example": ["127.0.0.1"]})
    policy = AddressPolicy.parse("rsshub.lan")
    async with Fetcher(policy, limits=QUICK, resolver=names) as fetcher:
        ours = await fetcher.fetch(f"http://rsshub.lan:{port}/")
        evil = await fetcher.fetch(f"http://evil.example:{port}/")
        literal = await fetcher.fetch(f"http://127.0.0.1:{port}/")
    assert isinstance(ours, Fetched)
    assert reason(evil) is reason(literal) is Reason.FORBIDDEN_ADDRESS


async def test_a_permitted_answer_permits_no_later_one(serve: Serve) -> None:
    port = await serve(saying(PAGE))
    answers = []
    for address in ("127.0.0.1", "127.0.0.2"):
        names = Names({"rebind.example": [address]})
        async with Fetcher(LOCAL, limits=QUICK, resolver=names) as fetcher:
            answers.append(await fetcher.fetch(f"http://rebind.example:{port}/"))
    assert isinstance(answers[0], Fetched)
    assert reason(answers[1]) is Reason.FORBIDDEN_ADDRESS


async def test_an_unknown_name() -> None:
    async with Fetcher(LOCAL) as fetcher:
        assert reason(await fetcher.fetch("http://no-such-host.invalid/")) is Reason.DNS


async def test_redirects_share_the_total(serve: Serve) -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.15)
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")

    async with Fetcher(LOCAL, limits=QUICK) as fetcher:
        answer = await fetcher.fetch(f"http://127.0.0.1:{await serve(talk)}/")
    assert reason(answer) is Reason.TIMEOUT


async def test_one_bad_server_leaves_the_fetcher_well(serve: Serve) -> None:
    bad, good = await serve(endless), await serve(saying(PAGE))
    async with Fetcher(LOCAL, limits=QUICK) as fetcher:
        for _ in range(5):
            assert isinstance(await fetcher.fetch(f"http://127.0.0.1:{bad}/"), Failed)
        answer = await fetcher.fetch(f"http://127.0.0.1:{good}/")
    assert isinstance(answer, Fetched)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(("hints", "fits"), [(0, True), (1, True), (19, True), (20, False)])
async def test_so_many_interim_answers(
    serve: Serve, hints: int, fits: bool, together: bool
) -> None:
    assert MAX_HEADS == 20
    parts = [HINT] * hints + [PAGE]
    port = await serve(saying(b"".join(parts)) if together else saying(*parts))
    async with Fetcher(LOCAL) as fetcher:
        answer = await fetcher.fetch(f"http://127.0.0.1:{port}/")
    if fits:
        assert isinstance(answer, Fetched)
        assert answer.body == b"ok"
    else:
        assert reason(answer) is Reason.BAD_RESPONSE


@pytest.mark.parametrize("more", [PAGE, HINT, b"HTTP/1.1 204 No Content\r\n\r\n", b"\r\n", b"x"])
async def test_who_talks_while_nothing_is_asked_is_left(serve: Serve, more: bytes) -> None:
    """The connection had been kept to be used again."""
    goes_on, left = asyncio.Event(), asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(PAGE)
        await goes_on.wait()
        writer.write(more)
        with suppress(OSError):
            assert await reader.read() == b""
        left.set()

    async with Fetcher(LOCAL, limits=Limits(total=timedelta(seconds=20))) as fetcher:
        answer = await fetcher.fetch(f"http://127.0.0.1:{await serve(talk)}/")
        assert isinstance(answer, Fetched)
        goes_on.set()
        # A connection that is kept for use goes after 15 seconds in any case.
        async with asyncio.timeout(10):
            await left.wait()


async def test_a_connection_serves_one_request_after_the_other(serve: Serve) -> None:
    """What gives a connection up must not give up the good ones."""
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for number in range(5):
            body = b"x" * (100_000 * number)
            writer.write(HINT + OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            await reader.readuntil(b"\r\n\r\n")

    port = await serve(talk)
    async with Fetcher(LOCAL) as fetcher:
        for number in range(5):
            answer = await fetcher.fetch(f"http://127.0.0.1:{port}/")
            assert isinstance(answer, Fetched)
            assert len(answer.body) == 100_000 * number
    assert connections == 1
