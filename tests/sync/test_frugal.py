"""Which connections stay open: those that were used last, and never one that is in use."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from heraldo_sync.addresses import AddressPolicy, GuardedConnector, SystemResolver
from heraldo_sync.frugal import MOST_IDLE, FrugalConnector


class Server:
    """Answers 304 on every loopback address; knows who connected, in order, and who left."""

    def __init__(self) -> None:
        self.came: list[str] = []
        self.left: dict[str, asyncio.Event] = {}
        self.holds: set[str] = set()
        self.held = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = str(writer.get_extra_info("sockname")[0])
        self.came.append(host)
        gone = self.left[host] = asyncio.Event()
        while True:
            try:
                await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            if host in self.holds:
                self.held.set()
                await self.goes_on.wait()
            writer.write(b"HTTP/1.1 304 Not Modified\r\n\r\n")
        writer.close()
        gone.set()

    def host(self, number: int) -> str:
        return f"127.0.0.{number}"

    async def ask(self, session: aiohttp.ClientSession, number: int) -> None:
        async with session.get(f"http://{self.host(number)}:{self.port}/") as response:
            assert response.status == 304


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.serve, "0.0.0.0", 0)
    made.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield made


async def test_those_used_last_stay_open(server: Server) -> None:
    async with aiohttp.ClientSession(connector=FrugalConnector(most_idle=2)) as session:
        for number in (1, 2, 3, 4):
            await server.ask(session, number)
        await server.left[server.host(1)].wait()
        await server.left[server.host(2)].wait()
        for number in (3, 4, 3):
            await server.ask(session, number)
        assert server.came == [server.host(number) for number in (1, 2, 3, 4)]
        await server.ask(session, 1)
        await server.left[server.host(4)].wait()
        assert not server.left[server.host(3)].is_set()
    assert server.came[4:] == [server.host(1)]


async def test_one_in_use_is_never_closed(server: Server) -> None:
    async with aiohttp.ClientSession(connector=FrugalConnector(most_idle=1)) as session:
        await server.ask(session, 1)
        server.holds = {server.host(1)}
        waiting = asyncio.create_task(server.ask(session, 1))
        await server.held.wait()
        for number in (2, 3, 4):
            await server.ask(session, number)
        server.goes_on.set()
        await waiting
        await server.left[server.host(4)].wait()
        assert not server.left[server.host(1)].is_set()


async def test_feeds_are_fetched_so() -> None:
    resolver = SystemResolver()
    connector = GuardedConnector(AddressPolicy(), resolver)
    assert isinstance(connector, FrugalConnector)
    assert MOST_IDLE < 1024 / 2
    await connector.close()
    await resolver.close()
