"""Reading a response's body within a limit that counts after decompression.

aiohttp's own decompression is off: here the limit is given to zlib itself, so that a bomb stops
inflating at the limit and not after a chunk of it was turned into gigabytes.
"""

import zlib
from collections.abc import AsyncIterator

from heraldo_sync.errors import SyncError

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS
_MAX_MEMBERS = 64
_NAMES = {"": "", "identity": "", "gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}

ACCEPTED_ENCODINGS = "gzip, deflate"


class BodyTooLarge(SyncError):
    """The body is larger than the limit."""


class BadEncoding(SyncError):
    """The body is compressed in a way we do not read, or wrongly."""


class BodyCutOff(SyncError):
    """A compressed body ends too early."""


async def read_body(chunks: AsyncIterator[bytes], encoding: str, limit: int) -> bytes:
    """Returns the decompressed body.

    ``encoding`` is the Content-Encoding header. A body that is not gzip although it says so, or
    is although it does not, is read as what it is: both are common.

    Raises:
        BodyTooLarge: more than ``limit`` bytes, as received or decompressed.
        BadEncoding: not gzip, deflate or identity, or not decodable.
        BodyCutOff: the compressed data end too early.
    """
    coding = _NAMES.get(encoding.strip().lower())
    if coding is None:
        raise BadEncoding(encoding)
    head = b""
    async for chunk in chunks:
        head += chunk
        if len(head) >= len(_GZIP_MAGIC):
            break
    sink = _Sink(_window_bits(coding, head), limit)
    sink.feed(head)
    async for chunk in chunks:
        sink.feed(chunk)
    return sink.finish()


def _window_bits(coding: str, head: bytes) -> int | None:
    """The zlib format of a body that starts so; None for one that is not compressed."""
    if head.startswith(_GZIP_MAGIC):
        return _GZIP
    if coding != "deflate" or len(head) < 2:
        return None
    is_zlib = head[0] & 0x0F == 8 and int.from_bytes(head[:2], "big") % 31 == 0
    return _ZLIB if is_zlib else _RAW


class _Sink:
    """Collects a body, decompressed if ``bits`` is given."""

    def __init__(self, bits: int | None, limit: int) -> None:
        self._bits = bits
        self._limit = limit
        self._received = 0
        self._body = bytearray()
        self._members = 1
        self._inflate = zlib.decompressobj(bits) if bits is not None else None

    def feed(self, chunk: bytes) -> None:
        self._received += len(chunk)
        if self._received > self._limit:
            raise BodyTooLarge
        if self._inflate is None:
            self._body += chunk
            return
        try:
            self._decompress(chunk)
        except zlib.error as error:
            raise BadEncoding(str(error)) from error

    def _decompress(self, data: bytes) -> None:
        """A gzip body may be several members one after the other; what is no gzip is padding."""
        while data and self._inflate is not None:
            if self._inflate.eof:
                if self._bits != _GZIP or not data.startswith(_GZIP_MAGIC):
                    return
                self._members += 1
                if self._members > _MAX_MEMBERS:
                    raise BadEncoding("too many gzip members")
                self._inflate = zlib.decompressobj(_GZIP)
            self._body += self._inflate.decompress(data, self._limit - len(self._body) + 1)
            if len(self._body) > self._limit:
                raise BodyTooLarge
            data = self._inflate.unused_data

    def finish(self) -> bytes:
        if self._inflate is not None and not self._inflate.eof:
            raise BodyCutOff
        return bytes(self._body)
