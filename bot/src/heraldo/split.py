"""Cuts formatted text into messages, at the border a reader minds least."""

import re
import unicodedata

from heraldo.richtext import MAX_ENTITIES, MAX_UNITS, Kind, Rich, Styles, common, units

ELLIPSIS = "…"

# A full stop in Western writing needs the space after it, one in East Asian writing does not.
_FULL_WIDTH_STOPS = "\u3002\uff01\uff1f"
_SENTENCE = re.compile(
    rf"[.!?…][\"')\]\u201d\u2019\xbb]*\s|[{_FULL_WIDTH_STOPS}][\u300d\u300f\u201d]?"
)
# Borders by how little a reader minds, each with the share of the room it must leave filled.
_MIN_FILL = {"paragraph": 0.4, "line": 0.5, "sentence": 0.5, "word": 0.25}


def split(rich: Rich, *, limit: int = MAX_UNITS) -> tuple[Rich, ...]:
    """Returns the text in parts that Telegram takes: in ``limit`` UTF-16 units, 100 entities.

    Styles that a border falls into go on in the next part. Only white space at the borders is
    lost. A character is cut only where its parts do not fit a message together.
    """
    parts: list[Rich] = []
    rest = rich.strip()
    while rest:
        text = rest.text
        end = fitting(rest, limit)
        if end < len(text):
            end = border(text, end)
        part = rest.slice(0, end).strip()
        parts.append(part)
        rest = rest.slice(end, len(text)).strip()
    return tuple(parts)


def cut(rich: Rich, limit: int) -> Rich:
    """Returns the text if it fits into ``limit`` UTF-16 units, else its beginning and "…"."""
    rich = rich.strip()
    text = rich.text
    if fitting(rich, limit) == len(text):
        return rich
    head = rich.slice(0, border(text, fitting(rich, limit - 2))).strip()
    return head + Rich.of(_ellipsis_after(head))


def fitting(rich: Rich, limit: int) -> int:
    """Returns how many code points from the start fit one message; at least one."""
    at = used = entities = 0
    open_styles: Styles = ()
    for run in rich.runs:
        entities += len(run.styles) - common(open_styles, run.styles)
        open_styles = run.styles
        if entities > MAX_ENTITIES:
            return at
        length = units(run.text)
        if used + length > limit:
            for char in run.text:
                used += 2 if char > "\uffff" else 1
                if used > limit:
                    break
                at += 1
            return max(1, at)
        used += length
        at += len(run.text)
    return at


def border(text: str, end: int) -> int:
    """Returns the best place to cut at or before ``end``: more than 0, at most ``end``."""
    head = text[: end + 1]
    for kind, at in (
        ("paragraph", head.rfind("\n\n")),
        ("line", head.rfind("\n")),
        ("sentence", _last_sentence(head, end)),
        ("word", _last_space(head)),
    ):
        if 0 < at <= end and at >= end * _MIN_FILL[kind]:
            return at
    at = end
    while at > 0 and joins(text, at):
        at -= 1
    return at if at > 0 else end


def joins(text: str, at: int) -> bool:
    """Whether the characters around a position make one sign on the screen."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if before == "\u200d" or after in "\u200c\u200d":
        return True
    if unicodedata.category(after) in ("Mn", "Mc", "Me"):
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        return True
    # Hangul written in letters: a vowel or final goes on with the syllable.
    if "\u1160" <= after <= "\u11ff" and "\u1100" <= before <= "\u11ff":
        return True
    return _is_regional(after) and _regionals_before(text, at) % 2 == 1


def _regionals_before(text: str, at: int) -> int:
    count = 0
    while count < at and _is_regional(text[at - 1 - count]):
        count += 1
    return count


def _is_regional(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _last_sentence(head: str, end: int) -> int:
    at = 0
    # No earlier border would be taken, so no earlier one is looked for.
    for match in _SENTENCE.finditer(head, int(end * _MIN_FILL["sentence"])):
        if match.end() <= end + 1:
            at = len(head[: match.end()].rstrip())
    return at


def _last_space(head: str) -> int:
    return max(head.rfind(space) for space in (" ", "\t", "\u3000"))


def _ellipsis_after(head: Rich) -> str:
    last = head.runs[-1] if head.runs else None
    if last is None:
        return ELLIPSIS
    if any(style.kind in (Kind.QUOTE, Kind.PRE) for style in last.styles):
        return "\n" + ELLIPSIS
    return (" " if last.text[-1] in ".!?:;" + _FULL_WIDTH_STOPS else "") + ELLIPSIS
