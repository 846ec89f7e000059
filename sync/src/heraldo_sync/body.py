"""Reading a response's body within a limit that counts after decompression.

aiohttp's own decompression is off: ours (`heraldo_sync.decoding`) is given the limit itself.
"""

from collections.abc import AsyncIterator

from heraldo_sync.decoding import ACCEPTED_ENCODINGS, HEAD, BadEncoding, coding_of, decoder
from heraldo_sync.errors import SyncError

__all__ = ["ACCEPTED_ENCODINGS", "BadEncoding", "BodyCutOff", "BodyTooLarge", "read_body"]


class BodyTooLarge(SyncError):
    """The body is larger than the limit."""


class BodyCutOff(SyncError):
    """A compressed body ends too early."""


async def read_body(chunks: AsyncIterator[bytes], encoding: str, limit: int) -> bytes:
    """Returns the decompressed body.

    ``encoding`` is the Content-Encoding header. A body that is not gzip although it says so, or
    is although it does not, is read as what it is: both are common.

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
    sink = _Sink(coding, head, limit)
    sink.feed(head)
    async for chunk in chunks:
        sink.feed(chunk)
    return sink.finish()


class _Sink:
    """Collects a body, decompressed if it has to be."""

    def __init__(self, coding: str, head: bytes, limit: int) -> None:
        self._limit = limit
        self._received = 0
        self._body = bytearray()
        self._decoder = decoder(coding, head)

    def feed(self, chunk: bytes) -> None:
        self._received += len(chunk)
        if self._received > self._limit:
            raise BodyTooLarge
        if self._decoder is None:
            self._body += chunk
            return
        self._body += self._decoder.decode(chunk, self._limit - len(self._body) + 1)
        if len(self._body) > self._limit:
            raise BodyTooLarge

    def finish(self) -> bytes:
        if self._decoder is not None and not self._decoder.finished:
            raise BodyCutOff
        return bytes(self._body)
