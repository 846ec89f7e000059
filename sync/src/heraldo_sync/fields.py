"""From what a feed wrote to what may be stored: cleaned, cut to size, converted.

Everything takes any value that a hostile feed may hold and never raises.
"""

import hashlib
import html
import re
from datetime import UTC, datetime
from urllib.parse import quote, urljoin, urlsplit

from heraldo_sync import urls
from heraldo_sync.errors import InvalidUrl
from heraldo_sync.model import Enclosure, ParsedEntry

MAX_ENTRIES = 1_000
MAX_TITLE = 1_000
MAX_HTML = 200_000
MAX_GUID = 2_048
MAX_NAME = 200
MAX_CATEGORIES = 50
MAX_ENCLOSURES = 20
_MAX_BYTES = 2**40

# Postgres takes no NUL in a text and no encoding takes a lone surrogate.
_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]|[\ud800-\udfff]")
_EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]{0,15})(?:\s[^<>]{0,2000})?/?>")
_HTML_NAMES = """
    a abbr acronym address article aside audio b bdi bdo big blink blockquote br button caption
    center cite code col colgroup data dd del details dfn dir div dl dt em figcaption figure font
    footer h1 h2 h3 h4 h5 h6 header hr i iframe img input ins kbd label legend li main map mark
    menu meter nav nobr noscript object ol option output p picture pre progress q rp rt ruby s
    samp script section select small source span strike strong style sub summary sup svg table
    tbody td template textarea tfoot th thead time tr track tt u ul var video wbr
"""
_HTML_TAGS = frozenset(_HTML_NAMES.split())
_ANY_TAG = re.compile(r"<[a-zA-Z][^<>]{0,10000}>")
_REFERENCE = re.compile(
    r"(\s(?:href|src|poster)\s{0,9}=\s{0,9})(\"[^\"]{0,2048}\"|'[^']{0,2048}')", re.IGNORECASE
)
_HAS_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_DURATION = re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,4}):)?(\d{1,7})(?:\.\d{1,9})?", re.ASCII)
_MAX_SECONDS = 10_000_000
# RFC 3986 §3.5, and the escapes that are there already.
_FRAGMENT = "!$&'()*+,;=:@/?-._~%"
_VAGUE_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_TYPES = {
    "aac": "audio/aac", "flac": "audio/flac", "m4a": "audio/mp4", "mp3": "audio/mpeg",
    "oga": "audio/ogg", "ogg": "audio/ogg", "opus": "audio/ogg", "wav": "audio/wav",
    "m4v": "video/mp4", "mkv": "video/matroska", "mov": "video/quicktime", "mp4": "video/mp4",
    "webm": "video/webm", "gif": "image/gif", "jpeg": "image/jpeg", "jpg": "image/jpeg",
    "png": "image/png", "webp": "image/webp", "epub": "application/epub+zip",
    "pdf": "application/pdf",
}  # fmt: skip


def clean(value: object, limit: int) -> str:
    """Returns a text's storable characters, stripped, at most ``limit`` of them."""
    if not isinstance(value, str):
        return ""
    return _UNSTORABLE.sub("", value[: limit * 2]).strip()[:limit].rstrip()


def line(value: object, limit: int) -> str:
    """Like `clean`, with every run of white space made one space."""
    return " ".join(clean(value, limit).split())


def plain(markup: object, limit: int) -> str:
    """Returns the text of a piece of HTML on one line.

    Only HTML's own tags are taken away: ``List<String>`` was meant as it stands.
    """
    text = clean(markup, limit * 4)
    without = _TAG.sub(lambda tag: "" if tag[1].lower() in _HTML_TAGS else tag[0], text)
    return line(html.unescape(without), limit)


def as_html(text: object, limit: int) -> str:
    """Returns plain text as HTML that shows the same, line breaks included."""
    return html.escape(clean(text, limit), quote=False).replace("\n", "<br>\n")[:limit]


def guid(value: object) -> str | None:
    """Returns an entry's own id; a longer one than is sensible is cut and told by its hash."""
    text = clean(value, len(value)) if isinstance(value, str) else ""
    if len(text) > MAX_GUID:
        digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
        return text[: MAX_GUID - len(digest) - 1] + "#" + digest
    return text or None


