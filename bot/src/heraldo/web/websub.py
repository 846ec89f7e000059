"""The callbacks of WebSub over HTTP (W3C WebSub §5.3, §7); what they mean is the sync's."""

from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from heraldo.web.server import Route, paths
from heraldo_sync.callbacks import Callbacks, Receipt
from heraldo_sync.hub_tasks import CALLBACK_PATH

_STATUS: Mapping[Receipt, int] = {
    Receipt.TAKEN: 202,
    Receipt.GONE: 410,
    Receipt.REFUSED: 403,
    Receipt.TOO_LARGE: 413,
}
# A challenge is a stranger's text, which no browser may take for a page of ours (§8.2).
_SAFE = {"X-Content-Type-Options": "nosniff", "Content-Type": "application/octet-stream"}


def websub_routes(callbacks: Callbacks, public_url: str) -> list[Route]:
    """The routes that hubs call: GET to confirm, POST to push."""

    async def confirm(request: web.Request) -> web.Response:
        answer = await callbacks.confirm(request.match_info["key"], _first(request))
        if answer is None:
            return web.Response(status=404)
        return web.Response(body=answer, headers=_SAFE)

    async def receive(request: web.Request) -> web.Response:
        receipt = await callbacks.receive(
            request.match_info["key"], request.headers.get("X-Hub-Signature"), _chunks(request)
        )
        return web.Response(status=_STATUS[receipt])

    return [
        Route(method=method, path=path, handler=handler)
        for path in paths(public_url, f"{CALLBACK_PATH}{{key}}")
        for method, handler in (("GET", confirm), ("POST", receive))
    ]


def _first(request: web.Request) -> dict[str, str]:
    """Hubs append their parameters; of several with a name the first counts."""
    query: dict[str, str] = {}
    for name, value in request.query.items():
        query.setdefault(name, value)
    return query


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    async for chunk in request.content.iter_any():
        yield chunk
