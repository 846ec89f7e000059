"""The same posts in every format and state that feeds are found in.

Each function takes the feed's name and its post numbers, old to new, and returns the body and
the Content-Type a server might send with it.
"""

import json
from collections.abc import Callable
from html import escape

from feed_server import rss

Document = Callable[[str, list[int]], tuple[bytes, str]]


def title(name: str, number: int) -> str:
    """What a post is called in every format."""
    return f"{name} post {number}"


def link(name: str, number: int) -> str:
    """Where a post is in every format."""
    return f"https://example.org/{name}/{number}"


def rss092(name: str, posts: list[int]) -> tuple[bytes, str]:
    items = "".join(
        f"<item><title>{title(name, n)}</title><link>{link(name, n)}</link></item>"
        for n in reversed(posts)
    )
    text = f"<rss version='0.92'><channel><title>{name}</title>{items}</channel></rss>"
    return text.encode(), "text/xml"


def rss10(name: str, posts: list[int]) -> tuple[bytes, str]:
    items = "".join(
        f"<item rdf:about='{link(name, n)}'><title>{title(name, n)}</title>"
        f"<link>{link(name, n)}</link><dc:date>2026-01-01T00:{n:02}:00Z</dc:date></item>"
        for n in reversed(posts)
    )
    text = (
        "<?xml version='1.0'?><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'"
        " xmlns='http://purl.org/rss/1.0/' xmlns:dc='http://purl.org/dc/elements/1.1/'>"
        f"<channel rdf:about='https://example.org/{name}'><title>{name}</title></channel>"
        f"{items}</rdf:RDF>"
    )
    return text.encode(), "application/rdf+xml"


def atom03(name: str, posts: list[int]) -> tuple[bytes, str]:
    entries = "".join(
        f"<entry><id>tag:{name},{n}</id><title>{title(name, n)}</title>"
        f"<link rel='alternate' type='text/html' href='{link(name, n)}'/>"
        f"<issued>2026-01-01T00:{n:02}:00Z</issued></entry>"
        for n in reversed(posts)
    )
    text = (
        "<?xml version='1.0'?><feed version='0.3' xmlns='http://purl.org/atom/ns#'>"
        f"<title>{name}</title>{entries}</feed>"
    )
    return text.encode(), "application/x.atom+xml"


def atom10(name: str, posts: list[int]) -> tuple[bytes, str]:
    entries = "".join(
        f"<entry><id>tag:{name},{n}</id><title type='html'>{title(name, n)}</title>"
        f"<link href='{link(name, n)}'/><updated>2026-01-01T00:{n:02}:00Z</updated>"
        f"<content type='html'>&lt;p&gt;Text &amp;amp; &lt;b&gt;bold&lt;/b&gt;&lt;/p&gt;</content>"
        "</entry>"
        for n in reversed(posts)
    )
    text = (
        "<?xml version='1.0' encoding='utf-8'?><feed xmlns='http://www.w3.org/2005/Atom'>"
        f"<title>{name}</title><id>tag:{name}</id>{entries}</feed>"
    )
    return text.encode(), "application/atom+xml"


def json_feed(name: str, posts: list[int]) -> tuple[bytes, str]:
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": name,
        "items": [
            {
                "id": f"{name}-{n}",
                "title": title(name, n),
                "url": link(name, n),
                "content_html": "<p>Text</p>",
            }
            for n in reversed(posts)
        ],
    }
    return json.dumps(feed).encode(), "application/feed+json"


def oldest_first(name: str, posts: list[int]) -> tuple[bytes, str]:
    items = "".join(
        f"<item><guid>{name}-{n}</guid><title>{title(name, n)}</title>"
        f"<pubDate>Thu, 01 Jan 2026 00:{n:02}:00 GMT</pubDate><link>{link(name, n)}</link></item>"
        for n in posts
    )
    return _channel(name, items).encode(), "application/rss+xml"


def windows_1251(name: str, posts: list[int]) -> tuple[bytes, str]:
    return _encoded(name, posts, "windows-1251", "Привет"), "application/rss+xml"


def koi8_r(name: str, posts: list[int]) -> tuple[bytes, str]:
    return _encoded(name, posts, "koi8-r", "Привет"), "text/xml"


def latin_1(name: str, posts: list[int]) -> tuple[bytes, str]:
    return _encoded(name, posts, "iso-8859-1", "señal"), "text/xml; charset=iso-8859-1"


def utf_16(name: str, posts: list[int]) -> tuple[bytes, str]:
    return _encoded(name, posts, "utf-16", "señal"), "application/xml"


def bare_ampersand(name: str, posts: list[int]) -> tuple[bytes, str]:
    body, kind = rss(name, posts)
    return body.replace(b"<description>Text", b"<description>Q & A, Text"), kind


def junk_before_prolog(name: str, posts: list[int]) -> tuple[bytes, str]:
    body, kind = rss(name, posts)
    return b"\n \n" + body, kind


def never_closed(name: str, posts: list[int]) -> tuple[bytes, str]:
    body, kind = rss(name, posts)
    return body.removesuffix(b"</channel></rss>"), kind


def wrong_type(name: str, posts: list[int]) -> tuple[bytes, str]:
    return rss(name, posts)[0], "text/html"


def _encoded(name: str, posts: list[int], encoding: str, word: str) -> bytes:
    items = "".join(
        f"<item><guid>{name}-{n}</guid><title>{title(name, n)}</title>"
        f"<link>{link(name, n)}</link><description>{escape(word)}</description></item>"
        for n in reversed(posts)
    )
    text = f"<?xml version='1.0' encoding='{encoding}'?>{_channel(name, items)}"
    return text.encode(encoding)


def _channel(name: str, items: str) -> str:
    return f"<rss version='2.0'><channel><title>{name}</title>{items}</channel></rss>"


ALL: dict[str, Document] = {
    "rss092": rss092,
    "rss10": rss10,
    "rss20": rss,
    "atom03": atom03,
    "atom10": atom10,
    "json": json_feed,
    "oldest": oldest_first,
    "cp1251": windows_1251,
    "koi8r": koi8_r,
    "latin1": latin_1,
    "utf16": utf_16,
    "ampersand": bare_ampersand,
    "junk": junk_before_prolog,
    "unclosed": never_closed,
    "mislabelled": wrong_type,
}
