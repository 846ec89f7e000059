"""The people's side: they write, press buttons, join, leave and block; tests watch through it."""

import asyncio
from collections.abc import Callable

from heraldo.botapi.entities import find
from heraldo.botapi.errors import BotApiError, JsonObject, NothingHappened
from heraldo.botapi.methods.chats import member_change
from heraldo.botapi.methods.topics import close_topic, open_topic, remove_topic
from heraldo.botapi.params import Upload
from heraldo.botapi.state import (
    ADMINS,
    ChatState,
    Media,
    Member,
    MemberStatus,
    Message,
    TopicState,
    User,
)
from heraldo.botapi.transcript import transcript
from heraldo.botapi.world import Callback, CallbackAnswer, World


class Topic:
    """A forum topic as people see it."""

    def __init__(self, chat: "Chat", state: TopicState) -> None:
        self.chat = chat
        self.state = state

    @property
    def id(self) -> int:
        """The message_thread_id."""
        return self.state.id

    @property
    def messages(self) -> list[Message]:
        """What is there now, oldest first, service messages left out."""
        return [message for message in self.chat.messages if message.topic_id == self.id]

    async def closes(self, by: "Person") -> None:
        """Closes it: only administrators may write from now on."""
        close_topic(self.chat.world, self.chat.state, self.state, by.user, closed=True)

    async def reopens(self, by: "Person") -> None:
        """Opens it again."""
        close_topic(self.chat.world, self.chat.state, self.state, by.user, closed=False)

    async def is_deleted(self) -> None:
        """Deletes it with its messages; the bot is not told."""
        remove_topic(self.chat.world, self.chat.state, self.state)


