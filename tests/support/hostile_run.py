"""A hostile input on its whole way: fetched, looked at, parsed, stored, read again, shown."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from hostile_case import Case, Offered, Refused, Row, Site, Stored
from meter import Cost, metered

from heraldo.botapi.entities import utf16_length
from heraldo.botapi.htmlmode import parse_html
from heraldo.render import link_only, plain, render
from heraldo_sync.addresses import AddressPolicy, SystemResolver
from heraldo_sync.check import check_feed
from heraldo_sync.errors import InvalidUrl
from heraldo_sync.fetch import Fetcher
from heraldo_sync.model import Entry, Failed, ParsedFeed, Reason
from heraldo_sync.outbox import Outbox
from heraldo_sync.services import SyncServices
from heraldo_sync.subscribing import Choices, Found, look, subscribe
from heraldo_sync.subscriptions import Subscriptions
from heraldo_sync.tls import SessionContext
from heraldo_sync.urls import normalise

GOOD = b"<rss version='2.0'><channel><title>Good</title><item><guid>1</guid></item></channel></rss>"
_LONGEST_MESSAGE = 4096
_LONGEST_REFUSAL = 300
# Embeddings, overrides and isolates, and the controls that no text needs.
_TURNS_AROUND = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\0\a\b\x1b\u200b")


class Names(AbstractResolver):
    """A name server of the test's own; names that it does not know are looked up as ever."""

    def __init__(self, answers: Mapping[str, Sequence[str]]) -> None:
        self._answers = {host: list(addresses) for host, addresses in answers.items()}
        self._others = SystemResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Each look-up of a name takes its next answer."""
        if host not in self._answers:
            return await self._others.resolve(host, port, family)
        left = self._answers[host]
        addresses = [left.pop(0) if len(left) > 1 else left[0]] if left else []
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Closes the system's look-up."""
        await self._others.close()


class Trap:
    """A port of this machine that nobody may connect to, by either family of addresses."""

    def __init__(self) -> None:
        self._sockets = [self._listen(socket.AF_INET, "0.0.0.0", 0)]
        self.port: int = self._sockets[0].getsockname()[1]
        if socket.has_ipv6:
            self._sockets.append(self._listen(socket.AF_INET6, "::", self.port))

    @staticmethod
    def _listen(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
        made = socket.socket(family)
        if family is socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
        made.listen(16)
        made.setblocking(False)
        return made

    @property
    def sprung(self) -> bool:
        """Whether somebody has connected since this was asked last."""
        found = False
        for listening in self._sockets:
            try:
                listening.accept()[0].close()
                found = True
            except BlockingIOError:
                pass
        return found

    async def __aenter__(self) -> "Trap":
        return self

    async def __aexit__(self, *_: object) -> None:
        for listening in self._sockets:
            listening.close()


@asynccontextmanager
async def hostile_site(trap: int) -> AsyncIterator[Site]:
    """The hostile server, as a process of its own."""
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).parent / "hostile_server.py"),
        str(trap),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert server.stdout is not None
    try:
        yield Site(**json.loads(await server.stdout.readline()))
    finally:
        server.kill()
        await server.communicate()


@dataclass(frozen=True, slots=True, kw_only=True)
class Faced:
    """What came of a case: its outcome in the table's words, what is stored, what it cost."""

    outcome: Failed | Choices | Found
    words: str
    rows: Sequence[Row]
    cost: Cost

    @property
    def told(self) -> str:
        """What the person reads, or a few of the posts."""
        if isinstance(self.outcome, Failed):
            return self.outcome.message
        return str([(row["title"][:100], row["link"], row["html"][:100]) for row in self.rows[:3]])


class Bot:
    """What the bot reads feeds with, once for all cases."""

    def __init__(self, services: SyncServices, site: Site, trap: Trap) -> None:
        self.services = services
        self.site = site
        self.trap = trap
        self._tls = SessionContext.for_clients()
        self._subscriptions = Subscriptions(services.pool, services.queue)
        self._chats = 0

    async def face(self, case: Case) -> Faced:
        """Sends the case's address to the bot, and has it store and show what it finds."""
        await self.is_well()
        fetcher = Fetcher(
            AddressPolicy.parse(case.permits),
            limits=case.limits,
            resolver=Names(case.names),
            tls=self._tls,
        )
        self._chats += 1
        target = await self._subscriptions.target(
            chat_id=self._chats, kind="private", title=case.path
        )
        rows: Sequence[Row] = ()
        async with fetcher:
            services = replace(self.services, fetcher=fetcher)
            with metered() as cost:
                outcome = await self._look(services, case)
                if isinstance(outcome, Found):
                    rows = await self._keep(services, target, outcome)
                await self._settle()
        await self.is_well()
        return Faced(outcome=outcome, words=_words(outcome, len(rows)), rows=rows, cost=cost)

    async def _look(self, services: SyncServices, case: Case) -> Failed | Choices | Found:
        try:
            url = normalise(case.at(self.site))
        except InvalidUrl as error:
            return Failed(reason=Reason.INVALID_URL, message=str(error))
        return await look(services, url)

    async def _keep(self, services: SyncServices, target: int, found: Found) -> Sequence[Row]:
        """Stores it, reads it again, and shows its newest post; nothing is new the second time."""
        await subscribe(services, target, found)
        feed_id = await services.pool.fetchval("SELECT id FROM feeds WHERE url = $1", found.url)
        await services.pool.execute(
            "UPDATE feeds SET body_hash = NULL, etag = NULL WHERE id = $1", feed_id
        )
        assert await check_feed(services, feed_id) == 0
        for delivery in await Outbox(services.pool).waiting(target, 10):
            assert isinstance(delivery.content, Entry)
            _show(delivery.content)
        rows = await services.pool.fetch(
            "SELECT * FROM entries WHERE feed_id = $1 ORDER BY id", feed_id
        )
        return [dict(row) for row in rows]

    async def _settle(self) -> None:
        """Returns when the server is rid of us: no conversation goes on behind our back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.site.settled)
        await reader.read()
        writer.close()

    async def is_well(self) -> None:
        """The parser's process reads the next feed, whatever the last one was."""
        answer = await self.services.parser.parse(GOOD, url="https://example.org/")
        assert isinstance(answer, ParsedFeed)


def _show(entry: Entry) -> None:
    """Each form of the message is what Telegram takes."""
    for write in (render, plain, link_only):
        messages = write(entry)
        assert messages
        for message in messages:
            text, _ = parse_html(message)
            assert 0 < utf16_length(text) <= _LONGEST_MESSAGE
            assert not _TURNS_AROUND & set(text)


def _words(outcome: Failed | Choices | Found, stored: int) -> str:
    match outcome:
        case Failed():
            return outcome.reason.value.replace("_", " ")
        case Choices():
            return f"{len(outcome.links)} choices"
        case Found():
            return f"{stored:,} stored"


def is_expected(expect: Refused | Stored | Offered, faced: Faced) -> bool:
    """Whether that came of it."""
    outcome: Any = faced.outcome
    match expect:
        case Refused(reason, words, others):
            return (
                isinstance(outcome, Failed)
                and outcome.reason is reason
                and (words in outcome.message or (others is not None and others in outcome.message))
                and "hunter2" not in outcome.message
                and len(outcome.message) < _LONGEST_REFUSAL
            )
        case Offered(links):
            return isinstance(outcome, Choices) and len(outcome.links) == links
        case Stored(entries, holds):
            return isinstance(outcome, Found) and len(faced.rows) == entries and holds(faced.rows)
