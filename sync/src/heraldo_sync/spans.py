"""Where the items of a feed's XML begin and end, found without parsing it.

In one pass over the bytes, in linear time. What is found is a guess until a parser has agreed:
whoever uses it compares the counts.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

from heraldo_sync.fields import MAX_ENTRIES

# What a name may hide in, and the tags themselves. Names hold no "<", so no part is gone over
# twice; prefixes that are not ASCII are not known here, and the counts will differ.
_MARK = re.compile(
    rb"<(?:(!--)|(!\[CDATA\[)|(\?)|(!)|(/?)(?:[A-Za-z_][\w.-]*:)?(?:item|entry)(?=[\s/>]))"
)
# From behind a start tag's name to behind its end. A value holds no "<" in XML.
_REST_OF_TAG = re.compile(rb"""[^<>"']*+(?:(?:"[^"<]*+"|'[^'<]*+')[^<>"']*+)*+>""")
# What may stand between two items and means nothing. Possessive: white space is one piece.
_COMMENTS = re.compile(rb"(?:\s++|<!--(?:(?!-->)[\s\S])*+-->)*+")
_ENDS = {1: b"-->", 2: b"]]>", 3: b"?>"}
_COMMENT, _CDATA, _DECLARATION, _TAG = 1, 2, 4, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Where each item lies: pairs of offsets into ``body``, in the document's order."""

    body: bytes
    places: tuple[tuple[int, int], ...]

    @property
    def head(self) -> bytes:
        """The document up to its first item."""
        return self.body[: self.places[0][0]]

    @property
    def tail(self) -> bytes:
        """The document from behind its last item."""
        return self.body[self.places[-1][1] :]

    def only(self, wanted: list[int]) -> bytes:
        """The document with no other items than these, of which there may be none."""
        kept = [self.body[slice(*self.places[number])] for number in wanted]
        return b"\n".join([self.head, *kept, self.tail])


def split(body: bytes) -> Spans | None:
    """Returns where the items are: at least one, at most 1,000.

    None for a document that had better be parsed as a whole: with more items or none, with
    anything but comments between two of them, with a DOCTYPE that declares things, and when
    something is left open.
    """
    places = _places(body)
    if not places:
        return None
    for (_, end), (start, _) in pairwise(places):
        between = body[end:start]
        if between and not between.isspace() and not _COMMENTS.fullmatch(between):
            return None
    return Spans(body=body, places=tuple(places))


def _places(body: bytes) -> list[tuple[int, int]]:
    """The outermost items; none at all as soon as anything is odd."""
    places: list[tuple[int, int]] = []
    depth = start = 0
    mark = _MARK.search(body)
    while mark is not None and len(places) <= MAX_ENTRIES:
        kind = mark.lastindex or 5
        if kind < 5:
            position = _past(body, mark, kind)
            if position < 0:
                return []
        elif mark[5]:
            depth -= 1
            position = body.find(b">", mark.end()) + 1
            if depth < 0 or not position:
                return []
            if depth == 0:
                places.append((start, position))
        else:
            rest = _REST_OF_TAG.match(body, mark.end())
            if rest is None:
                return []
            position = rest.end()
            if depth == 0:
                start = mark.start()
            if body[position - 2] != ord("/"):
                depth += 1
            elif depth == 0:
                places.append((start, position))
        mark = _MARK.search(body, position)
    return places if depth == 0 and len(places) <= MAX_ENTRIES else []


def _past(body: bytes, mark: re.Match[bytes], kind: int) -> int:
    """The offset behind a comment, CDATA, an instruction or a DOCTYPE; -1 if it never ends."""
    if kind < 4:
        end = body.find(_ENDS[kind], mark.end())
        return end + len(_ENDS[kind]) if end >= 0 else -1
    end = body.find(b">", mark.end())
    # With a subset of its own the document could say what its items hold.
    return end + 1 if end >= 0 and b"[" not in body[mark.end() : end] else -1
