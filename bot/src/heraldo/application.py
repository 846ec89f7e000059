"""The python-telegram-bot application: handlers in order, and what happens when one fails."""

import logging
from typing import Any

from telegram import (
    Bot,
    BotCommand,
    BotCommandScopeAllGroupChats,
    BotCommandScopeAllPrivateChats,
    LinkPreviewOptions,
    Update,
)
from telegram.constants import ParseMode
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Forbidden,
    NetworkError,
    RetryAfter,
    TelegramError,
)
from telegram.ext import (
    Application,
    CallbackQueryHandler,
    ChatMemberHandler,
    CommandHandler,
    ContextTypes,
    MessageHandler,
    filters,
)

import heraldo.ptb  # noqa: F401 - sets how the library behaves
from heraldo import texts
from heraldo.access import Access
from heraldo.buttons import Buttons
from heraldo.commands import Handlers
from heraldo.membership import Membership
from heraldo.places import place_of
from heraldo.ports import SubscribeRequests
from heraldo.updates import PerChat, SiftingRequest
from heraldo_sync.subscriptions import Subscriptions

logger = logging.getLogger(__name__)

# Edited messages are not among them: an edit must not run a command a second time.
ALLOWED_UPDATES = [
    Update.MESSAGE,
    Update.CHANNEL_POST,
    Update.CALLBACK_QUERY,
    Update.MY_CHAT_MEMBER,
]
_AT_ONCE = 64
# One poll at a time, and room for the last one, which tells Telegram what was seen: the poll it
# follows was cut off, and its connection may take a moment to be given back.
_POLLS = 2

AnyApplication = Application[Any, Any, Any, Any, Any, Any]


def build_application(
    *,
    token: str,
    api_url: str,
    subscriptions: Subscriptions,
    requests: SubscribeRequests,
    access: Access,
) -> AnyApplication:
    """Returns the application, ready to be initialised and fed with `ALLOWED_UPDATES`.

    ``api_url`` is the Bot API server's base address, without a slash at its end.
    """
    application = (
        Application.builder()
        .token(token)
        .base_url(f"{api_url}/bot")
        .base_file_url(f"{api_url}/file/bot")
        .get_updates_request(SiftingRequest(connection_pool_size=_POLLS))
        .concurrent_updates(PerChat(_AT_ONCE))
        .job_queue(None)
        .build()
    )
    add_handlers(application, subscriptions=subscriptions, requests=requests, access=access)
    return application


def add_handlers(
    application: AnyApplication,
    *,
    subscriptions: Subscriptions,
    requests: SubscribeRequests,
    access: Access,
) -> None:
    """Adds everything the bot reacts to."""
    commands = Handlers(subscriptions=subscriptions, requests=requests, access=access)
    buttons = Buttons(subscriptions=subscriptions, requests=requests, access=access)
    membership = Membership(subscriptions)
    message = filters.UpdateType.MESSAGE
    spoken = message | filters.UpdateType.CHANNEL_POST
    for name, callback in (
        ("start", commands.start),
        ("help", commands.help),
        ("subscribe", commands.subscribe),
        ("cancel", commands.cancel),
        ("unsubscribe", commands.unsubscribe),
        ("list_subscriptions", commands.list_subscriptions),
        ("fold", commands.fold),
        ("held", commands.held),
    ):
        application.add_handler(CommandHandler(name, callback, filters=spoken))
    application.add_handlers(
        [
            CallbackQueryHandler(buttons.pressed),
            ChatMemberHandler(membership.changed, ChatMemberHandler.MY_CHAT_MEMBER),
            MessageHandler(spoken & filters.StatusUpdate.MIGRATE, membership.migrated),
            MessageHandler(message & filters.TEXT, commands.text),
            MessageHandler(
                message & filters.ChatType.PRIVATE & ~filters.StatusUpdate.ALL, commands.other
            ),
        ]
    )
    application.add_error_handler(Failures(subscriptions).failed)


async def set_commands(bot: Bot) -> None:
    """Tells Telegram which commands to offer; a failure is logged and costs only the menu."""
    commands = [BotCommand(name, text) for name, text in texts.COMMANDS]
    try:
        for scope in (BotCommandScopeAllPrivateChats(), BotCommandScopeAllGroupChats()):
            await bot.set_my_commands(commands, scope=scope)
    except TelegramError as error:
        logger.warning("command menu not set", extra={"reason": error.message})


class Failures:
    """What is done when a handler fails: a log line without contents, and an apology."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        self._subscriptions = subscriptions

    async def failed(self, update: object, context: ContextTypes.DEFAULT_TYPE) -> None:
        """Logs, and tells the person unless Telegram itself is what failed."""
        error = context.error
        known = update if isinstance(update, Update) else None
        chat = known.effective_chat if known else None
        about = {
            "update_id": known.update_id if known else None,
            "chat_id": chat.id if chat else None,
        }
        if isinstance(error, ChatMigrated) and chat is not None:
            await self._subscriptions.migrate_chat(chat.id, error.new_chat_id)
        elif isinstance(error, Forbidden | RetryAfter) or (
            isinstance(error, NetworkError) and not isinstance(error, BadRequest)
        ):
            logger.warning("answer not sent", extra={**about, "reason": str(error)})
        else:
            logger.error("update failed", extra=about, exc_info=error)
            if known is not None:
                await _apologise(known, context.bot)


async def _apologise(update: Update, bot: Bot) -> None:
    message = update.message or update.channel_post
    try:
        if update.callback_query is not None:
            await update.callback_query.answer(texts.OUR_FAULT, show_alert=True)
        elif message is not None:
            place = place_of(message)
            await bot.send_message(
                place.chat_id,
                texts.OUR_FAULT,
                message_thread_id=place.topic_id or None,
                parse_mode=ParseMode.HTML,
                link_preview_options=LinkPreviewOptions(is_disabled=True),
            )
    except TelegramError as error:
        logger.warning("apology not sent", extra={"reason": str(error)})
