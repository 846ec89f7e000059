"""Chats and their members."""

from heraldo.botapi.errors import JsonObject, bad_request, forbidden
from heraldo.botapi.methods.registry import method
from heraldo.botapi.params import Params
from heraldo.botapi.state import ADMINS, PRESENT, ChatState, Member, User
from heraldo.botapi.world import World

_ACTIONS = frozenset(
    [
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
        "choose_sticker",
        "find_location",
        "record_video_note",
        "upload_video_note",
    ]
)
_GIFTS = (
    "unlimited_gifts",
    "limited_gifts",
    "unique_gifts",
    "premium_subscription",
    "gifts_from_channels",
)


@method("sendChatAction")
async def send_chat_action(world: World, params: Params) -> object:
    """Shows what the bot is doing."""
    if params.text("action") not in _ACTIONS:
        raise bad_request("wrong parameter action in request")
    chat = world.chat_for(params)
    world.check_may_write(chat)
    if topic_id := params.integer("message_thread_id"):
        world.topic_for(chat, topic_id)
    return True


@method("getChat")
async def get_chat(world: World, params: Params) -> object:
    """Returns a ChatFullInfo."""
    chat = _visible(world, params)
    body = chat.to_json()
    body |= {
        "accent_color_id": 0,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(_GIFTS, False),
    }
    if chat.kind in ("group", "supergroup"):
        body["permissions"] = {"can_send_messages": True}
    return body


@method("getChatMember")
async def get_chat_member(world: World, params: Params) -> object:
    """Returns a user's membership, ``left`` for one who is not there."""
    chat = _visible(world, params)
    user = world.users.get(params.integer("user_id"))
    if user is None:
        raise bad_request(
            "user not found" if params.text("user_id") else "invalid user_id specified"
        )
    if chat.kind == "channel" and user is not world.bot and not world.bot_is_admin(chat):
        raise bad_request("member list is inaccessible")
    member = chat.members.get(user.id) or Member(user=user, status="left")
    return member.to_json(chat.kind)


@method("getChatAdministrators")
async def get_chat_administrators(world: World, params: Params) -> object:
    """Returns the administrators, but for other bots."""
    chat = _visible(world, params)
    if chat.is_private:
        raise bad_request("there are no administrators in the private chat")
    if chat.kind == "channel" and not world.bot_is_admin(chat):
        raise bad_request("member list is inaccessible")
    return [
        member.to_json(chat.kind)
        for member in chat.members.values()
        if member.status in ADMINS and (not member.user.is_bot or member.user is world.bot)
    ]


@method("getChatMemberCount")
async def get_chat_member_count(world: World, params: Params) -> object:
    """Returns how many are in the chat."""
    chat = _visible(world, params)
    return sum(1 for member in chat.members.values() if member.status in PRESENT)


@method("leaveChat")
async def leave_chat(world: World, params: Params) -> object:
    """Takes the bot out of a chat."""
    chat = world.chat_for(params)
    if chat.is_private:
        raise bad_request("chat member status can't be changed in private chats")
    world.check_present(chat)
    before = chat.members[world.bot.id]
    after = world.set_member(chat, world.bot, "left")
    world.updates.add("my_chat_member", member_change(world, chat, world.bot, before, after))
    return True


def member_change(
    world: World, chat: ChatState, by: User, before: Member, after: Member
) -> JsonObject:
    """Returns the Bot API's ChatMemberUpdated."""
    return {
        "chat": chat.to_json(),
        "from": by.to_json(),
        "date": int(world.clock.now().timestamp()),
        "old_chat_member": before.to_json(chat.kind),
        "new_chat_member": after.to_json(chat.kind),
    }


def _visible(world: World, params: Params) -> ChatState:
    """Returns a chat the bot may look at; a blocked private chat still is one."""
    chat = world.chat_for(params)
    if not chat.is_private:
        world.check_present(chat)
    elif chat.person is not None and chat.person.is_bot:
        raise forbidden("bots can't send messages to bots")
    return chat
