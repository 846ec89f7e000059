"""Few connections that nobody uses: those that were used last.

A host that is asked again and again is asked on the connection that is open. But most hosts have
one feed, and asyncio has 256 KB for every TLS connection: at 30,000 feeds a minute, 15 seconds of
keep-alive for each of them would be 7,500 open sockets and 2 GB.
"""

from collections import OrderedDict
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from heraldo_sync.steady import SteadyConnector

MOST_IDLE = 100
"""How many connections are kept open for later; about 30 MB."""


class FrugalConnector(SteadyConnector):
    """Closes the connection that was used longest ago when more than ``most_idle`` are idle.

    Takes what `aiohttp.TCPConnector` takes.
    """

    def __init__(self, *, most_idle: int = MOST_IDLE, **options: Any) -> None:
        self._most_idle = most_idle
        self._unused: OrderedDict[ResponseHandler, None] = OrderedDict()
        super().__init__(**options)

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        """Connects, and hears when the connection is given back."""
        connection = await super().connect(req, traces, timeout)
        protocol = connection.protocol
        if protocol is not None:
            self._unused.pop(protocol, None)
            connection.add_callback(partial(self._given_back, protocol))
        return connection

    def _given_back(self, protocol: ResponseHandler) -> None:
        if protocol.should_close or not protocol.is_connected():
            return
        self._unused[protocol] = None
        while len(self._unused) > self._most_idle:
            oldest, _ = self._unused.popitem(last=False)
            oldest.close()
