"""Which hub a feed has: in headers, in XML, in JSON, and in what hostile feeds say."""

import asyncio
import hmac
import json
import random
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hub import naming
from hypothesis import given
from hypothesis import strategies as st

from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.fetch import Fetcher
from heraldo_sync.hubs import Announcement, announced, link_header
from heraldo_sync.json_feed import parse_json_feed
from heraldo_sync.limits import Limits
from heraldo_sync.model import Failed, Fetched, ParsedFeed, Reason
from heraldo_sync.schedule import MAX_DELIVERED, after_success
from heraldo_sync.signatures import Signature
from heraldo_sync.websub import (
    BETWEEN,
    LEASE,
    Step,
    ask_again_after,
    gap,
    lease_of,
    look_in,
    next_step,
    renew_after,
)
from heraldo_sync.wire import decode, encode
from heraldo_sync.xml_feed import parse_xml_feed

URL = "https://example.org/blog/feed"
HUB = "https://hub.example/"
RNG = random.Random(7)


def of_header(
    *values: str, parsed: ParsedFeed | None = None, url: str = URL
) -> Announcement | None:
    fetched = Fetched(url=url, body=b"", link=link_header(values))
    return announced(fetched, parsed or ParsedFeed(format="rss20"))


@pytest.mark.parametrize(
    "values",
    [
        (f'<{HUB}>; rel="hub"', f'<{URL}>; rel="self"'),
        (f'<{HUB}>; rel=hub, <{URL}>; rel="self"; type="application/rss+xml"',),
        (f"<{URL}>;rel=self,<{HUB}>;rel=hub",),
        (f'<{HUB}>; title="a, <b>; rel=self"; rel="preconnect HUB", <feed>; rel=SELF',),
        (f'<https://example.org/>; rel=next; anchor="#x", <{HUB}>; rel="hub"',),
    ],
)
def test_link_headers(values: tuple[str, ...]) -> None:
    assert of_header(*values) == Announcement(hub=HUB, topic=URL)


@pytest.mark.parametrize(
    "value",
    [
        "",
        '<https://example.org/wp-json/>; rel="https://api.w.org/"',
        '<javascript:alert(1)>; rel="hub"',
        '<https://me:pw@hub.example/>; rel="hub"',
        '<https://hub.example/>; rel="hub"; anchor="https://other.example/"',
        "<" * 9000 + "hub",
        "<https://hub.example/" + ";rel=hub" * 1000,
    ],
)
def test_headers_that_name_no_hub(value: str) -> None:
    assert of_header(value) is None


@given(st.text(max_size=300), st.text(alphabet='<>;,="\\ hubrelsf:/.', max_size=300))
def test_any_header_is_read_or_not(first: str, second: str) -> None:
    of_header(first, second)
    of_header(f"<{first}>; rel=hub", second)


@pytest.mark.parametrize(
    "value", ["<" + "a" * 8000, "<a>" + ";" * 8000, "<a>;" + " " * 8000, "<a>" + '; a="' * 2000]
)
def test_a_hostile_header_costs_nothing(value: str) -> None:
    started = time.process_time()
    of_header(value + "hub")
    assert time.process_time() - started < 0.2


def test_a_document_is_asked_where_headers_are_silent_and_https_goes_first() -> None:
    parsed = ParsedFeed(
        format="rss20", hubs=("http://plain.example/", HUB), topic="https://example.org/self"
    )
    assert of_header(parsed=parsed) == Announcement(hub=HUB, topic="https://example.org/self")
    header = '<https://other.example/>; rel="hub"'
    assert of_header(header, parsed=parsed) == Announcement(
        hub="https://other.example/", topic="https://example.org/self"
    )


def test_a_feed_that_says_no_address_of_its_own_is_known_by_the_one_it_was_read_at() -> None:
    assert of_header(f"<{HUB}>; rel=hub") == Announcement(hub=HUB, topic=URL)


def test_nobody_is_told_of_a_feed_behind_a_password() -> None:
    secret = "https://me:hunter2@example.org/feed"
    assert of_header(f"<{HUB}>; rel=hub", url=secret) is None
    assert of_header(f"<{HUB}>; rel=hub, <{secret}>; rel=self") is None


def test_youtube_s_hub_is_the_one_it_documents() -> None:
    channel = "https://www.youtube.com/feeds/videos.xml?channel_id=UC0123456789abcdefghijkl"
    found = of_header(url=channel)
    assert found is not None
    assert (found.hub, found.topic) == ("https://pubsubhubbub.appspot.com/subscribe", channel)
    assert of_header(url="https://www.youtube.com/feeds/videos.xml?playlist_id=PL1") is None


