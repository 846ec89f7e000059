"""Files of an entry, links relative to something, and dates in other languages."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldo_sync.documents import read_document
from heraldo_sync.fields import rebased
from heraldo_sync.foreign_dates import foreign_date
from heraldo_sync.model import Enclosure, ParsedEntry, ParsedFeed

URL = "https://baker.example/blog/feed"


def entry(document: str) -> ParsedEntry:
    feed = read_document(document.encode(), URL, None)
    assert isinstance(feed, ParsedFeed)
    return feed.entries[0]


def atom(inside: str, base: str = "") -> ParsedEntry:
    return entry(
        f"<feed xmlns='http://www.w3.org/2005/Atom' {base}><title>t</title>"
        f"<entry><id>tag:1</id><title>x</title>{inside}</entry></feed>"
    )


def rss(inside: str) -> ParsedEntry:
    return entry(
        "<rss version='2.0' xmlns:media='http://search.yahoo.com/mrss/'><channel>"
        f"<item><guid>1</guid>{inside}</item></channel></rss>"
    )


def test_relative_links_in_content_follow_xml_base() -> None:
    text = "&lt;a href='p?a=1&amp;amp;b=2#c'>&lt;img src=\"/i.png\">"
    made = '<a href="{0}p?a=1&amp;b=2#c"><img src="{1}/i.png">'
    link = "<link href='post'/>"
    absolute = atom(
        f"{link}<content type='html'>{text}</content>", "xml:base='https://cdn.example/x/'"
    )
    assert absolute.link == "https://cdn.example/x/post"
    assert absolute.html == made.format("https://cdn.example/x/", "https://cdn.example")
    relative = atom(f"{link}<content type='html'>{text}</content>", "xml:base='/news/'")
    assert relative.link == "https://baker.example/news/post"
    assert relative.html == made.format("https://baker.example/news/", "https://baker.example")
    nested = atom(
        "<content type='xhtml' xml:base='deep/'><div xmlns='http://www.w3.org/1999/xhtml'>"
        "<a href='p'>p</a></div></content>",
        "xml:base='https://cdn.example/x/'",
    )
    assert nested.html == '<a href="https://cdn.example/x/deep/p">p</a>'


def test_content_without_a_base_stays_as_it_is() -> None:
    assert rss("<description>&lt;a href='p'></description>").html == "<a href='p'>"


def test_a_base_that_is_no_page_is_none() -> None:
    bad = atom("<content type='html'>&lt;a href='p'></content>", "xml:base='javascript:x'")
    assert bad.html == "<a href='p'>"


@pytest.mark.parametrize(
    "markup",
    [
        "<a href='https://other.example/'>",
        "<a href='mailto:me@example.org'>",
        "<a href='#note'>",
        "<a href=''>",
        "href='p' is how it is written",
        "<a data-href='p'>",
    ],
)
def test_what_needs_no_base(markup: str) -> None:
    assert rebased(markup, "https://cdn.example/") == markup


@given(st.lists(st.sampled_from(["<a", " href=", "'", '"', ">", "<", "//[", "x", "&quot;", " ",
                                 "=", "\n", "src"]), max_size=40))  # fmt: skip
def test_any_markup_is_taken(parts: list[str]) -> None:
    rebased("".join(parts), "https://cdn.example/a/")


def test_hostile_markup_costs_linear_time() -> None:
    for piece in ("<a href=", "<a ", " href='", "<a href='x' ", "<a" + " " * 9_000):
        rebased((piece * 200_000)[:200_000], "https://cdn.example/")


@pytest.mark.parametrize(
    ("attributes", "mime"),
    [
        ("url='/a.mp3?x=1'", "audio/mpeg"),
        ("url='/a.MP4' type=''", "video/mp4"),
        ("url='/a.bin' type='application/octet-stream'", "application/octet-stream"),
        ("url='/a.m4a' type='application/octet-stream'", "audio/mp4"),
        ("url='/a.mp3' type='audio/x-own'", "audio/x-own"),
        ("url='/a'", None),
    ],
)
def test_what_an_enclosure_is(attributes: str, mime: str | None) -> None:
    (file,) = rss(f"<enclosure {attributes} length='7'/>").enclosures
    assert file == Enclosure(url=file.url, mime=mime, length=7)


def test_media_content_may_tell_only_its_medium() -> None:
    (file,) = rss("<media:content url='/picture?w=1' medium='image'/>").enclosures
    assert file.mime == "image/*"
    (odd,) = rss("<media:content url='/thing' medium='&lt;b>'/>").enclosures
    assert odd.mime is None


def test_an_atom_enclosure_is_no_page() -> None:
    (file,) = atom("<link rel='enclosure' href='e.ogg'/>").enclosures
    assert file.mime == "audio/ogg"


AT = datetime(2018, 9, 24, 22, 42, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Seg, 24 Set 2018 19:42:40 -0300", AT),
        ("lun., 24 sept. 2018 22:42:40 GMT", AT),
        ("24 de septiembre de 2018, 22:42:40", AT),
        ("Mo, 24. September 2018 22:42:40 Z", AT),
        ("Пн, 24 сен 2018 22:42:40 +0000", AT),
        ("24 août 2018 22:42", datetime(2018, 8, 24, 22, 42, tzinfo=UTC)),
        ("24 maj 2018 22:42", datetime(2018, 5, 24, 22, 42, tzinfo=UTC)),
        ("24 мая 2018 22:42", datetime(2018, 5, 24, 22, 42, tzinfo=UTC)),
        ("24 май 2018 22:42", datetime(2018, 5, 24, 22, 42, tzinfo=UTC)),
        ("5 März 2018 22:42", datetime(2018, 3, 5, 22, 42, tzinfo=UTC)),
        ("24 juil. 2018 22:42", datetime(2018, 7, 24, 22, 42, tzinfo=UTC)),
        ("24 jui 2018 22:42", None),
        ("31 fev 2018 22:42", None),
        ("24 set 2018 22:42 +9900", None),
        ("24 set 2018", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_dates_in_other_languages(text: str, moment: datetime | None) -> None:
    assert foreign_date(text) == moment


def test_a_feed_s_date_in_another_language() -> None:
    assert rss("<pubDate>Seg, 24 Set 2018 19:42:40 -0300</pubDate>").published_at == AT
    assert rss("<pubDate>24 Sep 2018 22:42:40 GMT</pubDate>").published_at == AT


@given(st.text(max_size=100))
def test_any_text_is_a_date_or_none(text: str) -> None:
    found = foreign_date(text)
    assert found is None or found.tzinfo is UTC
