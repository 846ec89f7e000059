"""The commands, and the messages that answer the bot's questions.

Everything here is a short transaction and a reply; what needs the network is handed on.
"""

import logging
import re
from dataclasses import dataclass
from typing import Any

from telegram import (
    Bot,
    ForceReply,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    Message,
    MessageEntity,
    ReplyParameters,
    Update,
)
from telegram.constants import ParseMode
from telegram.error import TelegramError
from telegram.ext import ContextTypes

from heraldo import keyboards, texts
from heraldo.access import Access, Verdict
from heraldo.places import Place, place_of
from heraldo.ports import SubscribeRequests
from heraldo.redact import redact
from heraldo.spoken import Spoken, address_in, taken_apart
from heraldo_sync.errors import InvalidHeader, InvalidUrl
from heraldo_sync.private import private_address
from heraldo_sync.subscriptions import Subscriptions, SubscriptionView

logger = logging.getLogger(__name__)

SUBSCRIBE = "subscribe"

_NUMBER = re.compile(r"#?(\d{1,9})")
_SWITCH = {"on": True, "off": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An admitted request. ``speaker`` is the person's id, or the chat's that speaks."""

    message: Message
    place: Place
    speaker: int
    bot: Bot

    @property
    def argument(self) -> str:
        """What follows the command."""
        entities = self.message.entities
        length = entities[0].length if entities else 0
        return (self.message.text or "")[length:].strip()


async def reply(
    asked: Asked, html: str, *, markup: InlineKeyboardMarkup | ForceReply | None = None
) -> Message:
    """Sends an answer into the same chat and topic; a question is tied to who is asked."""
    question = isinstance(markup, ForceReply)
    return await asked.bot.send_message(
        chat_id=asked.place.chat_id,
        message_thread_id=asked.place.topic_id or None,
        text=html,
        parse_mode=ParseMode.HTML,
        link_preview_options=LinkPreviewOptions(is_disabled=True),
        reply_markup=markup,
        reply_parameters=(
            ReplyParameters(asked.message.message_id, allow_sending_without_reply=True)
            if question
            else None
        ),
    )


class Handlers:
    """The callbacks for python-telegram-bot; each takes an update and its context."""

    def __init__(
        self, *, subscriptions: Subscriptions, requests: SubscribeRequests, access: Access
    ) -> None:
        self._subscriptions = subscriptions
        self._requests = requests
        self._access = access

    async def start(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        """/start: welcomes, and takes up a chat again that had blocked the bot."""
        asked = await self._command(update, context)
        if asked is None:
            return
        if await self._subscriptions.resume_chat(asked.place.chat_id):
            await reply(asked, texts.RESUMED)
        else:
            await reply(asked, texts.WELCOME)

    async def help(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        """/help: what the bot can do."""
        asked = await self._command(update, context)
        if asked is not None:
            await reply(asked, texts.HELP)

    async def cancel(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        """/cancel: forgets a question."""
        asked = await self._admitted(update, context)
        if asked is not None:
            pending = await self._take_pending(asked)
            await reply(asked, texts.CANCELLED if pending else texts.NOTHING_TO_CANCEL)

    async def subscribe(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        """/subscribe [address]: hands the address on, or asks for it."""
        asked = await self._command(update, context)
        if asked is None:
            return
        if asked.argument:
            await self._subscribe_to(asked, taken_apart(asked.argument))
        elif asked.place.channel:
            # Nobody in particular asked, and the next post is hardly the answer.
            await reply(asked, texts.USAGE_IN_CHANNEL)
        else:
            await self._ask_for_address(asked, texts.ASK_URL)

    async def unsubscribe(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        """/unsubscribe [address or number]: ends a subscription, or offers them."""
        asked = await self._command(update, context)
        if asked is None:
            return
        if not asked.argument:
            await self._show_list(asked, keyboards.PICK)
            return
        target_id = await self._target(asked.place)
        number = _NUMBER.fullmatch(asked.argument)
        if number is not None:
            await self._unsubscribe_number(asked, target_id, int(number[1]))
        else:
            await self._unsubscribe_address(asked, target_id)

    async def list_subscriptions(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        """/list_subscriptions: what the chat follows."""
        asked = await self._command(update, context)
        if asked is not None:
            await self._show_list(asked, keyboards.LIST)

    async def fold(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        """/fold [on or off]: whether what several feeds bring comes once; without: how it is."""
        asked = await self._command(update, context)
        if asked is None:
            return
        wanted = asked.argument.lower()
        if wanted not in ("", *_SWITCH):
            await reply(asked, texts.FOLD_USAGE)
            return
        folding = self._subscriptions.folding
        if wanted:
            # The chat may be one that we do not know yet.
            await self._target(asked.place)
            await folding.switch(asked.place.chat_id, on=_SWITCH[wanted])
        await reply(asked, texts.folding(await folding.state(asked.place.chat_id)))

    async def held(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        """/held: the posts that are held back, should the question about them be gone."""
        asked = await self._command(update, context)
        if asked is not None:
            target_id = await self._target(asked.place)
            feeds = await self._subscriptions.held.find(target_id=target_id)
            await reply(asked, texts.held(feeds), markup=keyboards.held(feeds))

    async def text(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        """Any other text: the answer to a question, or in private a bare address."""
        message = update.effective_message
        if message is None or not message.text or _speaks_as_chat_to_others(message, context.bot):
            return
        asked = await self._admitted(update, context)
        if asked is None:
            return
        if _is_command(message):
            await self._unknown_command(asked, message.text)
            return
        pending = await self._take_pending(asked) == SUBSCRIBE
        spoken = taken_apart(message.text, asked=pending)
        if pending or (asked.place.private and address_in(spoken.address)):
            await self._subscribe_to(asked, spoken, asked_for_it=pending)
        elif asked.place.private:
            await reply(asked, texts.NOT_UNDERSTOOD)

    async def other(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        """Anything that is no text, in private."""
        asked = await self._admitted(update, context)
        if asked is not None:
            await reply(asked, texts.NOT_UNDERSTOOD)

    async def _command(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> Asked | None:
        """Like `_admitted`; a command cancels a question that was not answered."""
        asked = await self._admitted(update, context)
        if asked is not None and not asked.place.channel:
            await self._take_pending(asked)
        return asked

    async def _admitted(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> Asked | None:
        message = update.effective_message
        speaker = update.effective_sender
        if message is None or speaker is None:
            return None
        asked = Asked(message=message, place=place_of(message), speaker=speaker.id, bot=context.bot)
        match await self._access.of_message(message, context.bot):
            case Verdict.ALLOWED:
                return asked
            case Verdict.TURNED_AWAY:
                await reply(asked, texts.private_bot(speaker.id))
            case Verdict.IGNORED:
                pass
        return None

    async def _target(self, place: Place) -> int:
        return await self._subscriptions.target(
            chat_id=place.chat_id, kind=place.kind, title=place.title, topic_id=place.topic_id
        )

    async def _take_pending(self, asked: Asked) -> str | None:
        return await self._subscriptions.answer(
            chat_id=asked.place.chat_id, topic_id=asked.place.topic_id, user_id=asked.speaker
        )

    async def _ask_for_address(self, asked: Asked, question: str) -> None:
        await self._subscriptions.ask(
            chat_id=asked.place.chat_id,
            topic_id=asked.place.topic_id,
            user_id=asked.speaker,
            command=SUBSCRIBE,
        )
        # In a group the bot sees an answer only if it is a reply.
        force = ForceReply(selective=True, input_field_placeholder="https://example.org/feed.xml")
        await reply(asked, question, markup=None if asked.place.private else force)

    async def _subscribe_to(
        self, asked: Asked, spoken: Spoken, *, asked_for_it: bool = False
    ) -> None:
        if spoken.secret:
            await _delete_secret(asked)
        try:
            url, private = private_address(spoken.address, spoken.headers)
        except (InvalidUrl, InvalidHeader) as error:
            reason = texts.bad_address(str(error))
            if asked_for_it:
                await self._ask_for_address(asked, f"{reason}\n\n{texts.TRY_AGAIN}")
            else:
                await reply(asked, reason)
            return
        if private is not None and not self._requests.keeps_secrets:
            await reply(asked, texts.NO_KEY)
            return
        target_id = await self._target(asked.place)
        known = await self._subscriptions.find(target_id, url)
        if known is not None and not known.ended and private is None:
            await reply(asked, texts.already_subscribed(known.title, known.url))
            return
        looking = await reply(asked, texts.looking_at(url))
        await self._requests.request(
            target_id=target_id,
            chat_id=asked.place.chat_id,
            topic_id=asked.place.topic_id,
            url=url,
            reply_message_id=looking.message_id,
            private=private,
        )

    async def _show_list(self, asked: Asked, verb: str) -> None:
        target_id = await self._target(asked.place)
        page = await self._subscriptions.page(target_id, offset=0, limit=keyboards.PAGE_SIZE)
        write = texts.choose_removal if verb == keyboards.PICK else texts.listing
        markup = keyboards.listing(page, verb) if page.total else None
        await reply(asked, write(page), markup=markup)

    async def _unsubscribe_number(self, asked: Asked, target_id: int, number: int) -> None:
        page = await self._subscriptions.page(target_id, offset=max(0, number - 1), limit=1)
        if number < 1 or not page.items:
            await reply(asked, texts.no_such_number(number, page.total))
            return
        await self._remove(asked, target_id, page.items[0])

    async def _unsubscribe_address(self, asked: Asked, target_id: int) -> None:
        spoken = taken_apart(asked.argument)
        if spoken.secret:
            await _delete_secret(asked)
        try:
            url, _ = private_address(spoken.address)
        except InvalidUrl as error:
            await reply(asked, texts.bad_address(str(error)))
            return
        view = await self._subscriptions.find(target_id, url)
        if view is None:
            await reply(asked, texts.not_followed(url))
            return
        await self._remove(asked, target_id, view)

    async def _remove(self, asked: Asked, target_id: int, view: SubscriptionView) -> None:
        removed = await self._subscriptions.remove(target_id, view.id)
        await reply(asked, texts.unsubscribed(removed) if removed else texts.ALREADY_GONE)

    async def _unknown_command(self, asked: Asked, text: str) -> None:
        addressee = text.split(maxsplit=1)[0].partition("@")[2]
        if asked.place.private and addressee.lower() in ("", asked.bot.username.lower()):
            await reply(asked, texts.UNKNOWN_COMMAND)


async def _delete_secret(asked: Asked) -> None:
    """Deletes a message that holds a secret, before anything else is done with it.

    If that fails the person is told, in a message of its own that no answer takes the place of.
    """
    try:
        await asked.message.delete()
    except TelegramError as error:
        logger.warning(
            "secret not deleted",
            extra={"chat_id": asked.place.chat_id, "reason": redact(error.message)},
        )
        await reply(asked, texts.NOT_DELETED)


def _is_command(message: Message) -> bool:
    return any(
        entity.type == MessageEntity.BOT_COMMAND and entity.offset == 0
        for entity in message.entities
    )


def _speaks_as_chat_to_others(message: Message, bot: Bot) -> bool:
    """An anonymous admin who talks to the group: only replies to the bot are for us."""
    if message.sender_chat is None:
        return False
    answered: Any = message.reply_to_message and message.reply_to_message.from_user
    return answered is None or answered.id != bot.id
