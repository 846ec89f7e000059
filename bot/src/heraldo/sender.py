"""Sends one message to Telegram and says what became of it, as a value.

No retry and no pacing here: who asked for it knows what an answer means for its queue.
"""

from dataclasses import dataclass
from datetime import timedelta

from telegram import Bot, InlineKeyboardMarkup, LinkPreviewOptions
from telegram.constants import ParseMode
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Forbidden,
    NetworkError,
    TelegramError,
)
from telegram.error import RetryAfter as FloodControl

import heraldo.ptb  # noqa: F401 - before the library is used
from heraldo.redact import redact


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetAddress:
    """A chat, or one topic of it; ``topic_id`` 0 means none."""

    chat_id: int
    topic_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Telegram has the message."""

    message_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAfter:
    """Telegram wants nothing more for this chat before ``delay`` is over; not delivered."""

    delay: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Telegram will never take this message as it is; another form of it may pass."""

    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatGone:
    """The bot may not write to this chat: blocked, removed, muted, or the chat is no more."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicGone:
    """The topic is closed or deleted; the rest of the chat is not concerned."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """The group has become a supergroup with another id; send it there."""

    new_chat_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """Telegram could not be asked, failed, or its answer was lost; try again later.

    The one ambiguous outcome: when only the answer was lost the message has been delivered, and
    sending it again repeats it.
    """

    reason: str


SendOutcome = Sent | RetryAfter | Rejected | ChatGone | TopicGone | Migrated | Unavailable

_TOPIC_GONE = (
    "topic_closed",
    "topic_deleted",
    "topic_id_invalid",
    "message thread not found",
)
# What Telegram says with code 400 although it concerns the chat and not the message.
_CHAT_GONE = (
    "chat not found",
    "user not found",
    "peer_id_invalid",
    "not enough rights",
    "no rights to send",
    "need administrator rights",
    "chat_write_forbidden",
    "chat_admin_required",
    "chat_restricted",
    "channel_private",
    "user_is_blocked",
    "is deactivated",
    "was deactivated",
    "not a member",
)


class Sender:
    """Sends messages with one bot."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    async def send(
        self,
        target: TargetAddress,
        html: str,
        *,
        silent: bool = False,
        preview: bool = True,
        markup: InlineKeyboardMarkup | None = None,
    ) -> SendOutcome:
        """Sends a message and returns what Telegram answered; raises for nothing it answers.

        ``silent`` sends without a sound, ``preview`` lets Telegram show the first link's page,
        ``markup`` are the buttons under it.
        """
        try:
            message = await self._bot.send_message(
                chat_id=target.chat_id,
                text=html,
                message_thread_id=target.topic_id or None,
                parse_mode=ParseMode.HTML,
                disable_notification=silent,
                link_preview_options=LinkPreviewOptions(is_disabled=not preview),
                reply_markup=markup,
            )
        except TelegramError as error:
            return outcome_of(error)
        return Sent(message_id=message.message_id)


def outcome_of(error: TelegramError) -> SendOutcome:
    """Returns what an error of the Bot API means for a message. Secrets in it are masked."""
    reason = redact(error.message)
    match error:
        case FloodControl():
            delay = error.retry_after
            if not isinstance(delay, timedelta):
                delay = timedelta(seconds=delay)
            return RetryAfter(delay=delay)
        case ChatMigrated():
            return Migrated(new_chat_id=error.new_chat_id)
        case Forbidden():
            return TopicGone(reason=reason) if _is_topic(reason) else ChatGone(reason=reason)
        case BadRequest():
            return _bad_request(reason)
        case NetworkError():
            return _network_error(reason)
        case _:
            # A wrong token, a second poller: the operator's business, and it may be over soon.
            return Unavailable(reason=reason)


def _bad_request(reason: str) -> SendOutcome:
    if _is_topic(reason):
        return TopicGone(reason=reason)
    if any(sign in reason.lower() for sign in _CHAT_GONE):
        return ChatGone(reason=reason)
    return Rejected(description=reason)


def _network_error(reason: str) -> SendOutcome:
    # The library knows no class for 413: the message as it is will never pass.
    if "too large" in reason.lower():
        return Rejected(description=reason)
    return Unavailable(reason=reason)


def _is_topic(reason: str) -> bool:
    return any(sign in reason.lower() for sign in _TOPIC_GONE)
