"""Private headers and validators go to the origin they belong to, whatever redirects say."""

from collections.abc import AsyncIterator

import pytest
from private_site import PrivateSite, basic

from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.fetch import Exchange, Fetcher
from heraldo_sync.model import Failed, Fetched, NotModified, Validators
from heraldo_sync.parse import Parser
from heraldo_sync.private import Private, private_address
from heraldo_sync.subscribing import Choices, Found, look

CANARY = "c4n4ry-s3cr3t"


@pytest.fixture
async def home() -> AsyncIterator[PrivateSite]:
    async with PrivateSite() as site:
        site.join("Cookie", CANARY, "ana")
        yield site


@pytest.fixture
async def abroad() -> AsyncIterator[PrivateSite]:
    """Another origin: only its port is another."""
    async with PrivateSite() as site:
        yield site


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher(AddressPolicy.parse("127.0.0.1")) as fetcher:
        yield fetcher


def cookie(site: PrivateSite, value: str = CANARY) -> Private:
    private = private_address(site.url(), [f"Cookie: {value}", "User-Agent: Mine/1.0"])[1]
    assert private is not None
    return private


async def test_headers_are_sent_and_stand_in_for_ours(home: PrivateSite, fetcher: Fetcher) -> None:
    answer = await fetcher.fetch(home.url(), private=cookie(home))
    assert isinstance(answer, Fetched)
    assert b"ana post 3" in answer.body
    assert (home.seen("Cookie"), home.seen("User-Agent")) == ([CANARY], ["Mine/1.0"])
    await fetcher.fetch(home.url())
    assert home.seen("Cookie") == [CANARY, None]
    assert home.seen("User-Agent")[1] != "Mine/1.0"


async def test_a_redirect_within_the_origin_keeps_them(home: PrivateSite, fetcher: Fetcher) -> None:
    home.moved["/old"] = 301, "/feed"
    answer = await fetcher.fetch(home.url("/old"), private=cookie(home))
    assert isinstance(answer, Fetched)
    assert answer.permanent_url == home.url()
    assert home.seen("Cookie") == [CANARY, CANARY]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_nothing_goes_to_another_origin(
    home: PrivateSite, abroad: PrivateSite, fetcher: Fetcher, status: int
) -> None:
    home.moved["/old"] = status, abroad.url()
    abroad.open_to_all = True
    validators = Validators(etag='"e"', last_modified="then")
    answer = await fetcher.fetch(home.url("/old"), validators, private=cookie(home))
    assert isinstance(answer, Fetched)
    assert (home.seen("Cookie"), home.seen("If-None-Match")) == ([CANARY], ['"e"'])
    assert CANARY not in str(abroad.asked)
    assert "Mine/1.0" not in str(abroad.asked)
    for name in ("Authorization", "If-None-Match", "If-Modified-Since"):
        assert abroad.seen(name) == [None]


async def test_a_way_round_to_the_origin(
    home: PrivateSite, abroad: PrivateSite, fetcher: Fetcher
) -> None:
    home.moved["/old"] = 302, abroad.url("/way")
    abroad.moved["/way"] = 302, home.url()
    answer = await fetcher.fetch(home.url("/old"), private=cookie(home))
    assert isinstance(answer, Fetched)
    assert home.seen("Cookie") == [CANARY, CANARY]
    assert abroad.seen("Cookie") == [None]


async def test_a_redirect_s_own_credentials_are_nobody_s(
    home: PrivateSite, fetcher: Fetcher
) -> None:
    home.open_to_all = True
    home.moved["/old"] = 301, home.url(login=f"x:{CANARY}@")
    answer = await fetcher.fetch(home.url("/old"))
    assert isinstance(answer, Fetched)
    assert (answer.url, answer.permanent_url) == (home.url(), home.url())
    assert home.seen("Authorization") == [None, None]


async def test_headers_for_https_are_not_sent_over_http(
    home: PrivateSite, fetcher: Fetcher
) -> None:
    url = home.url()
    private = private_address(url.replace("http:", "https:"), [f"Cookie: {CANARY}"])[1]
    answer = await fetcher.fetch(url, private=private)
    assert isinstance(answer, Failed)
    assert home.seen("Cookie") == [None]
    assert "https" in answer.message


