"""Every format, encoding and kind of damage, read from the documents in feeds/."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from heraldo_sync.documents import read_document
from heraldo_sync.model import Enclosure, ParsedEntry, ParsedFeed

FEEDS = Path(__file__).parent / "feeds"
URL = "https://baker.example/blog/feed"


def read(body: bytes, url: str = URL, content_type: str | None = None) -> ParsedFeed:
    feed = read_document(body, url, content_type)
    assert isinstance(feed, ParsedFeed)
    return feed


def read_file(name: str) -> ParsedFeed:
    return read((FEEDS / name).read_bytes())


def test_rss_091() -> None:
    feed = read_file("rss091.xml")
    assert (feed.format, feed.title, feed.link) == (
        "rss091n",
        "Harbour Notes",
        "https://harbour.example/",
    )
    assert not feed.malformed
    assert feed.entries[0] == ParsedEntry(
        link="https://harbour.example/ferry", title="The ferry is late & wet", html="It rained."
    )
    assert len(feed.entries) == 2


def test_rss_092() -> None:
    feed = read_file("rss092.xml")
    assert feed.format == "rss092"
    song = Enclosure(url="https://radio.example/hour.mp3", mime="audio/mpeg", length=6182912)
    assert feed.entries[0] == ParsedEntry(
        html="Only a description: <b>song of the hour</b>.", enclosures=(song,)
    )
    assert feed.entries[1].categories == ("Folk",)


def test_rss_10() -> None:
    feed = read_file("rss10.xml")
    assert (feed.format, feed.ttl) == ("rss10", timedelta(hours=12))
    moment = datetime(2024, 5, 6, 5, 8, 9, tzinfo=UTC)
    assert feed.entries == (
        ParsedEntry(
            guid="https://library.example/book/1",
            link="https://library.example/book/1",
            title="A Field Guide to Fog",
            html="<p>A longer <em>text</em>.</p>",
            author="Ada Nebel",
            published_at=moment,
            updated_at=moment,
            categories=("Weather",),
        ),
    )


def test_rss_20() -> None:
    feed = read_file("rss20.xml")
    assert (feed.format, feed.title, feed.ttl) == (
        "rss20",
        "Bread & Butter",
        timedelta(minutes=90),
    )
    assert feed.link == "https://baker.example/home"
    second, first, undated = feed.entries
    assert second == ParsedEntry(
        guid="post-2",
        link="https://baker.example/blog/posts/2?a=1&b=2",
        title="List<String> in a recipe",
        html='<p>The <a href="oven">long</a> text</p>',
        author="Jo Baker",
        published_at=datetime(2024, 1, 2, 9, tzinfo=UTC),
        enclosures=(
            Enclosure(url="https://baker.example/blog/sound.mp3", mime="audio/mpeg"),
            Enclosure(url="https://cdn.baker.example/p.jpg", mime="image/jpeg", length=2048),
        ),
        categories=("Dough", "Yeast"),
    )
    assert first == ParsedEntry(
        guid="https://baker.example/posts/1",
        link="https://baker.example/posts/1",
        title="Salt & pepper",
        html="1 < 2",
        published_at=datetime(2024, 1, 1, 10, tzinfo=UTC),
    )
    assert undated == ParsedEntry(guid="not-an-address", title="Undated", html="plain")


def test_atom_03() -> None:
    feed = read_file("atom03.xml")
    assert (feed.format, feed.title, feed.link) == (
        "atom03",
        "Old Machines",
        "https://machines.example/",
    )
    assert feed.entries == (
        ParsedEntry(
            guid="tag:machines.example,2003:lathe",
            link="https://machines.example/lathe",
            title="A lathe",
            html="Turns &amp; turns.",
            author="Vera Cog",
            published_at=datetime(2003, 12, 13, 12, 29, 29, tzinfo=UTC),
            updated_at=datetime(2003, 12, 13, 18, 30, 2, tzinfo=UTC),
        ),
    )


def test_atom_10() -> None:
    feed = read_file("atom10.xml")
    assert (feed.format, feed.title, feed.link) == (
        "atom10",
        "Peaks & Valleys",
        "https://peaks.example/blog/",
    )
    assert feed.entries[0] == ParsedEntry(
        guid="urn:peaks:2",
        link="https://peaks.example/blog/second",
        title="Map<K, V>",
        html="<p>Up &amp; <b>down</b></p>",
        author="Ana, Ben",
        published_at=datetime(2024, 2, 29, 22, tzinfo=UTC),
        updated_at=datetime(2024, 3, 1, tzinfo=UTC),
        enclosures=(
            Enclosure(url="https://peaks.example/blog/wind.ogg", mime="audio/ogg", length=77),
        ),
        categories=("Hiking",),
    )
    assert feed.entries[1] == ParsedEntry(
        guid="urn:peaks:1",
        link="https://peaks.example/old/first",
        title="Snow line < 3000",
        html="a &lt; b<br>\nsecond line",
        author="Feed Author",
        published_at=datetime(2024, 1, 1, tzinfo=UTC),
        updated_at=datetime(2024, 1, 1, tzinfo=UTC),
    )


def test_json_feed_10() -> None:
    feed = read_file("feed10.json")
    assert (feed.format, feed.title, feed.malformed) == ("json10", "Tin Cans", False)
    assert feed.entries == (
        ParsedEntry(
            guid="7",
            link="https://cans.example/7",
            html="a &lt; b<br>\nc",
            author="Mo Tin",
            published_at=datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
        ),
    )


def test_json_feed_11() -> None:
    feed = read_file("feed11.json")
    assert (feed.format, feed.link) == ("json11", "https://baker.example/")
    assert feed.entries[0] == ParsedEntry(
        guid="k2",
        link="https://baker.example/blog/k/2",
        title="Box<Kite>",
        html="<p>High</p>",
        author="Iris, Otto",
        published_at=datetime(2024, 6, 1, 10, tzinfo=UTC),
        updated_at=datetime(2024, 6, 2, 10, tzinfo=UTC),
        enclosures=(Enclosure(url="https://kites.example/v.mp4", mime="video/mp4", length=12345),),
        categories=("wind",),
    )
    assert feed.entries[1] == ParsedEntry(
        guid="k1", link="https://elsewhere.example/", html="Only a summary"
    )


RUSSIAN = "Новости дня"


@pytest.mark.parametrize(
    ("encoding", "declared", "content_type"),
    [
        ("utf-8", None, None),
        ("utf-8", None, "text/xml"),
        ("utf-8", "utf-8", "text/html; charset=utf-8"),
        ("utf-8", "windows-1251", None),
        ("utf-8", "utf-8", "application/rss+xml; charset=ISO-8859-1"),
        ("utf-8-sig", "iso-8859-1", None),
        ("windows-1251", "windows-1251", "text/xml"),
        ("windows-1251", "windows-1251", "application/rss+xml"),
        ("windows-1251", None, 'text/xml; charset="windows-1251"'),
        ("koi8-r", "koi8-r", "application/octet-stream"),
        ("koi8-r", "utf-8", "application/xml; charset=KOI8-R"),
        ("utf-16", "utf-16", "application/xml"),
        ("utf-16", None, "application/xml; charset=utf-8"),
        ("utf-16-le", "utf-16", None),
        ("utf-16-be", "utf-16", None),
    ],
)
def test_encodings(encoding: str, declared: str | None, content_type: str | None) -> None:
    declaration = f' encoding="{declared}"' if declared else ""
    text = (
        f'<?xml version="1.0"{declaration}?>\n<rss version="2.0"><channel><title>{RUSSIAN}</title>'
        f"<item><title>{RUSSIAN} – 1</title><guid>1</guid></item></channel></rss>"
    ).replace("–", "-")
    feed = read(text.encode(encoding), content_type=content_type)
    assert feed.title == RUSSIAN
    assert feed.entries[0].title == f"{RUSSIAN} - 1"
    assert not feed.malformed


@pytest.mark.parametrize(
    "declared", ["utf-8", "no-such-charset", "idna", "rot13", "undefined", "\x00", "us-ascii"]
)
def test_latin_1_under_another_name(declared: str) -> None:
    body = (
        f'<?xml version="1.0" encoding="{declared}"?><rss version="2.0"><channel>'
        "<title>Café señor</title></channel></rss>"
    ).encode("latin-1")
    assert read(body).title == "Café señor"


def test_unclosed_elements() -> None:
    feed = read_file("unclosed.xml")
    assert feed.malformed
    assert [entry.title for entry in feed.entries][-1] == "Two"
    assert feed.title == "Torn"


def test_bare_ampersands() -> None:
    feed = read_file("bare_ampersand.xml")
    assert feed.malformed
    assert feed.title == "Nuts & Bolts"
    (entry,) = feed.entries
    assert (entry.title, entry.link, entry.html) == (
        "Q & A",
        "https://nuts.example/?a=1&b=2",
        "x & y",
    )


@pytest.mark.parametrize(
    ("name", "title"), [("junk_before.xml", "Still read"), ("blank_before.xml", "Post")]
)
def test_junk_before_the_document(name: str, title: str) -> None:
    assert [entry.title for entry in read_file(name).entries] == [title]


def test_a_feed_that_moves_keeps_its_ids() -> None:
    """An id that looks like an address in part must not be completed by where the feed is."""
    body = (FEEDS / "rss20.xml").read_bytes()
    here, there = read(body, "https://one.example/a/b"), read(body, "http://two.example/")
    assert [entry.guid for entry in here.entries] == [entry.guid for entry in there.entries]


def test_links_never_hold_the_password_of_a_private_feed() -> None:
    body = (FEEDS / "rss20.xml").read_bytes()
    feed = read(body, "https://me:hunter2@baker.example/blog/feed")
    assert feed == read(body)
    page = read((FEEDS / "feed11.json").read_bytes(), "https://me:hunter2@baker.example/blog/feed")
    assert "hunter2" not in repr(page)
