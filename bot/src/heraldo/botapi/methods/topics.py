"""Forum topics."""

from heraldo.botapi.errors import JsonObject, bad_request
from heraldo.botapi.methods.registry import method
from heraldo.botapi.params import Params
from heraldo.botapi.state import ChatState, TopicState, User
from heraldo.botapi.world import World

MAX_NAME = 128


@method("createForumTopic")
async def create_forum_topic(world: World, params: Params) -> object:
    """Opens a topic."""
    chat = _forum(world, params)
    return open_topic(world, chat, world.bot, params.text("name") or "").to_json()


@method("closeForumTopic")
async def close_forum_topic(world: World, params: Params) -> object:
    """Closes a topic: only administrators may write there."""
    return _set_closed(world, params, closed=True)


@method("reopenForumTopic")
async def reopen_forum_topic(world: World, params: Params) -> object:
    """Opens a closed topic again."""
    return _set_closed(world, params, closed=False)


@method("deleteForumTopic")
async def delete_forum_topic(world: World, params: Params) -> object:
    """Deletes a topic with its messages."""
    chat = _forum(world, params)
    topic = world.topic_for(chat, params.integer("message_thread_id"))
    remove_topic(world, chat, topic)
    return True


def open_topic(world: World, chat: ChatState, by: User, name: str) -> TopicState:
    """Adds a topic and the service message that opens it; raises Rejected for a bad name."""
    if not 0 < len(name.strip()) <= MAX_NAME:
        raise bad_request("TOPIC_TITLE_EMPTY" if not name.strip() else "TOPIC_TITLE_INVALID")
    topic = TopicState(id=chat.last_message_id + 1, name=name.strip())
    created: JsonObject = {"name": topic.name, "icon_color": topic.icon_color}
    world.add_service(chat, by, {"forum_topic_created": created}, topic.id)
    chat.topics[topic.id] = topic
    return topic


def close_topic(
    world: World, chat: ChatState, topic: TopicState, by: User, *, closed: bool
) -> None:
    """Closes or opens a topic; raises Rejected when it is so already."""
    if topic.closed == closed:
        raise bad_request("TOPIC_NOT_MODIFIED")
    topic.closed = closed
    name = "forum_topic_closed" if closed else "forum_topic_reopened"
    world.add_service(chat, by, {name: {}}, topic.id)


def remove_topic(world: World, chat: ChatState, topic: TopicState) -> None:
    """Deletes a topic with its messages. The bot is not told, as with Telegram."""
    del chat.topics[topic.id]
    for message in chat.messages.values():
        if message.topic_id == topic.id:
            message.deleted = True
    world.changed.notify()


def _forum(world: World, params: Params) -> ChatState:
    chat = world.chat_for(params)
    world.check_present(chat)
    if not chat.is_forum:
        raise bad_request("the chat is not a forum")
    if not world.bot_is_admin(chat):
        raise bad_request("not enough rights to manage topics")
    return chat


def _set_closed(world: World, params: Params, *, closed: bool) -> bool:
    chat = _forum(world, params)
    topic = world.topic_for(chat, params.integer("message_thread_id"))
    close_topic(world, chat, topic, world.bot, closed=closed)
    return True
