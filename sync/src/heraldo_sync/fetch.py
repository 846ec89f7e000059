"""Asking a server for a feed: politely, within limits, and only on the public internet.

Nothing a server does makes `Fetcher.fetch` raise; what went wrong is a `Failed`.
"""

import asyncio
import base64
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from urllib.parse import quote

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver

from colmillo.clock import Clock, SystemClock
from heraldo_sync import failures, http_hints, urls
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
from heraldo_sync.proxy import Proxy, check_target
from heraldo_sync.steady import SteadyConnector
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
_ASKS_TO_WAIT = frozenset({429, 503})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Redirect:
    """``location`` is absolute and canonical."""

    location: str
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
    are asked for by way of it.
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
        self._turns = HostTurns(
            at_once=self._limits.per_host, between=self._limits.between, clock=self._clock
        )

    async def __aenter__(self) -> "Fetcher":
        self._resolver = self._resolver or SystemResolver()
        self._session = self._open(GuardedConnector(self._policy, self._resolver, tls=self._tls))
        if self._proxy is not None:
            # Without the guard: this one only ever connects to the operator's proxy.
            self._proxied = self._open(
                SteadyConnector(resolver=self._resolver, limit=0, ssl=self._tls)
            )
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
        self, url: str, validators: Validators | None = None
    ) -> Fetched | NotModified | Failed:
        """Asks for a page; with ``validators`` the server may answer that it has not changed.

        `NotModified` comes back only if validators were sent. Credentials in the address go to
        its own origin alone, whatever redirects say.
        """
        try:
            return await self._follow(url, validators or Validators())
        except InvalidUrl as error:
            return failures.invalid_url(str(error))
        except HostBusy:
            return failures.busy()
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

    async def _follow(self, url: str, validators: Validators) -> Fetched | NotModified | Failed:
        """Every redirect is a request of its own: normalised, checked, and timed together."""
        current = urls.normalise(url)
        permanent = True
        left = self._limits.total.total_seconds()
        patience = Patience(self._limits.turn.total_seconds())
        for hop in range(self._limits.redirects + 1):
            async with self._turns.turn(urls.parse(current).host, patience):
                started = self._clock.monotonic()
                async with asyncio.timeout(max(left, 0.0)):
                    answer = await self._ask(current, validators)
                left -= self._clock.monotonic() - started
            if isinstance(answer, Fetched | NotModified) and hop and permanent:
                return replace(answer, permanent_url=current)
            if not isinstance(answer, _Redirect):
                return answer
            current = answer.location
            permanent = permanent and answer.permanent
        return failures.too_many_redirects(self._limits.redirects)

    async def _ask(
        self, url: str, validators: Validators
    ) -> Fetched | NotModified | Failed | _Redirect:
        target = urls.parse(url)
        session, proxy = await self._way(target)
        response = await session.get(
            yarl.URL(str(target.without_credentials()), encoded=True),
            headers=_headers(target, validators),
            allow_redirects=False,
            proxy=proxy,
        )
        async with response:
            if self._watch is not None:
                url = str(target.without_credentials())
                self._watch(Exchange(url=url, status=response.status, headers=response.headers))
            answer = await self._read(response, target, validators)
            if not response.content.at_eof():
                # What is left unread may be endless; a connection in that state is of no use.
                response.close()
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
        return self._proxied, self._proxy.url

    async def _read(
        self, response: aiohttp.ClientResponse, url: urls.Url, validators: Validators
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
            wait = http_hints.retry_after(headers, now)
            asked = response.status in _ASKS_TO_WAIT
            failed = failures.bad_status(response.status, wait if asked else None)
            return replace(failed, host=url.host) if asked else failed
        body = await self._body(response)
        if isinstance(body, Failed):
            return body
        return Fetched(
            url=str(url),
            body=body,
            content_type=http_hints.content_type(headers),
            validators=http_hints.validators(headers),
            fresh_for=http_hints.fresh_for(headers, now),
        )

    async def _body(self, response: aiohttp.ClientResponse) -> bytes | Failed:
        limit = self._limits.body
        if (response.content_length or 0) > limit:
            return failures.too_large(limit)
        encoding = ",".join(response.headers.getall("Content-Encoding", []))
        try:
            return await read_body(response.content.iter_any(), encoding, limit)
        except BodyTooLarge:
            return failures.too_large(limit)
        except BadEncoding:
            return failures.bad_encoding()
        except BodyCutOff:
            return failures.broken_off()


def _headers(url: urls.Url, validators: Validators) -> dict[str, str]:
    headers: dict[str, str] = {}
    if validators.etag is not None:
        headers["If-None-Match"] = validators.etag
    if validators.last_modified is not None:
        headers["If-Modified-Since"] = validators.last_modified
    if url.credentials is not None:
        pair = ":".join(url.credentials).encode("utf-8", "replace")
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return headers


def _redirect(response: aiohttp.ClientResponse, url: urls.Url) -> _Redirect | Failed:
    """Where a redirect leads; the address's own credentials stay with its origin."""
    raw = response.headers.get("Location", "").encode("utf-8", "surrogateescape")
    location = quote(raw, safe=bytes(range(0x20, 0x7F)).decode())
    if not location.strip():
        return failures.bad_redirect(response.status)
    try:
        target = urls.parse(urls.resolve(str(url.without_credentials()), location))
    except InvalidUrl:
        return failures.bad_redirect(response.status)
    if target.origin == url.origin and not target.userinfo:
        target = replace(target, userinfo=url.userinfo)
    return _Redirect(location=str(target), permanent=response.status in _PERMANENT)
