"""Formatted text as a value: runs of characters with the styles Telegram knows.

Everything that is sent is built as a `Rich` and written as HTML once, at the end, so a tag can
neither be left open nor cut in half. The rules of nesting are those of the Bot API,
"Formatting options".
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

MAX_UNITS = 4096
"""The longest message Telegram takes, in UTF-16 code units after parsing."""

MAX_ENTITIES = 100
"""Telegram drops the formatting beyond this many entities in one message."""


class Kind(StrEnum):
    """A style, named by its tag. The order is the nesting: an earlier one goes outside."""

    QUOTE = "blockquote"
    PRE = "pre"
    LINK = "a"
    CODE = "code"
    BOLD = "b"
    ITALIC = "i"
    UNDERLINE = "u"
    STRIKE = "s"
    SPOILER = "tg-spoiler"


_RANK = {kind: rank for rank, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True)
class Style:
    """One style. ``value`` is a link's address or a code block's language."""

    kind: Kind
    value: str = ""


Styles = tuple[Style, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Characters that share their styles; ``styles`` is in nesting order."""

    text: str
    styles: Styles = ()


def nest(styles: Iterable[Style]) -> Styles:
    """Returns the styles as Telegram lets them nest: one per kind, outermost first.

    Of two of a kind the later wins. Code holds no other style; a link inside a code block is
    dropped, and code inside a link gives way to the link.
    """
    kinds = {style.kind: style for style in styles}
    if Kind.PRE in kinds:
        kinds = {kind: kinds[kind] for kind in (Kind.QUOTE, Kind.PRE) if kind in kinds}
    elif Kind.LINK in kinds:
        kinds.pop(Kind.CODE, None)
    elif Kind.CODE in kinds:
        kinds = {kind: kinds[kind] for kind in (Kind.QUOTE, Kind.CODE) if kind in kinds}
    return tuple(sorted(kinds.values(), key=lambda style: _RANK[style.kind]))


def units(text: str) -> int:
    """Returns the text's length as Telegram counts it, in UTF-16 code units."""
    return len(text) + sum(char > "\uffff" for char in text)


def escape(text: str) -> str:
    """Escapes text for Telegram's HTML, attribute values included."""
    return (
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    )


@dataclass(frozen=True, slots=True)
class Rich:
    """Formatted text. Adding two joins them; an empty one is false."""

    runs: tuple[Run, ...] = ()

    @classmethod
    def of(cls, text: str, *styles: Style) -> "Rich":
        """Returns one run of text in the given styles."""
        return cls((Run(text, nest(styles)),)) if text else cls()

    def __bool__(self) -> bool:
        return bool(self.runs)

    def __add__(self, other: "Rich") -> "Rich":
        return Rich(self.runs + other.runs)

    @property
    def text(self) -> str:
        """The characters without their styles."""
        return "".join(run.text for run in self.runs)

    def slice(self, start: int, stop: int) -> "Rich":
        """Returns the characters from ``start`` up to ``stop`` (code points) with their styles."""
        runs: list[Run] = []
        at = 0
        for run in self.runs:
            piece = run.text[max(0, start - at) : max(0, stop - at)]
            if piece:
                runs.append(Run(piece, run.styles))
            at += len(run.text)
            if at >= stop:
                break
        return Rich(tuple(runs))

    def strip(self) -> "Rich":
        """Returns the text without white space at its ends, as Telegram will show it."""
        text = self.text
        start = len(text) - len(text.lstrip())
        return self.slice(start, max(start, len(text.rstrip())))

    def to_html(self) -> str:
        """Returns the text as Telegram's HTML: balanced tags, everything escaped."""
        parts: list[str] = []
        open_styles: Styles = ()
        for run in self.runs:
            kept = common(open_styles, run.styles)
            parts.extend(_closing(style) for style in reversed(open_styles[kept:]))
            parts.extend(_opening(style) for style in run.styles[kept:])
            parts.append(escape(run.text))
            open_styles = run.styles
        parts.extend(_closing(style) for style in reversed(open_styles))
        return "".join(parts)


def common(left: Styles, right: Styles) -> int:
    """Returns how many styles, from the outside in, stay open from one run to the next."""
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count


def joined(separator: str, parts: Iterable[Rich]) -> Rich:
    """Returns the parts that are not empty, with plain separators between them."""
    return Rich(tuple(_joined_runs(Run(separator), parts)))


def _joined_runs(separator: Run, parts: Iterable[Rich]) -> Iterator[Run]:
    first = True
    for part in parts:
        if not part:
            continue
        if not first:
            yield separator
        first = False
        yield from part.runs


def _opening(style: Style) -> str:
    match style.kind:
        case Kind.LINK:
            return f'<a href="{escape(style.value)}">'
        case Kind.PRE if style.value:
            return f'<pre><code class="language-{escape(style.value)}">'
        case _:
            return f"<{style.kind}>"


def _closing(style: Style) -> str:
    if style.kind is Kind.PRE and style.value:
        return "</code></pre>"
    return f"</{style.kind}>"
