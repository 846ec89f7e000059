"""What went wrong with a request, told to the person who asked for it.

Every message is one or two sentences: what was wrong and, where there is something, what to do.
None holds an address, so none can hold a secret.
"""

import ssl
from dataclasses import replace
from datetime import timedelta
from socket import EAI_AGAIN, gaierror

import aiohttp
from aiohttp_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError

from heraldo_sync.addresses import ForbiddenAddress
from heraldo_sync.limits import Limits
from heraldo_sync.model import Failed, Reason
from heraldo_sync.site_troubles import about_site

_STATUS = {
    400: "The server did not accept the request (400). Check the address.",
    401: (
        "The server asks for a password (401). Put it into the address, as in "
        "https://user:password@example.org/feed.xml, or send a header below it."
    ),
    402: "The server asks for a payment (402), so this bot cannot read this address.",
    403: (
        "The server refuses to show this page to bots or to strangers (403). "
        "Its owner may offer another address for the feed."
    ),
    404: "The server says there is no such page (404). Check the address.",
    406: "The server does not offer this page in a form that this bot reads (406).",
    407: "The proxy that this bot goes through asks for a password (407).",
    410: "The server says this page is gone for good (410). Look for a new address of the feed.",
    429: "The server says it is asked too often (429). It will be asked again later.",
    451: "The server may not show this page for legal reasons (451).",
}

# Network or host unreachable, connection refused (RFC 1928 §6): said of the target.
_SOCKS_TARGET = frozenset({3, 4, 5})


def forbidden() -> Failed:
    """A name or address of a network that is not the public internet."""
    return Failed(
        reason=Reason.FORBIDDEN_ADDRESS,
        message=(
            "The address points to an address inside a private network, which this bot may not "
            "open. If you run this bot, add it to ALLOW_PRIVATE_ADDRESSES."
        ),
    )


def invalid_url(message: str) -> Failed:
    """An address that was refused by `heraldo_sync.urls`."""
    return Failed(reason=Reason.INVALID_URL, message=message)


def too_slow(after: timedelta) -> Failed:
    """The time for the connection, for the next bytes or for the whole answer is over."""
    return Failed(
        reason=Reason.TIMEOUT,
        message=f"The server did not answer within {_seconds(after)}. Try again later.",
    )


def busy() -> Failed:
    """So much else waits for this host that the request was not even begun: no fault of it."""
    return Failed(
        reason=Reason.HOST_BUSY,
        message="This bot has many questions for this server just now. Try again later.",
    )


def no_room() -> Failed:
    """So many other large answers were being read that there was no memory: no fault of it."""
    return Failed(
        reason=Reason.HOST_BUSY,
        message="This bot has many large pages to read just now. Try again later.",
    )


def too_large(size: int) -> Failed:
    """The body is larger than this many bytes, as sent or after decompression."""
    return Failed(
        reason=Reason.TOO_LARGE,
        message=(
            f"What the server sends is larger than {_megabytes(size)}, too large for a feed. "
            "Check the address."
        ),
    )


def too_many_redirects(limit: int) -> Failed:
    """More redirects than we follow, or a circle of them."""
    return Failed(
        reason=Reason.REDIRECTS,
        message=(
            f"The server redirects more than {limit} times. "
            "Open the address in a browser and send the one that it ends at."
        ),
    )


def bad_redirect(status: int) -> Failed:
    """A redirect that leads nowhere."""
    return Failed(
        reason=Reason.REDIRECTS,
        message="The server redirects to something that is not a web address.",
        status=status,
    )


def bad_encoding() -> Failed:
    """A body in a compression that we did not ask for, or one that cannot be undone."""
    return Failed(
        reason=Reason.BAD_RESPONSE,
        message="The server sends the page compressed in a way that this bot cannot read.",
    )


def broken_off() -> Failed:
    """The connection ended before the answer did."""
    return Failed(
        reason=Reason.BAD_RESPONSE,
        message="The answer of the server broke off before its end. Try again later.",
    )


def not_understood() -> Failed:
    """What came back is not HTTP as we know it."""
    return Failed(
        reason=Reason.BAD_RESPONSE,
        message="The server answered in a way that this bot does not understand.",
    )


def proxy_trouble() -> Failed:
    """The operator's proxy cannot be reached, or does not do what it is asked to."""
    return Failed(
        reason=Reason.CONNECT,
        message=(
            "The proxy that this bot goes through is down or refuses the request. "
            "If you run this bot, look at FEED_PROXY; else try again later."
        ),
    )


def browser_check(status: int, retry_after: timedelta | None = None) -> Failed:
    """A page that lets people's browsers through and nobody else (`heraldo_sync.site_troubles`)."""
    return Failed(
        reason=Reason.BROWSER_CHECK,
        message=(
            "The site shows a browser check (the kind that asks whether you are human) instead of "
            "this page, and only a person's browser can pass it. Often it goes away by itself; "
            "the site's owner can make an exception for feeds."
        ),
        status=status,
        retry_after=retry_after,
    )


