"""sendMessage, and what all sending methods have in common."""

from dataclasses import dataclass

from heraldo.botapi.errors import JsonObject, bad_request
from heraldo.botapi.keyboards import Markup, parse_markup
from heraldo.botapi.links import WrongLink, checked_link
from heraldo.botapi.methods.formatting import Formatted, message_text
from heraldo.botapi.methods.registry import method
from heraldo.botapi.params import Params, as_flag, as_number, as_text
from heraldo.botapi.state import ChatState, Media, Message
from heraldo.botapi.world import World

_PREVIEW_FLAGS = ("is_disabled", "prefer_small_media", "prefer_large_media", "show_above_text")
_GENERAL_TOPIC = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Where a message goes and how, checked."""

    chat: ChatState
    topic_id: int | None
    reply_to: Message | None
    markup: Markup
    silent: bool
    protected: bool


@method("sendMessage")
async def send_message(world: World, params: Params) -> object:
    """Sends a text."""
    text = message_text(params)
    preview = link_preview(params)
    envelope = open_envelope(world, params)
    world.rates.count(envelope.chat)
    return post(world, envelope, text, preview=preview).to_json()


def open_envelope(world: World, params: Params) -> Envelope:
    """Returns the checked common parameters; raises Rejected when the bot may not send so."""
    markup = parse_markup(params)
    chat = world.chat_for(params)
    world.check_may_write(chat)
    reply_to = _replied(world, params, chat)
    topic_id = params.integer("message_thread_id")
    if not topic_id and reply_to is not None and reply_to.chat is chat:
        topic_id = reply_to.topic_id or 0
    if topic_id:
        if topic_id == _GENERAL_TOPIC:
            raise bad_request("message thread not found")
        topic = world.topic_for(chat, topic_id)
        if topic.closed and not world.bot_is_admin(chat):
            raise bad_request("TOPIC_CLOSED")
    return Envelope(
        chat=chat,
        topic_id=topic_id or None,
        reply_to=reply_to,
        markup=markup,
        silent=params.boolean("disable_notification"),
        protected=params.boolean("protect_content"),
    )


def post(
    world: World,
    envelope: Envelope,
    text: Formatted,
    *,
    media: Media | None = None,
    album: str | None = None,
    preview: JsonObject | None = None,
) -> Message:
    """Stores a message of the bot."""
    chat = envelope.chat
    return world.add(
        chat,
        lambda message_id: Message(
            chat=chat,
            message_id=message_id,
            date=world.clock.now(),
            sender=None if chat.kind == "channel" else world.bot,
            by_bot=True,
            text=text.text,
            entities=text.entities,
            source=text.source,
            media=media,
            album=album,
            markup=envelope.markup.inline,
            keyboard=envelope.markup.own,
            link_preview=preview,
            topic_id=envelope.topic_id,
            reply_to=envelope.reply_to,
            silent=envelope.silent,
            protected=envelope.protected,
        ),
    )


def link_preview(params: Params) -> JsonObject | None:
    """Returns the checked link_preview_options; the older parameter counts too."""
    options = params.mapping("link_preview_options")
    if options is None:
        return {"is_disabled": True} if params.boolean("disable_web_page_preview") else None
    for flag in _PREVIEW_FLAGS:
        as_flag(options, flag)
    if url := as_text(options, "url"):
        try:
            checked_link(url)
        except WrongLink:
            raise bad_request("WEBPAGE_URL_INVALID") from None
    return dict(options)


def _replied(world: World, params: Params, chat: ChatState) -> Message | None:
    options = params.mapping("reply_parameters")
    if options is None:
        wanted = params.integer("reply_to_message_id") or None
        lenient = params.boolean("allow_sending_without_reply")
    else:
        wanted = as_number(options, "message_id")
        lenient = as_flag(options, "allow_sending_without_reply")
        if wanted is None:
            raise bad_request('can\'t find field "message_id"')
        if (other := as_number(options, "chat_id")) is not None:
            chat = world.chats.get(other, chat)
    if wanted is None:
        return None
    message = chat.messages.get(wanted)
    if message is None or message.deleted:
        if lenient:
            return None
        raise bad_request("message to be replied not found")
    return message
