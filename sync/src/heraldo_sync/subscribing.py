"""From an address somebody sent to a subscription, or to a clear answer why not."""

from dataclasses import dataclass

from heraldo_sync import sites
from heraldo_sync.database import Connection
from heraldo_sync.detect import Kind, detect
from heraldo_sync.discover import common_places
from heraldo_sync.model import Failed, FeedLink, Fetched, NotModified, Reason
from heraldo_sync.private import Private, private_address
from heraldo_sync.readers import Readers
from heraldo_sync.reading import Reading, body_hash, read_whole
from heraldo_sync.replacing import (
    ChangedMeanwhile,
    PrivateFeed,
    followed,
    lock_subscriber,
    replace,
)
from heraldo_sync.services import SyncServices
from heraldo_sync.statements import statement
from heraldo_sync.store import deliver_newest, lock_feed, upsert_feed
from heraldo_sync.urls import display

_ABSENT = frozenset({400, 403, 404, 405, 406, 410})


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A feed, read once. ``url`` is the address it will be checked at, ``private`` with what.

    ``elsewhere`` is where a private feed says it is for good, if that is another server.
    """

    url: str
    reading: Reading
    private: Private | None = None
    elsewhere: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """A web page that points to several feeds."""

    links: tuple[FeedLink, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed:
    """The subscription is there; ``already`` when it was before. ``newest`` is on its way.

    ``url`` and ``elsewhere`` are for people: they hold no credentials. ``replaced`` says that the
    target had followed this address before with other private headers, or without any.
    """

    subscription_id: int
    title: str
    url: str
    already: bool
    newest: str | None
    private: bool = False
    replaced: bool = False
    elsewhere: str | None = None


async def look(
    services: Readers, url: str, private: Private | None = None
) -> Found | Choices | Failed:
    """Reads the address: a feed, or a web page that leads to one or offers several.

    ``url`` is normalised. What a well-known site documents about its pages comes first, then the
    page's own word, then the usual places. A page with a single feed leads to it; one step, no
    further. With ``private`` headers (or credentials in the address) none of the well-known sites'
    rules apply, and a feed on another server is one that anybody may read.
    """
    url, login = private_address(url)
    private = private or login
    known = sites.feeds_of(url, services.rsshub) if private is None else ()
    if len(known) > 1:
        return Choices(links=known)
    guess = await _follow(services, known[0].url, private) if known else None
    if isinstance(guess, Found) or (guess is not None and not _is_absent(guess)):
        return guess
    found = await _look_at(services, url, private)
    return guess if guess is not None and isinstance(found, Failed) else found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """A page that is no feed itself, without its body: large ones are not to lie about while
    others are asked for (`heraldo_sync.room`). ``failed`` says that it is none."""

    url: str
    kind: Kind
    body_hash: bytes
    links: tuple[FeedLink, ...]
    failed: Failed


async def _look_at(
    services: Readers, url: str, private: Private | None
) -> Found | Choices | Failed:
    found = await _read_page(services, url, private)
    if not isinstance(found, _Page):
        return found
    match found.links:
        case ():
            return await _guess(services, found, private) or found.failed
        case (only,):
            return await _follow(services, only.url, private)
        case links:
            return Choices(links=links)


async def _read_page(
    services: Readers, url: str, private: Private | None
) -> Found | Failed | _Page:
    first = await _fetch(services, url, private)
    if isinstance(first, Failed):
        return first
    reading = await read_whole(services, first)
    if isinstance(reading, Reading):
        return _found(url, private, reading)
    if reading.reason is not Reason.NOT_A_FEED:
        return reading
    links = await services.parser.links(
        first.body[: sites.MAX_PAGE], url=first.url, content_type=first.content_type
    )
    if isinstance(links, Failed):
        return links
    return _Page(
        url=first.url,
        kind=detect(first.body),
        body_hash=body_hash(first.body),
        links=links,
        failed=reading,
    )


async def _guess(services: Readers, page: _Page, private: Private | None) -> Found | None:
    """Tries the usual places, one after the other, as long as the site minds its manners."""
    if page.kind is not Kind.HTML or sites.is_known(page.url):
        return None
    for url in common_places(page.url):
        found = await _try(services, url, page, private)
        if isinstance(found, Found):
            return found
        if not found:
            return None
    return None


async def _try(services: Readers, url: str, page: _Page, private: Private | None) -> Found | bool:
    """The feed at one of the usual places, or else whether the next one may be tried."""
    answer = await services.fetcher.fetch(url, private=_meant_for(url, private))
    if isinstance(answer, Failed) and _is_absent(answer):
        return True
    if not isinstance(answer, Fetched) or body_hash(answer.body) == page.body_hash:
        # In trouble, or the same page everywhere.
        return False
    if detect(answer.body) in (Kind.XML, Kind.JSON):
        reading = await read_whole(services, answer)
        if isinstance(reading, Reading):
            return _found(url, private, reading)
    return True


def _is_absent(failed: Failed) -> bool:
    """There is no feed there, which the server says calmly."""
    if failed.reason is Reason.BROWSER_CHECK:
        return False
    return failed.reason is Reason.NOT_A_FEED or failed.status in _ABSENT


async def _follow(services: Readers, url: str, private: Private | None) -> Found | Failed:
    """A link's own credentials are for nobody to use: they are its author's, or a trick."""
    url, _ = private_address(url)
    fetched = await _fetch(services, url, private)
    if isinstance(fetched, Failed):
        return fetched
    reading = await read_whole(services, fetched)
    if isinstance(reading, Failed):
        return reading
    return _found(url, private, reading)


def _meant_for(url: str, private: Private | None) -> Private | None:
    """What a request that begins at this address may carry anywhere.

    If it begins elsewhere, nothing: a redirect back would bring a private document to all who
    follow the public address.
    """
    return private if private is not None and private.is_for(url) else None


def _found(url: str, private: Private | None, reading: Reading) -> Found:
    """Where the feed is kept, which is never another server than its headers are for."""
    moved = reading.fetched.permanent_url
    private = _meant_for(url, private)
    if private is not None and moved is not None and not private.is_for(moved):
        return Found(url=url, reading=reading, private=private, elsewhere=moved)
    return Found(url=moved or url, reading=reading, private=private)


async def _fetch(services: Readers, url: str, private: Private | None) -> Fetched | Failed:
    answer = await services.fetcher.fetch(url, private=_meant_for(url, private))
    if isinstance(answer, NotModified):
        # We sent no validators, so this is a server that answers anything.
        return Failed(
            reason=Reason.BAD_RESPONSE,
            message="The server answered that nothing has changed, though we never asked before.",
        )
    return answer


async def subscribe(services: SyncServices, target_id: int, found: Found) -> Subscribed:
    """Subscribes a target to a feed that was just read, in one transaction.

    What is new to subscribers the feed already has goes out to them; the new one gets the
    newest entry at once. Repeating it changes nothing and sends nothing again. A target follows an
    address once: with other private headers than before its subscription goes on with these.

    Raises:
        ValueError: the feed is private and there is no vault.
    """
    while True:
        try:
            async with services.pool.acquire() as connection, connection.transaction():
                return await _subscribe(services, connection, target_id, found)
        except ChangedMeanwhile:
            # What another request of the same chat has committed will be seen this time.
            continue


async def _subscribe(
    services: SyncServices, connection: Connection, target_id: int, found: Found
) -> Subscribed:
    title = found.reading.parsed.title or display(found.url)
    mine: PrivateFeed | None = None
    if found.private is not None:
        mine = await PrivateFeed.of(connection, services.vault, found.url, found.private)
    wanted = mine.feed_id if mine is not None else None
    before = await followed(connection, target_id, found.url, wanted)
    if mine is not None:
        feed_id = await mine.hold(connection, title, before)
    elif before is not None and before.private:
        # The way back to a public feed is to unsubscribe first: it may be a slip.
        return _subscribed(found, title, before.id, already=True)
    else:
        feed_id = await upsert_feed(connection, found.url, title)
        await lock_feed(connection, feed_id)
    await services.keeper.keep(connection, feed_id, found.reading)
    if mine is not None:
        await lock_subscriber(connection, target_id, found.url, before)
    if before is not None and before.feed_id != feed_id:
        await replace(
            connection, services.queue, target_id=target_id, before=before, feed_id=feed_id
        )
        return _subscribed(found, title, before.id, replaced=True)
    subscription_id = await connection.fetchval(
        statement("insert_subscription"), target_id, feed_id
    )
    if subscription_id is None:
        known = await followed(connection, target_id, found.url, feed_id)
        assert known is not None  # the feed is locked, so nobody can have unsubscribed
        return _subscribed(found, title, known.id, already=True)
    newest = await deliver_newest(
        connection,
        services.queue,
        feed_id=feed_id,
        subscription_id=subscription_id,
        target_id=target_id,
    )
    return _subscribed(found, title, subscription_id, newest=newest)


def _subscribed(
    found: Found,
    title: str,
    subscription_id: int,
    *,
    already: bool = False,
    replaced: bool = False,
    newest: str | None = None,
) -> Subscribed:
    return Subscribed(
        subscription_id=subscription_id,
        title=title,
        url=display(found.url),
        already=already,
        newest=newest,
        private=found.private is not None,
        replaced=replaced,
        elsewhere=display(found.elsewhere) if found.elsewhere else None,
    )