def unreachable() -> Failed:
    """No connection to the server, and no word why."""
    return Failed(
        reason=Reason.CONNECT,
        message=(
            "The server of this address cannot be reached: it refuses the connection or "
            "its network is down. Check the address, or try again later."
        ),
    )


def bad_status(status: int, retry_after: timedelta | None = None, *, host: str = "") -> Failed:
    """An answer that is no page. ``retry_after`` is the server's own wish."""
    return Failed(
        reason=Reason.HTTP_STATUS,
        message=about_site(host, status) or _STATUS.get(status) or _status_class(status),
        status=status,
        retry_after=retry_after,
    )


def of_private(failed: Failed, *, sent: bool) -> Failed:
    """The same failure of a private feed; ``sent`` says whether its headers were sent along."""
    refused = failed.status in (401, 403)
    again = "If its password, cookie or key has changed, /subscribe to it again with the new one."
    if refused and not sent:
        message = (
            f"The server redirects to another one, which asks for a login ({failed.status}). "
            "Private headers are sent only to the server that they were given for, and what was "
            "given for https is not for http, nor the reverse. Open the address in a browser and "
            "send the one that it ends at, with its headers."
        )
    elif failed.status == 401:
        message = (
            "The server does not accept the private headers of this feed (401): they are wrong or "
            f"have expired. {again}"
        )
    elif refused:
        message = (
            "The server refuses to show this page (403): the private headers of this feed are "
            f"wrong or have expired, or it lets no bots in. {again}"
        )
    elif failed.reason is Reason.NOT_A_FEED:
        message = f"{failed.message} Perhaps it asks to log in. {again}"
    else:
        return failed
    return replace(failed, message=message)


def locked() -> Failed:
    """The private headers of a feed cannot be decrypted."""
    return Failed(
        reason=Reason.LOCKED,
        message=(
            "The key that this feed's private headers are locked with is missing. "
            "If you run this bot, set SECRET_KEY to it; else /subscribe again with the headers."
        ),
    )


def of_exception(error: Exception, limits: Limits) -> Failed | None:
    """What an exception of aiohttp means; None for one that no server should be able to cause."""
    beneath = _of_cause(error)
    if beneath is not None:
        return beneath
    match error:
        case ProxyError(error_code=code) if code in _SOCKS_TARGET:
            return unreachable()
        case (
            aiohttp.ClientProxyConnectionError()
            | aiohttp.ClientHttpProxyError()
            | ProxyError()
            | ProxyConnectionError()
        ):
            return proxy_trouble()
        case ProxyTimeoutError():
            return too_slow(limits.connect)
        case aiohttp.ClientConnectorDNSError():
            return _dns(gaierror())
        case aiohttp.ConnectionTimeoutError():
            return too_slow(limits.connect)
        case aiohttp.SocketTimeoutError():
            return too_slow(limits.read)
        case TimeoutError():
            return too_slow(limits.total)
        case aiohttp.ClientConnectorError():
            return unreachable()
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | ConnectionError():
            return broken_off()
        case aiohttp.ClientError() | ValueError():
            return not_understood()
        case _:
            return None


def _of_cause(error: Exception) -> Failed | None:
    for cause in _causes(error):
        if isinstance(cause, ForbiddenAddress):
            return forbidden()
        if isinstance(cause, ssl.CertificateError | ssl.SSLError):
            return _tls(cause)
        if isinstance(cause, gaierror):
            return _dns(cause)
    return None


def _causes(error: Exception) -> list[BaseException]:
    """The exception and what lies beneath it, as aiohttp keeps it."""
    found: list[BaseException] = [error]
    if isinstance(error, aiohttp.ClientOSError) and error.__cause__ is not None:
        # What another connector than aiohttp's own has met, TLS by way of SOCKS for one.
        found.append(error.__cause__)
    if isinstance(error, aiohttp.ClientConnectorError):
        found.append(error.os_error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        found.append(error.certificate_error)
    return found


def _dns(error: gaierror) -> Failed:
    if error.errno == EAI_AGAIN:
        message = "The host of this address could not be looked up just now. Try again later."
    else:
        message = "There is no host of this name. Check the address for typing errors."
    return Failed(reason=Reason.DNS, message=message)


def _tls(error: BaseException) -> Failed:
    if isinstance(error, ssl.SSLCertVerificationError):
        message = (
            "The server's security certificate is not valid, so the connection is not safe. "
            "If the site works over http, send the address with http://"
        )
    else:
        message = (
            "No secure connection to this server could be made. "
            "If the site works over http, send the address with http://"
        )
    return Failed(reason=Reason.TLS, message=message)


def _status_class(status: int) -> str:
    if status >= 500:
        return f"The server has a problem of its own ({status}). Try again later."
    if status >= 400:
        return f"The server refuses the request ({status}). Check the address."
    return f"The server answered without a page ({status}). Check the address."


def _seconds(time: timedelta) -> str:
    seconds = time.total_seconds()
    return "1 second" if seconds == 1 else f"{seconds:g} seconds"


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:g} MB" if size >= 100_000 else f"{size} bytes"
