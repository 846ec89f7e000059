"""Lays text out in lines as a browser would: collapses white space, keeps blocks apart."""

import re

from heraldo.richtext import Kind, Rich, Run, Style, Styles, nest

# What HTML calls white space; a no-break space is none.
_SPACES = re.compile("[ \t\n\r\f]+")


class LayoutWriter:
    """Collects text and line breaks; nothing is written before a character follows it."""

    def __init__(self, limit: int) -> None:
        self._runs: list[Run] = []
        self._room = limit
        self._newlines = 0
        self._space = False
        self._line_start = True
        self._between = ""
        self._lead = self._next_lead = ""
        self._leave_quote = False

    @property
    def full(self) -> bool:
        """Whether the limit of characters is used up."""
        return self._room <= 0

    def rich(self) -> Rich:
        """Returns what was written."""
        return Rich(tuple(self._runs)).strip()

    def gap(self, newlines: int) -> None:
        """Asks for at least this many line feeds before the next text."""
        self._newlines = max(self._newlines, newlines)
        if self._runs and self._runs[-1].text[-1] in " \n":
            last = self._runs.pop()
            if kept := last.text.rstrip(" \n"):
                self._runs.append(Run(kept, last.styles))
        self._space = False
        self._line_start = True
        self._between = ""

    def line_break(self) -> None:
        """Adds a line feed; more than two in a row are two."""
        self.gap(min(2, self._newlines + 1))

    def lead(self, first: str, following: str = "") -> None:
        """Sets what the next line begins with (an indent, a bullet), and those after it."""
        self._lead, self._next_lead = first, following

    def between(self, text: str) -> None:
        """Asks for a separator before the next text, unless a line break comes first."""
        if self._runs and not self._line_start:
            self._between = text

    def leave_quote(self) -> None:
        """Keeps the next quote, if it follows at once, apart from this one."""
        self._leave_quote = True

    def text(self, text: str, styles: Styles) -> None:
        """Writes flowing text: each run of white space is one space, none at a line's ends."""
        text = _SPACES.sub(" ", text)
        if text.startswith(" "):
            self._space = not self._line_start
            text = text[1:]
        if not text:
            return
        trailing = text.endswith(" ")
        self._put(text.removesuffix(" "), styles)
        self._space = trailing

    def verbatim(self, text: str, styles: Styles) -> None:
        """Writes text with its spaces and line feeds as they are."""
        if text:
            self._put(text, styles)
            self._space = False

    def _put(self, text: str, styles: Styles) -> None:
        styles = nest(styles)
        before = self._runs[-1].styles if self._runs else ()
        shared = tuple(style for style in before if style in styles and _spans_gaps(style))
        if self._leave_quote:
            shared = tuple(style for style in shared if style.kind is not Kind.QUOTE)
        if self._runs:
            self._add("\n" * self._newlines, shared)
        if self._line_start and (self._lead or self._next_lead):
            self._add(self._lead, tuple(style for style in styles if style.kind is Kind.QUOTE))
            self._lead = self._next_lead
        elif self._between:
            self._add(self._between, shared)
        elif self._space:
            self._add(" ", tuple(style for style in before if style in styles))
        self._add(text, styles)
        self._newlines, self._between = 0, ""
        self._space = self._line_start = self._leave_quote = False

    def _add(self, text: str, styles: Styles) -> None:
        text = text[: max(0, self._room)]
        if not text:
            return
        self._room -= len(text)
        if self._runs and self._runs[-1].styles == styles:
            text = self._runs.pop().text + text
        self._runs.append(Run(text, styles))


def _spans_gaps(style: Style) -> bool:
    return style.kind not in (Kind.PRE, Kind.CODE)
