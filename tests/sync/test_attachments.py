"""Files of an entry, links relative to something, and dates in other languages."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from town import Town

from heraldo_sync.documents import read_document
from heraldo_sync.fields import rebased
from heraldo_sync.foreign_dates import foreign_date
from heraldo_sync.model import Enclosure, Entry, ParsedEntry, ParsedFeed
from heraldo_sync.outbox import Outbox
from heraldo_sync.subscribing import Found, look, subscribe
from heraldo_sync.subscriptions import Subscriptions

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


NAMESPACES = (
    "xmlns:media='http://search.yahoo.com/mrss/' xmlns:thr='http://purl.org/syndication/thread/1.0'"
    " xmlns:itunes='http://www.itunes.com/dtds/podcast-1.0.dtd'"
)


def rich(inside: str) -> ParsedEntry:
    return entry(
        f"<rss version='2.0' {NAMESPACES}><channel>"
        f"<item><guid>1</guid>{inside}</item></channel></rss>"
    )


def test_the_picture_of_a_post() -> None:
    episode = "<itunes:image href='/cover.jpg'/>"
    thumbnail = "<media:thumbnail url='javascript:x'/><media:thumbnail url='/small.jpg' width='9'/>"
    assert rich(episode).image == "https://baker.example/cover.jpg"
    assert rich(episode + thumbnail).image == "https://baker.example/small.jpg"
    inside = f"<media:group>{thumbnail}</media:group>"
    assert rich(inside).image == "https://baker.example/small.jpg"
    assert rich("<title>none</title>").image is None


def test_the_page_to_discuss_a_post_on() -> None:
    assert rich("<comments>/talk#c</comments>").comments == "https://baker.example/talk#c"
    assert rich("<comments>7</comments>").comments == "https://baker.example/blog/7"
    assert atom("<link rel='replies' type='text/html' href='/r'/>").comments == (
        "https://baker.example/r"
    )
    replies = "<link rel='replies' type='application/atom+xml' href='/r.atom'/>"
    assert atom(replies).comments is None


@pytest.mark.parametrize(
    ("link", "whole"),
    [
        ("/news#two", "https://baker.example/news#two"),
        ("/app#!/a/b?c=d", "https://baker.example/app#!/a/b?c=d"),
        ("/news#a b&lt;&quot;ñ", "https://baker.example/news#a%20b%3C%22%C3%B1"),
        ("#two", "https://baker.example/blog/feed#two"),
        ("/news#", "https://baker.example/news"),
        ("/news#" + "ñ" * 1_000, "https://baker.example/news"),
    ],
)
def test_a_place_on_a_page_is_part_of_a_post_s_link(link: str, whole: str) -> None:
    assert rich(f"<link>{link}</link>").link == whole


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1:02:03", 3723),
        ("62:03", 3723),
        ("3723", 3723),
        (" 3723.9 ", 3723),
        ("0", None),
        ("1:2:3:4", None),
        ("٣", None),
        ("an hour", None),
        ("9999999", 9999999),
        ("99999999", None),
    ],
)
def test_how_long_an_episode_plays(text: str, seconds: int | None) -> None:
    episode = f"<enclosure url='/a.mp3'/><itunes:duration>{text}</itunes:duration>"
    (file,) = rich(episode).enclosures
    assert file.seconds == seconds
    assert [file.seconds for file in rich(f"{episode}<enclosure url='/b.mp3'/>").enclosures] == [
        None,
        None,
    ]


def test_media_content_s_duration() -> None:
    (film,) = rich("<media:content url='/a.mp4' duration='61'/>").enclosures
    assert film.seconds == 61


def test_json_feed_s_attachments_and_pictures() -> None:
    item = {
        "id": "1",
        "banner_image": "/banner.png",
        "attachments": [
            {"url": "/a.mp3", "title": " The  show ", "duration_in_seconds": 61.5},
            {"url": "/b", "mime_type": "audio/ogg", "duration_in_seconds": True, "title": 5},
        ],
    }
    feed = {"version": "https://jsonfeed.org/version/1.1", "title": "t", "items": [item]}
    read = entry(json.dumps(feed))
    assert read.image == "https://baker.example/banner.png"
    assert read.enclosures == (
        Enclosure(
            url="https://baker.example/a.mp3", mime="audio/mpeg", title="The show", seconds=61
        ),
        Enclosure(url="https://baker.example/b", mime="audio/ogg"),
    )


async def test_all_of_it_is_there_when_the_message_is_written(town: Town) -> None:
    def episode(_name: str, _posts: list[int]) -> tuple[bytes, str]:
        body = (
            f"<rss version='2.0' {NAMESPACES}><channel><title>t</title><item><guid>1</guid>"
            "<title>x</title><enclosure url='https://e.example/a.mp3' length='5'/>"
            "<itunes:duration>61</itunes:duration><itunes:image href='https://e.example/i.png'/>"
            "<comments>https://e.example/talk</comments></item></channel></rss>"
        )
        return body.encode(), "text/xml"

    services = town.services
    target = await Subscriptions(services.pool, services.queue).target(
        chat_id=1, kind="private", title=""
    )
    found = await look(services, town.feeds.add("show", document=episode))
    assert isinstance(found, Found)
    await subscribe(services, target, found)
    (delivery,) = await Outbox(services.pool).waiting(target, 10)
    content = delivery.content
    assert isinstance(content, Entry)
    assert content.image == "https://e.example/i.png"
    assert content.comments == "https://e.example/talk"
    assert content.enclosures == (
        Enclosure(url="https://e.example/a.mp3", mime="audio/mpeg", length=5, seconds=61),
    )


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
