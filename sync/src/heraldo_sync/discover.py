"""The feeds that a web page names: ``<link rel=alternate>``, or else links that look like feeds.

Single tags are cut out of the page and read one by one. Building a tree of the whole page takes
an HTML parser minutes when a stranger nests a million elements; this takes linear time.
"""

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser

from heraldo_sync import fields, urls
from heraldo_sync.charset import known_charset
from heraldo_sync.errors import InvalidUrl
from heraldo_sync.model import FeedLink

MAX_LINKS = 10
_MAX_PAGE = 1_000_000
_MAX_TAGS = 5_000
_MAX_TAG = 4_096
# An HTML parser's time is quadratic in a tag's attributes; a link has a dozen.
_MAX_WORDS = 200
_MAX_TEXT = 500

_START = re.compile(r"<(link|a|base)(?=[\s/])", re.IGNORECASE)
_REST = re.compile(r"(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+>")
_NOT_MARKUP = re.compile(r"<!--|<(script|style|textarea|template)(?=[\s/>])", re.IGNORECASE)
_LIKELY = {
    "link": re.compile(r"\balternate\b", re.IGNORECASE),
    "a": re.compile(r"feed|rss|atom|rdf|index\.", re.IGNORECASE),
    "base": re.compile(r"href", re.IGNORECASE),
}
_FEED_TYPES = frozenset(
    {
        "application/rss+xml",
        "application/atom+xml",
        "application/rdf+xml",
        "application/feed+json",
    }
)
# Other things than feeds have these types too (WordPress names its API so).
_VAGUE_TYPES = frozenset({"application/json", "application/xml", "text/xml"})
_FEED_PATH = re.compile(
    r"(?:^|/)(?:feeds?|rss\d?|atom)(?:/|$)|\.(?:rss|atom|rdf)$"
    r"|(?:^|[/_.-])(?:rss\d?|feeds?|atom|index)\.(?:xml|json)$",
    re.IGNORECASE,
)
_FEED_QUERY = re.compile(r"(?:^|&)(?:feed|format|type|alt|output)=(?:rss|atom|feed)", re.IGNORECASE)
_BESIDE = ("feed", "index.xml")
_COMMON = ("/feed", "/rss.xml", "/atom.xml", "/feed.xml", "/index.xml", "/feed.json")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tag:
    """A start tag; ``text`` is the markup that follows it, up to the end of a link."""

    name: str
    attributes: Mapping[str, str | None]
    text: str

    def attribute(self, name: str) -> str:
        return self.attributes.get(name) or ""


def discover(body: bytes, url: str, content_type: str | None = None) -> tuple[FeedLink, ...]:
    """Returns the feeds a page offers, at most ten, each address once, in the page's order.

    ``url`` is the page's own address. Links are absolute, http or https, and hold no
    credentials of the page. Only links within the same host count where the page does not
    declare its feeds. Only the page's first megabyte is looked at.
    """
    tags = _tags(_decode(body[:_MAX_PAGE], content_type))
    page = urls.without_credentials(url)
    base = _base(tags, page)
    return _unique(_declared(tags, base)) or _unique(_linked(tags, base, page))


def common_places(url: str) -> tuple[str, ...]:
    """Returns where a site that names no feeds may keep one, the likeliest first.

    Beside the page first, if that is not the site's root. At most eight, without credentials.
    """
    page = urls.parse(url).without_credentials()
    folder = page.path.rpartition("/")[0] + "/"
    beside = [folder + name for name in _BESIDE] if folder != "/" else []
    return tuple(str(replace(page, target=target)) for target in [*beside, *_COMMON])


def _tags(page: str) -> list[_Tag]:
    """The tags that may matter, of the page's first 5,000 links of any kind.

    Where a tag ends is where the next one may begin, so no part is read twice.
    """
    markup = _only_markup(page)
    found: list[_Tag] = []
    position = 0
    for _ in range(_MAX_TAGS):
        start = _START.search(markup, position)
        if start is None:
            break
        name = start[1].lower()
        rest = _REST.match(markup, start.end(), start.end() + _MAX_TAG)
        position = (rest or start).end()
        if rest is None or not _LIKELY[name].search(rest[0]) or len(rest[0].split()) > _MAX_WORDS:
            continue
        node = LexborHTMLParser(f"<{name}{rest[0]}").css_first(name)
        if node is not None:
            following = markup[rest.end() : rest.end() + _MAX_TEXT]
            text = re.split(r"</?a[\s>]", following, maxsplit=1, flags=re.IGNORECASE)[0]
            found.append(_Tag(name=name, attributes=node.attributes, text=text))
    return found


def _only_markup(page: str) -> str:
    """The page without comments and without the elements whose content is no markup."""
    kept: list[str] = []
    position = 0
    while start := _NOT_MARKUP.search(page, position):
        kept.append(page[position : start.start()])
        closing = re.compile(f"</{start[1]}" if start[1] else "-->", re.IGNORECASE)
        end = closing.search(page, start.end())
        if end is None:
            return "".join(kept)
        position = end.end()
    kept.append(page[position:])
    return "".join(kept)


def _declared(tags: list[_Tag], base: str) -> list[FeedLink]:
    found: list[FeedLink] = []
    for tag in tags:
        if tag.name != "link" or "alternate" not in tag.attribute("rel").lower().split():
            continue
        mime = tag.attribute("type").partition(";")[0].strip().lower()
        address = fields.link(tag.attribute("href"), base)
        if address and (mime in _FEED_TYPES or (mime in _VAGUE_TYPES and _looks_like(address))):
            title = fields.line(tag.attribute("title"), fields.MAX_NAME)
            found.append(FeedLink(url=address, title=title, mime=mime))
    return found


def _linked(tags: list[_Tag], base: str, page: str) -> list[FeedLink]:
    host = _host(page)
    found: list[FeedLink] = []
    for tag in tags:
        address = fields.link(tag.attribute("href"), base) if tag.name == "a" else None
        if address and address != page and _host(address) == host and _looks_like(address):
            title = fields.plain(tag.attribute("title") or tag.text, fields.MAX_NAME)
            found.append(FeedLink(url=address, title=title))
    return found


def _looks_like(address: str) -> bool:
    parts = urlsplit(address)
    return bool(_FEED_PATH.search(parts.path) or _FEED_QUERY.search(parts.query))


def _host(address: str) -> str:
    return urls.parse(address).host.removeprefix("www.")


def _base(tags: list[_Tag], page: str) -> str:
    """What the page's first ``<base href>`` says, else its address."""
    for tag in tags:
        if tag.name == "base":
            try:
                return urls.resolve(page, tag.attribute("href"))
            except InvalidUrl:
                return page
    return page


def _unique(links: list[FeedLink]) -> tuple[FeedLink, ...]:
    by_url: dict[str, FeedLink] = {}
    for link in links:
        by_url.setdefault(link.url, link)
    return tuple(by_url.values())[:MAX_LINKS]


def _decode(page: bytes, content_type: str | None) -> str:
    """By byte order mark, HTTP, the page's own word, and UTF-8 for want of one of these."""
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if page.startswith(mark):
            return page.decode(encoding, "replace")
    head = page[:4_096].decode("ascii", "replace")
    for place in (content_type or "", head):
        named = _CHARSET.search(place)
        charset = known_charset(named[1]) if named else None
        if charset is not None:
            try:
                return page.decode(charset, "replace")
            except (LookupError, ValueError):
                continue
    return page.decode("utf-8", "replace")
