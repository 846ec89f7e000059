"""Message entities: lengths in UTF-16 units, cleaning, nesting and the ones found in plain text.

Follows https://core.telegram.org/bots/api#formatting-options and what Telegram's servers are
seen to do with a text after its mark-up was taken out.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from heraldo.botapi.errors import JsonObject, bad_request

MAX_TEXT = 4096
MAX_CAPTION = 1024
MAX_ENTITIES = 100

_SPLITTABLE = ("bold", "italic", "underline", "strikethrough", "spoiler")
_QUOTES = ("blockquote", "expandable_blockquote")
_UNTOUCHABLE = ("pre", "code")
# Which of two entities over the same characters is the outer one (and, where they may not be
# nested, the one that stays).
_PRIORITY = {"blockquote": 0, "expandable_blockquote": 0, "pre": 11, "code": 20, "text_link": 49}
_BMP = 0xFFFF
_DROPPED = frozenset("\r\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u0333\u033f\u030a")
_FOUND = re.compile(
    r"(?P<bot_command>(?<![\w/])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/]))"
    r"|(?P<url>(?<![\w/@.-])(?:https?://[^\s<>\"]+"
    r"|(?:[\w-]+\.)+(?:com|org|net|io|dev|info|eu|es|de|uk|fr)(?![\w.-])(?:/[^\s<>\"]*)?))"
    r"|(?P<email>(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<mention>(?<![\w/])@[A-Za-z][A-Za-z0-9_]{2,31}(?!\w))"
    r"|(?P<hashtag>(?<![\w/])\#[^\W\d]\w{0,254})"
)
_TRAILING = ".,:;!?'\")]}»"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One formatted stretch of a text; ``offset`` and ``length`` count UTF-16 units."""

    kind: str
    offset: int
    length: int
    url: str | None = None
    language: str | None = None
    custom_emoji_id: str | None = None
    user_id: int | None = None

    @property
    def end(self) -> int:
        """The first UTF-16 unit after it."""
        return self.offset + self.length

    def to_json(self) -> JsonObject:
        """Returns the Bot API's MessageEntity."""
        body: JsonObject = {"type": self.kind, "offset": self.offset, "length": self.length}
        for name in ("url", "language", "custom_emoji_id"):
            if (value := getattr(self, name)) is not None:
                body[name] = value
        if self.user_id is not None:
            body["user"] = {"id": self.user_id, "is_bot": False, "first_name": "User"}
        return body


def utf16_length(text: str) -> int:
    """Returns the length Telegram counts: characters above U+FFFF count twice."""
    return len(text) + sum(1 for char in text if ord(char) > _BMP)


def units(text: str, offset: int, length: int) -> str:
    """Returns the part of the text at these UTF-16 units."""
    raw = text.encode("utf-16-le", "surrogatepass")
    return raw[offset * 2 : (offset + length) * 2].decode("utf-16-le", "replace")


def finish(text: str, entities: Sequence[Entity]) -> tuple[str, tuple[Entity, ...]]:
    """Returns text and entities as Telegram stores them.

    Control characters become spaces, some are dropped; white space around the text and around
    entities goes; entities that may not overlap are cut or left out; the ones Telegram finds by
    itself (commands, addresses, mentions) are added; at most 100 formatting entities stay.
    An empty text comes back when nothing but white space is left. Raises Rejected for a text that
    is not Unicode.
    """
    check_unicode(text)
    text, cleaned = _without_control_characters(text, entities)
    settled = _trimmed(text, _nested(cleaned))
    text, settled = _stripped(text, settled)
    formatting = [*settled[:MAX_ENTITIES]]
    found = [new for new in find(text) if not any(_keeps_out(old, new) for old in formatting)]
    return text, tuple(sorted([*formatting, *found], key=_order))


