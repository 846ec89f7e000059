"""Whatever feeds, addresses and errors hold, each text and keyboard is one Telegram takes."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from telegram import InlineKeyboardMarkup

from heraldo import keyboards, texts
from heraldo.botapi.entities import utf16_length
from heraldo.botapi.htmlmode import parse_html
from heraldo_sync.folding import FoldingState
from heraldo_sync.holding import HeldPosts
from heraldo_sync.model import FeedLink
from heraldo_sync.subscriptions import Page, SubscriptionView

NOW = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
MOMENTS = st.none() | st.just(NOW)
HOSTILE = st.text(max_size=40) | st.sampled_from(
    [
        "</b><a href='x'>",
        "&amp;&lt;",
        '"quoted"',
        "x" * 9000,
        "😀" * 5000,
        "👩\u200d👧" * 900,
        "\u202eevil\0\ud800\n\n\nlines",
        "https://me:s3cr3t@e.org/?token=s3cr3t&a=<b>",
        "http://" + "a" * 3000,
    ]
)
VIEWS = st.builds(
    SubscriptionView,
    id=st.integers(min_value=1, max_value=2**53),
    feed_id=st.just(1),
    title=HOSTILE,
    url=HOSTILE,
    created_at=st.just(NOW),
    checked_at=MOMENTS,
    failing_since=MOMENTS,
    last_error=st.none() | HOSTILE,
    next_check_at=st.just(NOW),
)
PAGES = st.builds(
    Page,
    items=st.lists(VIEWS, max_size=8).map(tuple),
    total=st.integers(min_value=8, max_value=10**9),
    offset=st.integers(min_value=0, max_value=10**9),
    limit=st.just(8),
)
HELD = st.builds(
    HeldPosts,
    target_id=st.just(1),
    subscription_id=st.integers(min_value=1, max_value=2**53),
    chat_id=st.just(1),
    topic_id=st.just(0),
    chat=HOSTILE,
    title=HOSTILE,
    url=HOSTILE,
    posts=st.integers(min_value=1, max_value=10**9),
    until=st.just(NOW),
)
LINKS = st.lists(st.builds(FeedLink, url=HOSTILE, title=HOSTILE), max_size=30)


def check(html: str) -> str:
    text, entities = parse_html(html)
    assert 0 < utf16_length(text) <= 4096
    assert len(entities) <= 100
    assert not any(0xD800 <= ord(char) <= 0xDFFF for char in text)
    return text


def check_keyboard(markup: InlineKeyboardMarkup) -> None:
    for row in markup.inline_keyboard:
        for button in row:
            assert button.text.strip()
            assert isinstance(button.callback_data, str)
            assert len(button.callback_data.encode()) <= 64
            assert keyboards.read_press(button.callback_data) is not None


@given(HOSTILE, HOSTILE, st.none() | HOSTILE)
def test_answers(title: str, url: str, other: str | None) -> None:
    for html in (
        texts.looking_at(url),
        texts.subscribed(title, url, other),
        texts.already_subscribed(title, url),
        texts.failed(url, title),
        texts.bad_address(f"no: {title}"),
        texts.not_followed(url),
    ):
        check(html)


@given(VIEWS)
def test_cards(view: SubscriptionView) -> None:
    for html in (texts.card(view), texts.confirm_removal(view), texts.unsubscribed(view)):
        check(html)
    check(texts.card(view, 10**9))
    check_keyboard(keyboards.card(view, 10**6))
    check_keyboard(keyboards.confirm_removal(view, 10**6))


@given(PAGES)
def test_lists(page: Page) -> None:
    check(texts.listing(page))
    check(texts.choose_removal(page))
    for verb in (keyboards.LIST, keyboards.PICK):
        check_keyboard(keyboards.listing(page, verb))


@given(st.lists(HELD, max_size=12), st.integers(0, 10**9))
def test_held_and_folded(feeds: list[HeldPosts], folded: int) -> None:
    check(texts.held(feeds))
    markup = keyboards.held(feeds)
    assert (markup is None) == (not feeds)
    if markup is not None:
        check_keyboard(markup)
    for on in (True, False):
        check(texts.folding(FoldingState(on=on, folded=folded)))


@given(HOSTILE, LINKS)
def test_choices(url: str, links: list[FeedLink]) -> None:
    check(texts.choices(url, links))
    check_keyboard(keyboards.choices(links))


def test_fixed_texts() -> None:
    for html in (
        texts.HELP,
        texts.WELCOME,
        texts.RESUMED,
        texts.ASK_URL,
        texts.USAGE_IN_CHANNEL,
        texts.NOT_UNDERSTOOD,
        texts.OUR_FAULT,
        texts.private_bot(1),
        texts.no_such_number(9, 3),
        texts.no_such_number(1, 0),
    ):
        check(html)
    # Telegram's limit for the notice over a pressed button.
    for notice in (texts.STALE, texts.ALREADY_GONE, texts.OUR_FAULT, texts.STRANGER_BUTTON):
        assert len(notice) <= 200


def test_secrets_in_addresses_are_not_shown() -> None:
    secret = "https://me:s3cr3t@e.org/?token=s3cr3t&a=b"
    link = FeedLink(url=secret, title="")
    for shown in (
        texts.looking_at(secret),
        texts.subscribed("t", secret, None),
        texts.failed(secret, "no"),
        texts.choices(secret, [link]),
        texts.choice_label(1, link),
    ):
        assert "s3cr3t" not in shown
        assert "e.org" in shown


def test_what_a_subscriber_reads() -> None:
    assert check(texts.subscribed("Ships & more", "https://e.org/", "A <ship>")) == (
        "Done! This chat now follows Ships & more\nhttps://e.org/\n\n"
        "Its newest post comes right away, to show how they look: “A <ship>”."
    )
    assert check(texts.subscribed("Ships", "https://e.org/", None)).endswith(
        "The feed has no posts yet; the first one will arrive here."
    )
    assert check(texts.failed("https://e.org/", "It stalled. Try later.")) == (
        "I could not subscribe to https://e.org/\n\nIt stalled. Try later."
    )
    offered = [FeedLink(url="https://e.org/a", title="Posts"), FeedLink(url="https://e.org/b")]
    assert check(texts.choices("https://e.org/", offered)) == (
        "https://e.org/ offers several feeds. Which one?\n\n"
        "1. Posts\nhttps://e.org/a\n\n2. https://e.org/b"
    )


def test_presses() -> None:
    assert keyboards.read_press("card:7:16") == keyboards.Press(verb="card", first=7, second=16)
    assert keyboards.read_press("close") == keyboards.Press(verb="close")
    for data in (None, "", "card:", "card:-1", "card:1:2:3", "Card:1", "/start", "card:1\n"):
        assert keyboards.read_press(data) is None
