"""What ``heraldo feed check`` prints. Pure; no secret and no control character comes through."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from heraldo.dates import moment
from heraldo.terminal import clean
from heraldo_sync.fetch import Exchange
from heraldo_sync.identity import Post
from heraldo_sync.inspection import FeedFacts, Inspection, NextCheck, basis
from heraldo_sync.model import Enclosure, Failed
from heraldo_sync.skip_times import DAYS, SkipTimes
from heraldo_sync.subscribing import Choices
from heraldo_sync.urls import display

EXIT_FEED, EXIT_FAILED, EXIT_CHOICES = 0, 1, 3
_HEADERS = (
    "Content-Type",
    "Content-Encoding",
    "ETag",
    "Last-Modified",
    "Cache-Control",
    "Expires",
    "Retry-After",
)
_REDIRECTS = {301: "moved for good", 308: "moved for good", 302: "", 303: "", 307: ""}
_WIDTH = 160


def exit_code(seen: Inspection) -> int:
    """0 for a feed, 1 for what cannot be read, 3 for a page with several feeds to choose from."""
    match seen.result:
        case FeedFacts():
            return EXIT_FEED
        case Choices():
            return EXIT_CHOICES
        case Failed():
            return EXIT_FAILED


def report(url: str, seen: Inspection, *, limit: int) -> str:
    """The whole text; of the entries the ``limit`` newest, all for 0."""
    lines = [f"Address      {display(url)}", *_requests(seen.exchanges)]
    match seen.result:
        case FeedFacts():
            lines += _feed(seen.result, seen.seconds, limit)
        case Choices():
            lines += ["", "This is a web page that offers several feeds; check one of them:"]
            for link in seen.result.links:
                title = f"   {link.title}" if link.title else ""
                lines.append(f"  {display(link.url)}{title}")
        case Failed():
            lines += ["", f"Not readable: {seen.result.message}  [{seen.result.reason.value}]"]
            lines += _next_check(seen.next_check, "if it is followed, ")
    return "\n".join(_printable(line) for line in lines)


def _printable(line: str) -> str:
    return clean(line.replace("\n", " ")).rstrip()


def _requests(exchanges: Iterable[Exchange]) -> Iterator[str]:
    for exchange in exchanges:
        kind = _REDIRECTS.get(exchange.status, "")
        told = f" ({kind})" if kind else ""
        yield f"Request      {display(exchange.url)} → {exchange.status}{told}"
        for name in _HEADERS:
            if name in exchange.headers:
                yield f"  {name}: {_cut(exchange.headers[name])}"


def _feed(feed: FeedFacts, seconds: float, limit: int) -> Iterator[str]:
    parsed, fetched = feed.reading.parsed, feed.reading.fetched
    yield ""
    yield f"Feed         {parsed.title or '(no title)'}"
    if parsed.link:
        yield f"Page         {display(parsed.link)}"
    moved = " (moved for good: this address is kept)" if fetched.permanent_url else ""
    yield f"Stored as    {display(feed.url)}{moved}"
    yield f"Format       {parsed.format}, {len(fetched.body):,} bytes, {feed.encoding}"
    yield f"Took         {seconds:.2f} s, asking and reading"
    later = "only new items are parsed" if feed.partial else "the whole feed is parsed"
    yield f"Later checks {later}"
    yield from _next_check(feed.next_check)
    if parsed.skip is not None:
        yield f"Wants rest   {_rest(parsed.skip)}, in UTC"
    yield ""
    yield from _entries(feed.entries, limit)
    if feed.warnings:
        yield ""
        yield "Worth knowing"
        yield from (f"  - {warning}" for warning in feed.warnings)


def _next_check(check: NextCheck | None, when: str = "") -> Iterator[str]:
    if check is not None:
        yield f"Next check   {when}in {_duration(check.delay)}: {check.why}"


def _rest(skip: SkipTimes) -> str:
    hours = ", ".join(f"{hour}:00–{hour}:59" for hour in sorted(skip.hours))
    days = ", ".join(DAYS[day].capitalize() for day in sorted(skip.days))
    return "; ".join(filter(None, [days, hours]))


def _entries(entries: tuple[Post, ...], limit: int) -> Iterator[str]:
    hidden = max(len(entries) - limit, 0) if limit else 0
    yield f"Entries      {len(entries)}, in the order to send them; the last goes to who subscribes"
    if hidden:
        yield f"  … {hidden} before these"
    for number, item in enumerate(entries[hidden:], start=hidden + 1):
        yield from _entry(number, item)


def _entry(number: int, item: Post) -> Iterator[str]:
    entry = item.entry
    known = f"{item.traits.key.hex()[:12]} by {basis(entry)}"
    date = entry.published_at or entry.updated_at
    yield f"  {number:>3}. {_cut(entry.title or '(no title)')}"
    yield f"       {moment(date) if date else 'no date'} · {known} · {len(entry.html):,} characters"
    if entry.link:
        yield f"       {_cut(display(entry.link))}"
    yield from (f"       + {_file(file)}" for file in entry.enclosures)
    if entry.image:
        yield f"       picture {_cut(display(entry.image))}"
    if entry.comments:
        yield f"       comments {_cut(display(entry.comments))}"


def _file(file: Enclosure) -> str:
    size = f"{file.length:,} bytes" if file.length else ""
    plays = f"{file.seconds} s" if file.seconds else ""
    about = ", ".join(filter(None, [file.title, file.mime, size, plays]))
    return _cut(display(file.url)) + (f" ({about})" if about else "")


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _duration(time: timedelta) -> str:
    seconds = round(time.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{round(seconds / 60)} min"
    return f"{round(seconds / 3600)} h"