def test_rss_and_atom_name_their_hubs() -> None:
    body, _ = naming("/hub", "self?a=1&amp;b=2")("blog", [1, 2])
    parsed = parse_xml_feed(body, URL, "application/rss+xml")
    assert parsed is not None
    assert parsed.hubs == ("https://example.org/hub",)
    assert parsed.topic == "https://example.org/blog/self?a=1&b=2"
    atom = (
        b"<feed xmlns='http://www.w3.org/2005/Atom'><title>T</title>"
        b"<link rel='hub' href='https://hub.example'/><link rel='hub' href='ftp://x'/>"
        b"<link rel='self' href='https://example.org/self'/>"
        b"<entry><id>1</id><title>t</title><link rel='hub' href='https://evil.example/'/>"
        b"<link rel='self' href='https://evil.example/'/></entry></feed>"
    )
    parsed = parse_xml_feed(atom, URL, None)
    assert parsed is not None
    assert parsed.hubs == (HUB,)
    assert parsed.topic == "https://example.org/self"
    assert decode(encode(parsed)) == parsed


def test_json_feeds_name_their_hubs() -> None:
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "T",
        "feed_url": "https://example.org/self.json",
        "hubs": [{"type": "rssCloud", "url": "/cloud"}, {"type": "WebSub", "url": HUB}, 5, {}],
        "items": [],
    }
    parsed = parse_json_feed(json.dumps(feed).encode(), URL)
    assert parsed is not None
    assert (parsed.hubs, parsed.topic) == ((HUB,), "https://example.org/self.json")
    feed["hubs"] = "https://hub.example/"
    parsed = parse_json_feed(json.dumps(feed).encode(), URL)
    assert parsed is not None
    assert parsed.hubs == ()


@pytest.mark.parametrize("method", ["sha1", "sha256", "sha384", "sha512"])
def test_signatures(method: str) -> None:
    signed = f"{method}={hmac.new(b'secret', b'body', method).hexdigest()}"

    def matches(header: str | None, secret: str = "secret", body: bytes = b"body") -> bool:
        check = Signature.read(header, secret)
        if check is None:
            return False
        for start in range(len(body)):
            check.update(body[start : start + 1])
        return check.matches()

    assert matches(signed)
    assert matches(f" {method.upper()}={signed.partition('=')[2].upper()} ")
    assert not matches(signed, secret="other")
    assert not matches(signed, body=b"bodY")
    assert not matches(signed, body=b"body.")
    assert not matches(signed[:-1])
    assert not matches(signed[:-2])
    assert not matches("sha1=" + signed.partition("=")[2][:38])
    for header in (None, "", method, f"{method}=", "md5=" + "0" * 32, f"{signed},{signed}"):
        assert not matches(header)


def test_leases_are_kept_within_bounds() -> None:
    assert lease_of("864000") == LEASE
    assert lease_of(None) == lease_of("-1") == lease_of("soon") == lease_of("\u0665") == LEASE
    assert lease_of("0") == timedelta(minutes=1)
    assert lease_of("9" * 500) == timedelta(days=30)
    for _ in range(100):
        assert timedelta(days=7) < renew_after(LEASE, RNG) <= timedelta(days=8)
    assert renew_after(timedelta(minutes=1), RNG) == BETWEEN


def test_a_hub_that_confirms_nothing_is_asked_less_and_less_often() -> None:
    waits = [ask_again_after(tries, random.Random(1)) for tries in range(1, 12)]
    assert waits == sorted(waits)
    assert waits[0] >= 0.75 * BETWEEN
    assert waits[-1] <= timedelta(days=1)
    assert ask_again_after(10**9, RNG) <= timedelta(days=1)


def test_what_is_asked_of_a_hub() -> None:
    assert next_step(wanted=True, standing=True, tries=99) is Step.SUBSCRIBE
    assert next_step(wanted=False, standing=True, tries=0) is Step.UNSUBSCRIBE
    assert next_step(wanted=False, standing=True, tries=5) is Step.REST
    assert next_step(wanted=False, standing=False, tries=0) is Step.REST


def test_looks_because_of_pushes_are_apart_and_more_so_when_they_bring_nothing() -> None:
    seconds = [gap(fruitless).total_seconds() for fruitless in (0, 1, 2, 3, 10**9)]
    assert seconds == [2, 10, 50, 60, 60]
    assert look_in(None, 5) == timedelta()
    assert look_in(timedelta(hours=1), 5) == timedelta()
    assert look_in(timedelta(seconds=4), 1) == timedelta(seconds=6)


