"""Random documents: nothing but the stated errors, and results within their bounds."""

import json
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st
from scraps import feeds, fuzzing, pages, soups

from heraldo_sync import fields, gate
from heraldo_sync.charset import certain_charset, in_bytes, repaired, without_entities
from heraldo_sync.detect import Kind, detect
from heraldo_sync.discover import MAX_LINKS, common_places, discover
from heraldo_sync.documents import read_document
from heraldo_sync.json_feed import parse_json_feed
from heraldo_sync.model import Failed, ParsedEntry, ParsedFeed
from heraldo_sync.order import oldest_first
from heraldo_sync.spans import split
from heraldo_sync.urls import MAX_LENGTH, normalise
from heraldo_sync.wire import BadMessage, decode, encode

URL = "https://me:hunter2@example.org/blog/feed"
PAGE = "https://example.org/blog/feed"
TYPES = st.none() | st.sampled_from(
    ["text/xml", "text/html; charset=utf-16", "a/b; charset=punycode", "charset=koi8-r", "charset="]
)


def well_formed(feed: ParsedFeed) -> None:
    """What every reader promises of a feed, whatever it was read from."""
    assert len(feed.entries) <= fields.MAX_ENTRIES
    assert len(feed.title) <= fields.MAX_TITLE
    assert decode(encode(feed)) == feed
    for entry in feed.entries:
        well_formed_entry(entry)


def well_formed_entry(entry: ParsedEntry) -> None:
    texts = [entry.title, entry.html, entry.guid or "", entry.author or "", *entry.categories]
    for text in texts:
        assert "\0" not in text
        text.encode("utf-8")
    assert len(entry.title) <= fields.MAX_TITLE
    assert len(entry.html) <= fields.MAX_HTML
    assert len(entry.guid or "") <= fields.MAX_GUID
    assert len(entry.enclosures) <= fields.MAX_ENCLOSURES
    assert len(entry.categories) <= fields.MAX_CATEGORIES
    links = [entry.link, entry.image, entry.comments, *(file.url for file in entry.enclosures)]
    for link in filter(None, links):
        assert link.startswith(("http://", "https://"))
        assert link.isascii()
        assert len(link) <= MAX_LENGTH
        assert "hunter2" not in link
        assert not set(link) & set(' \r\n\t\\"<>')
    for date in (entry.published_at, entry.updated_at):
        assert date is None or 1980 <= date.year < 2100


def read(body: bytes, content_type: str | None = None) -> ParsedFeed | None:
    """The feed in a document. feedparser may fail in any way, which its own process is for."""
    try:
        found = read_document(body, URL, content_type)
    except Exception:
        return None
    return found if isinstance(found, ParsedFeed) else None


@fuzzing
@given(feeds)
def test_what_is_cut_can_be_put_together_again(body: bytes) -> None:
    found = split(body)
    assume(found is not None)
    assert found is not None
    assert 1 <= len(found.places) <= fields.MAX_ENTRIES
    assert all(0 <= start < end <= len(body) for start, end in found.places)
    assert all(end <= start for (_, end), (start, _) in pairwise(found.places))
    items = [body[start:end] for start, end in found.places]
    gaps = [body[end:start] for (_, end), (start, _) in pairwise(found.places)] + [b""]
    middle = b"".join(item + gap for item, gap in zip(items, gaps, strict=True))
    assert found.head + middle + found.tail == body
    whole = found.only(list(range(len(items))))
    again = split(whole)
    assert again is not None
    assert [whole[start:end] for start, end in again.places] == items
    assert (again.head.rstrip(), again.tail.lstrip()) == (found.head.rstrip(), found.tail.lstrip())


@fuzzing
@given(feeds, TYPES, st.data())
def test_new_items_read_as_in_the_whole_document(
    body: bytes, content_type: str | None, data: st.DataObject
) -> None:
    document = gate.outline(body, URL, content_type)
    whole = read(body, content_type)
    known = gate.remember(document, whole) if document and whole else None
    if document is None or whole is None or known is None:
        return
    assert gate.unpack(gate.pack(known)) == known
    assert gate.unseen(document, known) == []
    places = sorted(data.draw(st.sets(st.sampled_from(range(len(document.hashes))), min_size=1)))
    part = gate.Seen(
        frame=known.frame,
        about=known.about,
        items={
            item: known.items[item]
            for place, item in enumerate(document.hashes)
            if place not in places
        },
    )
    assert gate.unseen(document, part) == places
    alone = read(document.only(places), gate.TRIMMED_TYPE)
    assert alone is not None
    found = gate.joined(document, part, places, alone)
    if found is None:
        # Then all of it is read.
        return
    fresh = [whole.entries[place] for place in places]
    assert found == (
        tuple(entry for entry in oldest_first(whole.entries) if entry in fresh),
        known,
    )


