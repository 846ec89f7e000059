"""What odd and oversized content becomes, whatever the format."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from heraldo_sync.documents import read_document
from heraldo_sync.model import Failed, ParsedFeed, Reason

FEEDS = Path(__file__).parent / "feeds"
URL = "https://baker.example/blog/feed"


def read(body: bytes, url: str = URL, content_type: str | None = None) -> ParsedFeed:
    feed = read_document(body, url, content_type)
    assert isinstance(feed, ParsedFeed)
    return feed


def read_file(name: str) -> ParsedFeed:
    return read((FEEDS / name).read_bytes())


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
