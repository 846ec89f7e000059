"""JSON that nests and repeats, and web pages that lead a search for feeds astray."""

import json
from collections.abc import Callable

from hostile_case import Case, Most, Offered, Refused, Stored, page
from hostile_xml import MEGABYTE, NO_FEED, all_of, says

from heraldo_sync.model import Reason

NO_PAGE = Refused(Reason.NOT_A_FEED, "There is a web page at this address")
VERSION = b'{"version": "https://jsonfeed.org/version/1.1", "title": "T", "items": '
ITEM = b'{"id": "1", "title": "Title"}'


def feed(items: bytes, more: bytes = b"") -> bytes:
    """A JSON Feed."""
    return VERSION + b"[" + items + b"]" + more + b"}"


def js(
    name: str, make: Callable[[], bytes], expect: Refused | Stored, most: Most | None = None
) -> Case:
    """A JSON document of this name."""
    talk = page(make, "application/feed+json")
    return Case(name=f"JSON: {name}", expect=expect, talk=talk, most=most or Most())


def web(
    name: str,
    make: Callable[[], bytes],
    expect: Refused | Stored | Offered = NO_PAGE,
    kind: str = "text/html",
) -> Case:
    """A web page of this name."""
    # The event loop is not where pages are looked through.
    most = Most(parent_cpu=0.25)
    return Case(name=f"page: {name}", expect=expect, talk=page(make, kind), most=most)


def html(inside: bytes) -> bytes:
    """A web page."""
    return b"<!doctype html><html><body>" + inside


def keys(count: int) -> bytes:
    """So many members of an object."""
    return b"".join(b', "k%d": 1' % n for n in range(count))


JSON = (
    js("1,000,000 nested arrays", lambda: VERSION + b"[" * MEGABYTE, NO_FEED),
    js("200,000 nested objects", lambda: VERSION + b'{"a":' * 200_000, NO_FEED),
    js(
        "nested as deep as it is read",
        lambda: feed(ITEM[:-1] + b', "x": ' + b"[" * 900 + b"]" * 900 + b"}"),
        Stored(1, says("Title")),
    ),
    js("an id of 1,000,000 digits", lambda: feed(b'{"id": ' + b"9" * MEGABYTE + b"}"), NO_FEED),
    js("an id of 1e999", lambda: feed(b'{"id": 1e999, "title": "Title"}'), Stored(1)),
    js("NaN", lambda: feed(b'{"id": NaN, "title": "Title", "x": -Infinity}'), Stored(1)),
    js(
        "keys twice",
        lambda: feed(b'{"id": "0", "title": "No", "id": "1", "title": "Title"}'),
        Stored(1, says("Title")),
    ),
    js(
        "300,000 keys",
        lambda: feed(ITEM[:-1] + keys(300_000) + b"}"),
        Stored(1),
        Most(child_mb=300),
    ),
    js("a key of 1 MB", lambda: feed(ITEM[:-1] + b', "' + b"k" * MEGABYTE + b'": 1}'), Stored(1)),
    js(
        "1,600,000 items",
        lambda: feed(b",".join([b"{}"] * 1_600_000)),
        Stored(0),
        Most(child_cpu=4, child_mb=500),
    ),
    js("items that are none", lambda: feed(b'1, null, "x", [], ' + ITEM), Stored(1, says("Title"))),
    js("items in an object", lambda: VERSION + b'{"0": ' + ITEM + b"}}", NO_FEED),
    js(
        "half a surrogate pair and a NUL",
        lambda: feed(b'{"id": "1", "title": "Ti\\ud800tl\\u0000e"}'),
        Stored(1, says("Title")),
    ),
    js(
        "a text of 4 MB of line feeds",
        lambda: feed(b'{"id": "1", "content_text": "a' + b"\\n" * 2_000_000 + b'b"}'),
        Stored(1, all_of(lambda row: len(row["html"]) <= 200_000)),
        Most(child_mb=300),
    ),
    js("never closed", lambda: VERSION + b"[" + ITEM, NO_FEED),
    js("behind a byte order mark", lambda: b"\xef\xbb\xbf" + feed(ITEM), Stored(1, says("Title"))),
    js(
        "100,000 attachments",
        lambda: feed(
            ITEM[:-1] + b', "attachments": [' + b",".join([b'{"url": "x"}'] * 100_000) + b"]}"
        ),
        Stored(1),
    ),
    js(
        "dates that no post can have",
        lambda: feed(
            b",".join(
                b'{"id": "%d", "date_published": %s}' % (n, json.dumps(date).encode())
                for n, date in enumerate(
                    ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", 1e300, "9" * 60, None]
                )
            )
        ),
        Stored(5, all_of(lambda row: row["published_at"] is None)),
    ),
)

PAGES = (
    web("1,000,000 nested elements", lambda: html(b"<div>" * 900_000)),
    web(
        "200,000 links to one feed",
        lambda: html(b"<a href=/no/feed>" * 200_000),
        Refused(Reason.HTTP_STATUS, "404"),
    ),
    web(
        "50,000 feeds",
        lambda: html(
            b"".join(
                b"<link rel=alternate type=application/rss+xml href=/%d>" % n for n in range(50_000)
            )
        ),
        Offered(10),
    ),
    web("links within links", lambda: html((b"<a " * 1_300 + b" feed>") * 200)),
    web(
        "tags of 700 attributes",
        lambda: html((b"<a feed " + b" ".join(b"a%d" % n for n in range(700)) + b">") * 250),
    ),
    web("quotation marks that are never closed", lambda: html(b'<a href="feed' * 70_000)),
    web("comments that are never closed", lambda: html(b"<!--" * 240_000)),
    web("scripts that are never closed", lambda: html(b"<script>" * 120_000)),
    web("less-than signs", lambda: html(b"<" * 990_000)),
    web("4.9 MB", lambda: html(b"<p>word word " * 370_000)),
    web("in Punycode", lambda: html(b"-" + b"a" * 990_000), kind="text/html; charset=punycode"),
    web("in a codec that is no encoding", lambda: html(b"x"), kind="text/html; charset=zlib_codec"),
    web(
        "a base that is a script",
        lambda: html(b"<base href=javascript:x><a href=feed>"),
        Refused(Reason.HTTP_STATUS, "no such page (404)"),
    ),
    web(
        "a feed that is the page itself",
        lambda: html(b"<link rel=alternate type=application/rss+xml href='?'>"),
    ),
    web(
        "feeds that are scripts and data",
        lambda: html(
            b"<link rel=alternate type=application/rss+xml href='javascript:x'>"
            b"<link rel=alternate type=application/rss+xml href='data:text/xml,x'>"
        ),
    ),
    web(
        "a feed with a password",
        lambda: html(
            b"<link rel=alternate type=application/rss+xml href='//a:b@127.0.0.2:{trap}/'>"
        ),
        Refused(Reason.FORBIDDEN_ADDRESS),
    ),
    web("noise", lambda: b"<html>" + bytes(range(256)) * 3_900),
)

CASES = (*JSON, *PAGES)
