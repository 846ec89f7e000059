"""The feed domain's values: what a feed said, and what we keep of it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from heraldo_sync.skip_times import SkipTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosure:
    """A file that belongs to an entry. ``url`` is absolute; ``length`` is in bytes.

    ``mime`` may be a range such as ``image/*`` where only the kind is known. ``seconds`` is how
    long it plays.
    """

    url: str
    mime: str | None = None
    length: int | None = None
    title: str | None = None
    seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedEntry:
    """One entry as the feed shows it now.

    ``title`` and ``author`` are plain text. ``html`` is the fullest body the feed offers, still
    unsanitised. ``link``, ``image`` (a picture for the whole post) and ``comments`` (the page to
    discuss it on) are absolute. Dates are aware and in UTC, None when absent or unreadable.
    """

    guid: str | None = None
    link: str | None = None
    title: str = ""
    html: str = ""
    author: str | None = None
    published_at: datetime | None = None
    updated_at: datetime | None = None
    enclosures: tuple[Enclosure, ...] = ()
    categories: tuple[str, ...] = ()
    image: str | None = None
    comments: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedFeed:
    """A feed document, entries in document order.

    ``format`` names what was found, e.g. ``rss20``, ``atom10``, ``json11``. ``malformed`` says
    that the document broke its format's rules and was read as well as could be. ``separable``
    says that every item of the document is here and would read the same without the others.
    ``ttl`` is the feed's own wish for the time between two checks, ``skip`` when it wants none.
    ``hubs`` and ``topic`` are the addresses of its WebSub hubs and its own, as the document has
    them, absolute.
    """

    format: str
    title: str = ""
    link: str | None = None
    entries: tuple[ParsedEntry, ...] = ()
    malformed: bool = False
    separable: bool = False
    ttl: timedelta | None = None
    skip: SkipTimes | None = None
    hubs: tuple[str, ...] = ()
    topic: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedLink:
    """A feed that a web page points to."""

    url: str
    title: str = ""
    mime: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """What a server gave us to ask "has it changed?" with, returned to it verbatim.

    ``origin`` is where redirects led to it (`Url.origin`); None stands for the address's own.
    """

    etag: str | None = None
    last_modified: str | None = None
    origin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A response with a body. ``url`` is the final one, after redirects.

    ``permanent_url`` is set when the whole redirect chain was permanent (301, 308).
    ``fresh_for`` is what Cache-Control or Expires promised. ``link`` is the Link header if it
    speaks of a hub. ``claim`` is on the memory of a large body (`heraldo_sync.room`), which is
    others' again when the last copy of this is gone: so it is not to be kept for long.
    """

    url: str
    body: bytes
    content_type: str | None = None
    validators: Validators = field(default_factory=Validators)
    permanent_url: str | None = None
    fresh_for: timedelta | None = None
    link: str | None = None
    claim: object = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotModified:
    """The server says that what we have is current. The fields are those of `Fetched`."""

    validators: Validators
    permanent_url: str | None = None
    fresh_for: timedelta | None = None


class Reason(StrEnum):
    """Why a feed could not be read. Stored, so values never change their meaning."""

    INVALID_URL = "invalid_url"
    FORBIDDEN_ADDRESS = "forbidden_address"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    REDIRECTS = "redirects"
    HTTP_STATUS = "http_status"
    BAD_RESPONSE = "bad_response"
    NOT_A_FEED = "not_a_feed"
    PARSE_TIMEOUT = "parse_timeout"
    HOST_BUSY = "host_busy"
    BROWSER_CHECK = "browser_check"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The feed could not be read.

    ``message`` is one or two sentences for the person who asked: what was wrong and what to
    do; it holds no credentials. ``host`` asked us to wait (429, 503), ``retry_after`` says for how
    long if it did.
    """

    reason: Reason
    message: str
    status: int | None = None
    retry_after: timedelta | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A stored entry, as a message is made of it."""

    id: int
    feed_id: int
    feed_title: str
    feed_link: str | None
    title: str
    link: str | None
    author: str | None
    html: str
    published_at: datetime | None
    enclosures: tuple[Enclosure, ...] = ()
    categories: tuple[str, ...] = ()
    image: str | None = None
    comments: str | None = None
