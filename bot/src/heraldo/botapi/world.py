"""The server's state and the rules on who may write where."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from colmillo.clock import Clock
from heraldo.botapi.errors import JsonObject, Rejected, bad_request, forbidden
from heraldo.botapi.files import Files
from heraldo.botapi.params import Params
from heraldo.botapi.rates import Rates
from heraldo.botapi.signals import Signal
from heraldo.botapi.state import (
    ADMINS,
    ChatKind,
    ChatState,
    Member,
    MemberStatus,
    Message,
    TopicState,
    User,
)
from heraldo.botapi.updates import UpdateQueue

_FIRST_PERSON = 1_000_001
_FIRST_GROUP = 500_000_001
_FIRST_SUPERGROUP = 1_000_000_000_001


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackAnswer:
    """What the bot answered to a pressed button."""

    text: str = ""
    show_alert: bool = False
    url: str | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Callback:
    """A pressed button the bot was told of."""

    id: str
    chat: ChatState
    pressed_at: float
    answer: CallbackAnswer | None = None


@dataclass(slots=True, eq=False)
class World:
    """Everything one server knows."""

    clock: Clock
    bot: User
    updates: UpdateQueue
    rates: Rates
    privacy: bool = True
    """Whether the bot sees only what is meant for it in groups."""
    files: Files = field(default_factory=Files)
    users: dict[int, User] = field(default_factory=dict)
    chats: dict[int, ChatState] = field(default_factory=dict)
    callbacks: dict[str, Callback] = field(default_factory=dict)
    commands: dict[tuple[str, str], list[object]] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.users[self.bot.id] = self.bot

    @property
    def changed(self) -> Signal:
        """Fires after every change, of the updates too."""
        return self.updates.changed

    def next_number(self) -> int:
        """Returns a number no other call returned."""
        return next(self._numbers)

    def new_person(self, name: str, *, language: str | None, is_bot: bool = False) -> User:
        """Adds somebody; their private chat is to be added separately."""
        number = _FIRST_PERSON + self.next_number()
        user = User(
            id=number,
            first_name=name,
            is_bot=is_bot,
            username=f"user{number}{'bot' if is_bot else ''}",
            language=language,
        )
        self.users[user.id] = user
        return user

    def new_private_chat(self, person: User, *, started: bool) -> ChatState:
        """Adds a person's chat with the bot."""
        chat = ChatState(
            id=person.id,
            kind="private",
            title=person.first_name,
            username=person.username,
            person=person,
            started=started,
        )
        for user in (person, self.bot):
            self.set_member(chat, user, "member")
        self.chats[chat.id] = chat
        return chat

    def new_chat(self, kind: ChatKind, title: str, *, is_forum: bool = False) -> ChatState:
        """Adds a group, supergroup or channel without members."""
        first = _FIRST_GROUP if kind == "group" else _FIRST_SUPERGROUP
        chat = ChatState(
            id=-(first + self.next_number()), kind=kind, title=title, is_forum=is_forum
        )
        if is_forum:
            chat.last_message_id = 1  # the number of the General topic, which is no other's
        self.chats[chat.id] = chat
        return chat

    def set_member(self, chat: ChatState, user: User, status: MemberStatus) -> Member:
        """Sets a user's status and returns the new membership."""
        member = chat.members[user.id] = Member(user=user, status=status)
        self.changed.notify()
        return member

    def bot_is_admin(self, chat: ChatState) -> bool:
        """Whether the bot is an administrator there."""
        return chat.status_of(self.bot.id) in ADMINS

    def add(self, chat: ChatState, make: Callable[[int], Message]) -> Message:
        """Stores the message ``make`` builds for the chat's next message id."""
        chat.last_message_id += 1
        message = chat.messages[chat.last_message_id] = make(chat.last_message_id)
        self.changed.notify()
        return message

    def add_service(
        self, chat: ChatState, sender: User | None, service: JsonObject, topic: int | None = None
    ) -> Message:
        """Stores a service message and tells the bot of it, if it is there to see it."""
        message = self.add(
            chat,
            lambda message_id: Message(
                chat=chat,
                message_id=message_id,
                date=self.clock.now(),
                sender=None if chat.kind == "channel" else sender,
                topic_id=topic,
                service=service,
                by_bot=sender is self.bot,
            ),
        )
        if sender is not self.bot:
            self.tell(message)
        return message

    def tell(self, message: Message, *, edited: bool = False) -> int | None:
        """Makes an update of a message somebody else wrote; returns its id."""
        chat = message.chat
        if chat.status_of(self.bot.id) in ("left", "kicked"):
            return None
        shape = "channel_post" if chat.kind == "channel" else "message"
        return self.updates.add(f"edited_{shape}" if edited else shape, message.to_json())

    def chat_for(self, params: Params, *, name: str = "chat_id") -> ChatState:
        """Returns the chat a request names by id or @username.

        Raises Rejected when there is none, or it went on under another id.
        """
        value = (params.text(name) or "").strip()
        if not value:
            raise bad_request(f"{name} is empty")
        if value.startswith("@"):
            found = [chat for chat in self.chats.values() if chat.username == value[1:]]
            chat = found[0] if found else None
        else:
            chat = self.chats.get(params.integer(name))
        if chat is None:
            raise bad_request("chat not found")
        if chat.migrated_to is not None:
            raise Rejected(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                migrate_to_chat_id=chat.migrated_to.id,
            )
        return chat

    def check_present(self, chat: ChatState) -> None:
        """Raises Rejected (403) when the bot is not, or no longer, in the chat."""
        status = chat.status_of(self.bot.id)
        if chat.person is not None:
            if chat.person.deactivated:
                raise forbidden("user is deactivated")
            if chat.person.is_bot:
                raise forbidden("bots can't send messages to bots")
            if status == "kicked":
                raise forbidden("bot was blocked by the user")
            if not chat.started:
                raise forbidden("bot can't initiate conversation with a user")
        elif status == "kicked":
            raise forbidden(f"bot was kicked from the {chat.kind} chat")
        elif status == "left":
            raise forbidden(f"bot is not a member of the {chat.kind} chat")

    def check_may_write(self, chat: ChatState) -> None:
        """Raises Rejected when the bot may not send to the chat."""
        self.check_present(chat)
        if chat.kind == "channel" and not self.bot_is_admin(chat):
            raise bad_request("need administrator rights in the channel chat")
        if chat.status_of(self.bot.id) == "restricted":
            raise bad_request("not enough rights to send text messages to the chat")

    def topic_for(self, chat: ChatState, topic_id: int) -> TopicState:
        """Returns a forum's topic; raises Rejected when there is none."""
        topic = chat.topics.get(topic_id)
        if topic is None:
            raise bad_request("message thread not found")
        return topic
