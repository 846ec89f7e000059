"""Entries as messages: each shape of entry looks right and is valid."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldo.botapi.entities import utf16_length
from heraldo.botapi.htmlmode import parse_html
from heraldo.render import link_only, plain, render
from heraldo_sync.model import Enclosure, Entry

ENTRY = Entry(
    id=1,
    feed_id=1,
    feed_title="Ships & <Harbours>",
    feed_link="https://example.org/",
    title='A "new" <b>ship</b> & more',
    link="/posts/1?a=1&b=2",
    author="Ann <a@b.org>",
    html="<p>It <b>sails</b>.</p>",
    published_at=datetime(2026, 11, 22, 15, 5, tzinfo=timezone(timedelta(hours=1))),
)


def test_an_ordinary_post() -> None:
    assert render(ENTRY) == (
        "<b>Ships &amp; &lt;Harbours&gt;</b>\n\n"
        '<a href="https://example.org/posts/1?a=1&amp;b=2">'
        "<b>A &quot;new&quot; &lt;b&gt;ship&lt;/b&gt; &amp; more</b></a>\n\n"
        "It <b>sails</b>.\n\n"
        "Ann &lt;a@b.org&gt; · 22 Nov 2026, 14:05 UTC",
    )
    assert plain(ENTRY) == (
        "Ships &amp; &lt;Harbours&gt;\n\n"
        "A &quot;new&quot; &lt;b&gt;ship&lt;/b&gt; &amp; more\n\n"
        "It sails.\n\n"
        "https://example.org/posts/1?a=1&amp;b=2\n\n"
        "Ann &lt;a@b.org&gt; · 22 Nov 2026, 14:05 UTC",
    )
    assert link_only(ENTRY) == ("https://example.org/posts/1?a=1&amp;b=2",)


BARE = replace(ENTRY, author=None, published_at=None, feed_title="Ships")
LINK = '<a href="https://example.org/posts/1?a=1&amp;b=2">'


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (replace(BARE, title=""), f"{LINK}<b>Ships</b></a>\n\nIt <b>sails</b>."),
        (
            replace(BARE, title="T", link=None),
            "<b>Ships</b>\n\n<b>T</b>\n\nIt <b>sails</b>.",
        ),
        (replace(BARE, title="T", html=""), f"<b>Ships</b>\n\n{LINK}<b>T</b></a>"),
        (replace(BARE, title="", html="", link=None), "<b>Ships</b>"),
        (
            replace(BARE, title="", html="", link=None, feed_title="", feed_link=None),
            "<b>New post</b>",
        ),
        (
            replace(BARE, title="T", html="", link=None, feed_title=""),
            "<b>example.org</b>\n\n<b>T</b>",
        ),
        (
            replace(BARE, title="T", html="<img src='/p.png'>"),
            f'<b>Ships</b>\n\n{LINK}<b>T</b></a>\n\n<a href="https://example.org/p.png">Picture</a>',
        ),
        (
            replace(BARE, title="It sails."),
            f"<b>Ships</b>\n\n{LINK}<b>It sails.</b></a>",
        ),
        (replace(BARE, title="It sai…"), f"{LINK}<b>Ships</b></a>\n\nIt <b>sails</b>."),
        (
            replace(
                BARE,
                title="T",
                enclosures=(Enclosure(url="https://e.org/a.mp3", mime="audio/mpeg"),),
            ),
            f"<b>Ships</b>\n\n{LINK}<b>T</b></a>\n\nIt <b>sails</b>.\n\n"
            '<a href="https://e.org/a.mp3">Audio</a>',
        ),
    ],
)
def test_shapes(entry: Entry, expected: str) -> None:
    assert render(entry) == (expected,)


def test_a_long_post_is_cut_at_a_paragraph_with_a_link_to_the_rest() -> None:
    entry = replace(BARE, title="T", html="<p>" + "One sentence. " * 20 + "</p>" + 9 * "<p>x y</p>")
    entry = replace(entry, html=entry.html * 8)
    (message,) = render(entry)
    text, _ = parse_html(message)
    assert text.endswith("x y…\n\nRead on") or text.endswith("One sentence. …\n\nRead on")
    assert 900 < utf16_length(text) < 1600
    assert message.endswith(f"{LINK}Read on</a>")


TEXT = st.text(max_size=30) | st.sampled_from(["<b>", "&", "x" * 5000, "😀" * 3000, "\ud800"])


@given(
    st.builds(
        Entry,
        id=st.just(1),
        feed_id=st.just(1),
        feed_title=TEXT,
        feed_link=st.none() | TEXT | st.just("https://e.org/"),
        title=TEXT,
        link=st.none() | TEXT | st.just("https://e.org/?a&b"),
        author=st.none() | TEXT,
        html=TEXT | st.lists(st.sampled_from(["<b>", "<a href='/x'>", "y ", "</a>"])).map("".join),
        published_at=st.none() | st.datetimes(timezones=st.just(UTC)),
        enclosures=st.lists(st.builds(Enclosure, url=TEXT, mime=st.none() | TEXT)).map(tuple),
    )
)
def test_any_entry_makes_valid_messages(entry: Entry) -> None:
    for write in (render, plain, link_only):
        messages = write(entry)
        assert messages
        for message in messages:
            text, entities = parse_html(message)
            assert 0 < utf16_length(text) <= 4096
            assert text.strip()
            assert len(entities) <= 100
            assert write is render or not entities
