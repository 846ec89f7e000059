import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldo_sync.json_feed import parse_json_feed
from heraldo_sync.model import ParsedEntry, ParsedFeed
from heraldo_sync.wire import decode, encode

BASE = "https://example.org/feed.json"
VERSION = "https://jsonfeed.org/version/1.1"


def parse(**document: object) -> ParsedFeed:
    feed = parse_json_feed(json.dumps(document).encode(), BASE)
    assert feed is not None
    return feed


@pytest.mark.parametrize(
    ("version", "name", "malformed"),
    [
        ("https://jsonfeed.org/version/1", "json10", False),
        ("http://jsonfeed.org/version/1.0/", "json10", False),
        (VERSION, "json11", False),
        ("https://jsonfeed.org/version/1.2", "json11", False),
        ("1", "json", True),
        (None, "json", True),
    ],
)
def test_versions(version: str | None, name: str, malformed: bool) -> None:
    feed = parse(version=version, title="x", items=[])
    assert (feed.format, feed.malformed) == (name, malformed)


@pytest.mark.parametrize(
    ("given_id", "guid"),
    [("a", "a"), (" a ", "a"), (1, "1"), (1.5, "1.5"), (True, None), ([], None), ("", None)],
)
def test_ids(given_id: object, guid: str | None) -> None:
    (entry,) = parse(version=VERSION, items=[{"id": given_id, "title": "x"}]).entries
    assert entry.guid == guid


def test_values_of_a_wrong_type_count_as_absent() -> None:
    wrong = {
        "id": "1", "url": 5, "title": ["x"], "content_html": {}, "content_text": 7,
        "date_published": 1700000000, "date_modified": "2024-13-01", "authors": "me",
        "author": "me", "tags": "x", "attachments": {"url": "https://x.example/"},
    }  # fmt: skip
    feed = parse(version=VERSION, title=1, home_page_url=2, items=[wrong, "no", None, [1]])
    assert feed.malformed
    assert feed.entries == (ParsedEntry(guid="1"),)


def test_lone_surrogates_and_nul_are_left_out() -> None:
    body = b'{"version": "%s", "items": [{"id": "a\\ud800\\u0000b"}]}' % VERSION.encode()
    feed = parse_json_feed(body, BASE)
    assert feed is not None
    assert feed.entries[0].guid == "ab"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
names = [
    "id",
    "url",
    "external_url",
    "title",
    "content_html",
    "content_text",
    "summary",
    "date_published",
    "date_modified",
    "author",
    "authors",
    "tags",
    "attachments",
]
items = st.dictionaries(st.sampled_from(names), values, max_size=8)


@given(st.lists(items | values, max_size=4))
def test_any_items_are_read_and_travel_unchanged(found: list[object]) -> None:
    feed = parse(version=VERSION, items=found)
    assert decode(encode(feed)) == feed


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_quietly(body: bytes) -> None:
    assert parse_json_feed(b'{"items": ' + body, BASE) is None or b"items" not in body
