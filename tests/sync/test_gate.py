"""Reading only the new items equals reading all: on our own documents, and where it must not."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import documents
import pytest

from heraldo_sync import gate
from heraldo_sync.charset import certain_charset
from heraldo_sync.documents import read_document
from heraldo_sync.model import ParsedFeed
from heraldo_sync.order import oldest_first

FEEDS = Path(__file__).parent / "feeds"
URL = "https://example.org/feed"
RSS = (
    b"<rss version='2.0'><channel><title>T</title><lastBuildDate>%s</lastBuildDate>"
    b"%s</channel></rss>"
)
MADE = {
    f"{name} of {posts}": make("blog", list(range(1, posts + 1)))
    for name, make in documents.ALL.items()
    for posts in (1, 2, 7)
}
DOCUMENTS = {path.name: (path.read_bytes(), None) for path in sorted(FEEDS.glob("*.xml"))} | MADE


def item(number: int, more: str = "") -> bytes:
    return (
        f"<item><guid>{number}</guid><title>Post {number}</title>"
        f"<pubDate>Thu, 01 Jan 2026 00:{number:02}:00 GMT</pubDate>{more}</item>"
    ).encode()


def full(body: bytes, content_type: str | None = None) -> ParsedFeed:
    feed = read_document(body, URL, content_type)
    assert isinstance(feed, ParsedFeed)
    return feed


def seen(body: bytes, content_type: str | None = None) -> gate.Seen | None:
    document = gate.outline(body, URL, content_type)
    return gate.remember(document, full(body, content_type)) if document else None


def places(body: bytes, known: gate.Seen) -> list[int] | None:
    document = gate.outline(body, URL, None)
    return gate.unseen(document, known) if document else None


@pytest.mark.parametrize("name", DOCUMENTS)
def test_some_items_read_as_in_the_whole_document(name: str) -> None:
    body, content_type = DOCUMENTS[name]
    document = gate.outline(body, URL, content_type)
    whole = full(body, content_type)
    known = gate.remember(document, whole) if document else None
    if document is None or known is None:
        odd = b"<!ENTITY" in body or certain_charset(body, content_type) is None
        assert odd or not whole.separable
        return
    assert gate.unpack(gate.pack(known)) == known
    wanted = oldest_first(whole.entries)
    rng = random.Random(name)
    for _ in range(5):
        forgotten = rng.sample(list(known.items), rng.randint(0, len(known.items)))
        part = gate.Seen(
            frame=known.frame,
            about=known.about,
            items={key: marks for key, marks in known.items.items() if key not in forgotten},
        )
        new = gate.unseen(document, part)
        assert new is not None
        found = gate.joined(document, part, new, full(document.only(new), gate.TRIMMED_TYPE))
        assert found is not None
        entries, now = found
        fresh = [whole.entries[place] for place in new]
        assert entries == tuple(one for one in wanted if one in fresh)
        assert now == known


@pytest.mark.parametrize("name", ["rss10", "rss20", "atom03", "atom10", "rss092", "cp1251"])
def test_most_documents_can_be_read_in_parts(name: str) -> None:
    assert seen(*MADE[f"{name} of 7"]) is not None


def test_what_is_new() -> None:
    known = seen(RSS % (b"Thu, 01 Jan 2026 00:00:00 GMT", item(1) + item(2)))
    assert known is not None
    later = b"Fri, 02 Jan 2026 00:00:00 GMT"
    assert places(RSS % (later, item(2) + item(1)), known) == []
    assert places(RSS % (later, item(2)), known) == []
    assert places(RSS % (later, item(3) + item(2) + item(4)), known) == [0, 2]
    assert places(RSS % (later, item(2, "<author>x</author>") + item(1)), known) == [0]


BEFORE = RSS % (b"now", item(1) + item(2))


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.replace(b"<title>T<", b"<title>U<"),
        lambda body: body.replace(b"<rss ", b"<rss xml:base='http://x.org/' "),
        lambda body: body.replace(b"<rss ", b"<rss xmlns:dc='http://purl.org/dc/elements/1.1/' "),
        lambda body: body.replace(b"<channel>", b"<channel><managingEditor>A</managingEditor>"),
        lambda body: body.replace(b"</channel>", b"<managingEditor>A</managingEditor></channel>"),
        lambda body: body.replace(b"<rss", b"<?xml version='1.0' encoding='koi8-r'?><rss"),
        lambda body: body.replace(b">now<", b"><![CDATA[x]]><"),
        lambda body: body.replace(b"</item><item>", b"</item><managingEditor/><item>"),
        lambda body: body.replace(item(2), item(1)),
        lambda body: b"<!DOCTYPE rss [<!ENTITY a 'b'>]>" + body,
        lambda body: body.decode().encode("utf-16"),
    ],
)
def test_a_change_around_the_items_means_reading_all(change: Callable[[bytes], bytes]) -> None:
    known = seen(BEFORE)
    assert known is not None
    assert places(BEFORE, known) == []
    assert places(change(BEFORE), known) is None


def test_another_address_means_reading_all() -> None:
    known = seen(BEFORE)
    document = gate.outline(BEFORE, "https://example.org/elsewhere", None)
    assert known is not None
    assert document is not None
    assert gate.unseen(document, known) is None


LEAKS = {
    "a prefix of another meaning": "<x xmlns:dc='http://search.yahoo.com/mrss/'/>",
    "an unknown name space": "<x:y xmlns:x='http://example.org/'/>",
    "a nested item": "<item/>",
    "an author of the feed": "</item><managingEditor>A</managingEditor><item>",
    "nothing to keep": "</item><item>",
    "a part that is not closed": "<b>",
}


@pytest.mark.parametrize("name", LEAKS)
def test_an_item_that_touches_others_means_reading_all(name: str) -> None:
    assert seen(RSS % (b"now", item(1) + item(2))) is not None
    assert seen(RSS % (b"now", item(1) + item(2, LEAKS[name]))) is None


@pytest.mark.parametrize("name", LEAKS)
def test_a_new_item_that_touches_others_means_reading_all(name: str) -> None:
    known = seen(BEFORE)
    assert known is not None
    document = gate.outline(RSS % (b"now", item(3, LEAKS[name]) + item(2)), URL, None)
    if document is None:
        return
    new = gate.unseen(document, known)
    assert new
    assert gate.joined(document, known, new, full(document.only(new), gate.TRIMMED_TYPE)) is None


def test_a_guid_that_comes_again_means_reading_all() -> None:
    known = seen(BEFORE)
    again = item(1, "<link>http://example.org/other</link>")
    document = gate.outline(RSS % (b"now", again + item(1)), URL, None)
    assert known is not None
    assert document is not None
    assert gate.unseen(document, known) == [0]
    parsed = full(document.only([0]), gate.TRIMMED_TYPE)
    assert gate.joined(document, known, [0], parsed) is None
    assert seen(RSS % (b"now", again + item(1))) is None


def test_a_feed_that_says_something_else_of_itself_means_reading_all() -> None:
    """To feedparser this title, behind the items, belongs to the last of them if that has one."""
    rdf = (
        b"<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'"
        b" xmlns='http://purl.org/rss/1.0/'>%s<channel><title>T</title></channel></rdf:RDF>"
    )
    untitled = b"<item><link>http://example.org/1</link></item>"
    known = seen(rdf % untitled)
    assert known is not None
    document = gate.outline(rdf % (item(2) + untitled), URL, None)
    assert document is not None
    assert gate.unseen(document, known) == [0]
    parsed = full(document.only([0]), gate.TRIMMED_TYPE)
    assert parsed.separable
    assert full(document.spans.body).title == "T" != parsed.title
    assert gate.joined(document, known, [0], parsed) is None


def test_an_item_in_another_encoding_is_another_item() -> None:
    body = RSS % (b"now", item(1) + b"<item><guid>2</guid><title>\xf0</title></item>")
    known = seen(body, "text/xml; charset=koi8-r")
    assert known is not None
    for charset, new in (("koi8-r", []), ("cp1251", [1])):
        document = gate.outline(body, URL, f"text/xml; charset={charset}")
        assert document is not None
        assert gate.unseen(document, known) == new


@pytest.mark.parametrize("text", [b"<updated>", b"<!--", b"<![CDATA[", b"<?", b"<!", b"]]>"])
@pytest.mark.parametrize("around", [b"%s", b"<?%s?>", b"<!%s>", b"<!--%s-->", b"<![CDATA[%s]]>"])
@pytest.mark.parametrize("place", ["head", "tail"])
def test_time_grows_with_the_size_alone(text: bytes, around: bytes, place: str) -> None:
    around %= text * (400_000 // len(text))
    body = around + item(1) if place == "head" else item(1) + around
    before = time.process_time()
    gate.outline(b"<rss>" + body + b"</rss>", URL, None)
    # At least ten times what it takes; what goes over anything again takes minutes.
    assert time.process_time() - before < 1.0


def test_a_date_in_a_text_is_text() -> None:
    around = b"<rss><channel><title><![CDATA[<updated>%s</updated>]]></title>%s</channel></rss>"
    known = seen(around % (b"1", item(1)))
    assert known is not None
    assert places(around % (b"1", item(1)), known) == []
    assert places(around % (b"2", item(1)), known) is None


def test_dates_of_known_items_count_for_the_order() -> None:
    """The document ascends, which the two new entries alone do not show."""
    undated = b"<item><guid>%d</guid><title>t</title></item>"
    old = b"".join(item(number) for number in (1, 2, 3))
    known = seen(RSS % (b"now", old))
    assert known is not None
    body = RSS % (b"now", old + undated % 8 + undated % 9)
    document = gate.outline(body, URL, None)
    assert document is not None
    found = gate.joined(document, known, [3, 4], full(document.only([3, 4]), gate.TRIMMED_TYPE))
    assert found is not None
    assert [entry.guid for entry in found[0]] == ["8", "9"]
    assert [entry.guid for entry in oldest_first(full(body).entries)][-2:] == ["8", "9"]


def test_what_the_code_has_read_before_it_changed_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = seen(BEFORE)
    assert known is not None
    monkeypatch.setattr(gate, "_revision", lambda: b"another")
    assert places(BEFORE, known) is None


@pytest.mark.parametrize(
    ("body", "content_type", "charset"),
    [
        (b"<rss/>", None, "utf-8"),
        (b"<?xml version='1.0' encoding='koi8-r'?>\n<rss/>", None, "utf-8"),
        (b"<?xml version='1.0' encoding='koi8-r'?>\n<rss>\xf0</rss>", None, "koi8-r"),
        (b"<?xml version='1.0' encoding='koi8-r'?>\n<rss>\xf0</rss>", "a/b; charset=cp1251",
         "cp1251"),
        ("<?xml version='1.0' encoding='koi8-r'?><rss>é</rss>".encode(), None, "utf-8"),
        ("\ufeff<rss>é</rss>".encode(), None, "utf-8"),
        (b"<?xml version='1.0' encoding='gb2312'?>\n<rss>\xd6\xd0</rss>", None, "gb18030"),
        (b"<rss>\xf0</rss>", None, None),
        (b"<?xml version='1.0' encoding='utf-16'?>\n<rss/>", None, None),
        (b"<?xml version='1.0' encoding='utf-7'?>\n<rss/>", None, None),
        (b"<?xml version='1.0' encoding='koi8-r'?>encoding='utf-16'?>\n<rss/>", None, None),
        (b"<rss/>", "text/xml; charset=utf-16", None),
        (b"<rss>\x81</rss>", "text/xml; charset=cp1252", None),
        ("<rss/>".encode("utf-16"), None, None),
    ],
)  # fmt: skip
def test_the_encoding_must_be_beyond_doubt(
    body: bytes, content_type: str | None, charset: str | None
) -> None:
    assert certain_charset(body, content_type) == charset