def check_unicode(text: str) -> None:
    """Raises Rejected when the text has half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise bad_request("strings must be encoded in UTF-8") from None


def find(text: str) -> tuple[Entity, ...]:
    """Returns the commands, addresses, mentions and hashtags Telegram marks by itself."""
    found = []
    for match in _FOUND.finditer(text):
        kind, value = str(match.lastgroup), match[0]
        if kind == "url":
            value = value.rstrip(_TRAILING)
        offset = utf16_length(text[: match.start()])
        found.append(Entity(kind=kind, offset=offset, length=utf16_length(value)))
    return tuple(found)


def _order(entity: Entity) -> tuple[int, int, int]:
    return entity.offset, -entity.length, _PRIORITY.get(entity.kind, 90)


def _keeps_out(old: Entity, new: Entity) -> bool:
    """Whether a formatting entity leaves no room for one found in the text."""
    if old.kind in _SPLITTABLE:
        return False
    overlaps = old.offset < new.end and new.offset < old.end
    inside = old.offset <= new.offset and new.end <= old.end
    return overlaps and not (old.kind in _QUOTES and inside)


def _without_control_characters(text: str, entities: Iterable[Entity]) -> tuple[str, list[Entity]]:
    kept: list[str] = []
    moved: list[int] = []
    position = 0
    for char in text:
        width = 2 if ord(char) > _BMP else 1
        moved += [position] * width
        if char in _DROPPED:
            continue
        position += width
        kept.append(" " if char < " " and char != "\n" else char)
    moved.append(position)
    return "".join(kept), [
        replace(
            entity, offset=moved[entity.offset], length=moved[entity.end] - moved[entity.offset]
        )
        for entity in entities
    ]


def _nested(entities: Iterable[Entity]) -> list[Entity]:
    """Leaves out or cuts what Telegram does not allow to overlap."""
    ordered = sorted((entity for entity in entities if entity.length > 0), key=_order)
    quotes = _apart([entity for entity in ordered if entity.kind in _QUOTES])
    others = [entity for entity in ordered if entity.kind not in {*_QUOTES, *_SPLITTABLE}]
    kept = [
        entity
        for entity in _apart(others)
        if all(_inside_or_beside(entity, quote) for quote in quotes)
    ]
    walls = [(entity.offset, entity.end) for entity in kept if entity.kind in _UNTOUCHABLE]
    parts: list[Entity] = []
    for kind in _SPLITTABLE:
        spans = _union((entity.offset, entity.end) for entity in ordered if entity.kind == kind)
        parts += [
            Entity(kind=kind, offset=start, length=end - start)
            for start, end in _difference(spans, walls)
        ]
    return [*sorted([*quotes, *kept], key=_order), *sorted(parts, key=_order)]


def _apart(ordered: Iterable[Entity]) -> list[Entity]:
    kept: list[Entity] = []
    for entity in ordered:
        if not kept or entity.offset >= kept[-1].end:
            kept.append(entity)
    return kept


def _inside_or_beside(entity: Entity, quote: Entity) -> bool:
    beside = entity.end <= quote.offset or quote.end <= entity.offset
    return beside or (quote.offset <= entity.offset and entity.end <= quote.end)


def _union(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _difference(
    spans: Iterable[tuple[int, int]], walls: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    left: list[tuple[int, int]] = []
    for begin, end in spans:
        start = begin
        for wall_start, wall_end in walls:
            if wall_end <= start or end <= wall_start:
                continue
            if start < wall_start:
                left.append((start, wall_start))
            start = wall_end
        if start < end:
            left.append((start, end))
    return left


def _trimmed(text: str, entities: Iterable[Entity]) -> list[Entity]:
    """Moves each entity's start past white space; drops those with nothing else."""
    kept = []
    for entity in entities:
        covered = units(text, entity.offset, entity.length)
        leading = len(covered) - len(covered.lstrip(" \n"))
        if leading < len(covered):
            kept.append(
                replace(entity, offset=entity.offset + leading, length=entity.length - leading)
            )
    return kept


def _stripped(text: str, entities: Iterable[Entity]) -> tuple[str, list[Entity]]:
    shorter = text.rstrip(" \n")
    leading = len(shorter) - len(shorter.lstrip(" \n"))
    end = utf16_length(shorter)
    return shorter[leading:], [
        replace(
            entity,
            offset=entity.offset - leading,
            length=min(entity.end, end) - entity.offset,
        )
        for entity in entities
        if entity.kind != "custom_emoji"  # only bots with a bought username may send these
    ]
