"""What people write to have a feed followed: its address, and below it private headers.

Pure. A message that holds a secret says so, whatever else may be wrong with it.
"""

import re
from dataclasses import dataclass

from heraldo_sync.private import has_login, is_header

_LINK = re.compile(r"https?://\S+", re.IGNORECASE)
_BARE = re.compile(
    r"(([^\s/@.:]+\.)+[^\W\d_][^\s/@.:]+|\d{1,3}(\.\d{1,3}){3})(:\d{1,5})?([/?]\S*)?"
)
# In a message that only shares a link, "Note: a good one" is no header.
_USUAL = re.compile(r"\s*(authorization|cookie|user-agent|[\w]+(-[\w]+)+)\s*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A message taken apart. ``address`` is as it was written, ``headers`` are lines of theirs."""

    address: str
    headers: tuple[str, ...] = ()

    @property
    def secret(self) -> bool:
        """Whether nobody else should see the message."""
        return bool(self.headers) or has_login(self.address)


def taken_apart(text: str, *, asked: bool = True) -> Spoken:
    """Returns the address in a message and the header lines below it.

    From the first line that looks like a header on all are headers. With ``asked`` False it is
    just any message, where only the usual names count, right below the line of the address.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    # "Look: https://…" is no header, but an address is there.
    starts = [n for n, line in enumerate(lines) if is_header(line) and (n or not address_in(line))]
    first = starts[0] if starts else len(lines)
    if not asked and not (first == 1 and all(map(_USUAL.match, lines[1:]))):
        first = len(lines)
    head = "\n".join(lines[:first])
    return Spoken(address=address_in(head) or head, headers=tuple(lines[first:]))


def address_in(text: str) -> str | None:
    """The web address in a message: the first with a scheme, or a text that is only a host."""
    link = _LINK.search(text)
    if link is not None:
        return link[0]
    return text.strip() if _BARE.fullmatch(text.strip()) else None
