"""What the server knows: people, chats, their members, topics and messages."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from heraldo.botapi.entities import Entity
from heraldo.botapi.errors import JsonObject
from heraldo.botapi.keyboards import Button, buttons

ChatKind = Literal["private", "group", "supergroup", "channel"]
MemberStatus = Literal["creator", "administrator", "member", "restricted", "left", "kicked"]

PRESENT: frozenset[MemberStatus] = frozenset({"creator", "administrator", "member", "restricted"})
ADMINS: frozenset[MemberStatus] = frozenset({"creator", "administrator"})
ADMIN_RIGHTS = (
    "can_manage_chat",
    "can_delete_messages",
    "can_manage_video_chats",
    "can_restrict_members",
    "can_promote_members",
    "can_change_info",
    "can_invite_users",
    "can_post_stories",
    "can_edit_stories",
    "can_delete_stories",
)
_MEMBER_RIGHTS = (
    "can_send_messages",
    "can_send_audios",
    "can_send_documents",
    "can_send_photos",
    "can_send_videos",
    "can_send_video_notes",
    "can_send_voice_notes",
    "can_send_polls",
    "can_send_other_messages",
    "can_add_web_page_previews",
    "can_change_info",
    "can_edit_tag",
    "can_invite_users",
    "can_pin_messages",
    "can_manage_topics",
)


@dataclass(slots=True, kw_only=True, eq=False)
class User:
    """A person, or the bot itself."""

    id: int
    first_name: str
    is_bot: bool = False
    username: str | None = None
    language: str | None = None
    deactivated: bool = False

    def to_json(self) -> JsonObject:
        """Returns the Bot API's User."""
        body: JsonObject = {"id": self.id, "is_bot": self.is_bot, "first_name": self.first_name}
        if self.username:
            body["username"] = self.username
        if self.language:
            body["language_code"] = self.language
        return body


@dataclass(slots=True, kw_only=True, eq=False)
class Member:
    """A user's standing in a chat."""

    user: User
    status: MemberStatus

    def to_json(self, kind: ChatKind) -> JsonObject:
        """Returns the Bot API's ChatMember for a chat of that kind."""
        body: JsonObject = {"user": self.user.to_json(), "status": self.status}
        if self.status == "creator":
            body["is_anonymous"] = False
        elif self.status == "administrator":
            body |= {"can_be_edited": False, "is_anonymous": False}
            body |= dict.fromkeys(ADMIN_RIGHTS, True)
            if kind == "channel":
                body |= {"can_post_messages": True, "can_edit_messages": True}
            elif kind == "supergroup":
                body |= {"can_pin_messages": True, "can_manage_topics": True}
        elif self.status == "restricted":
            # The one restriction this server knows: a member who may not write.
            body |= {"is_member": True, "until_date": 0, **dict.fromkeys(_MEMBER_RIGHTS, False)}
        elif self.status == "kicked":
            body["until_date"] = 0
        return body


@dataclass(slots=True, kw_only=True, eq=False)
class TopicState:
    """A forum topic; its id is the id of the message that opened it."""

    id: int
    name: str
    closed: bool = False
    icon_color: int = 7322096

    def to_json(self) -> JsonObject:
        """Returns the Bot API's ForumTopic."""
        return {"message_thread_id": self.id, "name": self.name, "icon_color": self.icon_color}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file the server handed an id out for."""

    file_id: str
    name: str | None
    mime: str | None
    data: bytes | None
    url: str | None

    def to_json(self) -> JsonObject:
        """Returns what all files have in the Bot API."""
        body: JsonObject = {"file_id": self.file_id, "file_unique_id": f"u{self.file_id}"}
        if self.data is not None:
            body["file_size"] = len(self.data)
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """What a message shows besides text: its kind (``photo`` …), file and further fields."""

    kind: str
    file: StoredFile
    extra: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Returns the message's fields for it."""
        body = self.file.to_json() | self.extra
        if self.kind == "photo":
            return {"photo": [body]}
        for name, value in (("file_name", self.file.name), ("mime_type", self.file.mime)):
            if value:
                body[name] = value
        if self.kind == "animation":
            return {"animation": body, "document": body}
        return {self.kind: body}


