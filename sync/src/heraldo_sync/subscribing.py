"""From an address somebody sent to a subscription, or to a clear answer why not."""

from dataclasses import dataclass

from heraldo_sync import sites
from heraldo_sync.check import keep_reading
from heraldo_sync.detect import Kind, detect
from heraldo_sync.discover import common_places, discover
from heraldo_sync.model import Failed, FeedLink, Fetched, NotModified, Reason
from heraldo_sync.reading import Reading, read_whole
from heraldo_sync.services import Readers, SyncServices
from heraldo_sync.statements import statement
from heraldo_sync.store import deliver_newest, lock_feed, upsert_feed
from heraldo_sync.urls import display

_ABSENT = frozenset({400, 403, 404, 405, 406, 410})


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A feed, read once. ``url`` is the address it will be checked at."""

    url: str
    reading: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """A web page that points to several feeds."""

    links: tuple[FeedLink, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed:
    """The subscription is there; ``already`` when it was before. ``newest`` is on its way.

    ``url`` is for people: it holds no credentials.
    """

    subscription_id: int
    title: str
    url: str
    already: bool
    newest: str | None


async def look(services: Readers, url: str) -> Found | Choices | Failed:
    """Reads the address: a feed, or a web page that leads to one or offers several.

    ``url`` is normalised. What a well-known site documents about its pages comes first, then the
    page's own word, then the usual places. A page with a single feed leads to it; one step, no
    further.
    """
    known = sites.feeds_of(url, services.rsshub)
    if len(known) > 1:
        return Choices(links=known)
    guess = await _follow(services, known[0].url) if known else None
    if isinstance(guess, Found) or (guess is not None and not _is_absent(guess)):
        return guess
    found = await _look_at(services, url)
    return guess if guess is not None and isinstance(found, Failed) else found


async def _look_at(services: Readers, url: str) -> Found | Choices | Failed:
    first = await _fetch(services, url)
    if isinstance(first, Failed):
        return first
    reading = await read_whole(services, first)
    if isinstance(reading, Reading):
        return Found(url=first.permanent_url or url, reading=reading)
    if reading.reason is not Reason.NOT_A_FEED:
        return reading
    links = sites.feeds_in(first.body, first.url) or discover(
        first.body, first.url, first.content_type
    )
    match links:
        case ():
            return await _guess(services, first) or reading
        case (only,):
            return await _follow(services, only.url)
        case links:
            return Choices(links=links)


async def _guess(services: Readers, page: Fetched) -> Found | None:
    """Tries the usual places, one after the other, as long as the site minds its manners."""
    if detect(page.body) is not Kind.HTML or sites.is_known(page.url):
        return None
    for url in common_places(page.url):
        answer = await services.fetcher.fetch(url)
        if isinstance(answer, Failed) and _is_absent(answer):
            continue
        if not isinstance(answer, Fetched) or answer.body == page.body:
            # In trouble, or the same page everywhere.
            return None
        if detect(answer.body) in (Kind.XML, Kind.JSON):
            reading = await read_whole(services, answer)
            if isinstance(reading, Reading):
                return Found(url=answer.permanent_url or url, reading=reading)
    return None


def _is_absent(failed: Failed) -> bool:
    """There is no feed there, which the server says calmly."""
    if failed.reason is Reason.BROWSER_CHECK:
        return False
    return failed.reason is Reason.NOT_A_FEED or failed.status in _ABSENT


async def _follow(services: Readers, url: str) -> Found | Failed:
    fetched = await _fetch(services, url)
    if isinstance(fetched, Failed):
        return fetched
    reading = await read_whole(services, fetched)
    if isinstance(reading, Failed):
        return reading
    return Found(url=fetched.permanent_url or url, reading=reading)


async def _fetch(services: Readers, url: str) -> Fetched | Failed:
    answer = await services.fetcher.fetch(url)
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
    newest entry at once. Repeating it changes nothing and sends nothing again.
    """
    title = found.reading.parsed.title or display(found.url)
    async with services.pool.acquire() as connection, connection.transaction():
        feed_id = await upsert_feed(connection, found.url, title)
        await lock_feed(connection, feed_id)
        await keep_reading(services, connection, feed_id, found.reading)
        subscription_id = await connection.fetchval(
            statement("insert_subscription"), target_id, feed_id
        )
        if subscription_id is None:
            known = await connection.fetchrow(
                statement("subscription_views"), target_id, None, found.url, 0, 1
            )
            assert known is not None  # the feed is locked, so nobody can have unsubscribed
            return Subscribed(
                subscription_id=known["id"],
                title=title,
                url=display(found.url),
                already=True,
                newest=None,
            )
        newest = await deliver_newest(
            connection,
            services.queue,
            feed_id=feed_id,
            subscription_id=subscription_id,
            target_id=target_id,
        )
    return Subscribed(
        subscription_id=subscription_id,
        title=title,
        url=display(found.url),
        already=False,
        newest=newest,
    )
