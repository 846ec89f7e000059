"""The bot itself: who it is and the commands it offers."""

import json
import re

from heraldo.botapi.errors import JsonObject, bad_request
from heraldo.botapi.methods.registry import method
from heraldo.botapi.params import Params, as_object, as_text
from heraldo.botapi.world import World

MAX_COMMANDS = 100
MAX_DESCRIPTION = 256
_COMMAND = re.compile(r"/?[a-z0-9_]{1,32}")
_PLAIN_SCOPES = frozenset(
    {"default", "all_private_chats", "all_group_chats", "all_chat_administrators"}
)
_CHAT_SCOPES = frozenset({"chat", "chat_administrators", "chat_member"})


@method("getMe")
async def get_me(world: World, params: Params) -> object:
    """Returns the bot's User."""
    return world.bot.to_json() | {
        "can_join_groups": True,
        "can_read_all_group_messages": not world.privacy,
        "supports_inline_queries": False,
    }


@method("logOut")
async def log_out(world: World, params: Params) -> object:
    """Does nothing, as on a server that keeps no session."""
    return True


@method("close")
async def close(world: World, params: Params) -> object:
    """Does nothing, as on a server that keeps no session."""
    return True


@method("setMyCommands")
async def set_my_commands(world: World, params: Params) -> object:
    """Sets the commands of a scope and language."""
    commands = params.array("commands")
    if commands is None:
        raise bad_request("can't parse commands JSON object")
    if len(commands) > MAX_COMMANDS:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    world.commands[_scope(world, params)] = [_command(item) for item in commands]
    return True


@method("getMyCommands")
async def get_my_commands(world: World, params: Params) -> object:
    """Returns the commands set for exactly that scope and language."""
    return world.commands.get(_scope(world, params), [])


@method("deleteMyCommands")
async def delete_my_commands(world: World, params: Params) -> object:
    """Forgets the commands of a scope and language."""
    world.commands.pop(_scope(world, params), None)
    return True


def _command(item: object) -> JsonObject:
    source = as_object(item, "BotCommand")
    name = as_text(source, "command", "BotCommand") or ""
    description = as_text(source, "description", "BotCommand") or ""
    if not _COMMAND.fullmatch(name):
        raise bad_request("BOT_COMMAND_INVALID")
    if not 0 < len(description) <= MAX_DESCRIPTION:
        raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    return {"command": name.removeprefix("/"), "description": description}


def _scope(world: World, params: Params) -> tuple[str, str]:
    """Returns scope and language as one key; raises Rejected when Telegram knows no such scope."""
    scope = params.mapping("scope") or {"type": "default"}
    kind = as_text(scope, "type")
    if kind in _CHAT_SCOPES:
        world.chat_for(Params(scope))
    elif kind not in _PLAIN_SCOPES:
        raise bad_request("can't parse BotCommandScope: Unsupported type specified")
    language = params.text("language_code") or ""
    if language and not re.fullmatch("[a-z]{2}", language):
        raise bad_request("invalid language code specified")
    return json.dumps(scope, sort_keys=True), language