def test_a_feed_whose_hub_delivers_is_polled_hourly() -> None:
    minute = timedelta(minutes=1)

    def wait(delivered: timedelta | None, *, quiet: timedelta = timedelta()) -> timedelta:
        return after_success(
            minute, fresh_for=None, ttl=None, rng=RNG, quiet=quiet, delivered=delivered
        )

    assert wait(None) <= minute
    assert MAX_DELIVERED <= wait(timedelta(days=3)) <= 1.1 * MAX_DELIVERED
    assert wait(timedelta(minutes=5)) <= timedelta(minutes=6)
    assert wait(timedelta(seconds=-5)) <= minute
    old = timedelta(days=400)
    assert wait(timedelta(days=3), quiet=old) > timedelta(hours=10)
    slow = after_success(
        minute, fresh_for=None, ttl=None, rng=RNG, delivered=LEASE, longest=timedelta(minutes=10)
    )
    assert slow <= timedelta(minutes=11)


class Forms:
    """Remembers the forms it was sent."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.got: list[tuple[str, dict[str, str]]] = []
        application = web.Application()
        application.router.add_route("*", "/{what}", self.answer)
        self.server = TestServer(application, host="127.0.0.1")

    async def answer(self, request: web.Request) -> web.StreamResponse:
        what = request.match_info["what"]
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.got.append((f"{request.method} {what} {request.content_type}", form))
        match what:
            case "moved":
                return web.Response(status=308, headers={"Location": "/ok"})
            case "circle":
                return web.Response(status=307, headers={"Location": "/circle"})
            case "inside":
                return web.Response(status=307, headers={"Location": "http://10.0.0.1/x"})
            case "found":
                return web.Response(status=302, headers={"Location": "/ok"})
            case "busy":
                return web.Response(status=503, headers={"Retry-After": "90"})
            case "stall":
                await self.over.wait()
                return web.Response(status=202)
            case "endless":
                response = web.StreamResponse(status=202)
                await response.prepare(request)
                await response.write(b"x" * 100_000)
                return response
            case "links":
                return web.Response(
                    body=b"<rss/>",
                    headers=[("Link", "</hub>; rel=hub"), ("Link", "</me>; rel=self")],
                )
            case _:
                return web.Response(status=202)


@pytest.fixture
async def forms() -> AsyncIterator[Forms]:
    forms = Forms()
    async with forms.server:
        yield forms
        forms.over.set()


async def test_forms_are_sent_by_the_guarded_way(forms: Forms) -> None:
    form = {"hub.topic": "https://example.org/a?b=c&d=ü", "hub.mode": "subscribe"}
    async with Fetcher(AddressPolicy.parse("127.0.0.1/32")) as fetcher:

        async def post(what: str) -> int | Failed:
            return await fetcher.post(str(forms.server.make_url(f"/{what}")), form)

        assert await post("ok") == 202
        assert forms.got == [("POST ok application/x-www-form-urlencoded", form)]
        forms.got.clear()
        assert await post("moved") == 202
        assert [what.split()[1] for what, _ in forms.got] == ["moved", "ok"]
        assert forms.got[1][1] == form
        assert await post("endless") == 202
        found, circle, inside, busy = [
            await post(what) for what in ("found", "circle", "inside", "busy")
        ]
    assert isinstance(found, Failed)
    assert found.status == 302
    assert isinstance(circle, Failed)
    assert circle.reason is Reason.REDIRECTS
    assert isinstance(inside, Failed)
    assert inside.reason is Reason.FORBIDDEN_ADDRESS
    assert isinstance(busy, Failed)
    assert busy.retry_after == timedelta(seconds=90)


async def test_a_hub_that_does_not_answer_is_given_up(forms: Forms) -> None:
    limits = Limits(total=timedelta(milliseconds=50))
    async with Fetcher(AddressPolicy.parse("127.0.0.1"), limits=limits) as fetcher:
        answer = await fetcher.post(str(forms.server.make_url("/stall")), {"hub.mode": "subscribe"})
    assert isinstance(answer, Failed)
    assert answer.reason is Reason.TIMEOUT


async def test_a_hub_inside_our_network_is_not_asked(forms: Forms) -> None:
    async with Fetcher(AddressPolicy()) as fetcher:
        answer = await fetcher.post(str(forms.server.make_url("/ok")), {})
    assert isinstance(answer, Failed)
    assert answer.reason is Reason.FORBIDDEN_ADDRESS
    assert forms.got == []


async def test_link_headers_come_with_what_is_fetched(forms: Forms) -> None:
    async with Fetcher(AddressPolicy.parse("127.0.0.1")) as fetcher:
        fetched = await fetcher.fetch(str(forms.server.make_url("/links")))
    assert isinstance(fetched, Fetched)
    found = announced(fetched, ParsedFeed(format="rss20"))
    assert found is not None
    assert found.hub.endswith("/hub")
    assert found.topic.endswith("/me")
