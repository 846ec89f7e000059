"""Feed HTML into the formatting Telegram has.

An allow-list: what is not named here loses its tag and keeps its text, and what is never text
(scripts, styles, forms' controls, media) is left out. Links are made absolute.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from heraldo.cleaning import clean, safe_link
from heraldo.htmlwriter import LayoutWriter
from heraldo.richtext import Kind, Rich, Style, Styles

# Lexbor's time is quadratic in depth and in the number of attributes (a megabyte of nested divs
# takes it minutes); within these limits the worst page known takes it a third of a second.
MAX_CHARACTERS = 100_000
MAX_TAGS = 4_000
MAX_TEXT = 20_000

_TAG_START = re.compile(r"<[A-Za-z/!?]")
# A picture inside the page's own text; only where the limits would cut it does it matter.
_DATA_URL = re.compile(r"data:[\w.+-]+/[^\s\"'>]{100,}")

_INLINE = {
    "b": Kind.BOLD,
    "strong": Kind.BOLD,
    "summary": Kind.BOLD,
    "i": Kind.ITALIC,
    "em": Kind.ITALIC,
    "cite": Kind.ITALIC,
    "dfn": Kind.ITALIC,
    "var": Kind.ITALIC,
    "u": Kind.UNDERLINE,
    "ins": Kind.UNDERLINE,
    "s": Kind.STRIKE,
    "del": Kind.STRIKE,
    "strike": Kind.STRIKE,
    "code": Kind.CODE,
    "kbd": Kind.CODE,
    "samp": Kind.CODE,
    "tt": Kind.CODE,
    "tg-spoiler": Kind.SPOILER,
} | dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), Kind.BOLD)
# The line feeds a block keeps around itself: 2 leaves an empty line.
_BLOCKS: dict[str, int] = {
    tag: newlines
    for newlines, tags in (
        (2, "p blockquote pre ul ol dl table hr figure details h1 h2 h3 h4 h5 h6"),
        (1, "div section article header footer main nav aside address center fieldset"),
        (1, "li tr dt dd figcaption caption summary"),
    )
    for tag in tags.split()
}
_DROPPED = frozenset(
    tag
    for tags in (
        "script style head title template svg math object applet canvas map",
        "button select textarea input noframes noembed",
    )
    for tag in tags.split()
)
_MEDIA = {
    "img": "picture",
    "video": "video",
    "audio": "audio",
    "iframe": "embed",
    "embed": "embed",
}
_SUPERSCRIPT = str.maketrans("0123456789+-=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿ")
_SUBSCRIPT = str.maketrans("0123456789+-=()", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎")
_INDENT = "    "
_LANGUAGE = re.compile(r"(?:^|\s)(?:language|lang|highlight-source)-([\w+#.-]{1,30})(?:\s|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """Something to see or hear that the text left out. ``kind``: picture, video, audio, embed."""

    kind: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """An entry's body. ``shortened`` when it was longer than what is worth reading here."""

    text: Rich
    media: tuple[Media, ...] = ()
    shortened: bool = False


def from_html(html: str, base: str | None = None) -> Body:
    """Returns the formatted text of feed HTML, its links resolved against ``base``.

    Any input gives a result, in bounded time; input that is too large is read to the limit.
    """
    html = html.replace("\0", "")
    if len(html) > MAX_CHARACTERS:
        html = _DATA_URL.sub("data:", html)
    page, shortened = _within_limits(html)
    walk = _Walk(base)
    body = LexborHTMLParser(page.encode("utf-8", "replace").decode()).body if page else None
    if body is not None:
        walk.run(body)
    return Body(
        text=walk.writer.rich(),
        media=tuple(walk.media),
        shortened=shortened or walk.writer.full,
    )


def _within_limits(html: str) -> tuple[str, bool]:
    end = min(len(html), MAX_CHARACTERS)
    for count, match in enumerate(_TAG_START.finditer(html, 0, end)):
        if count == MAX_TAGS:
            end = match.start()
            break
    return html[:end], end < len(html)


@dataclass(slots=True)
class _List:
    """A list being walked; ``number`` is the next item's, None in an unordered one."""

    number: int | None


@dataclass(slots=True)
class _Frame:
    """An element that was entered: what holds inside it, and what to do when it ends."""

    styles: Styles
    gap: int = 0
    leave: Callable[[], None] | None = None
    translate: dict[int, int] = field(default_factory=dict[int, int])


