"""A hostile input: how a stranger's server talks, what has to come of it, and what it may cost."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from heraldo_sync.limits import Limits
from heraldo_sync.model import Reason

OK = b"HTTP/1.1 200 OK\r\n"
QUICK = Limits(
    connect=timedelta(seconds=0.5),
    read=timedelta(seconds=0.2),
    total=timedelta(seconds=0.5),
)
"""For servers that are never done: what is tested is that a limit holds, not how long it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The ports of the hostile server, all on 127.0.0.1.

    ``plain`` and ``tls`` answer a path as its case says, ``tls`` with a certificate that nobody
    trusts. ``mute`` says nothing, ``early`` talks before it is asked, ``full`` accepts nobody.
    Whoever connects to ``settled`` hears its end when all conversations are over. At ``trap``
    the test itself listens: nobody may ever connect to it.
    """

    plain: int = 0
    tls: int = 0
    mute: int = 0
    early: int = 0
    full: int = 0
    settled: int = 0
    trap: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The server's end of a conversation, after the request's head was read."""

    target: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    site: Site

    async def say(self, *parts: bytes) -> None:
        """Sends, as fast as the client takes it."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def wait(self) -> None:
        """Returns when the client has gone."""
        while await self.reader.read(65_536):
            pass

    async def repeat(self, part: bytes, *, times: int = 1_000_000_000, every: float = 0) -> None:
        """Sends the same again and again, until the client has gone or it was sent so often."""
        for _ in range(times):
            await self.say(part)
            if every:
                await self.pause(every)

    async def pause(self, seconds: float) -> None:
        """Says nothing for a while, unless the client goes."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.wait(), seconds)


Talk = Callable[[Peer], Awaitable[None]]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """The person is told why not; ``words`` are in the message, or else ``others``, if given."""

    reason: Reason
    words: str = ""
    others: str | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A feed was read and stored; ``holds`` is True of its entries, oldest first."""

    entries: int
    holds: Callable[[Sequence[Row]], bool] = lambda rows: True


@dataclass(frozen=True, slots=True)
class Offered:
    """A page's feeds are offered as so many choices."""

    links: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Most:
    """What reading, storing and reading again may cost.

    Seconds of processor time and peak memory in MB: of the bot's process beyond what it had
    before, of the parser's process all in all. Some times what is measured (docs/hostile.md).
    """

    parent_cpu: float = 1.0
    child_cpu: float = 1.0
    parent_mb: float = 50.0
    child_mb: float = 200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row of the table. ``url`` may name the ports of `Site`, and ``{path}``, which leads here.

    ``permits`` is the operator's ALLOW_PRIVATE_ADDRESSES. ``names`` are the answers that a host
    gets from its name server, one after the other.
    """

    name: str
    expect: Refused | Stored | Offered
    talk: Talk | None = None
    url: str = "http://127.0.0.1:{plain}/{path}?token=hunter2"
    permits: str = "127.0.0.1"
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    most: Most = field(default_factory=Most)

    @property
    def path(self) -> str:
        """What of an address leads to this case."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    def at(self, site: Site) -> str:
        """The address that somebody sends to the bot."""
        url = self.url.replace("{path}", self.path)
        for port in ("plain", "tls", "mute", "early", "full", "trap"):
            url = url.replace(f"{{{port}}}", str(getattr(site, port)))
        return url


def saying(*parts: bytes) -> Talk:
    """Sends this and hangs up."""

    async def talk(peer: Peer) -> None:
        await peer.say(*parts)

    return talk


def stalling(*parts: bytes) -> Talk:
    """Sends this and then nothing, for as long as the client stays."""

    async def talk(peer: Peer) -> None:
        await peer.say(*parts)
        await peer.wait()

    return talk


def repeating(start: bytes, part: bytes, *, every: float = 0) -> Talk:
    """Sends a beginning, and then the same for as long as the client stays."""

    async def talk(peer: Peer) -> None:
        await peer.say(start)
        await peer.repeat(part, every=every)

    return talk


def page(make: Callable[[], bytes], kind: str = "application/rss+xml", more: str = "") -> Talk:
    """Answers with a document, which is made when it is asked for. ``more`` are header lines."""

    async def talk(peer: Peer) -> None:
        body = make().replace(b"{trap}", b"%d" % peer.site.trap)
        head = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        await peer.say(OK + head.encode("latin-1"), body)

    return talk


def redirecting(location: str, status: int = 302) -> Talk:
    """Redirects to an address, which may name the trap's port."""

    async def talk(peer: Peer) -> None:
        to = location.replace("{trap}", str(peer.site.trap))
        head = f"HTTP/1.1 {status} Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"
        await peer.say(head.encode("utf-8", "surrogateescape"))

    return talk
