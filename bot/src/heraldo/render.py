"""An entry as messages: what a subscriber sees in the chat.

Each function returns Telegram-HTML messages within Telegram's limits, for any entry. `render` is
what is sent; `plain` and `link_only` are for what Telegram rejects, each asking less of it.
"""

from urllib.parse import urlsplit

from heraldo.cleaning import one_line, safe_link
from heraldo.dates import moment
from heraldo.richtext import Kind, Rich, Style, escape, joined
from heraldo.split import ELLIPSIS, cut, split
from heraldo.telegram_html import Body, from_html
from heraldo_sync.model import Entry

BODY_UNITS = 1500
"""How much of a post is shown, in UTF-16 units: a screen or two, then a link to the rest."""

_TITLE_UNITS = 300
_NAME_UNITS = 120
_BOLD = Style(Kind.BOLD)
_MEDIA_NAMES = {"picture": "Picture", "video": "Video", "audio": "Audio", "embed": "Embedded page"}


def render(entry: Entry) -> tuple[str, ...]:
    """Returns the entry as HTML messages: feed, title, text, and a line with link and date."""
    link = _entry_link(entry)
    body = from_html(entry.html, link or entry.feed_link)
    title, text = _without_repeats(one_line(entry.title), body.text)
    shown = cut(text, BODY_UNITS)
    shortened = body.shortened or shown != text
    message = joined(
        "\n\n",
        (
            _heading(entry, title, link),
            shown,
            _media_line(entry, body, alone=not shown),
            _footer(entry, link if shortened else None),
        ),
    )
    return tuple(part.to_html() for part in split(message))


def plain(entry: Entry) -> tuple[str, ...]:
    """Returns the same as `render` without any formatting, with the link written out."""
    link = _entry_link(entry)
    body = from_html(entry.html, link or entry.feed_link)
    title, text = _without_repeats(one_line(entry.title), body.text)
    lines = joined(
        "\n\n",
        (
            Rich.of(_name(entry)),
            cut(Rich.of(title), _TITLE_UNITS),
            cut(Rich.of(text.text), BODY_UNITS),
            Rich.of(link or ""),
            _footer(entry, None),
        ),
    )
    return tuple(escape(part.text) for part in split(lines))


def link_only(entry: Entry) -> tuple[str, ...]:
    """Returns the least that can be said of an entry: where it is."""
    link = _entry_link(entry) or safe_link(entry.feed_link)
    if link is None:
        return (escape(f"{_name(entry)}: a new post that could not be shown here."),)
    return (escape(link),)


def _entry_link(entry: Entry) -> str | None:
    return safe_link(entry.link, entry.feed_link)


def _heading(entry: Entry, title: str, link: str | None) -> Rich:
    """The feed's name, and below it the title; the lowest of them carries the link."""
    linked = (Style(Kind.LINK, link),) if link else ()
    if not title:
        return Rich.of(_name(entry), _BOLD, *linked)
    shown = cut(Rich.of(title, _BOLD, *linked), _TITLE_UNITS)
    return joined("\n\n", (Rich.of(_name(entry), _BOLD), shown))


def _name(entry: Entry) -> str:
    name = one_line(entry.feed_title)
    if not name:
        link = safe_link(entry.feed_link) or _entry_link(entry)
        name = (urlsplit(link).hostname if link else None) or "New post"
    return cut(Rich.of(name), _NAME_UNITS).text


def _without_repeats(title: str, text: Rich) -> tuple[str, Rich]:
    """Drops what is said twice: short messages often come with their own text as the title."""
    head = title.removesuffix("...").removesuffix(ELLIPSIS).strip()
    said = one_line(text.text)
    if not head or not said.startswith(head):
        return title, text
    if len(said) == len(head):
        return title, Rich()
    # A title that was cut off is the text's own beginning; a whole one may be a headline.
    return ("" if head != title else title), text


def _media_line(entry: Entry, body: Body, *, alone: bool) -> Rich:
    """A link to what the text cannot show: always for sound and film, else if there is no text."""
    for enclosure in entry.enclosures:
        kind = (enclosure.mime or "").partition("/")[0]
        url = safe_link(enclosure.url, entry.link)
        if url and kind in ("audio", "video"):
            return Rich.of(_MEDIA_NAMES[kind], Style(Kind.LINK, url))
        if url and alone:
            name = "Picture" if kind == "image" else "File"
            return Rich.of(name, Style(Kind.LINK, url))
    if alone and body.media:
        first = body.media[0]
        return Rich.of(_MEDIA_NAMES[first.kind], Style(Kind.LINK, first.url))
    return Rich()


def _footer(entry: Entry, rest: str | None) -> Rich:
    author = cut(Rich.of(one_line(entry.author or "")), _NAME_UNITS)
    return joined(
        " · ",
        (
            Rich.of("Read on", Style(Kind.LINK, rest)) if rest else Rich(),
            author,
            Rich.of(moment(entry.published_at) if entry.published_at else ""),
        ),
    )
