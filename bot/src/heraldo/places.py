"""Where a message is: a chat, or one topic of it."""

from dataclasses import dataclass

from telegram import Chat, Message
from telegram.constants import ChatType


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A chat or a topic; ``topic_id`` 0 means none. ``title`` is how people call the chat."""

    chat_id: int
    topic_id: int
    kind: str
    title: str

    @property
    def private(self) -> bool:
        """Whether it is a conversation with one person."""
        return self.kind == ChatType.PRIVATE

    @property
    def channel(self) -> bool:
        """Whether it is a channel, where nobody in particular speaks."""
        return self.kind == ChatType.CHANNEL


def place_of(message: Message) -> Place:
    """Returns the place of a message.

    A reply in an ordinary group carries a thread id as well; only a topic's message says that
    it belongs to a topic, and only a topic can be written to by that id.
    """
    topic = message.message_thread_id if message.is_topic_message else None
    chat = message.chat
    return Place(chat_id=chat.id, topic_id=topic or 0, kind=chat.type, title=title_of(chat))


def title_of(chat: Chat) -> str:
    """Returns what people call a chat, or its id."""
    return chat.effective_name or str(chat.id)
