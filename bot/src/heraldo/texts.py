"""Everything the bot says, as Telegram HTML. Pure functions; whatever comes in is escaped."""

from collections.abc import Sequence
from datetime import UTC, datetime

from heraldo.cleaning import one_line
from heraldo.dates import moment
from heraldo.richtext import Rich, escape
from heraldo.split import cut
from heraldo_sync.folding import FoldingState
from heraldo_sync.holding import HeldPosts
from heraldo_sync.model import FeedLink
from heraldo_sync.notices import Notice, NoticeKind
from heraldo_sync.subscribing import Subscribed
from heraldo_sync.subscriptions import Page, SubscriptionView
from heraldo_sync.urls import display

EXAMPLE = "<code>/subscribe https://example.org/feed.xml</code>"

COMMANDS = (
    ("subscribe", "Follow a feed or a website"),
    ("list_subscriptions", "Show what this chat follows"),
    ("unsubscribe", "Stop following a feed"),
    ("fold", "Get a post that several feeds bring only once"),
    ("held", "Show the posts I hold back, to send or skip them"),
    ("cancel", "Forget the question I asked"),
    ("help", "Show what I can do"),
)

HELP = f"""\
<b>What I can do</b>

/subscribe <i>address</i> - follow a feed, or a website that has one
/list_subscriptions - show what this chat follows, and how each feed is doing
/unsubscribe - stop following a feed; an address or a number from the list does it at once
/fold <i>on</i> or <i>off</i> - whether a post that several feeds bring comes only once
/held - show the posts I hold back because they look like old ones, to send or skip them
/cancel - forget the question I asked
/help - this message

For example: {EXAMPLE}

A feed that needs a login: put it into the address as <code>https://user:password@…</code>, or \
write headers such as <code>Cookie: …</code> or <code>Authorization: …</code> below the address, \
each on a line of its own. I delete that message, keep them locked away, show them to nobody and \
send them only to that server.

I also work in groups, topics and channels: add me there and send the same commands. \
In a channel I must be allowed to post."""

WELCOME = f"""\
<b>Hello!</b> I follow RSS, Atom and JSON feeds and bring you each new post.

Send me the address of a feed or of a website, or write {EXAMPLE}

/help shows everything I can do."""

RESUMED = "Welcome back! Posts arrive here again, the ones you missed included."
ASK_URL = "Which feed? Send me its address, or that of a website. /cancel if you changed your mind."
FOLD_USAGE = "Write <code>/fold on</code> or <code>/fold off</code>."
USAGE_IN_CHANNEL = f"Write the address behind the command: {EXAMPLE}"
TRY_AGAIN = "Send me another address, or /cancel."
CANCELLED = "All right, forgotten."
NOTHING_TO_CANCEL = "There is nothing to cancel."
UNKNOWN_COMMAND = "I don't know this command. /help shows the ones I know."
NOT_UNDERSTOOD = (
    "I follow feeds: send me the address of one, or of a website that has one. "
    "/help shows what else I can do."
)
STALE = "This list is out of date. Send /list_subscriptions for a new one."
STALE_CHOICE = "This offer has expired. Please send /subscribe with the address again."
CLOSED = "Closed."
LOOKING_AT_CHOICE = "Looking at it …"
CHECKING = "Checking it now …"
ALREADY_GONE = "This chat does not follow that feed any more."
OUR_FAULT = (
    "Sorry, something went wrong on our side, and your request was not carried out. "
    "Please try again in a moment."
)
NO_KEY = (
    "I cannot keep a private feed's password or headers: there is no key to lock them away with. "
    "If you run this bot, set <code>SECRET_KEY</code>; <code>heraldo new-key</code> makes one."
)
NOT_DELETED = (
    "⚠️ I could not delete your message, which holds a password or private headers. "
    "Please delete it yourself; if others may have read it, change the password as well."
)
STRANGER_BUTTON = "Only this bot's owner can use its buttons."

MAX_CHOICES = 8
"""How many feeds of a web page are offered; more would not fit a message."""

MAX_HELD = 8
"""How many feeds with held posts are shown at a time."""

_TITLE = 120
_REASON = 200
_URL = 200
_EMPTY = f"""\
This chat follows nothing yet.

Send {EXAMPLE} or the address of a website."""


def private_bot(user_id: int) -> str:
    """What a stranger is told in private."""
    return (
        f"This bot is private. Your Telegram id is <code>{user_id}</code>; if the bot is yours, "
        f"set <code>OWNER_TELEGRAM_ID={user_id}</code> and start it again."
    )


def looking_at(url: str) -> str:
    """The answer to /subscribe, until a worker has read the address."""
    return f"Looking at {_address(url)} …"


