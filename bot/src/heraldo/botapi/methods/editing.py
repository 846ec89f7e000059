"""Changing and deleting messages."""

from datetime import timedelta

from heraldo.botapi.errors import JsonObject, bad_request
from heraldo.botapi.keyboards import parse_markup
from heraldo.botapi.methods.formatting import Formatted, caption, message_text
from heraldo.botapi.methods.registry import method
from heraldo.botapi.methods.sending import link_preview
from heraldo.botapi.params import Params
from heraldo.botapi.state import ChatState, Message
from heraldo.botapi.world import World

MAX_DELETED = 100
_DELETABLE_FOR = timedelta(hours=48)
_NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly "
    "the same as a current content and reply markup of the message"
)


@method("editMessageText")
async def edit_message_text(world: World, params: Params) -> object:
    """Changes a text and the keyboard under it; without a keyboard the old one goes."""
    # Telegram's servers, and not its Bot API, look at the length of an edit: other words.
    text, preview = message_text(params, too_long="MESSAGE_TOO_LONG"), link_preview(params)
    markup = parse_markup(params).inline
    message = _editable(world, params)
    if message.media is not None or not message.text:
        raise bad_request("there is no text in the message to edit")
    if preview == message.link_preview:
        _check_modified(message, text, markup)
    message.link_preview = preview
    return _change(world, message, text, markup)


@method("editMessageCaption")
async def edit_message_caption(world: World, params: Params) -> object:
    """Changes the caption of media and the keyboard under it."""
    text = caption(params)
    markup = parse_markup(params).inline
    message = _editable(world, params)
    if message.media is None:
        raise bad_request("there is no caption in the message to edit")
    _check_modified(message, text, markup)
    return _change(world, message, text, markup)


@method("editMessageReplyMarkup")
async def edit_message_reply_markup(world: World, params: Params) -> object:
    """Changes or removes the keyboard under a message."""
    markup = parse_markup(params).inline
    message = _editable(world, params)
    if message.markup == markup:
        raise bad_request(_NOT_MODIFIED)
    message.markup = markup
    message.edited_at = world.clock.now()
    world.changed.notify()
    return message.to_json()


@method("deleteMessage")
async def delete_message(world: World, params: Params) -> object:
    """Deletes one message."""
    chat = world.chat_for(params)
    world.check_present(chat)
    message = chat.messages.get(params.integer("message_id"))
    if message is None or message.deleted:
        raise bad_request("message to delete not found")
    if not _may_delete(world, chat, message):
        raise bad_request("message can't be deleted for everyone")
    _delete(world, message)
    return True


@method("deleteMessages")
async def delete_messages(world: World, params: Params) -> object:
    """Deletes up to 100 messages; those that cannot be deleted are passed over."""
    numbers = params.array("message_ids")
    if not numbers:
        raise bad_request("message identifiers are not specified")
    if len(numbers) > MAX_DELETED:
        raise bad_request("too many message identifiers specified")
    chat = world.chat_for(params)
    world.check_present(chat)
    for number in numbers:
        message = chat.messages.get(number) if isinstance(number, int) else None
        if message and not message.deleted and _may_delete(world, chat, message):
            _delete(world, message)
    return True


def _editable(world: World, params: Params) -> Message:
    chat = world.chat_for(params)
    world.check_present(chat)
    number = params.integer("message_id")
    if not number:
        raise bad_request("message identifier is not specified")
    message = chat.messages.get(number)
    if message is None or message.deleted:
        raise bad_request("message to edit not found")
    if not message.by_bot or message.service:
        raise bad_request("message can't be edited")
    return message


def _check_modified(message: Message, text: Formatted, markup: JsonObject | None) -> None:
    new = (text.text, text.entities, markup)
    if new == (message.text, message.entities, message.markup):
        raise bad_request(_NOT_MODIFIED)


def _change(
    world: World, message: Message, text: Formatted, markup: JsonObject | None
) -> JsonObject:
    message.history.append(message.text)
    message.text, message.entities, message.source = text.text, text.entities, text.source
    message.markup = markup
    message.edited_at = world.clock.now()
    world.changed.notify()
    return message.to_json()


def _may_delete(world: World, chat: ChatState, message: Message) -> bool:
    if world.bot_is_admin(chat):
        return True
    own = message.by_bot or chat.is_private
    return own and world.clock.now() - message.date < _DELETABLE_FOR


def _delete(world: World, message: Message) -> None:
    message.deleted = True
    world.changed.notify()
