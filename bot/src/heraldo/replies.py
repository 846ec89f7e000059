"""Rewrites a message the bot has sent, or sends it anew when the old one is gone."""

from telegram import Bot, InlineKeyboardMarkup, LinkPreviewOptions
from telegram.constants import ParseMode
from telegram.error import BadRequest, TelegramError

import heraldo.ptb  # noqa: F401 - before the library is used
from heraldo.sender import SendOutcome, Sent, TargetAddress, outcome_of

_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)


class Replies:
    """The answers that come later than the command they belong to."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    async def rewrite(
        self,
        target: TargetAddress,
        message_id: int,
        html: str,
        keyboard: InlineKeyboardMarkup | None = None,
    ) -> SendOutcome:
        """Puts ``html`` in the place of a message; `Sent` says under which id it is now.

        Repeating it changes nothing.
        """
        try:
            await self._bot.edit_message_text(
                html,
                chat_id=target.chat_id,
                message_id=message_id,
                parse_mode=ParseMode.HTML,
                link_preview_options=_NO_PREVIEW,
                reply_markup=keyboard,
            )
        except BadRequest as error:
            reason = error.message.lower()
            if "message is not modified" in reason:
                return Sent(message_id=message_id)
            if "message to edit not found" in reason or "message can't be edited" in reason:
                return await self._send(target, html, keyboard)
            return outcome_of(error)
        except TelegramError as error:
            return outcome_of(error)
        return Sent(message_id=message_id)

    async def _send(
        self, target: TargetAddress, html: str, keyboard: InlineKeyboardMarkup | None
    ) -> SendOutcome:
        try:
            message = await self._bot.send_message(
                target.chat_id,
                html,
                message_thread_id=target.topic_id or None,
                parse_mode=ParseMode.HTML,
                link_preview_options=_NO_PREVIEW,
                reply_markup=keyboard,
            )
        except TelegramError as error:
            return outcome_of(error)
        return Sent(message_id=message.message_id)
