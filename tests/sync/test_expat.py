"""Our SAX driver inside feedparser: what it leaves as it was, what it mends, what it sees."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import documents
import feedparser
import feedparser.api
import pytest

from heraldo_sync import xml_feed
from heraldo_sync.documents import read_document
from heraldo_sync.expat import MAX_ATTRIBUTES, MAX_DEPTH, MAX_ITEMS, Watch, watching
from heraldo_sync.model import Failed, ParsedEntry, ParsedFeed, Reason

FEEDS = Path(__file__).parent / "feeds"
URL = "https://example.org/feed"
LONG = "<description>" + "word &lt;b&gt; <![CDATA[<i>]]> &#233; <b x='1'>é</b>\n" * 5_000
MADE = {
    "long": f"<rss version='2.0'><channel><item>{LONG}</description></item></channel></rss>",
    "xhtml": "<feed xmlns='http://www.w3.org/2005/Atom'><entry><content type='xhtml'>\n <div "
    "xmlns='http://www.w3.org/1999/xhtml'> <p>a &amp; b</p> <div>c</div> </div> \n</content>"
    "<link href='x' rel='alternate'/><link REL='ENCLOSURE' href='y'/></entry></feed>",
}
DOCUMENTS = (
    {path.name: path.read_bytes() for path in sorted(FEEDS.glob("*.xml"))}
    | {name: make("blog", [1, 2, 3])[0] for name, make in documents.ALL.items()}
    | {name: text.encode() for name, text in MADE.items()}
)
# What decides which parts of feedparser's state an entry may not change; see _LEFT_OUT.
STATE = """
    _locator _summaryKey basestack baseuri bozo contentparams decls depth elementstack encoding
    entries exc feeddata hasContent inauthor incontent incontributor inentry infeed ingeometry
    inimage inpublisher insource intextinput lang langstack namespacemap namespaces_in_use
    property_depth_map psc_chapters_flag sourcedata svgOK title_depth version
"""


@contextmanager
def not_watching() -> Iterator[Watch]:
    yield Watch()


def entries(items: str, head: str = "") -> tuple[ParsedEntry, ...]:
    text = f"<rss version='2.0'><channel>{head}{items}</channel></rss>"
    feed = read_document(text.encode(), URL, None)
    assert isinstance(feed, ParsedFeed)
    assert feed.separable
    return feed.entries


def test_feedparser_is_the_one_that_the_driver_was_written_for() -> None:
    """After an upgrade: compare real feeds (benchmarks/sync/gates.py), then name the new one."""
    assert feedparser.__version__ == "6.0.14"
    assert set(vars(feedparser.api.StrictFeedParser("", None, "utf-8"))) == set(STATE.split())


def test_feedparser_reads_with_the_driver_as_long_as_it_is_asked_to() -> None:
    before = list(feedparser.api.PREFERRED_XML_PARSERS)
    with watching() as watch:
        feedparser.parse("<rss><channel><item/><item/></channel></rss>")
    assert watch.entries == 2
    assert before == feedparser.api.PREFERRED_XML_PARSERS


@pytest.mark.parametrize("name", DOCUMENTS)
def test_it_reads_what_the_library_s_driver_reads(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = read_document(DOCUMENTS[name], URL, None)
    monkeypatch.setattr(xml_feed, "watching", not_watching)
    theirs = read_document(DOCUMENTS[name], URL, None)
    assert isinstance(ours, ParsedFeed)
    assert isinstance(theirs, ParsedFeed)
    assert replace(ours, separable=theirs.separable) == theirs


def test_an_entry_s_base_is_its_own() -> None:
    based = "<item><guid>1</guid><x xml:base='http://base.example/a/'/></item>"
    (_, second) = entries(based + "<item><guid>2</guid><link href='b'/></item>")
    assert second.link == "https://example.org/b"


def test_content_in_the_channel_s_head_does_not_change_the_first_entry() -> None:
    """With it the second of three descriptions would not count as content."""
    space = "xmlns:c='http://purl.org/rss/1.0/modules/content/'"
    head = f"<c:encoded {space}>c</c:encoded>"
    texts = "".join(f"<description>{text}</description>" for text in "abc")
    first, second = entries("".join(f"<item><guid>{n}</guid>{texts}</item>" for n in "12"), head)
    assert first.html == second.html == "b"


def attributes(count: int) -> str:
    return "<item><b " + " ".join(f"a{number}=''" for number in range(count)) + "/></item>"


def levels(count: int) -> str:
    # Three are there already: rss, channel, item.
    return "<item>" + "<b>" * (count - 3) + "</b>" * (count - 3) + "</item>"


def items(count: int) -> str:
    return "<item/>" * count


@pytest.mark.parametrize(
    ("make", "most"),
    [(attributes, MAX_ATTRIBUTES), (levels, MAX_DEPTH), (items, MAX_ITEMS)],
)
def test_as_much_as_any_feed_needs(make: Callable[[int], str], most: int) -> None:
    for count, fits in ((most, True), (most + 1, False)):
        text = f"<rss version='2.0'><channel>{make(count)}</channel></rss>"
        feed = read_document(text.encode(), URL, None)
        assert isinstance(feed, ParsedFeed) == fits
        assert fits or (isinstance(feed, Failed) and feed.reason is Reason.PARSE_TIMEOUT)
