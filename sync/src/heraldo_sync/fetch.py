"""Asking a server for a feed: politely, within limits, and only on the public internet.

Nothing a server does makes `Fetcher.fetch` raise; what went wrong is a `Failed`.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver

from colmillo.clock import Clock, SystemClock
from heraldo_sync import failures, http_hints, hubs, urls
from heraldo_sync.addresses import AddressPolicy, GuardedConnector, SystemResolver
from heraldo_sync.body import (
    ACCEPTED_ENCODINGS,
    BadEncoding,
    BodyCutOff,
    BodyTooLarge,
    read_body,
)
from heraldo_sync.errors import InvalidUrl
from heraldo_sync.limits import Limits
from heraldo_sync.model import Failed, Fetched, NotModified, Validators
from heraldo_sync.private import Private, login_of
from heraldo_sync.proxy import Proxy, check_target
from heraldo_sync.room import Claim, NoRoom, Room
from heraldo_sync.site_troubles import is_browser_check, is_browser_check_page
from heraldo_sync.tls import SessionContext, port_of_connection
from heraldo_sync.turns import HostBusy, HostTurns, Patience

logger = logging.getLogger(__name__)

USER_AGENT = "ElHeraldo/0.1 (+feed reader; brings feeds to Telegram)"
_ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml;q=0.9,"
    " application/xml;q=0.8, text/xml;q=0.8, application/json;q=0.7, text/html;q=0.5, */*;q=0.1"
)
_PERMANENT = frozenset({301, 308})
_REDIRECTS = _PERMANENT | {302, 303, 307}
_REDIRECTS_WITH_BODY = frozenset({307, 308})
_TOO_OFTEN = 429
_ASKS_TO_WAIT = frozenset({_TOO_OFTEN, 503})
_FORM = "application/x-www-form-urlencoded"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Redirect:
    """``location`` is absolute and canonical."""

    location: urls.Url
    permanent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and the head of its answer. ``url`` holds no credentials, its query may."""

    url: str
    status: int
    headers: Mapping[str, str]


