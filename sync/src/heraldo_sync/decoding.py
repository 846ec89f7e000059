"""Undoing the compressions of HTTP, with a bound on what each step may bring out.

The bound is given to the libraries themselves, so that a bomb stops there and not after a chunk
of it was turned into gigabytes. What a step leaves is for the next one.
"""

import sys
import zlib
from typing import Protocol

import brotli

from heraldo_sync.errors import SyncError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS
_MAX_MEMBERS = 64
# What a decoder of HTTP has to support at most (RFC 9659): a window of 8 MB.
_ZSTD_OPTIONS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}
_NAMES = {
    "": "",
    "identity": "",
    "gzip": "gzip",
    "x-gzip": "gzip",
    "deflate": "deflate",
    "br": "br",
    "zstd": "zstd",
}

ACCEPTED_ENCODINGS = "gzip, deflate, br, zstd"
# So many bytes of a body tell how it is compressed.
HEAD = 4


class BadEncoding(SyncError):
    """The body is compressed in a way we do not read, or wrongly."""


class Decoder(Protocol):
    """Undoes one body's compression, piece by piece. Raises `BadEncoding` where it cannot."""

    @property
    def finished(self) -> bool:
        """Whether the compressed data have come to their end."""
        ...

    @property
    def pending(self) -> bool:
        """Whether there may be more to bring out of what was given already."""
        ...

    def decode(self, data: bytes, room: int) -> bytes | bytearray:
        """What this piece adds: up to ``room`` bytes, at least one, or half as many again.

        While something is pending the next piece has to be empty.
        """
        ...


def coding_of(header: str) -> str:
    """The one coding that a Content-Encoding header names, empty for none.

    Raises:
        BadEncoding: another one, or several.
    """
    coding = _NAMES.get(header.strip().lower())
    if coding is None:
        raise BadEncoding(header)
    return coding


def decoder(coding: str, head: bytes) -> Decoder | None:
    """The decoder for a body that starts so; None for one that is not compressed.

    What is not compressed although it says so, or is although it does not, is taken for what it
    is: both are common. Only brotli cannot be told by its first bytes.
    """
    if not head:
        return None
    if coding == "br":
        return _Brotli()
    if head.startswith(_GZIP_MAGIC):
        return _Zlib(_GZIP)
    if head.startswith(_ZSTD_MAGIC):
        return _Zstd()
    if coding != "deflate" or len(head) < 2:
        return None
    is_zlib = head[0] & 0x0F == 8 and int.from_bytes(head[:2], "big") % 31 == 0
    return _Zlib(_ZLIB if is_zlib else _RAW)


class _Zlib:
    """gzip and deflate. A gzip body may be several members, and end in padding."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._members = 1
        self._engine = zlib.decompressobj(bits)
        self._left = b""
        self._full = False

    @property
    def finished(self) -> bool:
        return self._engine.eof

    @property
    def pending(self) -> bool:
        return self._full

    def decode(self, data: bytes, room: int) -> bytearray:
        found = bytearray()
        data = data or self._left
        while len(found) < room and (data or self._full):
            if self._engine.eof and not self._begins_again(data):
                data = b""
                break
            try:
                found += self._engine.decompress(data, room - len(found))
            except zlib.error as error:
                raise BadEncoding(str(error)) from error
            data = self._engine.unused_data or self._engine.unconsumed_tail
            self._full = False
        # The library may have taken all data in and still have output.
        self._full = len(found) >= room
        self._left = data
        return found

    def _begins_again(self, data: bytes) -> bool:
        if self._bits != _GZIP or not data.startswith(_GZIP_MAGIC):
            return False
        self._members = _one_more(self._members)
        self._engine = zlib.decompressobj(_GZIP)
        return True


class _Brotli:
    """br (RFC 7932). Nothing may come after its end."""

    def __init__(self) -> None:
        self._engine = brotli.Decompressor()
        self._full = False

    @property
    def finished(self) -> bool:
        return bool(self._engine.is_finished())

    @property
    def pending(self) -> bool:
        # That it can accept more data does not say that it has brought out all of the last.
        return self._full and not self.finished

    def decode(self, data: bytes, room: int) -> bytes:
        try:
            found: bytes = self._engine.process(data, output_buffer_limit=room)
        except brotli.error as error:
            raise BadEncoding(str(error)) from error
        self._full = len(found) >= room
        return found


class _Zstd:
    """zstd (RFC 8878). A body may be several frames."""

    def __init__(self) -> None:
        self._frames = 1
        self._engine = zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)
        self._left = b""

    @property
    def finished(self) -> bool:
        return self._engine.eof and not self._left

    @property
    def pending(self) -> bool:
        return bool(self._left) or not (self._engine.eof or self._engine.needs_input)

    def decode(self, data: bytes, room: int) -> bytes:
        data = self._left or data
        self._left = b""
        if self._engine.eof:
            self._frames = _one_more(self._frames)
            self._engine = zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)
        try:
            found = self._engine.decompress(data, room)
        except zstd.ZstdError as error:
            raise BadEncoding(str(error)) from error
        self._left = self._engine.unused_data if self._engine.eof else b""
        return found


def _one_more(members: int) -> int:
    if members == _MAX_MEMBERS:
        raise BadEncoding("too many members")
    return members + 1