async def test_validators_go_back_to_where_they_are_from(
    home: PrivateSite, abroad: PrivateSite, fetcher: Fetcher
) -> None:
    home.moved["/old"] = 302, abroad.url()
    abroad.open_to_all = True
    first = await fetcher.fetch(home.url("/old"))
    assert isinstance(first, Fetched)
    assert first.validators == Validators(etag='"public-3"', origin=abroad.url(""))
    for _ in range(2):
        again = await fetcher.fetch(home.url("/old"), first.validators)
        assert again == NotModified(validators=first.validators)
    assert home.seen("If-None-Match") == [None, None, None]
    assert abroad.seen("If-None-Match") == [None, '"public-3"', '"public-3"']


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_names_its_likely_cause(
    home: PrivateSite, abroad: PrivateSite, fetcher: Fetcher, status: int
) -> None:
    home.refusal = abroad.refusal = status
    wrong = await fetcher.fetch(home.url(), private=cookie(home, f"{CANARY}x"))
    home.moved["/old"] = 302, abroad.url()
    away = await fetcher.fetch(home.url("/old"), private=cookie(home))
    assert isinstance(wrong, Failed)
    assert isinstance(away, Failed)
    assert "have expired" in wrong.message
    assert "redirects to another" in away.message
    assert wrong.status == away.status == status
    assert CANARY not in wrong.message + away.message


async def test_the_watch_sees_no_secret(home: PrivateSite) -> None:
    seen: list[Exchange] = []
    async with Fetcher(AddressPolicy.parse("127.0.0.1"), watch=seen.append) as fetcher:
        home.join("Authorization", basic("me", CANARY), "me")
        answer = await fetcher.fetch(home.url(login=f"me:{CANARY}@"))
    assert isinstance(answer, Fetched)
    assert answer.url == home.url()
    assert CANARY not in f"{seen} {answer}"


class Reader:
    """What looking at an address needs."""

    def __init__(self, fetcher: Fetcher, parser: Parser) -> None:
        self.fetcher, self.parser = fetcher, parser
        self.rsshub: str | None = None


@pytest.fixture
async def reader(fetcher: Fetcher) -> AsyncIterator[Reader]:
    async with Parser(workers=1) as parser:
        yield Reader(fetcher, parser)


async def test_a_page_of_the_same_site_leads_to_its_private_feed(
    home: PrivateSite, reader: Reader
) -> None:
    home.pages["/"] = "<link rel=alternate type=application/rss+xml href=/feed>"
    found = await look(reader, home.url("/"), cookie(home))
    assert isinstance(found, Found)
    assert (found.url, found.private) == (home.url(), cookie(home))


async def test_a_feed_on_another_site_is_not_private(
    home: PrivateSite, abroad: PrivateSite, reader: Reader
) -> None:
    abroad.open_to_all = True
    home.pages["/"] = f"<link rel=alternate type=application/rss+xml href={abroad.url()}>"
    found = await look(reader, home.url("/"), cookie(home))
    assert isinstance(found, Found)
    assert (found.url, found.private) == (abroad.url(), None)
    assert abroad.seen("Cookie") == [None]


async def test_no_public_feed_is_read_with_headers_by_a_way_round(
    home: PrivateSite, abroad: PrivateSite, reader: Reader
) -> None:
    abroad.moved["/way"] = 302, home.url()
    home.pages["/"] = f"<link rel=alternate type=application/rss+xml href={abroad.url('/way')}>"
    found = await look(reader, home.url("/"), cookie(home))
    assert isinstance(found, Failed)
    assert home.seen("Cookie") == [CANARY, None]


async def test_a_private_feed_s_new_home_is_a_question(
    home: PrivateSite, abroad: PrivateSite, reader: Reader
) -> None:
    abroad.open_to_all = True
    home.moved["/old"] = 301, abroad.url()
    found = await look(reader, home.url("/old"), cookie(home))
    assert isinstance(found, Found)
    assert (found.url, found.elsewhere) == (home.url("/old"), abroad.url())
    assert found.private == cookie(home)


async def test_choices_hold_no_credentials_of_a_page(home: PrivateSite, reader: Reader) -> None:
    home.pages["/"] = "".join(
        f"<link rel=alternate type=application/rss+xml href=/{name}>" for name in "ab"
    )
    found = await look(reader, home.url("/", login=f"me:{CANARY}@"))
    assert isinstance(found, Choices)
    assert CANARY not in str(found)
