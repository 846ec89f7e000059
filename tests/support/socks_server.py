"""A SOCKS5 proxy (RFC 1928, RFC 1929) that leads every name to ports of this machine."""

import asyncio
import contextlib
from dataclasses import dataclass, field

REFUSED = 5


@dataclass(slots=True)
class SocksServer:
    """``leads`` are the ports that (host, port) lead to, connection refused for all others.

    With a ``login`` it asks for user and password. ``asked`` is where it was asked to connect to,
    ``logins`` who said to be who.
    """

    leads: dict[tuple[str, int], int] = field(default_factory=dict)
    login: tuple[str, str] | None = None
    asked: list[tuple[str, int]] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> "SocksServer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        serving = list(self._tasks)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await self._server.wait_closed()

    def url(self, login: str = "") -> str:
        """Its address, with ``user:password@`` if there is a login."""
        assert self._server is not None
        return f"socks5://{login}127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(
                asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError
            ):
                # Cancelled is how it ends: asyncio would call it an error of the server.
                if await self._greeted(reader, writer):
                    await self._connect(reader, writer)
        finally:
            await _close(writer)
            self._tasks.discard(task)

    async def _greeted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        _, count = await reader.readexactly(2)
        offered = await reader.readexactly(count)
        method = 2 if self.login is not None else 0
        if method not in offered:
            writer.write(b"\x05\xff")
            return False
        writer.write(bytes([5, method]))
        if self.login is None:
            return True
        await reader.readexactly(1)
        user = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        password = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        self.logins.append((user, password))
        right = (user, password) == self.login
        writer.write(b"\x01\x00" if right else b"\x01\x01")
        return right

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, _, _, kind = await reader.readexactly(4)
        assert kind == 3, "a name, which the proxy looks up"
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        port = int.from_bytes(await reader.readexactly(2), "big")
        self.asked.append((host, port))
        leads = self.leads.get((host, port))
        if leads is None:
            writer.write(bytes([5, REFUSED, 0, 1, 0, 0, 0, 0, 0, 0]))
            return
        there, away = await asyncio.open_connection("127.0.0.1", leads)
        writer.write(bytes([5, 0, 0, 1, 127, 0, 0, 1]) + leads.to_bytes(2, "big"))
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pipe(reader, away))
                both.create_task(_pipe(there, writer))
        finally:
            await _close(away)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
