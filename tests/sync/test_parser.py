"""The parser's child processes: what a hostile feed costs, and whom."""

import asyncio
import os
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from meter import parsers

from heraldo_sync.model import Failed, FeedLink, ParsedFeed, Reason
from heraldo_sync.parse import Allowance, Parser
from heraldo_sync.wire import BadMessage, decode, decode_links, encode, encode_links

FEEDS = Path(__file__).parent / "feeds"
URL = "https://example.org/feed"
GOOD = (FEEDS / "rss20.xml").read_bytes()
ITEM = '<rss version="2.0"><channel><item><guid>1</guid>%s</item></channel></rss>'

AUTHOR = (ITEM % f"<author>{'a' * 40_000}</author>").encode()
ATTRIBUTES = (ITEM % ("<b " + " ".join(f"a{n}='1'" for n in range(80_000)) + "/>")).encode()
ENTITIES = (ITEM % ("<b>&lt;</b>" * 100_000 + "&")).encode()


@pytest.fixture
async def parser() -> AsyncIterator[Parser]:
    async with Parser(workers=1) as parser:
        yield parser


def environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def ticks(pid: int) -> int:
    """How much processor time a process has used."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


def used() -> float:
    """The processor time, in seconds, of the children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


async def test_a_feed(parser: Parser) -> None:
    feed = await parser.parse(GOOD, url=URL, content_type="text/xml")
    assert isinstance(feed, ParsedFeed)
    assert feed.entries[0].title == "List<String> in a recipe"
    assert decode(encode(feed)) == feed


async def test_one_child_reads_feed_after_feed(parser: Parser) -> None:
    for body in (GOOD, b"", b"<html>", GOOD * 3):
        await parser.parse(body, url=URL)
        assert len(parsers()) == 1
    (before,) = parsers()
    assert isinstance(await parser.parse(GOOD, url=URL), ParsedFeed)
    assert parsers() == [before]


async def test_no_child_is_left() -> None:
    async with Parser() as parser:
        async with asyncio.TaskGroup() as group:
            feeds = [group.create_task(parser.parse(GOOD, url=URL)) for _ in range(6)]
        assert len({feed.result() for feed in feeds}) == 1
        assert len(parsers()) == 2
    assert parsers() == []


async def test_children_know_no_secrets(parser: Parser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "secret")
    await parser.parse(GOOD, url=URL)
    (child,) = parsers()
    assert b"TELEGRAM_BOT_TOKEN" not in environment(child)


@pytest.mark.parametrize("body", [AUTHOR, ENTITIES], ids=["author", "entities"])
async def test_a_stall_costs_that_feed_only(body: bytes) -> None:
    """Without the limit these take 6 and 4 seconds of processor time."""
    before = used()
    tight = Allowance(per_megabyte=timedelta())
    async with Parser(allowance=tight, workers=1) as parser:
        await parser.parse(GOOD, url=URL)
        (stalled,) = parsers()
        answer = await parser.parse(body, url=URL)
        assert isinstance(answer, Failed)
        assert answer.reason is Reason.PARSE_TIMEOUT
        assert stalled not in parsers()
        assert isinstance(await parser.parse(GOOD, url=URL), ParsedFeed)
    # The allowance is 0.25 s; two children were started, at 0.15 s each.
    assert used() - before < 2.0


def test_the_default_allowance() -> None:
    assert Allowance().seconds(len(AUTHOR)) < 0.35
    assert Allowance().seconds(5_000_000) < 12


async def test_a_tag_of_80_000_attributes_is_refused_at_once(parser: Parser) -> None:
    await parser.parse(GOOD, url=URL)
    (child,) = parsers()
    before = ticks(child)
    answer = await parser.parse(ATTRIBUTES, url=URL)
    assert isinstance(answer, Failed)
    assert answer.reason is Reason.PARSE_TIMEOUT
    assert parsers() == [child]
    assert (ticks(child) - before) / os.sysconf("SC_CLK_TCK") < 0.5
    assert isinstance(await parser.parse(GOOD, url=URL), ParsedFeed)


