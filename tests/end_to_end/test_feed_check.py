"""``heraldo feed check``, as a person calls it, without a database."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from heraldo_sync.skip_times import DAYS

BASE = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
FEED = """<?xml version='1.0' encoding='utf-8'?>
<rss version='2.0' xmlns:atom='http://www.w3.org/2005/Atom'><channel>
<title>Señales \x1b[31m</title><link>https://example.org/?token=hunter2</link><ttl>120</ttl>
<atom:link rel='hub' href='https://hub.example/'/>
<item><guid>b</guid><title>Second</title><pubDate>Fri, 02 Jan 2026 00:00:00 GMT</pubDate>
<enclosure url='https://example.org/b.mp3?key=hunter2' type='audio/mpeg' length='1234'/>
<comments>https://example.org/talk</comments></item>
<item><guid>a</guid><title>First</title><pubDate>Thu, 01 Jan 2026 00:00:00 GMT</pubDate></item>
</channel></rss>""".replace("\x1b", "&#x9b;")
ODD = """<rss version='2.0'><channel><title>Odd</title><link>https://o.example/</link>
<item><guid>x</guid><title>One</title></item><item><guid>x</guid><title>Two</title></item>
<item><title>Three</title></item><item><title>Three</title></item>
<item><link>http://www.o.example</link><title>Four</title></item></channel></rss>"""
PAGE = """<html><head><link rel=alternate type=application/rss+xml href=/feed title=Posts>
<link rel=alternate type=application/rss+xml href=/comments title=Comments></head></html>"""


def _in_three_days() -> int:
    return (datetime.now(UTC) + timedelta(days=3)).weekday()


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    text: str
    errors: str


class Site:
    """A server, and the command run against it."""

    def __init__(self, server: TestServer, folder: Path) -> None:
        self._server = server
        self._folder = folder

    def url(self, path: str, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self._server.port}{path}"

    async def check(self, *arguments: str, **settings: str) -> Said:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "heraldo.cli", "feed", "check", *arguments),
            cwd=self._folder,
            env={
                **BASE,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "ALLOW_PRIVATE_ADDRESSES": "127.0.0.1",
                "HERALDO_DATA_DIR": str(self._folder / "data"),
                **settings,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            said, errors = await process.communicate()
        assert not (self._folder / "data").exists()
        return Said(process.returncode or 0, said.decode(), errors.decode())


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async def feed(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") is None and "locked" in request.path:
            return web.Response(status=401)
        return web.Response(text=FEED, content_type="application/rss+xml", headers={"ETag": '"1"'})

    async def odd(request: web.Request) -> web.Response:
        return web.Response(text=ODD, headers={"Cache-Control": "max-age=7200"})

    async def asleep(request: web.Request) -> web.Response:
        # Awake on one day alone, three days from now, so that midnight may pass meanwhile.
        days = [name for day, name in enumerate(DAYS) if day != _in_three_days()]
        skip = "".join(f"<day>{day}</day>" for day in days)
        return web.Response(text=ODD.replace("<item>", f"<skipDays>{skip}</skipDays><item>", 1))

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def busy(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "900"})

    async def moved(request: web.Request) -> web.Response:
        raise web.HTTPMovedPermanently("/feed")

    application = web.Application()
    for path, handler in (
        ("/feed", feed), ("/locked", feed), ("/odd", odd), ("/page", page), ("/busy", busy),
        ("/moved", moved), ("/asleep", asleep),
    ):  # fmt: skip
        application.router.add_get(path, handler)
    server = TestServer(application, host="127.0.0.1")
    async with server:
        yield Site(server, tmp_path)


async def test_a_feed(site: Site) -> None:
    said = await site.check(site.url("/moved"))
    assert said.code == 0, said
    text = said.text
    assert f"{site.url('/moved')} → 301 (moved for good)" in text
    assert f"Request      {site.url('/feed')} → 200" in text
    assert f"Stored as    {site.url('/feed')} (moved for good: this address is kept)" in text
    assert 'ETag: "1"' in text
    assert "Format       rss20," in text
    assert "utf-8 (all of its bytes)" in text
    assert "Next check   in 6" in text  # of the two hours it asks for, one counts
    assert "the feed's own wish (ttl, sy:updatePeriod)" in text
    assert text.index("1. First") < text.index("2. Second")
    assert "1 Jan 2026, 00:00 UTC" in text
    assert " by guid" in text
    assert "b.mp3?key=… (audio/mpeg, 1,234 bytes)" in text
    assert "comments https://example.org/talk" in text
    assert "WebSub hub" in text
    assert "hunter2" not in text
    assert "\x9b" not in text
    assert said.errors == ""


async def test_no_more_entries_than_asked_for(site: Site) -> None:
    said = await site.check(site.url("/feed"), "--entries", "1")
    assert "… 1 before these" in said.text
    assert "2. Second" in said.text
    assert "First" not in said.text


async def test_what_is_odd(site: Site) -> None:
    said = await site.check(site.url("/odd"))
    assert said.code == 0
    for told in (
        "Entries      4,",
        "3 of 5 entries have no guid",
        "1 guids stand on several entries",
        "1 entries are like another one in everything",
        "5 of 5 entries have no date",
        "1 entries link to the feed's own page alone",
        "No ETag and no Last-Modified",
        "by content",
        "no date",
        "in 2 h: the server's Cache-Control or Expires header",
    ):
        assert told in said.text, told


async def test_a_feed_that_wants_its_rest(site: Site) -> None:
    said = await site.check(site.url("/asleep"), SYNC_MAX_INTERVAL_SECONDS="7200")
    assert said.code == 0
    # Of the two days and more that it sleeps the operator's bound leaves two hours.
    assert "Next check   in 2 h: the feed's own wish (skipHours, skipDays)" in said.text
    tomorrow = DAYS[(datetime.now(UTC) + timedelta(days=1)).weekday()].capitalize()
    assert tomorrow in next(line for line in said.text.splitlines() if "Wants rest" in line)


async def test_a_page_with_several_feeds(site: Site) -> None:
    said = await site.check(site.url("/page"))
    assert said.code == 3
    assert f"  {site.url('/feed')}   Posts\n  {site.url('/comments')}   Comments" in said.text


async def test_what_cannot_be_read(site: Site) -> None:
    busy = await site.check(site.url("/busy"))
    assert (busy.code, "Next check   if it is followed, in 15 min" in busy.text) == (1, True)
    assert "Retry-After: 900" in busy.text
    refused = await site.check(site.url("/feed"), ALLOW_PRIVATE_ADDRESSES="")
    assert refused.code == 1
    assert "[forbidden_address]" in refused.text
    wrong = await site.check("gopher://example.org/")
    assert wrong.code == 2
    assert "Traceback" not in wrong.errors


async def test_a_password_is_used_and_not_shown(site: Site) -> None:
    said = await site.check(site.url("/locked", user="me:hunter3@"))
    assert said.code == 0
    assert "hunter3" not in said.text + said.errors
    assert "me:" not in said.text


async def test_private_headers_come_from_a_file_and_are_not_shown(
    site: Site, tmp_path: Path
) -> None:
    headers = tmp_path / "headers"
    headers.write_text("Authorization: Bearer hunter3\n\nUser-Agent: Mine\n")
    said = await site.check(site.url("/locked"), "--headers", str(headers))
    assert said.code == 0
    assert "hunter3" not in said.text + said.errors
    headers.write_text("Authorization: Bearer hunter3\nhunter3\n")
    wrong = await site.check(site.url("/locked"), "--headers", str(headers))
    assert wrong.code == 2
    assert "Line 2 of the headers" in wrong.errors
    assert "hunter3" not in wrong.text + wrong.errors
