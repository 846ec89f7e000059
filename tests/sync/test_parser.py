"""The parser's child processes: what a hostile feed costs, and whom."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from heraldo_sync.model import Failed, ParsedFeed, Reason
from heraldo_sync.parse import Parser
from heraldo_sync.wire import BadMessage, decode, encode

FEEDS = Path(__file__).parent / "feeds"
URL = "https://example.org/feed"
GOOD = (FEEDS / "rss20.xml").read_bytes()
ITEM = '<rss version="2.0"><channel><item><guid>1</guid>%s</item></channel></rss>'

STALLS = {
    "a 40 KB author": ITEM % f"<author>{'a' * 40_000}</author>",
    "80,000 attributes": ITEM % ("<b " + " ".join(f"a{n}='1'" for n in range(80_000)) + ">"),
    "a million levels": ITEM % ("<b>" * 1_000_000),
}


@pytest.fixture
async def parser() -> AsyncIterator[Parser]:
    async with Parser(workers=1) as parser:
        yield parser


def children() -> list[int]:
    """The process ids of this process's parser children."""
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            is_parser = b"heraldo_sync.parser_process" in (process / "cmdline").read_bytes()
            if parent == os.getpid() and is_parser:
                found.append(int(process.name))
    return found


def environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def ticks(pid: int) -> int:
    """How much processor time a process has used."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


async def test_a_feed(parser: Parser) -> None:
    feed = await parser.parse(GOOD, url=URL, content_type="text/xml")
    assert isinstance(feed, ParsedFeed)
    assert feed.entries[0].title == "List<String> in a recipe"
    assert decode(encode(feed)) == feed


async def test_one_child_reads_feed_after_feed(parser: Parser) -> None:
    for body in (GOOD, b"", b"<html>", GOOD * 3):
        await parser.parse(body, url=URL)
        assert len(children()) == 1
    (before,) = children()
    assert isinstance(await parser.parse(GOOD, url=URL), ParsedFeed)
    assert children() == [before]


async def test_no_child_is_left() -> None:
    async with Parser() as parser:
        async with asyncio.TaskGroup() as group:
            feeds = [group.create_task(parser.parse(GOOD, url=URL)) for _ in range(6)]
        assert len({feed.result() for feed in feeds}) == 1
        assert len(children()) == 2
    assert children() == []


async def test_children_know_no_secrets(parser: Parser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "secret")
    await parser.parse(GOOD, url=URL)
    (child,) = children()
    assert b"TELEGRAM_BOT_TOKEN" not in environment(child)


@pytest.mark.parametrize("name", STALLS)
async def test_a_stall_costs_that_feed_only(name: str) -> None:
    async with Parser(timedelta(seconds=0.5), workers=1) as parser:
        await parser.parse(GOOD, url=URL)
        (stalled,) = children()
        answer = await parser.parse(STALLS[name].encode(), url=URL)
        assert isinstance(answer, Failed)
        assert answer.reason is Reason.PARSE_TIMEOUT
        assert stalled not in children()
        assert isinstance(await parser.parse(GOOD, url=URL), ParsedFeed)


async def test_a_child_that_is_killed_costs_that_feed_only(parser: Parser) -> None:
    await parser.parse(GOOD, url=URL)
    (child,) = children()
    stalling = asyncio.create_task(parser.parse(STALLS["80,000 attributes"].encode(), url=URL))
    # The parser has one child: this waits behind the feed that stalls it.
    waiting = asyncio.create_task(parser.parse(GOOD, url=URL))
    used = ticks(child)
    while ticks(child) < used + 10:
        await asyncio.to_thread(ticks, child)
    os.kill(child, signal.SIGKILL)
    answer = await stalling
    assert isinstance(answer, Failed)
    assert answer.reason is Reason.NOT_A_FEED
    assert isinstance(await waiting, ParsedFeed)


async def test_a_child_that_died_idle_is_replaced(parser: Parser) -> None:
    await parser.parse(GOOD, url=URL)
    (child,) = children()
    os.kill(child, signal.SIGKILL)
    while child in await asyncio.to_thread(children):
        pass
    answers = [await parser.parse(GOOD, url=URL) for _ in range(2)]
    assert isinstance(answers[-1], ParsedFeed)


async def test_a_cancelled_parse_gives_its_child_up(parser: Parser) -> None:
    await parser.parse(GOOD, url=URL)
    (child,) = children()
    parse = asyncio.create_task(parser.parse(STALLS["80,000 attributes"].encode(), url=URL))
    await asyncio.to_thread(ticks, child)
    parse.cancel()
    with pytest.raises(asyncio.CancelledError):
        await parse
    assert isinstance(await parser.parse(GOOD, url=URL), ParsedFeed)


async def test_a_child_that_grew_large_leaves(parser: Parser) -> None:
    await parser.parse(GOOD, url=URL)
    large = ITEM % f"<description>{'x' * 25_000_000}</description>"
    answer = await parser.parse(large.encode(), url=URL)
    assert isinstance(answer, ParsedFeed)
    assert len(answer.entries[0].html) == 200_000
    assert children() == []
    assert isinstance(await parser.parse(GOOD, url=URL), ParsedFeed)


async def test_a_child_ends_when_its_input_does(parser: Parser) -> None:
    """A parent that is killed closes its end of the pipe, and that is all it takes."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "heraldo_sync.parser_process",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await child.communicate(b"")
    assert said == b"\0\0\0\5ready"
    assert child.returncode == 0


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"{}", b"nonsense", b'{"reason": "new"}', b'{"reason": "tls"}', b"\xff"]
)
def test_bad_messages(payload: bytes) -> None:
    with pytest.raises(BadMessage):
        decode(payload)


async def test_a_large_parent_does_not_make_its_children_leave() -> None:
    large = bytearray(b"x") * 300_000_000
    del large
    async with Parser(workers=1) as parser:
        assert isinstance(await parser.parse(GOOD, url=URL), ParsedFeed)
        before = children()
        assert isinstance(await parser.parse(GOOD, url=URL), ParsedFeed)
        assert children() == before
