"""Which addresses Telegram takes in links and buttons."""

import ipaddress
import re

from heraldo.botapi.errors import BotApiError

_ALLOWED_HOST = re.compile(r"(?:[a-z0-9.\-_!$,~*'();&+=]|%[0-9a-f]{2}|[^\x00-\x7f])+")
_USER_LINK = re.compile(r"tg:(?://)?user\?id=(\d{1,18})(?:[&#].*)?", re.IGNORECASE)
_TELEGRAM_LINK = re.compile(r"(?:tg|ton|tonsite):(?://)?[a-z0-9_\-.]", re.IGNORECASE)
_HIGHEST_PORT = 65_535


class WrongLink(BotApiError):
    """The address is not one Telegram takes; the message is Telegram's reason."""


def mentioned_user(link: str) -> int | None:
    """Returns the user's id in a ``tg://user?id=…`` link, None for any other."""
    match = _USER_LINK.fullmatch(link)
    return int(match[1]) if match else None


def checked_link(link: str) -> str:
    """Returns the address as Telegram stores it: scheme added, host in lower case, a path.

    Raises WrongLink with Telegram's reason for what it does not take: another scheme, no host,
    a host without a dot, an IPv6 address, characters no host may have.
    """
    if _TELEGRAM_LINK.match(link):
        return link
    scheme, separator, rest = link.partition("://")
    if separator and not re.search(r"[/?#@\[\]:]", scheme):
        scheme = scheme.lower()
        if scheme not in {"http", "https"}:
            raise WrongLink("Unsupported URL protocol")
    else:
        scheme, rest = "http", link
    cut = re.search(r"[/?#]", rest)
    authority, tail = (rest[: cut.start()], rest[cut.start() :]) if cut else (rest, "")
    userinfo, at, host_and_port = authority.rpartition("@")
    host, port = _split_port(host_and_port)
    _check_host(host)
    tail = tail.rstrip(" \t\r\n\v\0")
    if not tail.startswith("/"):
        tail = "/" + tail
    tail = re.sub(r"[\x00-\x20]", lambda char: f"%{ord(char[0]):02X}", tail)
    return f"{scheme}://{userinfo}{at}{host.lower()}{port}{tail}"


def _split_port(host_and_port: str) -> tuple[str, str]:
    """Returns the host and ``:port`` (or an empty string)."""
    host, colon, port = host_and_port.rpartition(":")
    if not colon or "]" in port:
        return host_and_port, ""
    port = port.lstrip("0")
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > _HIGHEST_PORT:
        raise WrongLink("Wrong port number specified in the URL")
    return host, f":{int(port)}"


def _check_host(host: str) -> None:
    if not host:
        raise WrongLink("URL host is empty")
    if host.startswith("[") and host.endswith("]"):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError as error:
            raise WrongLink("Wrong IPv6 address specified in the URL") from error
        raise WrongLink("Wrong HTTP URL")
    if host == ".":
        raise WrongLink("Host is invalid")
    if not _ALLOWED_HOST.fullmatch(host.lower()):
        raise WrongLink("Wrong URL host")
    if "." not in host:
        raise WrongLink("Wrong HTTP URL")