class Fetcher:
    """Fetches feeds and pages over connections that it keeps alive. Used with ``async with``.

    ``resolver`` looks names up; its answers are checked against ``policy`` as literal addresses
    are. It is closed with the fetcher. ``tls`` says whom to trust, and remembers TLS sessions.
    ``watch`` is told of every answer, redirects included. With a ``proxy`` the hosts it serves
    are asked for by way of it. Large bodies share the memory of ``room``.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        limits: Limits | None = None,
        user_agent: str = USER_AGENT,
        resolver: AbstractResolver | None = None,
        clock: Clock | None = None,
        tls: SessionContext | None = None,
        watch: Callable[[Exchange], None] | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        self._policy = policy
        self._limits = limits or Limits()
        self._user_agent = user_agent
        self._resolver = resolver
        self._tls = tls or SessionContext.for_clients()
        self._clock = clock or SystemClock()
        self._watch = watch
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None
        self._proxied: aiohttp.ClientSession | None = None
        self._turns = HostTurns.within(self._limits, self._clock)
        self.room = Room.within(self._limits)

    async def __aenter__(self) -> "Fetcher":
        self._resolver = self._resolver or SystemResolver()
        self._session = self._open(GuardedConnector(self._policy, self._resolver, tls=self._tls))
        if self._proxy is not None:
            self._proxied = self._open(self._proxy.connector(self._resolver, self._tls))
        return self

    def _open(self, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(
                total=None,
                sock_connect=self._limits.connect.total_seconds(),
                sock_read=self._limits.read.total_seconds(),
            ),
            headers={
                "User-Agent": self._user_agent,
                "Accept": _ACCEPT,
                "Accept-Encoding": ACCEPTED_ENCODINGS,
            },
        )

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for session in (self._session, self._proxied):
            if session is not None:
                await session.close()
        self._session = self._proxied = None
        if self._resolver is not None:
            await self._resolver.close()

    async def fetch(
        self, url: str, validators: Validators | None = None, *, private: Private | None = None
    ) -> Fetched | NotModified | Failed:
        """Asks for a page; with ``validators`` the server may answer that it has not changed.

        `NotModified` comes back only if validators were sent. They are sent to the origin alone
        that they are from, and ``private`` headers (or the address's own credentials) to the one
        that they were given for, whatever redirects say.
        """
        return await self._spoken_for(url, self._begin(url, validators or Validators(), private))

    async def post(self, url: str, form: Mapping[str, str]) -> int | Failed:
        """Sends a form, and returns the status of the answer if that is 2xx.

        The form goes along with 307 and 308 redirects, but never from https to http. The
        answer's body is not read.
        """
        return await self._spoken_for(url, self._send(url, urlencode(form).encode("ascii")))

    async def _spoken_for(self, url: str, asking: Coroutine[Any, Any, T]) -> T | Failed:
        """What goes wrong while asking, as a value."""
        try:
            return await asking
        except InvalidUrl as error:
            return failures.invalid_url(str(error))
        except HostBusy:
            return failures.busy()
        except NoRoom:
            return failures.no_room()
        except Exception as error:
            failed = failures.of_exception(error, self._limits)
            if failed is None:
                # The text of the exception may hold the address, and that a secret.
                logger.error(
                    "unforeseen error while fetching",
                    extra={"error": type(error).__name__, "url": urls.display(url)},
                )
                failed = failures.not_understood()
            return failed

    async def _begin(
        self, url: str, validators: Validators, private: Private | None
    ) -> Fetched | NotModified | Failed:
        start = urls.parse(url)
        return await self._follow(
            start.without_credentials(), validators, private or login_of(start)
        )

    async def _follow(
        self, start: urls.Url, validators: Validators, private: Private | None
    ) -> Fetched | NotModified | Failed:
        """Every redirect is a request of its own: normalised, checked, and timed together."""
        current = start
        permanent = True
        left = self._limits.total.total_seconds()
        patience = Patience(self._limits.turn.total_seconds())
        for hop in range(self._limits.redirects + 1):
            async with self._turns.turn(current.host, patience):
                started = self._clock.monotonic()
                async with asyncio.timeout(max(left, 0.0)) as deadline:
                    with self.room.claim(patience, deadline) as claim:
                        known = _for(current, start, validators)
                        answer = await self._ask(current, known, private, claim)
                left -= self._clock.monotonic() - started
            match answer:
                case _Redirect():
                    current = answer.location
                    permanent = permanent and answer.permanent
                case Failed():
                    return answer
                case _:
                    return replace(
                        answer,
                        permanent_url=str(current) if hop and permanent else None,
                        validators=_from(current, start, answer.validators),
                    )
        return failures.too_many_redirects(self._limits.redirects)

    async def _send(self, url: str, form: bytes) -> int | Failed:
        """The same for a form, which only redirects of the newer kind take along."""
        current = urls.parse(url)
        left = self._limits.total.total_seconds()
        patience = Patience(self._limits.turn.total_seconds())
        for _ in range(self._limits.redirects + 1):
            async with self._turns.turn(current.host, patience):
                started = self._clock.monotonic()
                async with asyncio.timeout(max(left, 0.0)):
                    answer = await self._post(current, form)
                left -= self._clock.monotonic() - started
            if not isinstance(answer, _Redirect):
                return answer
            target = answer.location
            if current.scheme == "https" and target.scheme != "https":
                return failures.bad_redirect(308 if answer.permanent else 307)
            current = target
        return failures.too_many_redirects(self._limits.redirects)

    async def _post(self, target: urls.Url, form: bytes) -> int | Failed | _Redirect:
        session, proxy = await self._way(target)
        response = await session.post(
            yarl.URL(str(target.without_credentials()), encoded=True),
            data=form,
            headers={**_headers(Validators(), login_of(target)), "Content-Type": _FORM},
            allow_redirects=False,
            proxy=proxy,
        )
        async with response:
            if not response.content.at_eof():
                response.close()
            if response.status in _REDIRECTS_WITH_BODY:
                return _redirect(response, target)
            if 200 <= response.status < 300:
                return response.status
            wait = http_hints.retry_after(response.headers, self._clock.now())
            return failures.bad_status(response.status, wait)

    async def _ask(
        self, target: urls.Url, validators: Validators, private: Private | None, claim: Claim
    ) -> Fetched | NotModified | Failed | _Redirect:
        session, proxy = await self._way(target)
        sent = private if private is not None and private.origin == target.origin else None
        response = await session.get(
            yarl.URL(str(target), encoded=True),
            headers=_headers(validators, sent),
            allow_redirects=False,
            proxy=proxy,
        )
        async with response:
            if self._watch is not None:
                self._watch(
                    Exchange(url=str(target), status=response.status, headers=response.headers)
                )
            answer = await self._read(response, target, validators, claim)
            if not response.content.at_eof():
                # What is left unread may be endless; a connection in that state is of no use.
                response.close()
            if isinstance(answer, Failed) and private is not None:
                return failures.of_private(answer, sent=sent is not None)
            return answer

    async def _way(self, target: urls.Url) -> tuple[aiohttp.ClientSession, str | None]:
        """The session to ask with, and the proxy to ask by."""
        if self._session is None or self._resolver is None:
            raise RuntimeError("the fetcher is used with async with")
        if self._proxied is None or self._proxy is None or not self._proxy.serves(target.host):
            return self._session, None
        await check_target(self._policy, self._resolver, target.host, target.port)
        # In a tunnel the TLS session is the target's, which the connector to the proxy cannot tell.
        port_of_connection.set(target.port)
        return self._proxied, self._proxy.named_by_requests

    async def _read(
        self,
        response: aiohttp.ClientResponse,
        url: urls.Url,
        validators: Validators,
        claim: Claim,
    ) -> Fetched | NotModified | Failed | _Redirect:
        now = self._clock.now()
        headers = response.headers
        if response.status in _REDIRECTS:
            return _redirect(response, url)
        if response.status == 304 and validators != Validators():
            # A 304 may leave out what has not changed (RFC 9110 §15.4.5).
            new = http_hints.validators(headers)
            return NotModified(
                validators=Validators(
                    etag=new.etag or validators.etag,
                    last_modified=new.last_modified or validators.last_modified,
                ),
                fresh_for=http_hints.fresh_for(headers, now),
            )
        if response.status not in (200, 203):
            return _failed(response, url, now)
        body = await self._body(response, claim)
        if isinstance(body, Failed):
            return body
        if is_browser_check_page(body):
            return failures.browser_check(response.status)
        return Fetched(
            url=str(url),
            body=body,
            content_type=http_hints.content_type(headers),
            validators=http_hints.validators(headers),
            fresh_for=http_hints.fresh_for(headers, now),
            link=hubs.link_header(headers.getall("Link", [])),
            claim=claim.keep(len(body)),
        )

    async def _body(self, response: aiohttp.ClientResponse, claim: Claim) -> bytes | Failed:
        limit = self._limits.body
        if (response.content_length or 0) > limit:
            return failures.too_large(limit)
        await claim.expect(response.content_length or 0)
        encoding = ",".join(response.headers.getall("Content-Encoding", []))
        try:
            return await read_body(response.content.iter_any(), encoding, limit, claim.cover)
        except BodyTooLarge:
            return failures.too_large(limit)
        except BadEncoding:
            return failures.bad_encoding()
        except BodyCutOff:
            return failures.broken_off()


def _for(target: urls.Url, start: urls.Url, validators: Validators) -> Validators:
    """The validators to send with this request: those that are from its origin, or none."""
    if (validators.origin or start.origin) != target.origin:
        return Validators()
    return replace(validators, origin=None)


def _from(target: urls.Url, start: urls.Url, validators: Validators) -> Validators:
    """The validators of an answer with the origin they are from, if redirects led to another."""
    if target.origin == start.origin or validators == Validators():
        return validators
    return replace(validators, origin=target.origin)


def _headers(validators: Validators, private: Private | None) -> dict[str, str]:
    headers = dict(private.headers) if private is not None else {}
    if validators.etag is not None:
        headers["If-None-Match"] = validators.etag
    if validators.last_modified is not None:
        headers["If-Modified-Since"] = validators.last_modified
    return headers


def _failed(response: aiohttp.ClientResponse, url: urls.Url, now: datetime) -> Failed:
    """What a status that is no success means."""
    status, headers = response.status, response.headers
    asked = status in _ASKS_TO_WAIT
    wait = http_hints.retry_after(headers, now) if asked else None
    if status == _TOO_OFTEN and wait is None:
        wait = http_hints.rate_limit_reset(headers, now)
    if is_browser_check(status, headers):
        failed = failures.browser_check(status, wait)
    else:
        failed = failures.bad_status(status, wait, host=url.host)
    return replace(failed, host=url.host) if asked else failed


def _redirect(response: aiohttp.ClientResponse, url: urls.Url) -> _Redirect | Failed:
    """Where a redirect leads; credentials in it are not for us to use (RFC 9110 §4.2.4)."""
    raw = response.headers.get("Location", "").encode("utf-8", "surrogateescape")
    location = quote(raw, safe=bytes(range(0x20, 0x7F)).decode())
    if not location.strip():
        return failures.bad_redirect(response.status)
    try:
        target = urls.parse(urls.resolve(str(url), location)).without_credentials()
    except InvalidUrl:
        return failures.bad_redirect(response.status)
    return _Redirect(location=target, permanent=response.status in _PERMANENT)
