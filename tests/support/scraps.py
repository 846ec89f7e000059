"""Random documents: real ones taken apart and put together wrongly, and soups of their parts."""

import random
from collections.abc import Sequence

import documents
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

fuzzing = settings(
    deadline=None,
    suppress_health_check=[
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
        HealthCheck.too_slow,
    ],
)
"""For the tests in tests/fuzz: as many inputs as the profile says, however long each takes."""

XML = (
    b"<rss version='2.0'>",
    b"<channel>",
    b"</channel></rss>",
    b"<feed xmlns='http://www.w3.org/2005/Atom'>",
    b"<item>",
    b"</item>",
    b"<item/>",
    b"<entry>",
    b"</entry>",
    b"<a:item>",
    b"</a:item>",
    b"<item a='",
    b'<item x=">">',
    b"<title>",
    b"</title>",
    b"<link>",
    b"</link>",
    b"<link href='",
    b"'/>",
    b"<guid>1</guid>",
    b"<guid>2</guid>",
    b"<description>",
    b"</description>",
    b"<content type='xhtml'>",
    b"<![CDATA[",
    b"]]>",
    b"<!--",
    b"-->",
    b"<?",
    b"?>",
    b"<!DOCTYPE rss [",
    b"<!ENTITY a 'b'>",
    b"<!ENTITY a '&a;&a;'>",
    b"]>",
    b"&a;",
    b"&amp;",
    b"&#0;",
    b"&#xD800;",
    b"&",
    b"<",
    b">",
    b"<?xml version='1.0' encoding='",
    b"utf-16",
    b"koi8-r",
    b"utf-7",
    b"'?>",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\0",
    b"\xc0\xbc",
    b"\xed\xa0\x80",
    b"xml:base='",
    b"javascript:x",
    b"http://[",
    b"http://example.org/x",
    b"<b>",
    b"</b>",
    b"x",
    b" ",
    b"\n",
    b"<pubDate>Thu, 01 Jan 2026 00:00:00 GMT</pubDate>",
    b"<pubDate>",
    b"99999",
    b"<enclosure url='x' length='",
    b"<author>",
    b"(a@b.c)",
    b"<itunes:duration>",
    b"<media:content url='",
    b"xmlns:media='http://search.yahoo.com/mrss/'",
    b"<updated>",
    b"<id>",
    b"<ttl>60</ttl>",
)
HTML = (
    "<a ",
    "<link ",
    "<base ",
    "href=",
    "title=",
    "'",
    '"',
    ">",
    "/feed",
    "feed",
    "rel=alternate ",
    "<!--",
    "-->",
    "<script>",
    "</script>",
    "type=application/rss+xml ",
    "type=text/xml ",
    "\x00",
    "&amp;",
    "&#0;",
    "</a>",
    "http://",
    "//",
    "[",
    "ñ",
    "\ud800",
    "@",
    ":",
    "javascript:",
    "<meta charset=punycode>",
    "charset=",
    "utf-16",
    "<html>",
    "<div>",
    "\u202e",
    "rss.xml",
    "?",
    "#",
    "data:",
    "\n",
    "http://example.org/x.rss",
)
_MARKUP = (
    "<b>",
    "</b>",
    "<a href='",
    "'>",
    "</a>",
    "<p>",
    "<pre><code class='language-x'>",
    "</code></pre>",
    "<ul><li>",
    "<table><tr><td>",
    "<blockquote>",
    "</blockquote>",
    "<img src='",
    "x",
    " ",
    "\n",
    "&lt;",
    "&#x202e;",
    "&#0;",
    "\u200d",
    "\u200b",
    "\u202e",
    "😀",
    "🏴\U000e0067",
    "e\u0301",
    "\ud83d",
    "http://example.org/",
    "javascript:x",
    "tg://user?id=1",
    "<script>",
    "<!--",
    "<",
    ">",
    "&",
    "\x00",
    "\x07",
    "y" * 300,
)


@st.composite
def mutants(draw: st.DrawFn, originals: Sequence[bytes]) -> bytes:
    """One of the originals after a few cuts, copies and insertions, drawn from one number."""
    body = draw(st.sampled_from(originals))
    rng = random.Random(draw(st.integers(0, 2**64)))
    for _ in range(draw(st.integers(0, 6))):
        start, end = sorted(rng.randrange(len(body) + 1) for _ in range(2))
        match rng.randrange(4):
            case 0:
                body = body[:start] + body[end:][-2_000:]
            case 1:
                body = body[:end] + body[start:end][:500] + body[end:]
            case 2:
                body = body[:start] + rng.choice(XML) + body[start:]
            case _:
                body = body[:start] + rng.randbytes(rng.randrange(4)) + body[start + 1 :]
    return body


def _originals() -> list[bytes]:
    return [make("blog", [1, 2, 3])[0] for make in documents.ALL.values()]


soups = st.lists(st.sampled_from(XML) | st.binary(max_size=3), max_size=40).map(b"".join)
feeds = mutants(_originals()) | soups
pages = (
    st.lists(st.sampled_from(HTML) | st.text(max_size=3), max_size=40)
    .map("".join)
    .map(lambda text: text.encode("utf-8", "surrogatepass"))
)
markup = st.lists(st.sampled_from(_MARKUP) | st.text(max_size=3), max_size=40).map("".join)
