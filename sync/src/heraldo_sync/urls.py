"""Web addresses: made canonical without merging two feeds, and shown without their secrets.

Only what cannot tell two feeds apart is changed: the case of scheme and host, default ports, a
host's trailing dot, number forms of IPv4 addresses, the fragment. Path and query stay as they
are, but for characters that may not travel (RFC 3986), which are percent-encoded.
"""

import re
import string
from dataclasses import dataclass, replace
from ipaddress import IPv6Address
from urllib.parse import quote, unquote, urljoin

import idna

from heraldo_sync.errors import InvalidUrl, quoted

MAX_LENGTH = 2048
_SHOWN = 80
_DEFAULT_PORTS = {"http": 80, "https": 443}
_EXAMPLE = "Send something like https://example.org/feed.xml"

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(?!\d)", re.IGNORECASE)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_BLANKS = (
    " \t\r\n\f\v\u00a0\u200b\u200c\u200d\u200e\u200f\u2060\u202a\u202b\u202c\u202d\u202e\ufeff"
)
_PAIRS = ("<>", "«»", "“”", "„“", "\u2018\u2019", '""', "''", "``", "()")
_CONTROLS = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff]")
_SAFE = "".join(set(string.punctuation) - set('"<>\\^`{}|#')) + "%"

_SECRET_NAME = re.compile(
    r"token|key|secret|passw|pwd|auth|sig(?:nature)?$|session|sid$|credential|hash$|code$",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(r"[0-9a-fA-F]{32,}|[\w-]{16,}\.[\w-]{16,}\.[\w-]{16,}")
_USERINFO = re.compile(r"(?:(?<=//)|^)[^/?#]*@")
_CREDENTIALS = re.compile(r"^(https?://)[^/?#]*@")
_MASK = "…"
_HANDLE = re.compile(r"@([\w.-]{1,64})@((?:[\w-]+\.)+[^\W\d]{2,})")
_SUBREDDIT = re.compile(r"/?r/([A-Za-z0-9_]{2,21})/?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """A canonical address in its parts. ``userinfo`` and ``target`` are percent-encoded."""

    scheme: str
    host: str
    port: int
    target: str
    userinfo: str = ""

    @property
    def origin(self) -> str:
        """Scheme, host and port, always all three: to whom credentials may be shown."""
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def path(self) -> str:
        """The target without its query. Not urlsplit's, for which ``//`` begins a host."""
        return self.target.partition("?")[0]

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password, decoded, if the address holds any."""
        if not self.userinfo:
            return None
        user, _, password = self.userinfo.partition(":")
        return unquote(user), unquote(password)

    def without_credentials(self) -> "Url":
        """The same address for anyone's eyes, but for what its query may hold."""
        return replace(self, userinfo="")

    def __str__(self) -> str:
        port = "" if self.port == _DEFAULT_PORTS[self.scheme] else f":{self.port}"
        user = f"{self.userinfo}@" if self.userinfo else ""
        return f"{self.scheme}://{user}{self.host}{port}{self.target}"


def normalise(text: str) -> str:
    """Returns the address in its canonical form; applying it twice changes nothing.

    Adds https:// when the scheme is missing; ``@user@host`` and ``r/name`` are written out.
    Credentials (``user:password@``) are kept; see
    `display`.

    Raises:
        InvalidUrl: the text is no http or https address; the message says why, to a person.
    """
    return str(parse(text))


def parse(text: str) -> Url:
    """Like `normalise`, in parts."""
    bare = _written_out(_unwrap(text))
    if len(bare) > MAX_LENGTH:
        raise InvalidUrl(
            f"This address is too long ({len(bare)} characters, at most {MAX_LENGTH})."
        )
    if not bare:
        raise InvalidUrl(f"There is no web address in this message. {_EXAMPLE}")
    if _CONTROLS.search(bare):
        raise _invalid(text)
    scheme, rest = _split_scheme(bare)
    rest = rest.partition("#")[0]
    authority, target = _split_authority(rest)
    userinfo, _, hostport = authority.rpartition("@")
    host, port = _split_port(hostport, text)
    url = Url(
        scheme=scheme,
        host=_host(host, text, guessed="://" not in bare and not port),
        port=port or _DEFAULT_PORTS[scheme],
        target=quote(target, safe=_SAFE),
        userinfo=quote(userinfo, safe="!$&'()*+,;=:%-._~"),
    )
    if len(str(url)) > MAX_LENGTH:
        raise InvalidUrl(f"This address is too long (at most {MAX_LENGTH} characters).")
    return url


def resolve(base: str, reference: str) -> str:
    """Returns the absolute, canonical address that ``reference`` means in a page at ``base``.

    Raises:
        InvalidUrl: it is no http or https address.
    """
    wanted = re.sub(r"[\t\r\n]", "", reference.strip(_BLANKS)).replace(" ", "%20")
    try:
        absolute = wanted if _SCHEME.match(wanted) else urljoin(base, wanted)
    except ValueError:
        raise _invalid(reference) from None
    if not _SCHEME.match(absolute):
        raise _invalid(reference)
    return normalise(absolute)


def without_credentials(url: str) -> str:
    """Returns a canonical address without ``user:password@``; its path may hold another address."""
    return _CREDENTIALS.sub(r"\1", url)


def display(url: str) -> str:
    """Returns the address for messages and logs: no credentials, secret-looking values masked.

    Any text is accepted.
    """
    head, question, query = _USERINFO.sub("", url).partition("?")
    if not question:
        return head
    return head + question + "&".join(_mask(part) for part in query.split("&"))


def _mask(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    secret = _SECRET_NAME.search(name) or _SECRET_VALUE.fullmatch(value)
    return f"{name}={_MASK}" if equals and value and secret else parameter


def _unwrap(text: str) -> str:
    bare = text.strip(_BLANKS)
    for pair in _PAIRS:
        if len(bare) > 1 and bare[0] == pair[0] and bare[-1] == pair[1]:
            return _unwrap(bare[1:-1])
    return bare


def _written_out(text: str) -> str:
    """What people write for a page of a network: ``@user@host`` of the fediverse, ``r/name``."""
    handle = _HANDLE.fullmatch(text)
    if handle:
        return f"https://{handle[2]}/@{handle[1]}"
    subreddit = _SUBREDDIT.fullmatch(text)
    return f"https://www.reddit.com/r/{subreddit[1]}/" if subreddit else text


def _invalid(text: str, why: str = "") -> InvalidUrl:
    shown = display(re.sub(r"\s+", " ", text.strip(_BLANKS)))
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)
    if len(shown) > _SHOWN:
        shown = shown[: _SHOWN - 1] + "…"
    return InvalidUrl(f"{quoted(shown)} is not a web address{why}. {_EXAMPLE}")


def _split_scheme(text: str) -> tuple[str, str]:
    if text[:5].lower() == "feed:":
        # What browsers used to hand to feed readers: feed:https://… or feed://…
        inner = text[5:]
        return _split_scheme(f"http:{inner}" if inner.startswith("//") else inner)
    found = _SCHEME.match(text)
    if found:
        scheme = found[1].lower()
        if scheme not in _DEFAULT_PORTS:
            raise _invalid(text, " that this bot can open: it must begin with https:// or http://")
        return scheme, text[found.end() :]
    if _OTHER_SCHEME.match(text):
        raise _invalid(text)
    return "https", text.removeprefix("//")


def _split_authority(rest: str) -> tuple[str, str]:
    end = re.search(r"[/?\\]", rest)
    authority, target = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    return authority, target if target.startswith("/") else f"/{target}"


def _split_port(hostport: str, text: str) -> tuple[str, int | None]:
    host, port = hostport, ""
    if not hostport.endswith("]") and ":" in hostport:
        host, _, port = hostport.rpartition(":")
    if not port:
        return host, None
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise _invalid(text, ": its port must be a number from 1 to 65535")
    return host, int(port)


def _host(host: str, text: str, *, guessed: bool) -> str:
    """``guessed``: we added the scheme, so a bare word is more likely a slip than a host."""
    if host.startswith("["):
        return _ipv6(host, text)
    name = host if host.isascii() else _to_ascii(host, text)
    name = name.lower()
    name = name[:-1] if name.endswith(".") else name
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(labels, text)
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _invalid(text)
    if guessed and len(labels) == 1 and name != "localhost":
        raise _invalid(text)
    return name


def _to_ascii(host: str, text: str) -> str:
    try:
        return idna.encode(host, uts46=True, transitional=False).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise _invalid(text) from None


def _ipv6(host: str, text: str) -> str:
    try:
        if not host.endswith("]") or "%" in host:
            raise ValueError
        return f"[{IPv6Address(host[1:-1])}]"
    except ValueError:
        raise _invalid(text) from None


def _ipv4(labels: list[str], text: str) -> str:
    """Reads the forms that operating systems accept (2130706433, 0x7f.1, 0177.0.0.1).

    A canonical form leaves nothing for a later reader to understand otherwise; the WHATWG URL
    standard's IPv4 parser does the same.
    """
    try:
        if len(labels) > 4 or not all(_NUMBER.fullmatch(label) for label in labels):
            raise ValueError
        *head, last = [_ipv4_part(label) for label in labels]
        if any(part > 255 for part in head) or last >= 256 ** (4 - len(head)):
            raise ValueError
    except ValueError:
        raise _invalid(text) from None
    value = last + sum(part << 8 * (3 - place) for place, part in enumerate(head))
    return ".".join(str(byte) for byte in value.to_bytes(4, "big"))


def _ipv4_part(label: str) -> int:
    if label.startswith("0x"):
        return int(label[2:] or "0", 16)
    return int(label, 8 if label.startswith("0") else 10)
