"""The buttons under messages, and what their presses say.

A press carries at most 64 bytes: a verb and numbers, never a name or an address.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from heraldo import texts
from heraldo_sync.holding import HeldPosts
from heraldo_sync.model import FeedLink
from heraldo_sync.notices import Notice, NoticeKind
from heraldo_sync.subscriptions import Page, SubscriptionView

PAGE_SIZE = 8

# The verbs. "list" leads to cards, "pick" straight to the question whether to stop following;
# "check" reads a subscription's feed at once; "send" and "skip" say what becomes of held posts.
LIST, PICK, CARD, ASK, REMOVE, CHOOSE, CHECK, SEND, SKIP, CLOSE = (
    "list",
    "pick",
    "card",
    "ask",
    "remove",
    "choose",
    "check",
    "send",
    "skip",
    "close",
)
_CHECK_NOW = "Check now"
_LEFT, _RIGHT = "\u2039", "\u203a"
_PRESS = re.compile(r"([a-z]{1,10})((?::\d{1,18}){0,2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """A pressed button: the verb and its numbers, absent ones 0."""

    verb: str
    first: int = 0
    second: int = 0


def read_press(data: str | None) -> Press | None:
    """Returns what a button says; None if it is none of ours."""
    found = _PRESS.fullmatch(data or "")
    if found is None:
        return None
    numbers = [int(number) for number in found[2].split(":")[1:]]
    return Press(verb=found[1], first=([*numbers, 0])[0], second=([*numbers, 0, 0])[1])


def listing(page: Page, verb: str) -> InlineKeyboardMarkup:
    """A button per subscription, and arrows between pages. ``verb``: LIST or PICK."""
    leads_to = CARD if verb == LIST else ASK
    rows = [
        [_button(texts.label(position, view), leads_to, view.id, page.offset)]
        for position, view in enumerate(page.items, page.offset + 1)
    ]
    turns: list[InlineKeyboardButton] = []
    if page.offset > 0:
        turns.append(_button(f"{_LEFT} Previous", verb, max(0, page.offset - page.limit)))
    if page.offset + page.limit < page.total:
        turns.append(_button(f"Next {_RIGHT}", verb, page.offset + page.limit))
    if turns:
        rows.append(turns)
    rows.append([_button("Close", CLOSE)])
    return InlineKeyboardMarkup(rows)


def card(view: SubscriptionView, offset: int) -> InlineKeyboardMarkup:
    """What can be done with a subscription; ``offset`` is the page to go back to."""
    return InlineKeyboardMarkup(
        [
            *([[_button(_CHECK_NOW, CHECK, view.id)]] if view.failing_since else []),
            [_button("Unsubscribe", ASK, view.id, offset)],
            [_button(f"{_LEFT} Back", LIST, offset), _button("Close", CLOSE)],
        ]
    )


def notice(notice: Notice) -> InlineKeyboardMarkup | None:
    """What can be done about a feed that fails or has ended, or about posts that are held."""
    if notice.kind in (NoticeKind.WORKING, NoticeKind.LEFT):
        return None
    if notice.kind is NoticeKind.HELD:
        return InlineKeyboardMarkup(
            [
                [
                    _button("Send them", SEND, notice.subscription_id),
                    _button("Skip them", SKIP, notice.subscription_id),
                ]
            ]
        )
    return _ailing(notice.subscription_id)


def held(feeds: Sequence[HeldPosts]) -> InlineKeyboardMarkup | None:
    """Two buttons for each feed with held posts; the second number says "show the rest"."""
    if not feeds:
        return None
    rows = [
        [
            _button(f"{number}. Send", SEND, one.subscription_id, 1),
            _button(f"{number}. Skip", SKIP, one.subscription_id, 1),
        ]
        for number, one in enumerate(feeds[: texts.MAX_HELD], 1)
    ]
    return InlineKeyboardMarkup([*rows, [_button("Close", CLOSE)]])


def checked(view: SubscriptionView) -> InlineKeyboardMarkup | None:
    """After a check that somebody asked for."""
    return _ailing(view.id) if view.failing_since else None


def _ailing(subscription_id: int) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(
        [
            [
                _button(_CHECK_NOW, CHECK, subscription_id),
                _button("Unsubscribe", ASK, subscription_id),
            ]
        ]
    )


def confirm_removal(view: SubscriptionView, offset: int) -> InlineKeyboardMarkup:
    """Yes or no."""
    return InlineKeyboardMarkup(
        [
            [_button("Yes, unsubscribe", REMOVE, view.id, offset)],
            [_button("No, keep it", CARD, view.id, offset)],
        ]
    )


def removed(offset: int) -> InlineKeyboardMarkup:
    """After a removal."""
    return InlineKeyboardMarkup([[_button(f"{_LEFT} Back to the list", LIST, offset)]])


def choices(links: Sequence[FeedLink]) -> InlineKeyboardMarkup:
    """A button per feed that a page offers; the press carries its number, from 0."""
    rows = [
        [_button(texts.choice_label(number + 1, link), CHOOSE, number)]
        for number, link in enumerate(links[: texts.MAX_CHOICES])
    ]
    return InlineKeyboardMarkup([*rows, [_button("None of them", CLOSE)]])


def _button(label: str, verb: str, *numbers: int) -> InlineKeyboardButton:
    data = ":".join((verb, *map(str, numbers)))
    return InlineKeyboardButton(label, callback_data=data)
