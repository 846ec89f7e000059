"""Text and caption parameters: parse_mode or a list of entities."""

from collections.abc import Mapping
from dataclasses import dataclass

from heraldo.botapi.entities import (
    MAX_CAPTION,
    MAX_TEXT,
    Entity,
    check_unicode,
    finish,
    utf16_length,
)
from heraldo.botapi.errors import bad_request
from heraldo.botapi.htmlmode import BadMarkup, parse_html
from heraldo.botapi.links import WrongLink, checked_link
from heraldo.botapi.params import Params, as_number, as_object, as_text

_MARKDOWN = {"markdown", "markdownv2"}
_LARGEST_OFFSET = 1_000_000
_WHAT = "MessageEntity"
_KINDS = frozenset(
    [
        "mention",
        "hashtag",
        "cashtag",
        "bot_command",
        "url",
        "email",
        "phone_number",
        "bold",
        "italic",
        "underline",
        "strikethrough",
        "spoiler",
        "blockquote",
        "expandable_blockquote",
        "code",
        "pre",
        "text_link",
        "text_mention",
        "custom_emoji",
    ]
)
_FOUND_BY_TELEGRAM = frozenset(
    ["mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number"]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Formatted:
    """A text with its entities, and the text as it was sent."""

    text: str
    entities: tuple[Entity, ...]
    source: str


def message_text(params: Params, *, too_long: str = "message is too long") -> Formatted:
    """Returns the ``text`` parameter; raises Rejected when it is empty, too long or wrong."""
    source = params.text("text")
    if not source:
        raise bad_request("message text is empty")
    formatted = _formatted(source, params.text("parse_mode"), params.json("entities"))
    if not formatted.text:
        raise bad_request("text must be non-empty")
    if utf16_length(formatted.text) > MAX_TEXT:
        raise bad_request(too_long)
    return formatted


def caption(params: Params) -> Formatted:
    """Returns the ``caption`` parameter, which may be empty; raises Rejected when it is wrong."""
    return caption_from(params.values | {"caption_entities": params.json("caption_entities")})


def caption_from(source: Mapping[str, object]) -> Formatted:
    """Returns the caption of a request or of one item of an album."""
    formatted = _formatted(
        as_text(source, "caption") or "",
        as_text(source, "parse_mode"),
        source.get("caption_entities"),
    )
    if utf16_length(formatted.text) > MAX_CAPTION:
        raise bad_request("message caption is too long")
    return formatted


def _formatted(source: str, parse_mode: str | None, entities: object) -> Formatted:
    check_unicode(source)
    mode = (parse_mode or "").strip().lower()
    if mode in _MARKDOWN:
        raise bad_request("unsupported parse_mode: this server knows only HTML, not Markdown")
    if mode == "html":
        try:
            text, found = parse_html(source)
        except BadMarkup as error:
            raise bad_request(f"can't parse entities: {error}") from None
    elif mode in {"", "none"}:
        text, found = source, _given(entities, utf16_length(source))
    else:
        raise bad_request("unsupported parse_mode")
    text, found = finish(text, found)
    return Formatted(text=text, entities=found, source=source)


def _given(entities: object, length: int) -> tuple[Entity, ...]:
    if not isinstance(entities, list):
        return ()
    checked = [_entity(as_object(item, "entity"), length) for item in entities]
    return tuple(entity for entity in checked if entity.kind not in _FOUND_BY_TELEGRAM)


def _entity(source: Mapping[str, object], length: int) -> Entity:
    kind = as_text(source, "type", _WHAT)
    if kind not in _KINDS:
        raise bad_request(f"can't parse {_WHAT}: Unsupported type specified")
    entity = Entity(
        kind=kind,
        offset=_whole(source, "offset"),
        length=_whole(source, "length"),
        language=as_text(source, "language", _WHAT) if kind == "pre" else None,
        url=_link(source) if kind == "text_link" else None,
        custom_emoji_id=_required(source, "custom_emoji_id") if kind == "custom_emoji" else None,
        user_id=_user(source) if kind == "text_mention" else None,
    )
    for name, number in (("offset", entity.offset), ("length", entity.length)):
        if not 0 <= number <= _LARGEST_OFFSET:
            raise bad_request(f"receive an entity with incorrect {name} {number}")
    if entity.offset > length:
        raise bad_request(
            f"entity begins after the end of the text at UTF-16 offset {entity.offset}"
        )
    if entity.end > length:
        raise bad_request(
            f"entity beginning at UTF-16 offset {entity.offset} ends after the end of the text "
            f"at UTF-16 offset {entity.end}"
        )
    return entity


def _whole(source: Mapping[str, object], name: str) -> int:
    number = as_number(source, name)
    if number is None:
        raise bad_request(f"can't parse {_WHAT}: Can't find field \"{name}\"")
    return number


def _required(source: Mapping[str, object], name: str) -> str:
    value = as_text(source, name, _WHAT)
    if value is None:
        raise bad_request(f"can't parse {_WHAT}: Can't find field \"{name}\"")
    return value


def _link(source: Mapping[str, object]) -> str:
    url = _required(source, "url")
    try:
        return checked_link(url)
    except WrongLink as error:
        raise bad_request(f"entity URL '{url}' is invalid: {error}") from None


def _user(source: Mapping[str, object]) -> int:
    if "user" not in source:
        raise bad_request(f"can't parse {_WHAT}: Can't find field \"user\"")
    number = as_number(as_object(source["user"], "user"), "id")
    if not number:
        raise bad_request("user not found")
    return number
