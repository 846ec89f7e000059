"""Servers and addresses that mean harm: each costs a `Failed` with a reason, nothing more."""

import asyncio
import gzip
import shutil
import socket
import ssl
import subprocess
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.fetch import Fetcher
from heraldo_sync.limits import Limits
from heraldo_sync.model import Failed, Fetched, Reason

LOCAL = AddressPolicy.parse("127.0.0.1")
QUICK = Limits(
    connect=timedelta(seconds=0.5),
    read=timedelta(seconds=0.2),
    total=timedelta(seconds=0.5),
    body=100_000,
)
OK = b"HTTP/1.1 200 OK\r\n"

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Serve = Callable[..., Awaitable[int]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a raw TCP server that reads a request and then talks; returns its port."""
    async with AsyncExitStack() as stack:

        async def start(
            talk: Talk, tls: ssl.SSLContext | None = None, *, listens: bool = True
        ) -> int:
            talking: set[asyncio.Task[None]] = set()

            async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                with suppress(OSError, EOFError):
                    if listens:
                        await reader.readuntil(b"\r\n\r\n")
                    await talk(reader, writer)
                    writer.close()
                    await writer.wait_closed()

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                task = asyncio.create_task(serve_one(reader, writer))
                talking.add(task)
                task.add_done_callback(lambda _task: writer.transport.abort())

            async def stop() -> None:
                server.close()
                for task in talking:
                    task.cancel()
                await asyncio.gather(*talking, return_exceptions=True)

            server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
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


async def fetch(url: str, limits: Limits = QUICK, policy: AddressPolicy = LOCAL) -> Failed:
    async with Fetcher(policy, limits=limits) as fetcher:
        answer = await fetcher.fetch(url)
    assert isinstance(answer, Failed)
    assert answer.message.endswith((".", "http://", "ALLOW_PRIVATE_ADDRESSES."))
    return answer


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "localhost.",
        "0.0.0.0",
        "0",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "127.1",
        "127.0.0.1.",
        "\uff11\uff12\uff17.0.0.1",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "0xa9fea9fe",
        "192.168.0.1",
        "172.16.0.1",
        "168.63.129.16",
        "224.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[2001::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[ff02::1]",
        "user:secret@127.0.0.1",
    ],
)
async def test_private_addresses(serve: Serve, host: str) -> None:
    port = await serve(saying(OK + b"Content-Length: 6\r\n\r\nsecret"))
    answer = await fetch(f"http://{host}:{port}/", policy=AddressPolicy())
    assert answer.reason is Reason.FORBIDDEN_ADDRESS
    assert answer.message == (
        "The address points to an address inside a private network, which this bot may not open. "
        "If you run this bot, add it to ALLOW_PRIVATE_ADDRESSES."
    )


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/latest/", "http://[::ffff:10.0.0.1]/", "//0x7f.2:1/"]
)
async def test_a_redirect_to_a_private_address(serve: Serve, location: str) -> None:
    head = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    port = await serve(saying(head.encode()))
    answer = await fetch(f"http://127.0.0.1:{port}/")
    assert answer.reason is Reason.FORBIDDEN_ADDRESS


class Names(AbstractResolver):
    """A name server of the test's own: each look-up of a name takes its next answer."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = answers

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        left = self.answers[host.partition(".")[0]]
        addresses = left.pop(0) if len(left) > 1 else left[0]
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0
            )
            for address in addresses
        ]

    async def close(self) -> None:
        self.answers = {}


async def test_names_of_private_addresses() -> None:
    names = Names(metadata=[["169.254.169.254"]], mapped=[["::ffff:127.0.0.1"]], none=[[]])
    async with Fetcher(AddressPolicy(), limits=QUICK, resolver=names) as fetcher:
        metadata = await fetcher.fetch("http://metadata.evil.example/")
        mapped = await fetcher.fetch("http://mapped.evil.example/")
        none = await fetcher.fetch("http://none.example/")
    assert isinstance(metadata, Failed)
    assert metadata.reason is Reason.FORBIDDEN_ADDRESS
    assert isinstance(mapped, Failed)
    assert mapped.reason is Reason.FORBIDDEN_ADDRESS
    assert isinstance(none, Failed)
    assert none.reason is Reason.DNS