def link(value: object, base: str) -> str | None:
    """Returns an absolute http or https address, None for anything else."""
    if not isinstance(value, str) or not value.strip() or len(value) > 2 * urls.MAX_LENGTH:
        return None
    try:
        return urls.resolve(base, value)
    except InvalidUrl:
        return None


def page(value: object, base: str) -> str | None:
    """Like `link`, with the place on the page that it leads to."""
    found = link(value, base)
    if found is None or not isinstance(value, str):
        return found
    place = quote(clean(value.partition("#")[2], urls.MAX_LENGTH), safe=_FRAGMENT)
    whole = f"{found}#{place}"
    return whole if place and len(whole) <= urls.MAX_LENGTH else found


def moment(value: datetime | None) -> datetime | None:
    """Returns the date in UTC; None for one that no entry of a feed can have."""
    if value is None:
        return None
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        utc = aware.astimezone(UTC)
    except OverflowError:
        return None
    return utc if _EARLIEST <= utc < _LATEST else None


def rebased(markup: str, base: str) -> str:
    """Returns a piece of HTML with its relative links made absolute; in linear time."""
    return _ANY_TAG.sub(lambda tag: _REFERENCE.sub(lambda it: _absolute(it, base), tag[0]), markup)


def _absolute(attribute: re.Match[str], base: str) -> str:
    reference = html.unescape(attribute[2][1:-1]).strip()
    if not reference or reference.startswith("#") or _HAS_SCHEME.match(reference):
        return attribute[0]
    try:
        return f'{attribute[1]}"{html.escape(urljoin(base, reference))}"'
    except ValueError:
        return attribute[0]


def enclosure(
    url: object,
    mime: object,
    length: object,
    base: str,
    *,
    medium: object = None,
    title: object = None,
    plays: object = None,
) -> Enclosure | None:
    """Returns the enclosure if its address is of use.

    What is not said of its type is told by ``medium`` (audio, video or image), or else by the
    ending of its address. ``plays`` is its duration as `duration` reads it.
    """
    address = link(url, base)
    if address is None:
        return None
    named = line(mime, MAX_NAME).lower()
    if named in _VAGUE_TYPES:
        ending = urlsplit(address).path.rpartition(".")[2].lower()
        kind = f"{medium}/*" if medium in ("audio", "image", "video") else ""
        named = _TYPES.get(ending, "") or kind or named
    return Enclosure(
        url=address,
        mime=named or None,
        length=size(length),
        title=line(title, MAX_NAME) or None,
        seconds=duration(plays),
    )


def duration(value: object) -> int | None:
    """Returns seconds from a number of them, ``mm:ss`` or ``hh:mm:ss``; None for nothing known."""
    if isinstance(value, str):
        found = _DURATION.fullmatch(value.strip())
        if found is None:
            return None
        hours, minutes, seconds = (int(part or 0) for part in found.groups())
        value = hours * 3600 + minutes * 60 + seconds
    if isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value < _MAX_SECONDS:
        return int(value)
    return None


def size(value: object) -> int | None:
    """Returns a file's size in bytes; zero is what people write who do not know."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value.strip()[:15])
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MAX_BYTES:
        return value
    return None


def unique_enclosures(found: list[Enclosure | None]) -> tuple[Enclosure, ...]:
    """The first enclosure of each address, at most 20."""
    by_url: dict[str, Enclosure] = {}
    for item in found:
        if item is not None:
            by_url.setdefault(item.url, item)
    return tuple(by_url.values())[:MAX_ENCLOSURES]


def unique_names(found: list[str]) -> tuple[str, ...]:
    """The names that are not empty, each once, at most 50."""
    return tuple(dict.fromkeys(filter(None, found)))[:MAX_CATEGORIES]


def saying_something(entries: list[ParsedEntry]) -> tuple[ParsedEntry, ...]:
    """The entries that have anything to tell apart or to show."""
    return tuple(
        entry
        for entry in entries
        if entry.guid or entry.link or entry.title or entry.html or entry.enclosures
    )
