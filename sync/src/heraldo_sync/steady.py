"""Connections that hear no more than was asked for.

aiohttp takes in interim answers (1xx) on and on, which keeps a core busy for as long as the request
may take, and answers to nothing while a connection waits to be used again. A body in chunks of a
byte costs it seconds for each megabyte. Whoever sends such things is hung up on.
"""

import asyncio
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawResponseMessage

MAX_HEADS = 20
"""An answer and the interim ones before it; servers send one or two."""

# How much of what a server sends is parsed before the answers in it are counted.
_SLICE = 16_384
# Of a body in chunks half may be their sizes, and at first more: so much is read ahead.
_UNPACKED = 524_288


class SteadyHandler(ResponseHandler):
    """A connection that is given up when it brings a second answer, or interim ones on and on."""

    _heads = 0
    _answered = False
    _received = 0

    def set_response_params(self, **params: Any) -> None:
        """A request is on its way; its answer may come."""
        self._heads = 0
        self._answered = False
        self._received = 0
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """The server has sent something; nothing is due once the whole answer is there."""
        if not data:
            super().data_received(data)
        while data and self.is_connected():
            if self._answered and not self._in_body():
                self._give_up()
                return
            part = data if self._answered else data[:_SLICE]
            self._received += len(part)
            if self._is_mostly_packing():
                self._give_up()
                return
            super().data_received(part)
            data = data[len(part) :]

    def feed_data(
        self, data: tuple[RawResponseMessage, aiohttp.StreamReader], size: int = 0
    ) -> None:
        """The head of an answer was parsed."""
        self._heads += 1
        if self._answered or self._heads > MAX_HEADS:
            self._give_up()
            return
        status = data[0].code
        self._answered = status >= 200 or status == 101
        super().feed_data(data, size)

    def _in_body(self) -> bool:
        return self._payload is not None and not self._payload.is_eof()

    def _is_mostly_packing(self) -> bool:
        body = self._payload
        return (
            body is not None
            and not body.is_eof()
            and self._received > 2 * body.total_bytes + _UNPACKED
        )

    def _give_up(self) -> None:
        """A whole answer that is there already can still be read."""
        self.force_close()
        if not self._answered:
            self.set_exception(HttpProcessingError(code=400, message="too many interim answers"))
        elif self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(aiohttp.ClientError("too many chunks"))
        if self.transport is not None:
            self.transport.abort()


class SteadyConnector(aiohttp.TCPConnector):
    """Makes such connections."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = partial(_handler, loop=self._loop)


def _handler(loop: asyncio.AbstractEventLoop) -> ResponseHandler:
    return SteadyHandler(loop)
