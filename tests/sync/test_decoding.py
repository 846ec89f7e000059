"""Bodies compressed with brotli and zstd, good and bad, over real HTTP."""

import asyncio
import gzip
import sys
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import brotli
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.fetch import Fetcher
from heraldo_sync.limits import Limits
from heraldo_sync.model import Failed, Fetched, NotModified, Reason

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LOCAL = AddressPolicy.parse("127.0.0.1")
TEXT = b"hello " * 1000
BLOCK = bytes(1024 * 1024)
MEGABYTES = 256

Answer = Fetched | NotModified | Failed


@asynccontextmanager
async def serving(encoding: str, body: bytes, size: int) -> AsyncIterator[str]:
    """A server whose one page is sent in pieces of this size; its address."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Encoding": encoding})
        await response.prepare(request)
        for start in range(0, len(body), size):
            await response.write(body[start : start + size])
        return response

    application = web.Application()
    application.router.add_get("/", answer)
    async with TestServer(application) as server:
        yield str(server.make_url("/"))


async def fetched(encoding: str, body: bytes, *, size: int = 100_000) -> Answer:
    async with serving(encoding, body, size) as url, Fetcher(LOCAL) as fetcher:
        return await fetcher.fetch(url)


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("br", brotli.compress(TEXT)),
        ("BR", brotli.compress(TEXT, quality=1)),
        ("zstd", zstd.compress(TEXT)),
        ("zstd", zstd.compress(TEXT[:600]) + zstd.compress(TEXT[600:])),
        ("", zstd.compress(TEXT)),
    ],
    ids=["br", "BR", "zstd", "zstd of two frames", "zstd that nobody told of"],
)
async def test_it_is_undone_however_it_is_cut(encoding: str, body: bytes, size: int) -> None:
    answer = await fetched(encoding, body, size=size)
    assert isinstance(answer, Fetched)
    assert answer.body == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
async def test_few_bytes_that_stand_for_many_are_undone_to_the_end(encoding: str) -> None:
    """No more bytes come that could push out what a step of the decoder has left."""
    text = b"hello " * 500_000
    compress: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "br": brotli.compress,
        "zstd": zstd.compress,
    }
    answer = await fetched(encoding, compress[encoding](text))
    assert isinstance(answer, Fetched)
    assert answer.body == text


async def test_members_and_frames_of_many_steps() -> None:
    parts = [b"a" * 200_000, b"", b"b" * 300_001]
    for encoding, body in (
        ("gzip", b"".join(gzip.compress(part) for part in parts) + bytes(100)),
        ("zstd", b"".join(zstd.compress(part) for part in parts)),
    ):
        answer = await fetched(encoding, body)
        assert isinstance(answer, Fetched)
        assert answer.body == b"".join(parts)


async def test_what_only_says_that_it_is_compressed_is_read_as_it_is() -> None:
    answer = await fetched("zstd", TEXT, size=7)
    assert isinstance(answer, Fetched)
    assert answer.body == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
async def test_nothing_at_all_is_not_cut_off(encoding: str) -> None:
    answer = await fetched(encoding, b"")
    assert isinstance(answer, Fetched)
    assert answer.body == b""


def wide() -> bytes:
    """A frame that wants 128 MB of memory for its window."""
    engine = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    return engine.compress(TEXT) + engine.flush()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("br", b"\xff" * 99),
        ("br", TEXT),
        ("br", brotli.compress(TEXT) + b"more"),
        ("br", brotli.compress(TEXT)[:-1]),
        ("zstd", zstd.compress(TEXT)[:-1]),
        ("zstd", zstd.compress(TEXT) + b"more"),
        ("zstd", b"\x28\xb5\x2f\xfd\xff\xff\xff"),
        ("zstd", zstd.compress(b"") * 99),
        ("zstd", wide()),
        ("br, gzip", brotli.compress(TEXT)),
        ("bzip2", TEXT),
    ],
    ids=[
        "br: nonsense",
        "br: plain",
        "br: more",
        "br: cut off",
        "zstd: cut off",
        "zstd: more",
        "zstd: nonsense",
        "zstd: many frames",
        "zstd: a window of 128 MB",
        "two codings",
        "unknown",
    ],
)
async def test_nonsense_is_a_failure_with_a_reason(encoding: str, body: bytes) -> None:
    answer = await fetched(encoding, body)
    assert isinstance(answer, Failed)
    assert answer.reason is Reason.BAD_RESPONSE


def gzip_bomb() -> bytes:
    engine = zlib.compressobj(1, wbits=31)
    return b"".join(engine.compress(BLOCK) for _ in range(MEGABYTES)) + engine.flush()


def brotli_bomb() -> bytes:
    engine = brotli.Compressor(quality=5)
    return b"".join([*(engine.process(BLOCK) for _ in range(MEGABYTES)), engine.finish()])


def zstd_bomb() -> bytes:
    engine = zstd.ZstdCompressor()
    return b"".join(engine.compress(BLOCK) for _ in range(MEGABYTES)) + engine.flush()


@pytest.mark.parametrize(
    ("encoding", "make"),
    [("gzip", gzip_bomb), ("br", brotli_bomb), ("zstd", zstd_bomb)],
    ids=["gzip", "br", "zstd"],
)
async def test_a_bomb_is_never_inflated(encoding: str, make: Callable[[], bytes]) -> None:
    """A quarter of a gigabyte of zeros, at once: what is held stays near the limit of 5 MB."""
    bomb = make()
    assert len(bomb) < 2_000_000
    tracemalloc.start()
    try:
        answer = await fetched(encoding, bomb, size=len(bomb))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(answer, Failed)
    assert answer.reason is Reason.TOO_LARGE
    assert peak < 20_000_000


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
async def test_the_limit_is_exact(encoding: str) -> None:
    compress: dict[str, Callable[[bytes], bytes]] = {
        "gzip": lambda data: zlib.compress(data, wbits=31),
        "br": brotli.compress,
        "zstd": zstd.compress,
    }
    limits = Limits(body=len(TEXT))

    async def ask(body: bytes) -> Answer:
        async with (
            serving(encoding, compress[encoding](body), 7) as url,
            Fetcher(LOCAL, limits=limits) as fetcher,
        ):
            return await fetcher.fetch(url)

    asking: list[Awaitable[Answer]] = [ask(TEXT), ask(TEXT + b"!")]
    fits, not_quite = await asyncio.gather(*asking)
    assert isinstance(fits, Fetched)
    assert fits.body == TEXT
    assert isinstance(not_quite, Failed)
    assert not_quite.reason is Reason.TOO_LARGE
