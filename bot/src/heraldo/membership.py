"""The bot's own standing in chats: shut out, let in again, moved to another id."""

import logging

from telegram import (
    ChatMember,
    ChatMemberAdministrator,
    ChatMemberRestricted,
    LinkPreviewOptions,
    Update,
)
from telegram.constants import ChatMemberStatus, ChatType, ParseMode
from telegram.ext import ContextTypes

from heraldo import texts
from heraldo_sync.subscriptions import Subscriptions

logger = logging.getLogger(__name__)


class Membership:
    """The callbacks for what happens to the bot in a chat. No rights needed: Telegram says it."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        self._subscriptions = subscriptions

    async def changed(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        """Pauses a chat that the bot may not write to any more; resumes it when it may again."""
        change = update.my_chat_member
        if change is None:
            return
        chat = change.chat
        if not may_write(change.new_chat_member, chat.type):
            reason = why_not(change.new_chat_member)
            await self._subscriptions.suspend_chat(chat.id, reason)
            logger.info("chat suspended", extra={"chat_id": chat.id, "reason": reason})
        elif await self._subscriptions.resume_chat(chat.id):
            logger.info("chat resumed", extra={"chat_id": chat.id})
            await context.bot.send_message(
                chat.id,
                texts.RESUMED,
                parse_mode=ParseMode.HTML,
                link_preview_options=LinkPreviewOptions(is_disabled=True),
            )

    async def migrated(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        """Moves everything a group has to the supergroup it became; told in both, maybe twice."""
        message = update.effective_message
        if message is None:
            return
        if message.migrate_to_chat_id is not None:
            await self._subscriptions.migrate_chat(message.chat.id, message.migrate_to_chat_id)
        elif message.migrate_from_chat_id is not None:
            await self._subscriptions.migrate_chat(message.migrate_from_chat_id, message.chat.id)


def may_write(member: ChatMember, kind: str) -> bool:
    """Whether the bot can send messages to a chat of this kind in this standing."""
    if member.status in (ChatMemberStatus.LEFT, ChatMemberStatus.BANNED):
        return False
    if isinstance(member, ChatMemberRestricted):
        return member.is_member and member.can_send_messages
    if kind == ChatType.CHANNEL:
        return isinstance(member, ChatMemberAdministrator) and bool(member.can_post_messages)
    return True


def why_not(member: ChatMember) -> str:
    """Returns the reason, for logs and the list of suspended chats."""
    if member.status == ChatMemberStatus.BANNED:
        return "the bot was blocked or removed"
    if member.status == ChatMemberStatus.LEFT:
        return "the bot is not in the chat any more"
    return "the bot may not send messages there"