class Chat:
    """A chat as people see it."""

    def __init__(self, world: World, state: ChatState) -> None:
        self.world = world
        self.state = state

    @property
    def id(self) -> int:
        """The chat id."""
        return self.state.id

    @property
    def messages(self) -> list[Message]:
        """What is there now, oldest first, service messages and deleted ones left out."""
        return [
            message
            for message in self.state.messages.values()
            if not message.deleted and not message.service
        ]

    @property
    def from_bot(self) -> list[Message]:
        """What the bot sent and is still there, oldest first."""
        return [message for message in self.messages if message.by_bot]

    @property
    def deleted(self) -> list[Message]:
        """What was deleted, oldest first."""
        return [message for message in self.state.messages.values() if message.deleted]

    async def says(
        self,
        person: "Person",
        text: str,
        *,
        topic: Topic | None = None,
        reply_to: Message | None = None,
    ) -> Message:
        """Writes as a person; in groups the bot is told only what privacy mode lets through."""
        self.state.started = True
        return self._write(person.user, text, topic, reply_to, media=None)

    async def sends_document(
        self, person: "Person", filename: str, data: bytes, *, caption: str = ""
    ) -> Message:
        """Sends a file as a person."""
        upload = Upload(filename=filename, content_type="application/octet-stream", data=data)
        file = self.world.files.keep_upload(upload, "document")
        media = Media(kind="document", file=file)
        return self._write(person.user, caption, None, None, media=media)

    async def posts(self, text: str) -> Message:
        """Posts in a channel in its own name."""
        if self.state.kind != "channel":
            raise BotApiError("only a channel posts in its own name")
        return self._write(None, text, None, None, media=None)

    async def edits(self, message: Message, text: str) -> None:
        """Changes a message somebody wrote; the bot gets edited_message or the like."""
        message.history.append(message.text)
        message.text, message.entities, message.source = text, find(text), text
        message.edited_at = self.world.clock.now()
        self.world.tell(message, edited=True)
        self.world.changed.notify()

    async def deletes(self, message: Message) -> None:
        """Deletes a message; the bot is not told, as with Telegram."""
        message.deleted = True
        self.world.changed.notify()

    async def topic(self, name: str, *, by: "Person | None" = None) -> Topic:
        """Opens a topic in a forum."""
        if not self.state.is_forum:
            raise BotApiError("the chat is not a forum")
        opener = by.user if by is not None else self._somebody()
        return Topic(self, open_topic(self.world, self.state, opener, name))

    async def adds_bot(self, by: "Person", *, admin: bool = False) -> None:
        """Brings the bot in: my_chat_member and, in groups, a service message."""
        self.set_bot(by.user, "administrator" if admin else "member")
        if self.state.kind != "channel":
            joined: JsonObject = {"new_chat_members": [self.world.bot.to_json()]}
            self.world.add_service(self.state, by.user, joined)

    async def removes_bot(self, by: "Person") -> None:
        """Throws the bot out: it gets my_chat_member and then 403."""
        self.set_bot(by.user, "kicked")

    async def promotes_bot(self, by: "Person") -> None:
        """Makes the bot an administrator."""
        self.set_bot(by.user, "administrator")

    async def demotes_bot(self, by: "Person") -> None:
        """Makes the bot a plain member; in a channel that is the end of its posting."""
        self.set_bot(by.user, "member")

    async def mutes_bot(self, by: "Person") -> None:
        """Takes the right to write from the bot."""
        self.set_bot(by.user, "restricted")

    async def promotes(self, person: "Person", *, by: "Person | None" = None) -> None:
        """Makes a person an administrator."""
        self.set_person(person.user, "administrator", by)

    async def demotes(self, person: "Person", *, by: "Person | None" = None) -> None:
        """Makes a person a plain member."""
        self.set_person(person.user, "member", by)

    async def migrate(self) -> "Chat":
        """Turns a group into a supergroup under a new id and returns that."""
        if self.state.kind != "group":
            raise BotApiError("only a group that is no supergroup migrates")
        somebody = self._somebody()
        new = self.world.new_chat("supergroup", self.state.title)
        new.members |= self.state.members
        self.world.add_service(self.state, somebody, {"migrate_to_chat_id": new.id})
        self.world.add_service(new, somebody, {"migrate_from_chat_id": self.id})
        self.state.migrated_to = new
        return Chat(self.world, new)

    async def wait_for(
        self, what: int | Callable[[Message], bool], *, count: int = 1, within: float = 10.0
    ) -> list[Message]:
        """Waits for messages of the bot and returns those that were waited for.

        A number waits until that many are there; a condition until ``count`` fulfil it, edits
        included. ``within`` is in real seconds; NothingHappened, with the transcript, is raised
        then.
        """
        wanted = what if isinstance(what, int) else count

        def found() -> list[Message]:
            return [message for message in self.from_bot if isinstance(what, int) or what(message)]

        try:
            async with asyncio.timeout(within):
                await self.world.changed.met(lambda: len(found()) >= wanted)
        except TimeoutError:
            raise NothingHappened(
                f"{len(found())} of {wanted} messages came in {within:g} s; the chat:\n"
                + transcript(self.state)
            ) from None
        return found()

    def _write(
        self,
        sender: User | None,
        text: str,
        topic: Topic | None,
        reply_to: Message | None,
        *,
        media: Media | None,
    ) -> Message:
        message = self.world.add(
            self.state,
            lambda message_id: Message(
                chat=self.state,
                message_id=message_id,
                date=self.world.clock.now(),
                sender=sender,
                text=text,
                entities=find(text),
                source=text,
                media=media,
                topic_id=topic.id if topic is not None else None,
                reply_to=reply_to,
            ),
        )
        if self._reaches_bot(message):
            self.world.tell(message)
        return message

    def _reaches_bot(self, message: Message) -> bool:
        """Whether privacy mode lets the bot see it."""
        in_group = self.state.kind in ("group", "supergroup")
        if not in_group or not self.world.privacy or self.world.bot_is_admin(self.state):
            return True
        if message.reply_to is not None and message.reply_to.by_bot:
            return True
        username = f"@{self.world.bot.username}"
        words = message.text.split()
        for entity in message.entities:
            if entity.kind == "bot_command":
                command = next(word for word in words if word.startswith("/"))
                _, at, addressee = command.partition("@")
                return not at or f"@{addressee}" == username
        return username in words

    def _somebody(self) -> User:
        """Returns the member who does what no one in particular does."""
        people = [member for member in self.state.members.values() if not member.user.is_bot]
        people.sort(key=lambda member: member.status not in ADMINS)
        if not people:
            raise BotApiError("nobody is in the chat who could do that")
        return people[0].user

    def set_bot(self, by: User, status: MemberStatus) -> None:
        """Gives the bot another standing and tells it."""
        bot = self.world.bot
        before = self.state.members.get(bot.id) or Member(user=bot, status="left")
        after = self.world.set_member(self.state, bot, status)
        change = member_change(self.world, self.state, by, before, after)
        self.world.updates.add("my_chat_member", change)

    def set_person(self, user: User, status: MemberStatus, by: "Person | None") -> None:
        """Gives a person another standing; the bot is told where it is an administrator."""
        actor = by.user if by is not None else user
        before = self.state.members.get(user.id) or Member(user=user, status="left")
        after = self.world.set_member(self.state, user, status)
        if self.world.bot_is_admin(self.state):
            change = member_change(self.world, self.state, actor, before, after)
            self.world.updates.add("chat_member", change)


