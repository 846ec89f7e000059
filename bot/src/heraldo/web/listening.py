"""What is served: the callbacks of hubs, for now. Silent if no public address is set."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from heraldo.services import Services
from heraldo.web.server import serving
from heraldo.web.websub import websub_routes
from heraldo_sync.callbacks import Callbacks
from heraldo_sync.hub_store import adopt_callbacks


@asynccontextmanager
async def listening(services: Services) -> AsyncIterator[None]:
    """Serves for the length of the block, if a public address is set.

    Raises:
        BadSettings: the address cannot be listened at.
    """
    listen = services.listen
    if listen is None:
        yield
        return
    callbacks = Callbacks(pool=services.pool, queue=services.queue)
    async with serving(listen, websub_routes(callbacks, listen.public_url)):
        await adopt_callbacks(services.pool, listen.public_url)
        yield
