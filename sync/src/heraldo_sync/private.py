"""What a private feed is asked with: headers that go to one origin and are shown to nobody.

Pure. People give them as lines ``Name: value``, or as ``user:password@`` in the address.
"""

import base64
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from heraldo_sync import urls
from heraldo_sync.errors import InvalidHeader, InvalidUrl, quoted
from heraldo_sync.urls import Url

MAX_HEADERS = 20
MAX_LENGTH = 8192
"""Of all names and values together, in characters."""

# RFC 9110 §5.6.2, and of §5.5 what every server takes: visible ASCII and spaces within.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_LINE = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]{1,128})\s*:(?!//)\s*(\S.*)")
# What frames the message, belongs to the connection, asks for an answer that the fetcher could
# not read, or is the fetcher's own to say.
_OURS = re.compile(
    r"host|content-.*|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect"
    r"|http2-settings|accept-encoding|range|if-.*|max-forwards|via|date|age",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Private:
    """Headers, and the origin they were given for. A repr shows neither names nor values."""

    origin: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)

    def is_for(self, url: str) -> bool:
        """Whether a request to this canonical address may carry the headers."""
        return urls.parse(url).origin == self.origin

    def text(self) -> str:
        """All of it, to be locked away; `read` reads it."""
        return json.dumps([self.origin, self.headers], separators=(",", ":"))

    def identity(self) -> str:
        """All of it, the same whatever the order of the headers and the case of their names."""
        headers = sorted([name.lower(), value] for name, value in self.headers)
        return json.dumps([self.origin, headers], separators=(",", ":"))


def read(text: str) -> Private:
    """Reads what `Private.text` wrote.

    Raises:
        InvalidHeader: it is something else.
    """
    try:
        origin, headers = json.loads(text)
        pairs = tuple((str(name), str(value)) for name, value in headers)
    except (ValueError, TypeError):
        raise InvalidHeader("These private headers cannot be read.") from None
    return Private(origin=str(origin), headers=_checked(pairs))


def is_header(line: str) -> bool:
    """Whether a line of a message looks like ``Name: value``."""
    return bool(_LINE.fullmatch(line))


def private_address(text: str, lines: Sequence[str] = ()) -> tuple[str, Private | None]:
    """Returns an address in its canonical form without credentials, and what is private of it.

    ``lines`` are headers. A user and a password in the address become one.

    Raises:
        InvalidUrl: the text is no http or https address; the message is for people.
        InvalidHeader: a line is no header, or one that may not be set; likewise.
    """
    url = urls.parse(text)
    headers = [_header(line, number) for number, line in enumerate(lines, 1)]
    login = login_of(url)
    if login is not None:
        headers += login.headers
    address = str(url.without_credentials())
    if not headers:
        return address, None
    return address, Private(origin=url.origin, headers=_checked(headers))


def login_of(url: Url) -> Private | None:
    """The user and password of an address as Basic authentication (RFC 7617), if it has any."""
    if url.credentials is None:
        return None
    pair = ":".join(url.credentials).encode("utf-8", "replace")
    value = f"Basic {base64.b64encode(pair).decode()}"
    return Private(origin=url.origin, headers=(("Authorization", value),))


def has_login(text: str) -> bool:
    """Whether a text holds a user and a password in front of a host, however broken the rest."""
    try:
        return bool(urls.parse(text).userinfo)
    except InvalidUrl:
        return bool(re.search(r"[^\s/?#]:[^\s/?#]*@|//[^\s/?#]*@", text))


def _header(line: str, number: int) -> tuple[str, str]:
    """The message names the line by its number alone: it may hold a secret anywhere."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise InvalidHeader(
            f"Line {number} of the headers is none. A header looks like {quoted('Name: value')}."
        )
    name, value = found[1], found[2].strip()
    if _OURS.fullmatch(name):
        raise InvalidHeader(f"The header {quoted(name)} cannot be set: it is mine to send.")
    if not _VALUE.fullmatch(value):
        raise InvalidHeader(
            f"Line {number} of the headers holds signs that no header may have: "
            "curly quotation marks, for example, or control characters."
        )
    return name, value


def _checked(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    pairs = tuple(headers)
    names = [name.lower() for name, _ in pairs]
    if any(
        not _NAME.fullmatch(name) or _OURS.fullmatch(name) or not _VALUE.fullmatch(value)
        for name, value in pairs
    ):
        raise InvalidHeader("One of the private headers is none, or one that cannot be set.")
    if len(set(names)) < len(names):
        twice = "A header stands there twice"
        if names.count("authorization") > 1:
            twice = "There are two logins, one in the address and one below it"
        raise InvalidHeader(f"{twice}. Send one of them.")
    length = sum(len(name) + len(value) for name, value in pairs)
    if len(pairs) > MAX_HEADERS or length > MAX_LENGTH:
        raise InvalidHeader(
            f"These are too many headers, or too long ones: at most {MAX_HEADERS} with "
            f"{MAX_LENGTH} characters in all."
        )
    return pairs