@fuzzing
@given(feeds, TYPES)
def test_a_feed_is_within_bounds_and_comes_through_the_pipe(
    body: bytes, content_type: str | None
) -> None:
    feed = read(body, content_type)
    if feed is not None:
        well_formed(feed)


@fuzzing
@given(feeds)
def test_an_outline_is_of_the_text_that_is_parsed(body: bytes) -> None:
    charset = certain_charset(body, None)
    if charset is not None:
        assert body.decode(charset) is not None
    document = gate.outline(body, URL, None)
    if document is not None:
        assert charset is not None
        assert len(document.hashes) == len(document.spans.places)
        assert document.spans.body == body.decode(charset).encode("utf-8")


@fuzzing
@given(feeds | st.binary(max_size=200), st.sampled_from([None, "utf-8", "utf-16", "idna", "x"]))
def test_a_document_made_ready_does_not_grow(body: bytes, charset: str | None) -> None:
    assert detect(body) in Kind
    ready = without_entities(in_bytes(body))
    assert len(ready) <= 4 * len(body) + 16
    assert without_entities(ready) == ready or b"<!ENTITY" in ready
    mended = repaired(body, charset)
    assert len(mended) <= 4 * len(body) + 16
    assert not set(mended.decode("utf-8")) & set("\0\x07\x0b\ufffe\uffff")


_NAMES = """
    version title home_page_url items id url external_url content_html content_text summary image
    banner_image date_published date_modified author authors name tags attachments mime_type
    size_in_bytes duration_in_seconds language hubs
"""
NAMES = _NAMES.split()
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        [
            "https://jsonfeed.org/version/1.1",
            "https://jsonfeed.org/version/1",
            "2026-01-01T00:00:00Z",
            "http://example.org/",
            "//[",
            "javascript:x",
            "a\ud800\0b",
            "<b>x",
            10**400,
            -1,
            "9999-12-31T23:59:59-23:59",
            "0001-01-01T00:00:00+23:59",
            "20260101",
            "2026-W01-1",
            "http://a:b@example.org/\r\nX",
        ]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=20,
)
JSON = st.fixed_dictionaries(
    {"items": st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8), max_size=4)},
    optional={name: VALUES for name in NAMES if name != "items"},
)


@fuzzing
@given(JSON | VALUES)
def test_any_json_is_a_feed_within_bounds_or_none(document: object) -> None:
    feed = parse_json_feed(json.dumps(document).encode(), "https://example.org/feed")
    if feed is not None:
        well_formed(feed)


@fuzzing
@given(st.binary(max_size=60) | st.text('{}[]",:0123456789eE+-.\\utrnNaI ', max_size=60))
def test_anything_that_looks_like_json_is_none_or_a_feed(text: bytes | str) -> None:
    body = text if isinstance(text, bytes) else text.encode()
    for document in (body, b'{"items":[{"id":' + body, b'{"title":"","items":[' + body + b"]}"):
        feed = parse_json_feed(document, "https://example.org/feed")
        if feed is not None:
            well_formed(feed)


@fuzzing
@given(pages | soups, TYPES)
def test_a_page_s_feeds_are_addresses_that_can_be_opened(
    body: bytes, content_type: str | None
) -> None:
    links = discover(body, URL, content_type)
    assert len(links) <= MAX_LINKS
    assert len({link.url for link in links}) == len(links)
    for link in links:
        assert normalise(link.url) == link.url
        assert "hunter2" not in link.url
        assert len(link.title) <= fields.MAX_NAME
        link.title.encode("utf-8")


@fuzzing
@given(
    st.from_regex(r"https?://(u:hunter2@)?[a-z]{1,9}\.test(/[a-z%?#.]{0,9}){0,4}", fullmatch=True)
)
def test_the_usual_places_are_on_the_same_site(url: str) -> None:
    try:
        page = normalise(url)
    except ValueError:
        return
    for place in common_places(page):
        assert normalise(place) == place
        assert "hunter2" not in place


@fuzzing
@given(st.binary(max_size=100) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_anything_in_the_pipe_is_an_answer_or_a_bad_message(payload: bytes) -> None:
    try:
        answer = decode(payload)
    except BadMessage:
        return
    assert isinstance(answer, Failed | ParsedFeed)
