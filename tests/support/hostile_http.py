"""Servers that stall, flood, lie about lengths, and send bombs instead of pages."""

import gzip
import zlib
from dataclasses import replace
from datetime import timedelta

from hostile_case import (
    OK,
    QUICK,
    Case,
    Most,
    Peer,
    Refused,
    Stored,
    page,
    repeating,
    saying,
    stalling,
)

from heraldo_sync.limits import Limits
from heraldo_sync.model import Reason

FEED = (
    b"<rss version='2.0'><channel><title>T</title><item><guid>1</guid><title>One</title></item>"
    b"<item><guid>2</guid><title>Two</title></item></channel></rss>"
)
TOO_SLOW = Refused(Reason.TIMEOUT, "did not answer within")
TOO_LARGE = Refused(Reason.TOO_LARGE, "larger than 5 MB")
STRANGE = Refused(Reason.BAD_RESPONSE, "in a way that this bot does not understand")
CUT_OFF = Refused(Reason.BAD_RESPONSE, "broke off before its end")
BAD_PACKING = Refused(Reason.BAD_RESPONSE, "compressed in a way that this bot cannot read")
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BRISK = replace(Limits(), total=timedelta(seconds=10))
DRIP = Limits(read=timedelta(seconds=5), total=timedelta(seconds=0.4))
MEGABYTE = 1_000_000


def packed(body: bytes, encoding: str = "gzip") -> bytes:
    """An answer with an encoded body."""
    head = f"Content-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"
    return OK + head.encode("latin-1") + body