def subscribed(title: str, url: str, newest_title: str | None) -> str:
    """The subscription is made; ``newest_title`` is None when the feed is empty."""
    head = f"Done! This chat now follows {_feed(title, url)}"
    if newest_title is None:
        return f"{head}\n\nThe feed has no posts yet; the first one will arrive here."
    newest = _short(newest_title, _TITLE)
    shown = f": “{newest}”" if newest else ""
    return f"{head}\n\nIts newest post comes right away, to show how they look{shown}."


def resubscribed(title: str, url: str) -> str:
    """The subscription goes on with other private headers."""
    return (
        f"Done! This chat follows {_feed(title, url)}\n\n"
        "with the new headers from now on, and what it missed is on its way."
    )


def about_private(result: Subscribed) -> str:
    """What is to be said besides of a private feed; nothing of others."""
    if not result.private:
        return ""
    text = "\n\n🔒 Its headers are locked away and sent only to that server."
    if result.elsewhere is not None:
        text += (
            "\n\nThe server says this feed is somewhere else for good:\n"
            f"{_address(result.elsewhere)}\nYour headers are not sent there. If you trust that "
            "server, /subscribe to that address with them instead."
        )
    return text


def already_subscribed(title: str, url: str) -> str:
    """The chat follows that feed already."""
    return f"This chat already follows {_feed(title, url)}"


def failed(url: str, message: str) -> str:
    """The address could not be subscribed to; ``message`` is for people, as `Failed` has it."""
    return f"I could not subscribe to {_address(url)}\n\n{_short(message, 800)}"


def choices(url: str, links: Sequence[FeedLink]) -> str:
    """A web page offers several feeds; the keyboard has a button for each."""
    lines = [
        f"{number}. {_feed(link.title, link.url)}"
        for number, link in enumerate(links[:MAX_CHOICES], 1)
    ]
    return "\n\n".join((f"{_address(url)} offers several feeds. Which one?", *lines))


def bad_address(message: str) -> str:
    """What was sent is no address; ``message`` says why."""
    return _short(message, 800)


def unsubscribed(view: SubscriptionView) -> str:
    """The subscription is gone."""
    return f"Done. This chat no longer follows {_feed(view.title, view.url)}"


def not_followed(url: str) -> str:
    """/unsubscribe with an address this chat does not follow."""
    return (
        f"This chat does not follow {_address(url)}\n\n/list_subscriptions shows what it follows."
    )


def no_such_number(number: int, total: int) -> str:
    """/unsubscribe with a number that the list does not have."""
    if not total:
        return _EMPTY
    return (
        f"There is no number {number}: the list goes from 1 to {total}. "
        "/list_subscriptions shows it."
    )


