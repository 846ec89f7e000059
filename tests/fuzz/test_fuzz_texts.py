"""Random addresses, headers, dates and markup: nothing raised but what is stated."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

import yarl
from hypothesis import given
from hypothesis import strategies as st
from scraps import fuzzing, markup

from heraldo.botapi.entities import utf16_length
from heraldo.botapi.htmlmode import parse_html
from heraldo.cleaning import clean, one_line, safe_link
from heraldo.render import link_only, plain, render
from heraldo_sync import fields, http_hints, sites
from heraldo_sync.addresses import is_public, unwrap
from heraldo_sync.errors import InvalidUrl
from heraldo_sync.foreign_dates import foreign_date
from heraldo_sync.model import Entry
from heraldo_sync.traits import loosened
from heraldo_sync.urls import MAX_LENGTH, display, normalise, parse, resolve, without_credentials

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PIECES = st.sampled_from(
    [
        "http:",
        "https:",
        "//",
        "/",
        "\\",
        "@",
        ":",
        "?",
        "#",
        "[",
        "]",
        "::1",
        "127.0.0.1",
        "0x7f.1",
        "%",
        "%2f",
        "%00",
        ".",
        "..",
        "example.org",
        "user",
        "hunter2",
        "80",
        "65536",
        "\t",
        "\r\n",
        " ",
        "\u3002",
        "\uff0f",
        "\uff20",
        "\uff1a",
        "ß",
        "ñ",
        "xn--",
        "feed:",
        "r/",
        "\u200b",
        "\u202e",
        "&",
        "=",
        "token=",
        ";",
        "\ud800",
        "\u0660",
        "①",
        "-",
        "_",
        "*",
    ]
)
ADDRESSES = st.lists(PIECES | st.text(max_size=2), max_size=14).map("".join)


def normal(text: str) -> str | None:
    try:
        return normalise(text)
    except InvalidUrl:
        return None


@fuzzing
@given(ADDRESSES | ADDRESSES.map(lambda rest: "http://" + rest))
def test_every_reader_of_an_address_sees_the_same_host(text: str) -> None:
    """Where the policy looks and where the connection goes is one place."""
    made = normal(text)
    if made is None:
        return
    assert normalise(made) == made
    assert made.isascii()
    assert len(made) <= MAX_LENGTH
    assert not set(made) & set(' \r\n\t\\"<>#')
    ours = parse(made)
    bare = str(ours.without_credentials())
    asked = yarl.URL(bare, encoded=True)
    assert (asked.scheme, asked.port) == (ours.scheme, ours.port)
    assert asked.raw_host == ours.host.strip("[]")
    assert asked.raw_path_qs == ours.target
    assert asked.user is None
    split = urlsplit(bare)
    assert split.hostname == ours.host.strip("[]")
    assert split.username is None
    assert without_credentials(made) == bare
    assert "@" not in display(made).partition("//")[2].partition("/")[0]


@fuzzing
@given(ADDRESSES)
def test_a_reference_leads_to_a_canonical_address_or_nowhere(reference: str) -> None:
    try:
        found = resolve("https://me:hunter2@example.org/a/b?c", reference)
    except InvalidUrl:
        return
    assert normalise(found) == found
    for link in (fields.link(reference, found), fields.page(reference, found)):
        assert link is None or (link.startswith(("http://", "https://")) and link.isascii())
    assert loosened(loosened(found)) == loosened(found)


@fuzzing
@given(
    st.lists(
        st.sampled_from(
            [
                "https://",
                "www.",
                "youtube.com",
                "github.com",
                "reddit.com",
                "gitlab.com",
                "bsky.app",
                "medium.com",
                "mastodon.social",
                "/",
                "channel/UC",
                "x" * 22,
                "@",
                "watch?v=",
                "playlist?list=",
                "r/",
                "u/",
                "user",
                "tree/",
                "-/",
                ".git",
                "{host}",
                "%7B",
                "&",
                "?",
                "{",
                "}",
                "{0}",
                "tag/",
                "ñ",
            ]
        )
        | st.text(max_size=3),
        max_size=9,
    ).map("".join)
)
def test_a_site_s_feeds_are_canonical_addresses(text: str) -> None:
    url = normal(text)
    if url is None:
        return
    for link in sites.feeds_of(url, "https://rsshub.test"):
        assert normalise(link.url) == link.url
    for link in sites.feeds_in(text.encode("utf-8", "replace"), url):
        assert normalise(link.url) == link.url


HEADERS = ("Retry-After", "Cache-Control", "Age", "Expires", "Date", "ETag", "Content-Type")
VALUES = st.text(max_size=30) | st.lists(
    st.sampled_from(
        [
            "max-age",
            "=",
            "s-maxage",
            "no-cache",
            ",",
            " ",
            '"',
            "9",
            "99999999",
            "0",
            "-",
            "Mon, 06 May 2024 07:00:00 GMT",
            "Mon",
            "May",
            "2024",
            "07:00:00",
            "GMT",
            "+9999",
            "-0000",
            "\u0665",
            "\udcff",
            "\0",
            "99999999999999999999",
            ":",
            "(",
            ")",
            "\\",
            "W/",
        ]
    ),
    max_size=9,
).map("".join)


@fuzzing
@given(st.dictionaries(st.sampled_from(HEADERS), VALUES))
def test_any_headers_say_something_within_bounds(headers: dict[str, str]) -> None:
    wait = http_hints.retry_after(headers, NOW)
    assert wait is None or timedelta() <= wait <= http_hints.MAX_RETRY_AFTER
    fresh = http_hints.fresh_for(headers, NOW)
    assert fresh is None or timedelta() < fresh <= http_hints.MAX_FRESH
    kept = http_hints.validators(headers)
    for text in (kept.etag, kept.last_modified, http_hints.content_type(headers)):
        assert text is None or (text.encode("utf-8") and not set(text) & set("\0\r\n"))


WORDS = st.sampled_from(
    [
        "Seg",
        "Set",
        "Dic",
        "août",
        "мая",
        "mar",
        "jui",
        "de",
        ",",
        ".",
        " ",
        "1",
        "31",
        "32",
        "2024",
        "9999",
        "0000",
        "19:42:40",
        "99:99",
        "+9999",
        "-2359",
        "+0000",
        "UTC",
        "\u0661",
        "\t",
        "Z",
    ]
)


@fuzzing
@given(st.lists(WORDS | st.text(max_size=2), max_size=12).map("".join))
def test_any_text_is_a_date_in_utc_or_none(text: str) -> None:
    found = foreign_date(text)
    assert found is None or found.utcoffset() == timedelta()
    kept = fields.moment(found)
    assert kept is None or 1980 <= kept.year < 2100


@fuzzing
@given(markup, st.integers(1, 60))
def test_cleaned_text_is_clean_and_no_longer(text: str, limit: int) -> None:
    cleaned = fields.clean(text, limit)
    assert fields.clean(cleaned, limit) == cleaned
    for short in (cleaned, fields.line(text, limit), fields.plain(text, limit)):
        assert len(short) <= limit
        short.encode("utf-8")
    assert len(fields.as_html(text, limit)) <= limit
    assert "<script" not in fields.as_html(text, 1_000)
    tidy = clean(text)
    assert "\n" not in one_line(text)
    assert not set(tidy) & set("\0\a\u202e\u200b\ud83d")


@fuzzing
@given(markup, st.sampled_from([None, "https://example.org/a/", "javascript:x"]))
def test_a_link_is_safe_or_none(text: str, base: str | None) -> None:
    link = safe_link(text, base)
    if link is not None:
        assert link.split(":")[0].lower() in ("http", "https", "tg", "mailto")
        assert not set(link) & set(' \r\n\t"<>')
        assert safe_link(link) == link
    again = fields.rebased(text, "https://example.org/a/")
    assert fields.rebased(again, "https://example.org/a/") == again


@fuzzing
@given(markup, markup, markup)
def test_any_post_becomes_messages_that_telegram_takes(title: str, html: str, author: str) -> None:
    entry = Entry(
        id=1,
        feed_id=1,
        feed_title=author,
        feed_link="https://example.org/",
        title=title,
        link="https://example.org/1",
        author=author,
        html=html,
        published_at=None,
    )
    for write in (render, plain, link_only):
        for message in write(entry):
            text, _ = parse_html(message)
            assert 0 < utf16_length(text) <= 4096
            assert not set(text) & set("\0\a\u202e\u200b")


@fuzzing
@given(st.integers(0, 2**32 - 1) | st.integers(0, 2**128 - 1))
def test_what_is_public_is_public_for_python_too(number: int) -> None:
    ip = IPv4Address(number) if number < 2**32 else IPv6Address(number)
    if is_public(ip):
        seen = unwrap(ip)
        assert not seen.is_loopback
        assert not seen.is_multicast
        assert not seen.is_link_local
        assert not seen.is_unspecified
        assert not seen.is_reserved
