"""Browser checks, and what big hosts tell everybody for hours: no feed is blamed or lost for it."""

from datetime import UTC, datetime, timedelta

import pytest
from town import Town

from heraldo_sync.failures import bad_status, browser_check
from heraldo_sync.http_hints import rate_limit_reset
from heraldo_sync.model import Failed, Fetched, Reason
from heraldo_sync.site_troubles import (
    about_site,
    comes_and_goes,
    is_browser_check,
    is_browser_check_page,
    longest_wait,
)

NOW = datetime(2026, 5, 6, 7, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("status", "headers", "check"),
    [
        (403, {"cf-mitigated": "challenge"}, True),
        (503, {"cf-mitigated": " Challenge "}, True),
        (429, {"x-vercel-mitigated": "challenge"}, True),
        (202, {"x-amzn-waf-action": "challenge"}, True),
        (405, {"x-amzn-waf-action": "captcha"}, True),
        (403, {"Server": "ddos-guard"}, True),
        (404, {"Server": "ddos-guard"}, False),
        (403, {"Server": "cloudflare"}, False),
        (403, {"x-vercel-mitigated": "deny"}, False),
        (403, {}, False),
    ],
)
def test_a_head_that_says_so(status: int, headers: dict[str, str], check: bool) -> None:
    assert is_browser_check(status, headers) is check


def page(title: str = "", body: str = "") -> bytes:
    return f"<!DOCTYPE html><html><head><title>{title}</title></head>{body}</html>".encode()


@pytest.mark.parametrize(
    "document",
    [
        page("Just a moment..."),
        page("Making sure you&#39;re not a bot!"),
        page("Vercel Security Checkpoint"),
        page("Checking your browser before accessing example.org"),
        page(body="<script>window._cf_chl_opt = {}</script>"),
        b"\n<HTML><script id='anubis_challenge'>",
    ],
)
def test_a_page_that_is_one(document: bytes) -> None:
    assert is_browser_check_page(document)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        page("A moment of rest"),
        # Put into ordinary pages by the same company.
        page("Blog", "<script src='/cdn-cgi/challenge-platform/scripts/jsd/main.js'></script>"),
        page("Blog", "<p>Their page said: Just a moment...</p>"),
        b"<?xml version='1.0'?><rss><channel><title>Just a moment...</title></channel></rss>",
        b"{'title': '<title>Just a moment...</title>'}",
        page("x" * 40_000, "window._cf_chl_opt"),
    ],
)
def test_a_page_that_is_none(document: bytes) -> None:
    assert not is_browser_check_page(document)


def test_hosts_that_use_a_status_in_their_own_way() -> None:
    youtube = bad_status(404, host="www.youtube.com").message
    assert "of every channel, for some hours" in youtube
    assert "Reddit turns away readers without an account (429)" in (
        bad_status(429, host="old.reddit.com").message
    )
    for host in ("notyoutube.com", "youtube.com.example", "example.org", ""):
        assert about_site(host, 404) is None
    assert about_site("www.youtube.com", 410) is None


@pytest.mark.parametrize(
    ("failed", "doubtful", "longest"),
    [
        (bad_status(404), True, 2 * HOUR),
        (bad_status(403), True, 2 * HOUR),
        (bad_status(429), True, None),
        (browser_check(503), True, 2 * HOUR),
        (browser_check(200), True, 2 * HOUR),
        (bad_status(500), False, None),
        (bad_status(401), False, None),
        (bad_status(410), False, None),
        (Failed(reason=Reason.DNS, message=""), False, None),
    ],
)
def test_what_comes_and_goes(failed: Failed, doubtful: bool, longest: timedelta | None) -> None:
    assert comes_and_goes(failed) is doubtful
    assert longest_wait(failed, 52) == longest
    assert longest_wait(failed, 53) is None


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("300", timedelta(seconds=300)),
        ("299.8", timedelta(seconds=299)),
        (str(int(NOW.timestamp()) + 90), timedelta(seconds=90)),
        (str(int(NOW.timestamp()) - 90), timedelta()),
        ("9" * 400, DAY),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_when_a_host_counts_anew(value: str, wait: timedelta | None) -> None:
    assert rate_limit_reset({"X-RateLimit-Reset": value}, NOW) == wait
    assert rate_limit_reset({}, NOW) is None


async def test_a_browser_check_is_told_for_what_it_is(town: Town) -> None:
    def check(_name: str, _posts: list[int]) -> tuple[bytes, str]:
        return page("Just a moment..."), "text/html"

    url = town.feeds.add("page", document=check)
    town.feeds.fail("head", 403, cf_mitigated="challenge")
    for address in (url, town.feeds.url("head")):
        answer = await town.services.fetcher.fetch(address)
        assert isinstance(answer, Failed)
        assert answer.reason is Reason.BROWSER_CHECK
        assert "shows a browser check" in answer.message
    assert isinstance(await town.services.fetcher.fetch(town.feeds.add("blog")), Fetched)


async def test_too_often_without_a_time_to_wait_but_with_a_reset(town: Town) -> None:
    town.feeds.fail("blog", 429, X_RateLimit_Reset="420")
    answer = await town.services.fetcher.fetch(town.feeds.url("blog"))
    assert isinstance(answer, Failed)
    assert answer.retry_after == timedelta(minutes=7)
    town.feeds.fail("blog", 429, X_RateLimit_Reset="420", Retry_After="60")
    answer = await town.services.fetcher.fetch(town.feeds.url("blog"))
    assert isinstance(answer, Failed)
    assert answer.retry_after == timedelta(minutes=1)


@pytest.mark.parametrize(("status", "days"), [(404, 3), (403, 3), (429, 3), (500, 1)])
async def test_subscribers_hear_of_it_when_it_lasts(town: Town, status: int, days: int) -> None:
    ana = await town.chat(1)
    feed_id = await town.follow(ana, town.feeds.add("blog"))
    town.feeds.fail("blog", status)
    await town.check(feed_id)
    for hours in range(6, 24 * days, 6):
        await town.pool.execute("DELETE FROM host_holds")
        await town.check(feed_id, after=6 * HOUR)
        assert await town.sent_to(ana) == ["blog post 3"], hours
    await town.pool.execute("DELETE FROM host_holds")
    await town.check(feed_id, after=6 * HOUR)
    assert await town.sent_to(ana) == ["blog post 3", "failing"]


async def test_a_feed_that_comes_and_goes_is_late_by_hours_and_not_by_a_day(town: Town) -> None:
    feed_id = await town.follow(await town.chat(1), town.feeds.add("blog"))
    town.feeds.fail("blog", 404)
    await town.pool.execute("UPDATE feeds SET failures = 40")
    await town.check(feed_id)
    assert HOUR < await town.next_check(feed_id) <= 2 * HOUR
    await town.pool.execute("UPDATE feeds SET failures = 60")
    await town.check(feed_id)
    assert 17 * HOUR < await town.next_check(feed_id) <= DAY
    town.feeds.fail("blog", 200)
    town.feeds.publish("blog")
    assert await town.check(feed_id) == 1