@dataclass(slots=True, kw_only=True, eq=False)
class ChatState:
    """One chat with everything in it."""

    id: int
    kind: ChatKind
    title: str
    username: str | None = None
    is_forum: bool = False
    person: User | None = None
    """The other side of a private chat."""
    started: bool = True
    """Whether the person of a private chat wrote to the bot."""
    migrated_to: "ChatState | None" = None
    members: dict[int, Member] = field(default_factory=dict)
    topics: dict[int, TopicState] = field(default_factory=dict)
    messages: "dict[int, Message]" = field(default_factory=dict)
    last_message_id: int = 0

    @property
    def is_private(self) -> bool:
        """Whether it is a chat of one person with the bot."""
        return self.kind == "private"

    def status_of(self, user_id: int) -> MemberStatus:
        """Returns a user's status; ``left`` for one who never was there."""
        member = self.members.get(user_id)
        return member.status if member else "left"

    def to_json(self) -> JsonObject:
        """Returns the Bot API's Chat."""
        body: JsonObject = {"id": self.id, "type": self.kind}
        body["first_name" if self.is_private else "title"] = self.title
        if self.username:
            body["username"] = self.username
        if self.is_forum:
            body["is_forum"] = True
        return body


@dataclass(slots=True, kw_only=True, eq=False)
class Message:
    """A message as it is now; ``history`` has its earlier texts, oldest first."""

    chat: ChatState
    message_id: int
    date: datetime
    sender: User | None
    """None for a channel's posts."""
    by_bot: bool = False
    """Whether the bot under test sent it."""
    text: str = ""
    """The text, or the caption of media."""
    entities: tuple[Entity, ...] = ()
    source: str = ""
    """The text as it was sent, mark-up included."""
    media: Media | None = None
    album: str | None = None
    markup: JsonObject | None = None
    keyboard: JsonObject | None = None
    """A change to the person's own keyboard (reply keyboard, its removal, a forced reply)."""
    link_preview: JsonObject | None = None
    topic_id: int | None = None
    reply_to: "Message | None" = None
    silent: bool = False
    protected: bool = False
    service: JsonObject = field(default_factory=dict)
    """The field of a service message, e.g. ``{"new_chat_members": […]}``."""
    edited_at: datetime | None = None
    deleted: bool = False
    history: list[str] = field(default_factory=list)

    @property
    def buttons(self) -> tuple[tuple[Button, ...], ...]:
        """The rows of its inline keyboard."""
        return buttons(self.markup)

    def to_json(self, *, with_reply: bool = True) -> JsonObject:
        """Returns the Bot API's Message."""
        body: JsonObject = {
            "message_id": self.message_id,
            "date": int(self.date.timestamp()),
            "chat": self.chat.to_json(),
        }
        if self.sender is not None:
            body["from"] = self.sender.to_json()
        else:
            body["sender_chat"] = self.chat.to_json()
        if self.topic_id is not None:
            body |= {"message_thread_id": self.topic_id, "is_topic_message": True}
        if self.edited_at is not None:
            body["edit_date"] = int(self.edited_at.timestamp())
        if self.reply_to is not None and with_reply:
            body["reply_to_message"] = self.reply_to.to_json(with_reply=False)
        if self.protected:
            body["has_protected_content"] = True
        return body | self._content()

    def _content(self) -> JsonObject:
        body: JsonObject = dict(self.service)
        text, entities = ("caption", "caption_entities") if self.media else ("text", "entities")
        if self.media is not None:
            body |= self.media.to_json()
        if self.text:
            body[text] = self.text
        if self.entities:
            body[entities] = [entity.to_json() for entity in self.entities]
        if self.album is not None:
            body["media_group_id"] = self.album
        if self.link_preview is not None:
            body["link_preview_options"] = self.link_preview
        if self.markup is not None:
            body["reply_markup"] = self.markup
        return body