class _Walk:
    """Goes through a parsed page without recursion, writing as it goes."""

    def __init__(self, base: str | None) -> None:
        self.writer = LayoutWriter(MAX_TEXT)
        self.media: list[Media] = []
        self._base = base
        self._frames = [_Frame(())]
        self._lists: list[_List] = []
        self._verbatim = 0

    def run(self, root: LexborNode) -> None:
        """Visits every node below the root, in document order, until the writer is full."""
        node = root.first_child
        while node is not None and not self.writer.full:
            if self._enter(node):
                child = node.first_child
                if child is not None:
                    node = child
                    continue
                self._leave()
            while node is not None and node.next is None:
                if len(self._frames) == 1:
                    return
                self._leave()
                node = node.parent
            node = node.next if node is not None else None

    def _enter(self, node: LexborNode) -> bool:
        """Writes what a node begins with; whether it was entered and must be left."""
        if node.is_text_node:
            self._text(node.text_content or "")
            return False
        tag = node.tag
        if tag is None or not node.is_element_node or tag in _DROPPED:
            return False
        if tag in _MEDIA:
            self._see(node, tag)
            return False
        if tag == "br":
            self._break()
            return False
        self._frames.append(self._open(node, tag))
        return True

    def _leave(self) -> None:
        frame = self._frames.pop()
        if frame.leave is not None:
            frame.leave()
        self._gap(frame.gap)

    def _text(self, text: str) -> None:
        frame = self._frames[-1]
        text = clean(text)
        if self._verbatim:
            self.writer.verbatim(text, frame.styles)
        else:
            self.writer.text(text.translate(frame.translate), frame.styles)

    def _break(self) -> None:
        if self._verbatim:
            self.writer.verbatim("\n", self._frames[-1].styles)
        else:
            self.writer.line_break()

    def _gap(self, newlines: int) -> None:
        if newlines:
            self.writer.gap(1 if self._lists else newlines)

    def _open(self, node: LexborNode, tag: str) -> _Frame:
        outer = self._frames[-1]
        frame = _Frame(
            outer.styles + self._style(node, tag),
            gap=_BLOCKS.get(tag, 0),
            translate=outer.translate,
        )
        self._gap(frame.gap)
        match tag:
            case "ul" | "ol":
                self._lists.append(_List(_start(node) if tag == "ol" else None))
                frame.leave = self._leave_list
            case "li":
                self._item(node)
                frame.leave = self._end_lead
            case "dd":
                self.writer.lead(_INDENT, _INDENT)
                frame.leave = self._end_lead
            case "td" | "th":
                self.writer.between(" | ")
            case "pre":
                self._verbatim += 1
                frame.leave = self._leave_pre
            case "blockquote":
                frame.leave = self.writer.leave_quote
            case "q":
                self.writer.text("“", frame.styles)
                frame.leave = self._close_quotation
            case "sup":
                frame.translate = _script(node, _SUPERSCRIPT)
            case "sub":
                frame.translate = _script(node, _SUBSCRIPT)
            case _:
                pass
        return frame

    def _style(self, node: LexborNode, tag: str) -> Styles:
        if tag == "a":
            link = safe_link(node.attributes.get("href"), self._base)
            return (Style(Kind.LINK, link),) if link else ()
        if tag == "blockquote":
            return (Style(Kind.QUOTE),)
        if tag == "pre":
            return (Style(Kind.PRE, _language(node)),)
        if tag == "span" and "spoiler" in (node.attributes.get("class") or ""):
            return (Style(Kind.SPOILER),)
        return (Style(_INLINE[tag]),) if tag in _INLINE else ()

    def _item(self, node: LexborNode) -> None:
        current = self._lists[-1] if self._lists else _List(None)
        number = current.number
        if number is None:
            bullet = "• "
        else:
            number = _whole(node.attributes.get("value"), number)
            current.number = number + 1
            bullet = f"{number}. "
        # Beyond a few levels an indent only makes the lines narrow.
        depth = min(4, len(self._lists))
        self.writer.lead(_INDENT * max(0, depth - 1) + bullet, _INDENT * depth)

    def _leave_list(self) -> None:
        self._lists.pop()
        indent = _INDENT * min(4, len(self._lists))
        self.writer.lead(indent, indent)

    def _end_lead(self) -> None:
        self.writer.lead("")

    def _leave_pre(self) -> None:
        self._verbatim -= 1

    def _close_quotation(self) -> None:
        self.writer.text("”", self._frames[-1].styles)

    def _see(self, node: LexborNode, tag: str) -> None:
        attributes = node.attributes
        if any(attributes.get(side) in ("0", "1", "2") for side in ("width", "height")):
            return  # a counting pixel
        source = attributes.get("src")
        if source is None and (child := node.css_first("source")) is not None:
            source = child.attributes.get("src")
        url = safe_link(source, self._base)
        if url is not None and url.startswith("http"):
            self.media.append(Media(kind=_MEDIA[tag], url=url))


def _start(node: LexborNode) -> int:
    return _whole(node.attributes.get("start"), 1)


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and re.fullmatch(r"[0-9]{1,6}", text) else default


def _language(node: LexborNode) -> str:
    inner = node.css_first("code")
    for holder in (inner, node):
        if holder is not None:
            found = _LANGUAGE.search(holder.attributes.get("class") or "")
            if found:
                return found[1]
    return ""


def _script(node: LexborNode, table: dict[int, int]) -> dict[int, int]:
    """The table when all of the text is in it: half-raised words would be unreadable."""
    text = (node.text() or "").strip()
    return table if text and all(ord(char) in table for char in text) else {}
