"""What the pipeline sees at an address, without keeping any of it: ``heraldo feed check``."""

import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from colmillo.clock import Clock
from heraldo_sync import charset, fields, gate
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.detect import Kind, detect, unicode_encoding
from heraldo_sync.fetch import Exchange, Fetcher
from heraldo_sync.hubs import announced
from heraldo_sync.identity import Post, posts
from heraldo_sync.model import Failed, ParsedEntry
from heraldo_sync.parse import Parser
from heraldo_sync.private import Private
from heraldo_sync.proxy import Proxy
from heraldo_sync.reading import Reading
from heraldo_sync.schedule import MAX_DELAY, MAX_TTL, after_failure, after_success
from heraldo_sync.skip_times import when_awake
from heraldo_sync.subscribing import Choices, Found, look
from heraldo_sync.urls import display

_HUGE = 1_000_000
_TOMORROW = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NextCheck:
    """When a feed would be asked again, and whose wish that is."""

    delay: timedelta
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedFacts:
    """A feed as the pipeline sees it. ``entries`` are in the order to send them.

    ``url`` is what would be stored, without credentials. ``partial`` says that later
    checks parse new items alone. ``encoding`` is a name and where it comes from.
    """

    url: str
    reading: Reading
    entries: tuple[Post, ...]
    encoding: str
    partial: bool
    next_check: NextCheck
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What came of looking at an address. ``exchanges`` are all requests, in order."""

    exchanges: tuple[Exchange, ...]
    result: FeedFacts | Choices | Failed
    next_check: NextCheck | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Readers:
    fetcher: Fetcher
    parser: Parser
    rsshub: str | None = None


async def inspect(
    url: str,
    *,
    policy: AddressPolicy,
    interval: timedelta,
    clock: Clock,
    rng: random.Random,
    rsshub: str | None = None,
    proxy: Proxy | None = None,
    longest: timedelta = MAX_DELAY,
    private: Private | None = None,
) -> Inspection:
    """Looks at a normalised address as a subscription would, and keeps nothing.

    ``interval`` and ``longest`` are the operator's bounds for the next check.

    Raises:
        ParserUnavailable: no child process can be started on this machine.
    """
    exchanges: list[Exchange] = []
    started = clock.monotonic()
    reached = Fetcher(policy, clock=clock, watch=exchanges.append, proxy=proxy)
    async with reached as fetcher, Parser() as parser:
        found = await look(_Readers(fetcher=fetcher, parser=parser, rsshub=rsshub), url, private)
    seconds = clock.monotonic() - started
    result: FeedFacts | Choices | Failed
    wait: NextCheck | None = None
    match found:
        case Found():
            bounds = interval, longest
            result = facts(found, bounds=bounds, now=clock.now(), rng=rng)
        case Failed():
            result = found
            wait = _after_failure(found, interval, rng)
        case Choices():
            result = found
    return Inspection(exchanges=tuple(exchanges), result=result, next_check=wait, seconds=seconds)


def facts(
    found: Found,
    *,
    bounds: tuple[timedelta, timedelta],
    now: datetime,
    rng: random.Random,
) -> FeedFacts:
    """What there is to say of a feed that was read.

    ``bounds`` are the shortest and the longest time between two checks.
    """
    reading = found.reading
    entries = posts(reading.entries, home=reading.parsed.link)
    return FeedFacts(
        url=found.url,
        reading=reading,
        entries=entries,
        encoding=encoding(reading.fetched.body, reading.fetched.content_type),
        partial=gate.unpack(reading.items) is not None,
        next_check=_after_success(reading, bounds, now, rng),
        warnings=tuple(_warnings(reading, entries, now)),
    )


def basis(entry: ParsedEntry) -> str:
    """What an entry is known by."""
    return "guid" if entry.guid else "link" if entry.link else "content"


def encoding(body: bytes, content_type: str | None) -> str:
    """The encoding a feed is read in, and what says so."""
    proven = unicode_encoding(body)
    if detect(body) is Kind.JSON:
        return f"{json.detect_encoding(body)} (JSON)"
    if proven is not None:
        return f"{proven[0]} (the first bytes)"
    if body.isascii():
        return "ascii (all of its bytes)"
    told = charset.declared_charset(body, content_type)
    if told == "utf-8" and charset.certain_charset(body, content_type) == "utf-8":
        return "utf-8 (all of its bytes)"
    if told is not None:
        return f"{told} (the HTTP header)"
    known = charset.certain_charset(body, None)
    return f"{known} (the XML declaration)" if known else "unclear, guessed by the parser"


def _after_success(
    reading: Reading, bounds: tuple[timedelta, timedelta], now: datetime, rng: random.Random
) -> NextCheck:
    interval, longest = bounds
    fresh, ttl = reading.fetched.fresh_for, reading.parsed.ttl
    wishes = [
        (interval, "the interval set (SYNC_INTERVAL_SECONDS), later if it falls silent"),
        (fresh or timedelta(), "the server's Cache-Control or Expires header"),
        (min(ttl or timedelta(), MAX_TTL), "the feed's own wish (ttl, sy:updatePeriod)"),
    ]
    _, why = max(wishes, key=lambda wish: wish[0])
    soonest = after_success(interval, fresh_for=fresh, ttl=ttl, rng=rng, longest=longest)
    delay = when_awake(soonest, reading.parsed.skip, now=now, longest=longest, rng=rng)
    if delay > soonest:
        why = "the feed's own wish (skipHours, skipDays)"
    return NextCheck(delay=delay, why=why)


def _after_failure(failed: Failed, interval: timedelta, rng: random.Random) -> NextCheck:
    delay = after_failure(1, interval=interval, retry_after=failed.retry_after, rng=rng)
    asked = failed.retry_after is not None and delay <= failed.retry_after
    why = "the server's Retry-After header" if asked else "later each time, up to a day"
    return NextCheck(delay=delay, why=why)


def _warnings(reading: Reading, entries: tuple[Post, ...], now: datetime) -> Iterable[str]:
    parsed, body = reading.parsed, reading.fetched.body
    count = len(reading.entries)
    if not count:
        yield "The feed has no entries."
    if parsed.malformed:
        yield "The document breaks its format's rules; it was read as well as could be."
    yield from _about_identities(reading.entries, len(entries))
    weak = sum(1 for post in entries if post.weak)
    if weak:
        yield f"{weak} entries link to the feed's own page alone and have no guid to know them by."
    yield from _about_dates(reading.entries, now)
    if len(body) > _HUGE:
        yield f"The feed is large ({len(body):,} bytes); at most 5,000,000 are read."
    if count >= fields.MAX_ENTRIES:
        yield f"Only the first {fields.MAX_ENTRIES:,} entries are read."
    validators = reading.fetched.validators
    if validators.etag is None and validators.last_modified is None:
        yield "No ETag and no Last-Modified: every check has to load the whole feed."
    if not parsed.title:
        yield "The feed has no title; its address is shown instead."
    named = announced(reading.fetched, parsed)
    if named is not None:
        yield (
            f"The feed has a WebSub hub, {display(named.hub)}, which tells of new posts at once "
            "if PUBLIC_URL is set."
        )


def _about_identities(entries: tuple[ParsedEntry, ...], kept: int) -> Iterable[str]:
    count = len(entries)
    bare = sum(1 for entry in entries if not entry.guid)
    if bare:
        yield (
            f"{bare} of {count} entries have no guid and are known by their link, or else by "
            "what they say: a changed link looks like a new post."
        )
    shared = Counter(entry.guid for entry in entries if entry.guid)
    repeated = sum(1 for times in shared.values() if times > 1)
    if repeated:
        yield f"{repeated} guids stand on several entries; these are told apart by more fields."
    if kept < count:
        yield f"{count - kept} entries are like another one in everything and count once."


def _about_dates(entries: tuple[ParsedEntry, ...], now: datetime) -> Iterable[str]:
    dates = [entry.published_at or entry.updated_at for entry in entries]
    missing = sum(1 for date in dates if date is None)
    if missing:
        yield f"{missing} of {len(dates)} entries have no date; they are sent in the feed's order."
    ahead = sum(1 for date in dates if date is not None and date > now + _TOMORROW)
    if ahead:
        yield f"{ahead} entries are dated in the future."
