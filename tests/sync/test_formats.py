"""Every format, encoding and kind of damage, read from the documents in feeds/."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from heraldo_sync.documents import read_document
from heraldo_sync.model import Enclosure, Failed, ParsedEntry, ParsedFeed, Reason

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


def rss(item: str, channel: str = "") -> ParsedFeed:
    return read(
        f'<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"><channel>{channel}'
        f"<item><guid>1</guid>{item}</item></channel></rss>".encode()
    )


@pytest.mark.parametrize(
    ("date", "moment"),
    [
        ("Tue, 02 Jan 2024 10:00:00 EST", datetime(2024, 1, 2, 15, tzinfo=UTC)),
        ("2024-01-02T10:00:00-03:00", datetime(2024, 1, 2, 13, tzinfo=UTC)),
        ("Tue, 02 Jan 1900 10:00:00 GMT", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("Tue, 02 Jan 9999 10:00:00 GMT", None),
        ("Tue, 32 Jan 2024 10:00:00 GMT", None),
        ("0000-00-00 00:00:00", None),
        ("yesterday", None),
        ("9" * 5000, None),
        ("", None),
    ],
)
def test_dates(date: str, moment: datetime | None) -> None:
    assert rss(f"<pubDate>{date}</pubDate>").entries[0].published_at == moment


@pytest.mark.parametrize("link", ["javascript:alert(1)", "magnet:?xt=1", "", "http://", "x" * 9000])
def test_links_that_are_none(link: str) -> None:
    assert rss(f"<link>{link}</link>").entries[0].link is None


@pytest.mark.parametrize(
    ("ttl", "time"),
    [("60", timedelta(hours=1)), ("0", None), ("-5", None), ("x", None), ("9" * 400, None)],
)
def test_ttl(ttl: str, time: timedelta | None) -> None:
    assert rss("", f"<ttl>{ttl}</ttl>").ttl == time


@pytest.mark.parametrize("levels", [2, 3, 5, 8, 12])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_entities_do_not_grow(levels: int, encoding: str) -> None:
    laughs = '<!ENTITY l0 "ha">'
    for n in range(1, levels):
        laughs += f'<!ENTITY l{n} "' + f"&l{n - 1};" * 10 + '">'
    body = (
        f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE rss [{laughs}'
        '<!ENTITY f SYSTEM "file:///etc/passwd"><!ENTITY % p "<!ENTITY q \'hahaha\'>">%p;]>'
        f'<rss version="2.0"><channel><title>&l{levels - 1}; &f; &q;</title>'
        f"<item><guid>1</guid><title>&l{levels - 1};</title></item></channel></rss>"
    )
    feed = read(body.encode(encoding))
    assert "haha" not in repr(feed)
    assert "root:" not in repr(feed)
    assert len(feed.entries) == 1


def test_entities_of_a_few_characters_stay() -> None:
    body = (
        '<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY eacute "&#233;"> <!ENTITY site \'Café X\'>]>'
        "<rss version='2.0'><channel><title>&eacute; &site;</title>"
        "<item><guid>1</guid><description><![CDATA[&lt;!ENTITY x>]]></description></item>"
        "</channel></rss>"
    )
    feed = read(body.encode())
    assert (feed.title, feed.malformed) == ("é Café X", False)


def test_a_body_that_is_a_path_is_not_opened() -> None:
    answer = read_document(str(FEEDS / "rss20.xml").encode(), URL, None)
    assert isinstance(answer, Failed)


def test_everything_is_cut_to_size() -> None:
    long = "x" * 300_000
    item = (
        f"<title>{long}</title><description>{long}</description><author>{long[:999]}</author>"
        f"<category>{long}</category>"
        + "".join(f"<category>c{n}</category>" for n in range(200))
        + "".join(f'<media:content url="https://x.example/{n}"/>' for n in range(200))
    )
    (entry,) = rss(item).entries
    assert (len(entry.title), len(entry.html)) == (1_000, 200_000)
    assert entry.author is not None
    assert len(entry.author) == 200
    assert len(entry.categories) == 50
    assert len(entry.enclosures) == 20


def test_long_guids_stay_apart() -> None:
    items = "".join(f"<item><guid>{'g' * 5000}{n}</guid></item>" for n in range(2))
    feed = read(f'<rss version="2.0"><channel>{items}</channel></rss>'.encode())
    one, other = (entry.guid or "" for entry in feed.entries)
    assert one != other
    assert len(one) == len(other) == 2048


def test_a_thousand_entries_are_enough() -> None:
    items = "".join(f"<item><guid>{n}</guid></item>" for n in range(1500))
    feed = read(f'<rss version="2.0"><channel>{items}</channel></rss>'.encode())
    assert [feed.entries[0].guid, feed.entries[-1].guid, len(feed.entries)] == ["0", "999", 1000]


def test_what_cannot_be_stored_is_left_out() -> None:
    (entry,) = rss("<title>a\x00b&#0;c&#xD800;d\x0be&#x110000;f</title>").entries
    assert entry.title == "abcdef"


def test_emoji_written_as_surrogates() -> None:
    (entry,) = rss("<title>so &#55357;&#56832; &#xD83D;&#xDE00; &#38; &lt;b&gt;</title>").entries
    assert entry.title == "so \U0001f600 \U0001f600 & <b>"


@pytest.mark.parametrize(
    ("author", "name"),
    [
        ("jo@baker.photography (Jo Baker)", "Jo Baker"),
        ("Jo Baker &lt;jo@baker.example&gt;", "Jo Baker"),
        ("Jo Baker (jo@baker.example)", "Jo Baker"),
        ("jo@baker.example", "jo@baker.example"),
        ("Jo &amp;amp; Co", "Jo & Co"),
        ("@jo", "@jo"),
        ("", None),
    ],
)
def test_authors(author: str, name: str | None) -> None:
    assert rss(f"<author>{author}</author>").entries[0].author == name


def test_entries_that_say_nothing_are_left_out() -> None:
    body = b'<rss version="2.0"><channel><item/><item><title>x</title></item></channel></rss>'
    assert [entry.title for entry in read(body).entries] == ["x"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "nothing"),
        (b"   \n", "nothing"),
        (b"hello", "not a feed"),
        (b"<!DOCTYPE html><html><body><p>Hi", "web page"),
        (b"<opml><body/></opml>", "not a feed"),
        (b'<?xml version="1.0"?><note/>', "not a feed"),
        (b"{}", "not a feed"),
        (b'{"items": {}}', "not a feed"),
        (b'{"items": []}', "not a feed"),
        (b'{"version": "https://jsonfeed.org/version/1"', "not a feed"),
        (b'{"items": [' + b"[" * 200_000, "not a feed"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not a feed"),
    ],
)
def test_no_feed(body: bytes, words: str) -> None:
    answer = read_document(body, URL, None)
    assert isinstance(answer, Failed)
    assert answer.reason is Reason.NOT_A_FEED
    assert words in answer.message