def listing(page: Page) -> str:
    """One page of the chat's subscriptions."""
    if not page.total:
        return _EMPTY
    pages = -(-page.total // page.limit)
    number = page.offset // page.limit + 1
    head = f"<b>Subscriptions: {page.total}</b>"
    if pages > 1:
        head += f" · page {number} of {pages}"
    items = [
        f"{position}. <b>{_name(view)}</b>\n{_brief_status(view)}"
        for position, view in enumerate(page.items, page.offset + 1)
    ]
    return "\n\n".join((head, *items))


def card(view: SubscriptionView, folded: int = 0) -> str:
    """Everything about one subscription; ``folded`` posts of it came by another feed."""
    also = [f"Not sent, because another feed had brought them: {_posts(folded)}."] if folded else []
    locked = (
        "\
🔒 Private: asked with headers that are shown to nobody."
        if view.private
        else ""
    )
    return "\n\n".join(
        (
            f"<b>{_name(view)}</b>\n{_address(view.url)}{locked}",
            _status(view),
            *also,
            f"Followed since {moment(view.created_at)}.",
        )
    )


def folding(state: FoldingState) -> str:
    """How /fold is set for a chat."""
    done = f"\n\nSo far: {_posts(state.folded)} folded." if state.folded else ""
    if not state.on:
        return (
            "Folding is <b>off</b>: what several feeds bring comes from each of them. "
            f"/fold on changes that.{done}"
        )
    return (
        "Folding is <b>on</b>: if several feeds of this chat bring a post with the same link, "
        f"only the first one comes. /fold off changes that.{done}"
    )


def _posts(number: int) -> str:
    return "1 post" if number == 1 else f"{number} posts"


def _held_posts(number: int) -> str:
    return "1 held post" if number == 1 else f"{number} held posts"


def confirm_removal(view: SubscriptionView) -> str:
    """Asked before a button ends a subscription."""
    return f"Stop following <b>{_name(view)}</b>?\n{_address(view.url)}"


def choose_removal(page: Page) -> str:
    """The list that /unsubscribe shows."""
    if not page.total:
        return _EMPTY
    return "Which one should I stop following?\n\n" + listing(page)


def label(number: int, view: SubscriptionView) -> str:
    """A subscription's button; plain text."""
    mark = "⚠️ " if view.failing_since else ""
    return f"{number}. {mark}{_plain(view.title or view.url, 50)}"


def choice_label(number: int, link: FeedLink) -> str:
    """A choice's button; plain text."""
    return f"{number}. {_plain(link.title or display(link.url), 50)}"


def notice(notice: Notice) -> str:
    """What subscribers are told about the feed itself."""
    feed = _feed(notice.feed_title, notice.feed_url)
    match notice.kind:
        case NoticeKind.FAILING:
            since = f" since {moment(notice.since)}" if notice.since else ""
            return (
                f"⚠️ I cannot read this feed{since}:\n\n{feed}\n\n{_short(notice.reason, 800)}\n\n"
                "I keep trying, and I tell you when it works again."
            )
        case NoticeKind.WORKING:
            return f"✅ This feed works again:\n\n{feed}"
        case NoticeKind.HELD:
            return (
                f"✋ {notice.reason} posts of this feed are new to me, but look like old ones:\n\n"
                f"{feed}\n\nShall I send them? Without an answer I skip them in a week; "
                "what comes later I send as usual."
            )
        case NoticeKind.LEFT:
            return (
                f"🚚 This private feed says it is somewhere else for good:\n\n{feed}\n\nNow at: "
                f"{_address(notice.reason)}\n\nIts headers go only to the server you gave them "
                "for, so I do not follow it there with them. If you trust the other server, "
                "/subscribe to that address with its headers."
            )
        case NoticeKind.ENDED:
            return (
                f"🏁 This feed is gone for good, says its server:\n\n{feed}\n\n"
                "I do not check it any more. Should it come back, /subscribe to it again."
            )


def held_sent(view: SubscriptionView, posts: int) -> str:
    """Held posts are on their way."""
    what = f"On its way: {_held_posts(posts)} of" if posts else "Nothing is held any more of"
    return f"{what}\n\n{_feed(view.title, view.url)}"


def held_skipped(view: SubscriptionView, posts: int) -> str:
    """Held posts will not come."""
    what = f"Skipped: {_held_posts(posts)} of" if posts else "Nothing is held any more of"
    return f"{what}\n\n{_feed(view.title, view.url)}"


def held(feeds: Sequence[HeldPosts]) -> str:
    """What is held for a chat; the keyboard has two buttons for each feed."""
    if not feeds:
        return "Nothing is held back in this chat."
    items = [
        f"{number}. {_feed(one.title, one.url)}\n{_posts(one.posts)}, skipped {moment(one.until)}"
        for number, one in enumerate(feeds[:MAX_HELD], 1)
    ]
    more = len(feeds) - MAX_HELD
    return "\n\n".join(
        (
            "✋ These posts were new to me, but look like old ones. Without an answer I skip them.",
            *items,
            *([f"… and {more} more feeds, after these."] if more > 0 else []),
        )
    )


def checked(view: SubscriptionView) -> str:
    """The result of a check that somebody asked for with a button."""
    return f"{_feed(view.title, view.url)}\n\n{_status(view)}"


def _brief_status(view: SubscriptionView) -> str:
    if view.ended:
        return "🏁 Gone for good, says its server (410)"
    if view.failing_since is not None:
        reason = _short(view.last_error or "it could not be read", _REASON)
        return f"⚠️ Failing since {moment(view.failing_since)}: {reason}"
    if view.checked_at is None:
        return "Not checked yet"
    return f"✅ Working, checked {moment(view.checked_at)}"


def _status(view: SubscriptionView) -> str:
    if view.ended:
        return f"{_brief_status(view)}. I do not check it any more; /subscribe to it to start anew."
    if view.failing_since is not None:
        return f"{_brief_status(view)}\n\nI keep trying, next {_next_try(view.next_check_at)}."
    return f"{_brief_status(view)}."


def _next_try(at: datetime) -> str:
    return f"at {moment(at.astimezone(UTC))}"


def _feed(title: str, url: str) -> str:
    name = _short(title, _TITLE)
    return f"<b>{name}</b>\n{_address(url)}" if name else _address(url)


def _name(view: SubscriptionView) -> str:
    return _short(view.title, _TITLE) or _address(view.url)


def _address(url: str) -> str:
    return _short(display(url), _URL)


def _short(text: str, limit: int) -> str:
    return escape(_plain(text, limit))


def _plain(text: str, limit: int) -> str:
    return cut(Rich.of(one_line(text)), limit).text
