"""Chats as readable text."""

from heraldo.botapi.entities import Entity
from heraldo.botapi.state import ChatState, Message


def transcript(chat: ChatState) -> str:
    """Returns the chat, one paragraph for each message, edits and deletions marked."""
    return "\n".join(_line(message) for message in chat.messages.values())


def readable(message: Message) -> str:
    """Returns a message's text with links spelled out and media named."""
    parts = []
    if message.media is not None:
        where = message.media.file.url or message.media.file.name or message.media.file.file_id
        parts.append(f"[{message.media.kind}] {where}")
    if message.text:
        parts.append(with_links(message.text, message.entities))
    return "\n".join(parts)


def with_links(text: str, entities: tuple[Entity, ...]) -> str:
    """Returns the text with the address behind each link after it, unless it is the text."""
    raw = text.encode("utf-16-le")
    pieces: list[bytes] = []
    done = 0
    links = [entity for entity in entities if entity.kind == "text_link" and entity.url]
    for link in sorted(links, key=lambda link: link.end):
        shown = raw[link.offset * 2 : link.end * 2].decode("utf-16-le")
        pieces.append(raw[done : link.end * 2])
        done = link.end * 2
        url = link.url or ""
        if shown.strip().rstrip("/") != url.rstrip("/"):
            pieces.append(f" ({url})".encode("utf-16-le"))
    pieces.append(raw[done:])
    return b"".join(pieces).decode("utf-16-le")


def _line(message: Message) -> str:
    who = message.sender.first_name if message.sender else message.chat.title
    notes = [f"topic {message.topic_id}"] if message.topic_id else []
    if message.edited_at is not None:
        notes.append("edited")
    if message.deleted:
        notes.append("deleted")
    about = f" ({', '.join(notes)})" if notes else ""
    content = readable(message) or ", ".join(message.service)
    rows = "".join(
        "\n    " + " ".join(f"[{button.text}]" for button in row) for row in message.buttons
    )
    return f"{message.message_id}. {who}{about}: {content}{rows}"
