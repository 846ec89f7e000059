"""Reading a response's body within a limit that counts after decompression.

aiohttp's own decompression is off: ours (`heraldo_sync.decoding`) is given the limit itself.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

from heraldo_sync.decoding import ACCEPTED_ENCODINGS, HEAD, BadEncoding, coding_of, decoder
from heraldo_sync.errors import SyncError

__all__ = ["ACCEPTED_ENCODINGS", "BadEncoding", "BodyCutOff", "BodyTooLarge", "read_body"]

# So much is brought out of compressed data at once.
_STEP = 64 * 1024


class BodyTooLarge(SyncError):
    """The body is larger than the limit."""


class BodyCutOff(SyncError):
    """A compressed body ends too early."""


async def read_body(
    chunks: AsyncIterator[bytes],
    encoding: str,
    limit: int,
    cover: Callable[[int], Awaitable[None]],
) -> bytes:
    """Returns the decompressed body.

    ``encoding`` is the Content-Encoding header. A body that is not gzip although it says so, or
    is although it does not, is read as what it is: both are common. ``cover`` is asked before
    the body grows to so many bytes; nothing more is read until it returns.

    Raises:
        BodyTooLarge: more than ``limit`` bytes, as received or decompressed.
        BadEncoding: none of gzip, deflate, br, zstd and identity, or not decodable.
        BodyCutOff: the compressed data end too early.
    """
    coding = coding_of(encoding)
    head = b""
    async for chunk in chunks:
        head += chunk
        if len(head) >= HEAD:
            break
    sink = _Sink(coding, head, limit, cover)
    await sink.feed(head)
    async for chunk in chunks:
        await sink.feed(chunk)
    return sink.finish()


class _Sink:
    """Collects a body, decompressed if it has to be."""

    def __init__(
        self, coding: str, head: bytes, limit: int, cover: Callable[[int], Awaitable[None]]
    ) -> None:
        self._limit = limit
        self._cover = cover
        self._received = 0
        self._body = bytearray()
        self._decoder = decoder(coding, head)

    async def feed(self, chunk: bytes) -> None:
        self._received += len(chunk)
        if self._received > self._limit:
            raise BodyTooLarge
        if self._decoder is None:
            await self._add(chunk)
            return
        # Few bytes may stand for megabytes: they come out as there is room for them.
        await self._add(self._decoder.decode(chunk, self._step()))
        while self._decoder.pending:
            await self._add(self._decoder.decode(b"", self._step()))

    def finish(self) -> bytes:
        if self._decoder is not None and not self._decoder.finished:
            raise BodyCutOff
        return bytes(self._body)

    def _step(self) -> int:
        return min(_STEP, self._limit - len(self._body) + 1)

    async def _add(self, piece: bytes | bytearray) -> None:
        size = len(self._body) + len(piece)
        if size > self._limit:
            raise BodyTooLarge
        await self._cover(size)
        self._body += piece
