"""parse_mode HTML, as strict as Telegram's: text and entities out of mark-up, or its refusal.

The rules are those of https://core.telegram.org/bots/api#html-style; the refusals carry
Telegram's own words and byte offsets.
"""

import re
from dataclasses import dataclass, replace

from heraldo.botapi.entities import Entity, utf16_length
from heraldo.botapi.errors import BotApiError
from heraldo.botapi.links import WrongLink, checked_link, mentioned_user

_KINDS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "span": "spoiler",
    "tg-spoiler": "spoiler",
    "tg-emoji": "custom_emoji",
    "a": "text_link",
    "pre": "pre",
    "code": "code",
    "blockquote": "blockquote",
}
_SPACES = " \t\r\n\0\v"
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_REFERENCE = re.compile(r"&(?:#x(?P<hex>[0-9a-fA-F]*)|#(?P<dec>[0-9]*)|(?P<name>[A-Za-z]*));?")
_LONGEST_NUMERIC = 10
_LAST_CODE_POINT = 0x10FFFF
_INT64 = 2**63
_LONGEST_INT64 = 21


class BadMarkup(BotApiError):
    """The mark-up is wrong; the message is Telegram's reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    tag: str
    argument: str
    offset: int
    start: int


def parse_html(markup: str) -> tuple[str, tuple[Entity, ...]]:
    """Returns the text and its entities, in the order their tags end.

    Raises BadMarkup with Telegram's reason.
    """
    return _Parser(markup).run()


class _Parser:
    def __init__(self, markup: str) -> None:
        self._markup = markup
        self._at = 0
        self._text: list[str] = []
        self._offset = 0
        self._open: list[_Open] = []
        self._entities: list[Entity] = []

    def run(self) -> tuple[str, tuple[Entity, ...]]:
        while self._at < len(self._markup):
            char = self._markup[self._at]
            if char == "&":
                self._emit(self._reference() or self._take())
            elif char != "<":
                self._emit(self._take())
            elif self._peek(1) == "/":
                self._end_tag()
            else:
                self._start_tag()
        if self._open:
            raise BadMarkup(
                f'Can\'t find end tag corresponding to start tag "{self._open[-1].tag}"'
            )
        text = "".join(self._text)
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise BadMarkup(
                "Text contains invalid Unicode characters after decoding HTML entities, "
                "check for unmatched surrogate code units"
            )
        # A language is known only where <code> is the whole of a <pre>.
        return text, tuple(
            replace(entity, language=None) if entity.kind == "code" else entity
            for entity in self._entities
        )

    def _emit(self, char: str) -> None:
        self._text.append(char)
        self._offset += utf16_length(char)

    def _peek(self, ahead: int = 0) -> str:
        """Returns the character there, or an empty string at the end."""
        return self._markup[self._at + ahead : self._at + ahead + 1]

    def _take(self) -> str:
        self._at += 1
        return self._markup[self._at - 1]

    def _byte(self, position: int) -> int:
        return len(self._markup[:position].encode("utf-8", "surrogatepass"))

    def _skip_spaces(self) -> None:
        while self._peek() and self._peek() in _SPACES:
            self._at += 1

    def _until(self, stops: str) -> str:
        """Takes characters until white space, one of the stops or the end."""
        start = self._at
        while self._peek() and self._peek() not in _SPACES and self._peek() not in stops:
            self._at += 1
        return self._markup[start : self._at]

    def _reference(self) -> str | None:
        """Takes a character reference Telegram knows; None, and nothing taken, otherwise."""
        match = _REFERENCE.match(self._markup, self._at)
        if match is None:
            return None
        if match["name"] is not None:
            char = _NAMED.get(match["name"])
        else:
            digits, base = (match["hex"], 16) if match["hex"] is not None else (match["dec"], 10)
            length = len(match[0].rstrip(";"))
            code = int(digits or "0", base) if length < _LONGEST_NUMERIC else 0
            char = chr(code) if 0 < code < _LAST_CODE_POINT else None
        if char is not None:
            self._at = match.end()
        return char

    def _start_tag(self) -> None:
        begin = self._at
        self._at += 1
        tag = self._until(">").lower()
        if not self._peek():
            raise BadMarkup(f"Unclosed start tag at byte offset {self._byte(begin)}")
        if tag not in _KINDS:
            raise BadMarkup(f'Unsupported start tag "{tag}" at byte offset {self._byte(begin)}')
        argument = ""
        while True:
            self._skip_spaces()
            if self._peek() == ">":
                self._at += 1
                break
            name, value = self._attribute(tag, begin)
            argument = _argument(tag, name, value, argument)
        if tag == "span" and argument != "spoiler":
            raise BadMarkup(
                f'Tag "span" must have class "tg-spoiler" at byte offset {self._byte(begin)}'
            )
        self._open.append(
            _Open(tag=tag, argument=argument, offset=self._offset, start=len(self._text))
        )

    def _attribute(self, tag: str, begin: int) -> tuple[str, str]:
        """Takes one attribute; its value is an empty string when it has none."""
        name = self._until("=>/\"'")
        if not name:
            raise BadMarkup(
                f'Empty attribute name in the tag "{tag}" at byte offset {self._byte(begin)}'
            )
        self._skip_spaces()
        if self._peek() and self._peek() != "=":
            return name, ""
        self._at += 1
        self._skip_spaces()
        if not self._peek():
            raise BadMarkup(f'Unclosed start tag "{tag}" at byte offset {self._byte(begin)}')
        value = self._quoted() if self._peek() in "\"'" else self._token()
        if not self._peek():
            raise BadMarkup(f"Unclosed start tag at byte offset {self._byte(begin)}")
        return name, value

    def _token(self) -> str:
        start = self._at
        while (char := self._peek()) and ((char.isascii() and char.isalnum()) or char in ".-"):
            self._at += 1
        if self._peek() not in {*_SPACES, ">", ""}:
            raise BadMarkup(f"Unexpected end of name token at byte offset {self._byte(start)}")
        return self._markup[start : self._at].lower()

    def _quoted(self) -> str:
        quote = self._take()
        value: list[str] = []
        while self._peek() not in {quote, ""}:
            known = self._reference() if self._peek() == "&" else None
            value.append(known or self._take())
        self._at += 1
        return "".join(value)

    def _end_tag(self) -> None:
        begin = self._at
        if not self._open:
            raise BadMarkup(f"Unexpected end tag at byte offset {self._byte(begin)}")
        self._at += 2
        tag = self._until(">").lower()
        self._skip_spaces()
        if self._peek() != ">":
            raise BadMarkup(f"Unclosed end tag at byte offset {self._byte(begin)}")
        self._at += 1
        opened = self._open.pop()
        if tag and tag != opened.tag:
            raise BadMarkup(
                f"Unmatched end tag at byte offset {self._byte(begin)}, "
                f'expected "</{opened.tag}>", found "</{tag}>"'
            )
        if self._offset > opened.offset:
            self._close(opened)

    def _close(self, opened: _Open) -> None:
        entity = Entity(
            kind=_KINDS[opened.tag], offset=opened.offset, length=self._offset - opened.offset
        )
        match opened.tag:
            case "a":
                self._link(entity, opened)
            case "pre" | "code":
                self._preformatted(entity, opened)
            case "tg-emoji":
                self._entities.append(_emoji(entity, opened.argument))
            case "blockquote" if opened.argument:
                self._entities.append(replace(entity, kind="expandable_blockquote"))
            case _:
                self._entities.append(entity)

    def _link(self, entity: Entity, opened: _Open) -> None:
        """Adds the link; an address Telegram does not take leaves plain text."""
        link = opened.argument or "".join(self._text[opened.start :])
        if (user_id := mentioned_user(link)) is not None:
            self._entities.append(replace(entity, kind="text_mention", user_id=user_id))
            return
        try:
            self._entities.append(replace(entity, url=checked_link(link)))
        except WrongLink:
            return

    def _preformatted(self, entity: Entity, opened: _Open) -> None:
        """Adds <pre> or <code>; one that is the whole of the other gives a language."""
        last = self._entities[-1] if self._entities else None
        other = "code" if opened.tag == "pre" else "pre"
        if last and (last.kind, last.offset, last.length) == (other, entity.offset, entity.length):
            language = opened.argument or last.language
            if language:
                self._entities[-1] = replace(last, kind="pre", language=language)
                return
        self._entities.append(replace(entity, language=opened.argument or None))


def _argument(tag: str, name: str, value: str, before: str) -> str:
    """Returns what of an attribute counts for the tag."""
    match tag, name:
        case ("a", "href") | ("tg-emoji", "emoji-id"):
            return value
        case ("code", "class") if value.startswith("language-"):
            return value.removeprefix("language-")
        case ("span", "class") if value.startswith("tg-"):
            return value.removeprefix("tg-")
        case ("blockquote", "expandable"):
            return "expandable"
        case _:
            return before


def _emoji(entity: Entity, number: str) -> Entity:
    plain = len(number) < _LONGEST_INT64 and number.removeprefix("-").isdecimal()
    if not (plain and number.isascii()) or not -_INT64 <= int(number) < _INT64 or int(number) == 0:
        raise BadMarkup("Invalid custom emoji identifier specified")
    return replace(entity, custom_emoji_id=number)
