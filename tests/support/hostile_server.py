"""The server that means harm, as a process of its own, so that its cost is not the bot's.

It is started with the trap's port, prints the ports of its `Site` as JSON, and ends when its
input does.
"""

import asyncio
import json
import socket
import ssl
import sys
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import hostile_addresses
import hostile_contents
import hostile_http
import hostile_pages
import hostile_xml
from hostile_case import Case, Peer, Site, Talk, saying, stalling

CASES: tuple[Case, ...] = (
    *hostile_addresses.CASES,
    *hostile_http.CASES,
    *hostile_xml.CASES,
    *hostile_contents.CASES,
    *hostile_pages.CASES,
)
_CERTIFICATE = Path(__file__).parent / "tls" / "server.pem"
_NOTHING = saying(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
_EARLY = stalling(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


class _Server:
    """Everything that listens."""

    def __init__(self, trap: int) -> None:
        self.site = Site(trap=trap)
        self._talks = {case.path: case.talk for case in CASES if case.talk is not None}
        self._talking: set[asyncio.Task[None]] = set()
        self._full = socket.socket()
        self._waiting = socket.socket()

    async def start(self) -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(_CERTIFICATE)
        self.site = replace(
            self.site,
            plain=await self._listen(None),
            tls=await self._listen(None, tls),
            mute=await self._listen(stalling()),
            early=await self._listen(_EARLY),
            settled=await self._listen_for_settling(),
            full=self._fill_a_queue(),
        )

    async def _listen(self, talk: Talk | None, tls: ssl.SSLContext | None = None) -> int:
        """Without ``talk`` the path of the request decides."""

        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError, EOFError, ValueError):
                chosen, target = talk, ""
                if chosen is None:
                    target = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode()
                    path = target.partition("?")[0].split("/")[1]
                    chosen = self._talks.get(path, _NOTHING)
                await chosen(Peer(target=target, reader=reader, writer=writer, site=self.site))
                writer.close()
                await writer.wait_closed()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(converse(reader, writer))
            self._talking.add(task)
            task.add_done_callback(lambda done: self._over(done, writer))

        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
        port: int = server.sockets[0].getsockname()[1]
        return port

    def _over(self, task: asyncio.Task[None], writer: asyncio.StreamWriter) -> None:
        self._talking.discard(task)
        # asyncio cannot abort what was closed while it had something left to send.
        if not writer.transport.is_closing():
            writer.transport.abort()

    async def _listen_for_settling(self) -> int:
        async def settle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while self._talking:
                await asyncio.wait(self._talking)
            writer.close()

        server = await asyncio.start_server(settle, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        return port

    def _fill_a_queue(self) -> int:
        """Linux drops who wants to connect while as many wait as may."""
        self._full.bind(("127.0.0.1", 0))
        self._full.listen(0)
        port: int = self._full.getsockname()[1]
        self._waiting.connect(("127.0.0.1", port))
        return port


async def main() -> None:
    server = _Server(int(sys.argv[1]))
    await server.start()
    sys.stdout.write(json.dumps(asdict(server.site)) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