class Person:
    """Somebody with a private chat with the bot."""

    def __init__(self, world: World, user: User, private: ChatState) -> None:
        self.user = user
        self.private = Chat(world, private)
        self._world = world

    @property
    def id(self) -> int:
        """The user id, which is also the id of the private chat."""
        return self.user.id

    async def says(self, text: str, *, reply_to: Message | None = None) -> Message:
        """Writes to the bot in private."""
        return await self.private.says(self, text, reply_to=reply_to)

    async def presses(self, message: Message, button: str) -> Callback:
        """Presses a button, named by its text or data, and does not wait for the answer."""
        data = next(
            (
                each.data
                for row in message.buttons
                for each in row
                if each.data is not None and button in (each.text, each.data)
            ),
            None,
        )
        if data is None or message.deleted:
            shown = [each.text for row in message.buttons for each in row]
            raise BotApiError(f"there is no button {button!r} to press, only {shown}")
        callback = Callback(
            id=str(self._world.next_number() + 10**15),
            chat=message.chat,
            pressed_at=self._world.clock.monotonic(),
        )
        self._world.callbacks[callback.id] = callback
        self._world.updates.add(
            "callback_query",
            {
                "id": callback.id,
                "from": self.user.to_json(),
                "message": message.to_json(),
                "chat_instance": str(message.chat.id),
                "data": data,
            },
        )
        return callback

    async def clicks(
        self, message: Message, button: str, *, within: float = 10.0
    ) -> CallbackAnswer:
        """Presses a button and returns the bot's answer to that.

        ``within`` is in real seconds; NothingHappened is raised then.
        """
        callback = await self.presses(message, button)
        try:
            async with asyncio.timeout(within):
                await self._world.changed.met(lambda: callback.answer is not None)
        except TimeoutError:
            raise NothingHappened(f"the bot did not answer the button {button!r}") from None
        return callback.answer or CallbackAnswer()

    async def blocks(self) -> None:
        """Blocks the bot: it gets my_chat_member and then 403."""
        self.private.set_bot(self.user, "kicked")

    async def unblocks(self) -> None:
        """Lets the bot write again."""
        self.private.set_bot(self.user, "member")

    async def deletes_account(self) -> None:
        """Is gone: sending to them gives 403."""
        self.user.deactivated = True

    async def joins(self, chat: Chat) -> None:
        """Becomes a member."""
        chat.set_person(self.user, "member", None)
        if chat.state.kind != "channel":
            joined: JsonObject = {"new_chat_members": [self.user.to_json()]}
            self._world.add_service(chat.state, self.user, joined)

    async def leaves(self, chat: Chat) -> None:
        """Is no member any more."""
        chat.set_person(self.user, "left", None)
        if chat.state.kind != "channel":
            left: JsonObject = {"left_chat_member": self.user.to_json()}
            self._world.add_service(chat.state, self.user, left)