def zeros(megabytes: int, bits: int) -> bytes:
    """So many megabytes of nothing, deflated."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, bits)
    parts = [squeeze.compress(bytes(MEGABYTE)) for _ in range(megabytes)]
    return b"".join([*parts, squeeze.flush()])


async def gzip_bomb(peer: Peer) -> None:
    await peer.say(packed(zeros(256, 31)))


async def deflate_bomb(peer: Peer) -> None:
    await peer.say(packed(zeros(256, 15), "deflate"))


async def nested_bomb(peer: Peer) -> None:
    await peer.say(packed(gzip.compress(zeros(256, 31)), "gzip"))


async def tiny_chunks(peer: Peer) -> None:
    await peer.say(CHUNKED)
    for _ in range(80):
        await peer.say(b"1\r\nx\r\n" * 65_536)
    await peer.wait()


async def talks_on(peer: Peer) -> None:
    """A whole feed and, when it has been read, 64 MB of further answers that nobody asked for."""
    await peer.say(OK + b"Content-Length: %d\r\n\r\n" % len(FEED) + FEED)
    await peer.pause(0.5)
    await peer.repeat(b"HTTP/1.1 204 No Content\r\n\r\n" * 2_400, times=1_000)


async def resets(peer: Peer) -> None:
    await peer.say(OK + b"Content-Length: 100\r\n\r\nhalf")
    peer.writer.transport.abort()


async def closes_its_half(peer: Peer) -> None:
    """Sends FIN in the middle of the body, and keeps listening."""
    await peer.say(OK + b"Content-Length: 100\r\n\r\nhalf")
    peer.writer.write_eof()
    await peer.wait()


def answer(name: str, what: bytes, expect: Refused | Stored, most: Most | None = None) -> Case:
    """A server that says just this and hangs up."""
    return Case(name=name, talk=saying(what), expect=expect, most=most or Most())


STALLS = (
    Case(
        name="a server whose queue is full",
        expect=TOO_SLOW,
        url="http://127.0.0.1:{full}/",
        limits=QUICK,
    ),
    Case(
        name="a server that never answers",
        expect=TOO_SLOW,
        url="http://127.0.0.1:{mute}/",
        limits=QUICK,
    ),
    Case(
        name="a TLS handshake that is never answered",
        expect=TOO_SLOW,
        url="https://127.0.0.1:{mute}/",
        limits=QUICK,
    ),
    Case(
        name="https where there is only http",
        expect=Refused(Reason.TLS, "No secure connection"),
        url="https://127.0.0.1:{early}/",
    ),
    Case(
        name="a certificate that nobody signed",
        expect=Refused(Reason.TLS, "certificate is not valid"),
        url="https://127.0.0.1:{tls}/{path}",
        talk=page(lambda: FEED),
    ),
    Case(
        name="an answer before the question",
        expect=Refused(Reason.NOT_A_FEED, "is not a feed"),
        url="http://127.0.0.1:{early}/",
    ),
    Case(
        name="a status line that drips",
        expect=TOO_SLOW,
        talk=repeating(b"HTTP/1.1 200 O", b"K", every=0.02),
        limits=DRIP,
    ),
    Case(
        name="headers that drip",
        expect=TOO_SLOW,
        talk=repeating(OK, b"X: y\r\n", every=0.02),
        limits=DRIP,
    ),
    Case(
        name="a body that drips",
        expect=TOO_SLOW,
        talk=repeating(OK + b"Content-Length: 4000000\r\n\r\n", b"x", every=0.02),
        limits=DRIP,
    ),
    Case(
        name="a body that stops",
        expect=TOO_SLOW,
        talk=stalling(OK + b"Content-Length: 100\r\n\r\nhalf"),
        limits=QUICK,
    ),
    Case(
        name="chunks that stop",
        expect=TOO_SLOW,
        talk=stalling(CHUNKED + b"5\r\nhello\r\n"),
        limits=QUICK,
    ),
    Case(
        name="a gzip body that stops",
        expect=TOO_SLOW,
        talk=stalling(packed(gzip.compress(FEED, mtime=0))[:-12]),
        limits=QUICK,
    ),
    Case(
        name="a connection half closed in the body",
        expect=CUT_OFF,
        talk=closes_its_half,
    ),
    Case(name="a connection reset in the body", expect=CUT_OFF, talk=resets),
)

FLOODS = (
    Case(
        name="a body that never ends", expect=TOO_LARGE, talk=repeating(OK + b"\r\n", b"x" * 65_536)
    ),
    Case(
        name="chunks that never end",
        expect=TOO_LARGE,
        talk=repeating(CHUNKED, b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
    ),
    Case(
        name="5 MB in chunks of one byte",
        expect=STRANGE,
        talk=tiny_chunks,
    ),
    Case(
        name="a chunk extension that never ends",
        expect=Refused(Reason.TIMEOUT),
        talk=repeating(CHUNKED + b"5;", b"x" * 1_000, every=0.02),
        limits=DRIP,
    ),
    Case(
        name="trailers that never end",
        # Which of the two depends on how much of them came in one piece.
        expect=replace(STRANGE, others=CUT_OFF.words),
        talk=repeating(CHUNKED + b"0\r\n", b"X: y\r\n" * 1_000),
        limits=BRISK,
    ),
    Case(
        name="100 Continue that never ends",
        expect=STRANGE,
        talk=repeating(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2_400),
        limits=BRISK,
    ),
    Case(
        name="103 Early Hints that never end",
        expect=STRANGE,
        talk=repeating(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 1_400),
        limits=BRISK,
    ),
    Case(name="a server that talks on after its answer", expect=Stored(2), talk=talks_on),
    Case(
        name="10,000 headers",
        expect=STRANGE,
        talk=saying(OK, b"".join(b"X-%d: y\r\n" % n for n in range(10_000)), b"\r\n"),
    ),
    Case(
        name="headers that never end",
        expect=STRANGE,
        talk=repeating(OK, b"X: y\r\n" * 10_000),
        limits=BRISK,
    ),
    Case(
        name="a header of 1 MB",
        expect=STRANGE,
        talk=saying(OK, b"X: ", b"y" * MEGABYTE, b"\r\n\r\n"),
    ),
    Case(
        name="a header name of 1 MB",
        expect=STRANGE,
        talk=saying(OK, b"X" * MEGABYTE, b": y\r\n\r\n"),
    ),
    Case(
        name="a status line of 64 KB",
        expect=STRANGE,
        talk=saying(b"HTTP/1.1 200 ", b"O" * 65_536, b"\r\n\r\n"),
    ),
    Case(
        name="a cookie of 1 MB",
        expect=STRANGE,
        talk=saying(OK, b"Set-Cookie: a=", b"b" * MEGABYTE, b"\r\n\r\n"),
    ),
    Case(
        name="100 cookies of 4 KB",
        expect=Stored(2),
        talk=page(
            lambda: FEED, more="".join(f"Set-Cookie: a{n}={'b' * 4_000}\r\n" for n in range(100))
        ),
    ),
    Case(
        name="an ETag of 8 KB and a date of 4 KB",
        expect=Stored(2),
        talk=page(
            lambda: FEED,
            more=f'ETag: "{"e" * 8_000}"\r\nExpires: {"9" * 4_000}\r\nDate: {", " * 2_000}\r\n',
        ),
    ),
    Case(
        name="a length of 200 MB",
        expect=TOO_LARGE,
        talk=stalling(OK + b"Content-Length: 209715200\r\n\r\n"),
    ),
    Case(
        name="a Retry-After of 4,000 digits",
        expect=Refused(Reason.HTTP_STATUS, "asked too often"),
        talk=saying(
            b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\nRetry-After: " + b"9" * 4_000 + b"\r\n\r\n"
        ),
    ),
)

BOMBS = (
    Case(name="a gzip bomb of 256 MB", expect=TOO_LARGE, talk=gzip_bomb),
    Case(name="a deflate bomb of 256 MB", expect=TOO_LARGE, talk=deflate_bomb),
    Case(
        name="a gzip bomb in gzip, told once",
        expect=Refused(Reason.NOT_A_FEED, "is not a feed"),
        talk=nested_bomb,
    ),
    answer(
        "gzip, gzip",
        packed(gzip.compress(gzip.compress(FEED, mtime=0), mtime=0), "gzip, gzip"),
        BAD_PACKING,
    ),
    answer("1,000 gzip members", packed(gzip.compress(b"", mtime=0) * 1_000), BAD_PACKING),
    answer("gzip cut off", packed(gzip.compress(FEED, mtime=0)[:-9]), CUT_OFF),
    answer(
        "gzip with garbage behind it", packed(gzip.compress(FEED, mtime=0) + b"x" * 999), Stored(2)
    ),
    answer("gzip that is none", packed(b"\x1f\x8b\x08zzz"), BAD_PACKING),
    answer(
        "gzip with a wrong checksum",
        packed(gzip.compress(FEED, mtime=0)[:-8] + b"x" * 8),
        BAD_PACKING,
    ),
    answer("gzip said of plain text", packed(FEED), Stored(2)),
    answer("deflate said of plain text", packed(FEED, "deflate"), BAD_PACKING),
    answer("an encoding that is unknown", packed(FEED, "zip"), BAD_PACKING),
    answer("an encoding that is no text", packed(b"a", "\xff"), BAD_PACKING),
)

LIES = (
    answer("nothing at all", b"", CUT_OFF),
    answer("nonsense", b"\x00\xff" * 1_000, STRANGE),
    answer("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n", STRANGE),
    answer("a status of six digits", b"HTTP/1.1 999999 Huh\r\n\r\n", STRANGE),
    answer("a status of 000", b"HTTP/1.1 000 \r\n\r\n", Refused(Reason.HTTP_STATUS)),
    answer(
        "101 Switching Protocols",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        Refused(Reason.HTTP_STATUS, "101"),
    ),
    answer(
        "304 though nothing was asked",
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
        Refused(Reason.HTTP_STATUS, "304"),
    ),
    answer("a NUL in a header", OK + b"X: a\x00b\r\nContent-Length: 1\r\n\r\nx", STRANGE),
    answer("a header without a name", OK + b": a\r\nContent-Length: 1\r\n\r\nx", STRANGE),
    answer("two lengths", OK + b"Content-Length: 10\r\nContent-Length: 20\r\n\r\n", STRANGE),
    answer("a length of -1", OK + b"Content-Length: -1\r\n\r\n", STRANGE),
    answer(
        "a length of 5,000 digits", OK + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n", STRANGE
    ),
    answer("a length short of the body", OK + b"Content-Length: 50\r\n\r\n" + FEED, STRANGE),
    answer("a length beyond the body", OK + b"Content-Length: 10000\r\n\r\n" + FEED, CUT_OFF),
    answer(
        "a length and chunks",
        OK
        + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(FEED)
        + FEED
        + b"\r\n0\r\n\r\n",
        STRANGE,
    ),
    answer("a chunk of no number", CHUNKED + b"zz\r\n", STRANGE),
    answer("a chunk of -1", CHUNKED + b"-1\r\nx\r\n", STRANGE),
    answer("a chunk of 2^64", CHUNKED + b"1" + b"0" * 16 + b"\r\nx", STRANGE),
    answer("a chunk that is cut off", CHUNKED + b"5\r\nabc", CUT_OFF),
    answer("chunks without an end", CHUNKED + b"%x\r\n" % len(FEED) + FEED + b"\r\n", CUT_OFF),
)

CASES = (*STALLS, *FLOODS, *BOMBS, *LIES)
