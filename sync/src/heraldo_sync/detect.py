"""What a document is, judged by its content; names and Content-Type are too often wrong."""

import codecs
import re
from enum import StrEnum

_WINDOW = 65_536
_BOMS = (
    # UTF-32's little-endian mark begins with UTF-16's, so the longer ones come first.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FEED = re.compile(
    r"<(?:[a-z][\w.-]{0,30}:)?(?:rss|feed|rdf|channel)(?=[\s>/])|<rdf:rdf(?=[\s>/])", re.IGNORECASE
)
_HTML = re.compile(r"<!doctype\s{1,20}html|<(?:html|head|body)(?=[\s>/])", re.IGNORECASE)


class Kind(StrEnum):
    """The four things a feed's address may show."""

    XML = "xml"
    JSON = "json"
    HTML = "html"
    OTHER = "other"


def detect(body: bytes) -> Kind:
    """Returns what the document is by whatever comes first in its first 64 KB.

    `Kind.JSON` says only that it looks like a JSON object. Junk before the document (blank
    lines, PHP warnings) and comments are looked past.
    """
    head = _without_comments(_text(body[:_WINDOW]))
    if head.lstrip().startswith("{"):
        return Kind.JSON
    feed, html = _FEED.search(head), _HTML.search(head)
    if feed and (not html or feed.start() < html.start()):
        return Kind.XML
    return Kind.HTML if html else Kind.OTHER


def unicode_encoding(body: bytes) -> tuple[str, int] | None:
    """Returns the encoding that the first bytes prove, and how many of them are its mark."""
    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return encoding, len(mark)
    # A mark was forgotten: in UTF-16 every second byte of "<?xml" is zero.
    if body[:4:2] == b"\0\0":
        return "utf-16-be", 0
    return ("utf-16-le", 0) if body[1:4:2] == b"\0\0" else None


def _text(head: bytes) -> str:
    encoding, mark = unicode_encoding(head) or ("latin-1", 0)
    return head[mark:].decode(encoding, "replace")


def _without_comments(text: str) -> str:
    """In one pass; a pattern would go over the rest again for each comment left open."""
    kept: list[str] = []
    position = 0
    while (start := text.find("<!--", position)) >= 0:
        kept.append(text[position:start])
        end = text.find("-->", start + 4)
        if end < 0:
            return "".join(kept)
        position = end + 3
    kept.append(text[position:])
    return "".join(kept)
