"""Who may command the bot: its owner, and in groups and channels whoever speaks for them there.

Closed by default. Rights are asked of Telegram each time they are needed; an answer is believed
for a short while.
"""

import logging
from datetime import timedelta
from enum import Enum

from telegram import Bot, CallbackQuery, Chat, Message
from telegram.constants import ChatMemberStatus, ChatType
from telegram.error import TelegramError

from colmillo.clock import Clock

logger = logging.getLogger(__name__)

BELIEVED_FOR = timedelta(seconds=30)
_REMEMBERED = 1000
_ADMINS = frozenset({ChatMemberStatus.OWNER, ChatMemberStatus.ADMINISTRATOR})


class Verdict(Enum):
    """What to do with a request: do it, turn it away politely, or say nothing."""

    ALLOWED = "allowed"
    TURNED_AWAY = "turned away"
    IGNORED = "ignored"


class Access:
    """Decides by the sender; ``owner_id`` None lets nobody in."""

    def __init__(self, owner_id: int | None, clock: Clock) -> None:
        self._owner_id = owner_id
        self._clock = clock
        self._answers: dict[int, tuple[float, bool]] = {}

    async def of_message(self, message: Message, bot: Bot) -> Verdict:
        """Judges a message or a channel's post."""
        sender = message.sender_chat
        if sender is not None:
            # Somebody speaks as a chat. As this very chat only its admins can: anonymous admins,
            # and whoever may post in a channel. That is enough where the owner is an admin too.
            allowed = sender.id == message.chat.id and await self._owner_manages(sender, bot)
            return Verdict.ALLOWED if allowed else Verdict.IGNORED
        if message.from_user is not None and message.from_user.id == self._owner_id:
            return Verdict.ALLOWED
        private = message.chat.type == ChatType.PRIVATE
        return Verdict.TURNED_AWAY if private else Verdict.IGNORED

    def of_button(self, query: CallbackQuery) -> Verdict:
        """Judges a pressed button; Telegram always tells who pressed it."""
        owner = query.from_user.id == self._owner_id
        return Verdict.ALLOWED if owner else Verdict.TURNED_AWAY

    async def _owner_manages(self, chat: Chat, bot: Bot) -> bool:
        if self._owner_id is None:
            return False
        now = self._clock.monotonic()
        known = self._answers.get(chat.id)
        if known is not None and now - known[0] < BELIEVED_FOR.total_seconds():
            return known[1]
        try:
            member = await bot.get_chat_member(chat.id, self._owner_id)
        except TelegramError:
            logger.warning("rights not known", extra={"chat_id": chat.id}, exc_info=True)
            return False
        if len(self._answers) >= _REMEMBERED:
            self._answers.clear()
        self._answers[chat.id] = (now, member.status in _ADMINS)
        return member.status in _ADMINS