async def test_a_child_that_does_not_run_is_replaced_at_the_deadline() -> None:
    async with Parser(timedelta(seconds=0.5), workers=1) as parser:
        await parser.parse(GOOD, url=URL)
        (stopped,) = parsers()
        os.kill(stopped, signal.SIGSTOP)
        answer = await parser.parse(GOOD, url=URL)
        assert isinstance(answer, Failed)
        assert answer.reason is Reason.PARSE_TIMEOUT
        assert stopped not in parsers()
        assert isinstance(await parser.parse(GOOD, url=URL), ParsedFeed)


async def test_a_page_s_feeds(parser: Parser) -> None:
    page = b"<html><link rel=alternate type=application/rss+xml href=/feed title='N&eacute;w'>"
    links = (
        FeedLink(url="https://example.org/feed", title="N\u00e9w", mime="application/rss+xml"),
    )
    assert await parser.links(page, url="https://me:hunter2@example.org/") == links
    assert decode_links(encode_links(links)) == links
    channel = b'"externalChannelId":"UC%s"' % (b"a" * 22)
    found = await parser.links(channel, url="https://www.youtube.com/@somebody")
    assert isinstance(found, tuple)
    assert "channel_id=UC" + "a" * 22 in found[0].url
    assert await parser.links(b"", url=URL) == ()


async def test_a_page_that_takes_too_long_costs_itself_only() -> None:
    page = b"<html>" + b"<a href=/feed>" * 70_000
    allowance = Allowance(base=timedelta(milliseconds=20), per_megabyte=timedelta())
    async with Parser(workers=1, allowance=allowance) as parser:
        failed = await parser.links(page, url=URL)
        assert isinstance(failed, Failed)
        assert failed.reason is Reason.PARSE_TIMEOUT
        assert await parser.links(b"<html>", url=URL) == ()


async def test_the_worst_page_does_not_take_the_event_loop_s_time(parser: Parser) -> None:
    page = b"<html>" + b"<a href=/feed>" * 200_000
    await parser.links(b"", url=URL)
    begun = time.process_time()
    assert len(await links_of(parser, page)) == 1
    assert time.process_time() - begun < 0.1


async def links_of(parser: Parser, page: bytes) -> tuple[FeedLink, ...]:
    links = await parser.links(page, url="https://example.org/")
    assert isinstance(links, tuple)
    return links


async def test_a_child_that_is_killed_costs_that_feed_only(parser: Parser) -> None:
    await parser.parse(GOOD, url=URL)
    (child,) = parsers()
    os.kill(child, signal.SIGSTOP)
    stalling = asyncio.create_task(parser.parse(GOOD, url=URL))
    # The parser has one child: this waits behind the feed that stalls it.
    waiting = asyncio.create_task(parser.parse(GOOD, url=URL))
    await asyncio.to_thread(ticks, child)
    os.kill(child, signal.SIGKILL)
    answer = await stalling
    assert isinstance(answer, Failed)
    assert answer.reason is Reason.NOT_A_FEED
    assert isinstance(await waiting, ParsedFeed)


async def test_a_child_that_died_idle_is_replaced(parser: Parser) -> None:
    await parser.parse(GOOD, url=URL)
    (child,) = parsers()
    os.kill(child, signal.SIGKILL)
    while child in await asyncio.to_thread(parsers):
        pass
    answers = [await parser.parse(GOOD, url=URL) for _ in range(2)]
    assert isinstance(answers[-1], ParsedFeed)


async def test_a_cancelled_parse_gives_its_child_up(parser: Parser) -> None:
    await parser.parse(GOOD, url=URL)
    (child,) = parsers()
    parse = asyncio.create_task(parser.parse(AUTHOR, url=URL))
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
    assert parsers() == []
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
    for read in (decode, decode_links):
        with pytest.raises(BadMessage):
            read(payload)


async def test_a_large_parent_does_not_make_its_children_leave() -> None:
    large = bytearray(b"x") * 300_000_000
    del large
    async with Parser(workers=1) as parser:
        assert isinstance(await parser.parse(GOOD, url=URL), ParsedFeed)
        before = parsers()
        assert isinstance(await parser.parse(GOOD, url=URL), ParsedFeed)
        assert parsers() == before
