"""A document, whatever it is, read in this very process: what the parser process does."""

from heraldo_sync import sites
from heraldo_sync.detect import Kind, detect
from heraldo_sync.discover import discover
from heraldo_sync.expat import TooMuch
from heraldo_sync.json_feed import parse_json_feed
from heraldo_sync.model import Failed, FeedLink, ParsedFeed, Reason
from heraldo_sync.urls import without_credentials
from heraldo_sync.xml_feed import parse_xml_feed


def read_document(body: bytes, url: str, content_type: str | None) -> ParsedFeed | Failed:
    """Returns the feed, or why the document is none. Links never hold the address's password.

    Raises:
        Exception: whatever the XML parser may raise on hostile input.
    """
    try:
        return _read(body, without_credentials(url), content_type)
    except TooMuch:
        return takes_too_long()


def named_feeds(page: bytes, url: str, content_type: str | None) -> tuple[FeedLink, ...]:
    """Returns the feeds that a web page leads to: by what is known of its site, or else by what
    the page says."""
    return sites.feeds_in(page, url) or discover(page, url, content_type)


def _read(body: bytes, base: str, content_type: str | None) -> ParsedFeed | Failed:
    match detect(body):
        case Kind.JSON:
            feed = parse_json_feed(body, base)
        case Kind.XML:
            feed = parse_xml_feed(body, base, content_type)
        case Kind.HTML:
            return not_a_feed(
                "There is a web page at this address, not a feed. "
                "Look for a link named RSS or Atom on it and send that."
            )
        case Kind.OTHER:
            feed = None
    if feed is None:
        return not_a_feed(
            "There is nothing at this address."
            if not body.strip()
            else "What is at this address is not a feed (RSS, Atom or JSON Feed)."
        )
    return feed


def not_a_feed(message: str) -> Failed:
    """A document that cannot be read as a feed."""
    return Failed(reason=Reason.NOT_A_FEED, message=message)


def takes_too_long() -> Failed:
    """A document that stalls whoever reads it."""
    return Failed(
        reason=Reason.PARSE_TIMEOUT,
        message=(
            "This feed is built so that reading it takes too long. "
            "Tell its owner, if you know them."
        ),
    )