async def test_a_name_permits_what_it_resolves_to_and_only_for_itself(serve: Serve) -> None:
    page = saying(OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok")
    port = await serve(page)
    names = Names(rsshub=[["127.0.0.1"]], evil=[["127.0.0.1"]])
    policy = AddressPolicy.parse("rsshub.lan")
    async with Fetcher(policy, limits=QUICK, resolver=names) as fetcher:
        ours = await fetcher.fetch(f"http://rsshub.lan:{port}/")
        evil = await fetcher.fetch(f"http://evil.example:{port}/")
        literal = await fetcher.fetch(f"http://127.0.0.1:{port}/")
    assert isinstance(ours, Fetched)
    for answer in (evil, literal):
        assert isinstance(answer, Failed)
        assert answer.reason is Reason.FORBIDDEN_ADDRESS


async def test_a_name_that_changes_its_answer(serve: Serve) -> None:
    """The permitted first answer is the one connected to; the second look-up is refused."""
    port = await serve(saying(OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok"))
    names = Names(rebind=[["127.0.0.1"], ["127.0.0.2"]], again=[["127.0.0.2"]])
    async with Fetcher(LOCAL, limits=QUICK, resolver=names) as fetcher:
        first = await fetcher.fetch(f"http://rebind.example:{port}/")
    async with Fetcher(LOCAL, limits=QUICK, resolver=names) as fetcher:
        names.answers = {"rebind": [["127.0.0.2"]]}
        second = await fetcher.fetch(f"http://rebind.example:{port}/")
    assert isinstance(first, Fetched)
    assert isinstance(second, Failed)
    assert second.reason is Reason.FORBIDDEN_ADDRESS


async def test_an_unknown_name() -> None:
    answer = await fetch("http://no-such-host.invalid/", Limits(total=timedelta(seconds=20)))
    assert answer.reason is Reason.DNS


async def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        answer = await fetch(f"http://127.0.0.1:{port}/")
    assert answer.reason is Reason.CONNECT


async def test_tls_with_a_server_that_has_none(serve: Serve) -> None:
    port = await serve(saying(OK), listens=False)
    assert (await fetch(f"https://127.0.0.1:{port}/")).reason is Reason.TLS


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    if shutil.which("openssl") is None:
        pytest.skip("makes a certificate with openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", *made],
        check=True,
        capture_output=True,
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    return tls


async def test_a_certificate_that_nobody_signed(serve: Serve, self_signed: ssl.SSLContext) -> None:
    port = await serve(saying(OK), tls=self_signed)
    answer = await fetch(f"https://127.0.0.1:{port}/", Limits())
    assert answer.reason is Reason.TLS
    assert "certificate" in answer.message


async def stall(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await _reader.read()


async def test_a_server_that_never_answers(serve: Serve) -> None:
    answer = await fetch(f"http://127.0.0.1:{await serve(stall)}/")
    assert answer.reason is Reason.TIMEOUT
    assert answer.message.startswith("The server did not answer within 0.2 seconds.")


async def test_a_body_that_stops(serve: Serve) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Content-Length: 100\r\n\r\nhalf")
        await stall(reader, writer)

    assert (await fetch(f"http://127.0.0.1:{await serve(talk)}/")).reason is Reason.TIMEOUT


@pytest.mark.parametrize("start", [OK + b"X: ", OK, OK + b"Content-Length: 9999999\r\n\r\n"])
async def test_a_drip_ends_at_the_total(serve: Serve, start: bytes) -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 0.02)

    limits = Limits(read=timedelta(seconds=5), total=timedelta(seconds=0.4), body=50_000_000)
    answer = await fetch(f"http://127.0.0.1:{await serve(talk)}/", limits)
    assert answer.reason is Reason.TIMEOUT
    assert "within 0.4 seconds" in answer.message


async def test_redirects_share_the_total(serve: Serve) -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.15)
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")

    answer = await fetch(f"http://127.0.0.1:{await serve(talk)}/")
    assert answer.reason is Reason.TIMEOUT


async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        await writer.drain()


async def test_an_endless_body(serve: Serve) -> None:
    answer = await fetch(f"http://127.0.0.1:{await serve(endless)}/", Limits())
    assert answer.reason is Reason.TOO_LARGE
    assert "larger than 5 MB" in answer.message


async def test_a_length_that_is_too_large_is_refused_at_once(serve: Serve) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Content-Length: 209715200\r\n\r\n")
        await stall(reader, writer)

    port = await serve(talk)
    assert (await fetch(f"http://127.0.0.1:{port}/")).reason is Reason.TOO_LARGE


async def test_a_gzip_bomb_is_never_inflated(serve: Serve) -> None:
    """A quarter of a gigabyte of zeros, sent at once: what is held stays near the limit."""
    bomb = gzip.compress(bytes(256 * 1024 * 1024), 1)
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    port = await serve(saying(head + bomb))
    tracemalloc.start()
    try:
        answer = await fetch(f"http://127.0.0.1:{port}/", Limits())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.reason is Reason.TOO_LARGE
    assert peak < 20_000_000


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", Reason.BAD_RESPONSE),
        (b"\x00\xff" * 1000, Reason.BAD_RESPONSE),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Reason.BAD_RESPONSE),
        (b"HTTP/1.1 999999 Huh\r\n\r\n", Reason.BAD_RESPONSE),
        (b"HTTP/1.1 000 \r\n\r\n", None),
        (OK + b"X: " + b"y" * 1_000_000 + b"\r\n\r\n", Reason.BAD_RESPONSE),
        (OK + b"".join(b"X%d: y\r\n" % n for n in range(100_000)), Reason.BAD_RESPONSE),
        (OK + b"Content-Length: 10\r\nContent-Length: 20\r\n\r\n", Reason.BAD_RESPONSE),
        (OK + b"Content-Length: -1\r\n\r\n", Reason.BAD_RESPONSE),
        (OK + b"Content-Length: 10\r\n\r\nshort", Reason.BAD_RESPONSE),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", Reason.BAD_RESPONSE),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc", Reason.BAD_RESPONSE),
        (OK + b"Content-Encoding: br\r\nContent-Length: 3\r\n\r\nabc", Reason.BAD_RESPONSE),
        (OK + b"Content-Encoding: gzip, gzip\r\nContent-Length: 1\r\n\r\na", Reason.BAD_RESPONSE),
        (OK + b"Content-Encoding: \xff\r\nContent-Length: 1\r\n\r\na", Reason.BAD_RESPONSE),
        (
            OK + b"Content-Encoding: gzip\r\nContent-Length: 6\r\n\r\n\x1f\x8b\x08zzz",
            Reason.BAD_RESPONSE,
        ),
        (
            OK + b"Content-Encoding: gzip\r\nContent-Length: 15\r\n\r\n" + gzip.compress(b"x")[:15],
            Reason.BAD_RESPONSE,
        ),
        (
            OK + b"Content-Encoding: deflate\r\nContent-Length: 6\r\n\r\n<rss/>",
            Reason.BAD_RESPONSE,
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 50, Reason.BAD_RESPONSE),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", Reason.HTTP_STATUS),
        (b"HTTP/1.1 301 Moved\r\nLocation: \xff\xfe://\r\nContent-Length: 0\r\n\r\n", None),
        (b"HTTP/1.1 429 Slow\r\nRetry-After: " + b"9" * 4000 + b"\r\n\r\n", Reason.HTTP_STATUS),
    ],
)
async def test_nonsense(serve: Serve, answer: bytes, reason: Reason | None) -> None:
    failed = await fetch(f"http://127.0.0.1:{await serve(saying(answer))}/?token=s3cret")
    assert reason is None or failed.reason is reason
    assert "s3cret" not in failed.message


async def test_many_gzip_members(serve: Serve) -> None:
    body = gzip.compress(b"") * 1000
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    port = await serve(saying(head + body))
    assert (await fetch(f"http://127.0.0.1:{port}/")).reason is Reason.BAD_RESPONSE


async def test_one_bad_server_leaves_the_fetcher_well(serve: Serve) -> None:
    bad = await serve(endless)
    good = await serve(saying(OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok"))
    async with Fetcher(LOCAL, limits=QUICK) as fetcher:
        for _ in range(5):
            assert isinstance(await fetcher.fetch(f"http://127.0.0.1:{bad}/"), Failed)
        answer = await fetcher.fetch(f"http://127.0.0.1:{good}/")
    assert isinstance(answer, Fetched)
