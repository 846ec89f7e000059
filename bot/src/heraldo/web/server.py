"""The application's HTTP server: whatever others call us for is a route of this one.

It is made to stand behind a reverse proxy that speaks TLS, and to survive strangers without one:
time, size and number of requests are limited, and nothing of a request is logged.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from heraldo.errors import BadSettings

logger = logging.getLogger(__name__)

AT_ONCE = 100
REQUEST_SECONDS = 20.0
IDLE_SECONDS = 15.0
_GRACE_SECONDS = 5.0
# For what is still on its way when the answer is clear: cut off, a caller would not read it.
_LINGER_SECONDS = 2.0

Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a kind of request to a path is answered by. Paths are aiohttp's, with ``{names}``."""

    method: str
    path: str
    handler: Handler


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where to listen, and under which address others see that. A port of 0 is any free one."""

    host: str
    port: int
    public_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``at_once`` requests are answered at a time, the others told to come back.

    Each has so many ``seconds``, its body included, and a connection ``idle`` seconds to begin one.
    """

    at_once: int = AT_ONCE
    seconds: float = REQUEST_SECONDS
    idle: float = IDLE_SECONDS


def paths(public_url: str, path: str) -> tuple[str, ...]:
    """The paths that a request for ``public_url`` + ``path`` may arrive with.

    A reverse proxy may or may not take the public address's own path away.
    """
    prefix = urlsplit(public_url).path.rstrip("/")
    return tuple(dict.fromkeys((f"{prefix}{path}", path)))


@asynccontextmanager
async def serving(
    listen: Listen, routes: Iterable[Route], limits: Limits | None = None
) -> AsyncIterator[int]:
    """Serves the routes for the length of the block; yields the port.

    Raises:
        BadSettings: the address cannot be listened at.
    """
    application = web.Application()
    limits = limits or Limits()
    guard = _Guard(limits)
    for route in routes:
        application.router.add_route(route.method, route.path, guard.around(route.handler))
    # The bodies are taken as they come: what is signed is what was sent, and nothing inflates.
    runner = web.AppRunner(
        application,
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=limits.idle,
        lingering_time=_LINGER_SECONDS,
        shutdown_timeout=_GRACE_SECONDS,
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, listen.host, listen.port).start()
        except OSError as error:
            raise BadSettings(
                f"LISTEN_HOST, LISTEN_PORT: cannot listen at {listen.host}, port {listen.port} "
                f"({error.strerror})"
            ) from error
        port = int(runner.addresses[0][1])
        logger.info("serving", extra={"host": listen.host, "port": port})
        yield port
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * _GRACE_SECONDS):
                await runner.cleanup()


class _Guard:
    """Limits what requests may take, and keeps what goes wrong from leaving traces of them."""

    def __init__(self, limits: Limits) -> None:
        self._seconds = limits.seconds
        self._places = asyncio.Semaphore(limits.at_once)

    def around(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.Response:
            if self._places.locked():
                return _closing(503)
            async with self._places:
                try:
                    async with asyncio.timeout(self._seconds):
                        return await handler(request)
                except TimeoutError:
                    return _closing(408)
                except (web.HTTPException, ConnectionError):
                    raise
                except Exception as error:
                    # Neither its text nor the path: both may hold what only a hub may know.
                    logger.error("request failed", extra={"error": type(error).__name__})
                    return _closing(503)

        return guarded


def _closing(status: int) -> web.Response:
    """What is left of such a request is not waited for; after 503 it may be tried again."""
    response = web.Response(status=status, headers={"Retry-After": "5"} if status == 503 else None)
    response.force_close()
    return response
