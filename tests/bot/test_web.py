"""The HTTP server against strangers: slow, many, large, and what fails inside."""

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from heraldo.errors import BadSettings
from heraldo.web.server import Limits, Listen, Route, paths, serving


def here(port: int = 0) -> Listen:
    return Listen(host="127.0.0.1", port=port, public_url="https://bot.example.org")


@dataclass(slots=True)
class Handlers:
    """What the routes of these tests do."""

    entered: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        size = 0
        async for chunk in request.content.iter_any():
            size += len(chunk)
        return web.Response(text=str(size))

    async def wait(self, request: web.Request) -> web.Response:
        self.entered.set()
        await self.go.wait()
        return web.Response(text="waited")

    async def fail(self, request: web.Request) -> web.Response:
        raise RuntimeError(f"failed at {request.path}")


@asynccontextmanager
async def served(limits: Limits | None = None) -> AsyncIterator[tuple[str, Handlers]]:
    handlers = Handlers()
    routes = [
        Route(method="POST", path="/take", handler=handlers.take),
        Route(method="GET", path="/wait", handler=handlers.wait),
        Route(method="GET", path="/fail/{key}", handler=handlers.fail),
    ]
    async with serving(here(), routes, limits) as port:
        yield f"http://127.0.0.1:{port}", handlers


async def test_only_what_is_routed_is_answered() -> None:
    async with served() as (url, _), aiohttp.ClientSession() as client:
        async with client.post(f"{url}/take", data=b"12345") as answer:
            assert await answer.text() == "5"
        for method, path, status in (
            ("GET", "/take", 405),
            ("GET", "/", 404),
            ("GET", "/../etc/passwd", 404),
            ("DELETE", "/wait", 405),
        ):
            async with client.request(method, url + path) as answer:
                assert answer.status == status


async def test_a_body_that_never_comes_is_not_waited_for() -> None:
    async with served(Limits(seconds=0.05)) as (url, _):
        port = int(url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        await writer.drain()
        async with asyncio.timeout(10):
            assert b" 408 " in await reader.readline()
            await reader.read()
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("head", [b"", b"POST /take HTT", b"POST /take HTTP/1.1\r\nHost: x\r\n"])
async def test_a_request_that_never_begins_is_not_waited_for(head: bytes) -> None:
    async with served(Limits(idle=0.05)) as (url, _):
        port = int(url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_too_many_at_once_are_told_to_come_back() -> None:
    async with served(Limits(at_once=1)) as (url, handlers), aiohttp.ClientSession() as client:

        async def ask() -> tuple[int, str | None]:
            async with client.get(f"{url}/wait") as answer:
                return answer.status, answer.headers.get("Retry-After")

        first = asyncio.create_task(ask())
        await handlers.entered.wait()
        assert await ask() == (503, "5")
        handlers.go.set()
        assert await first == (200, None)
        assert await ask() == (200, None)


async def test_what_fails_inside_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with (
        served() as (url, _),
        aiohttp.ClientSession() as client,
        client.get(f"{url}/fail/hunter2") as answer,
    ):
        assert answer.status == 503
        assert "hunter2" not in await answer.text()
    ours = "".join(f"{vars(record)}" for record in caplog.records if "heraldo" in record.name)
    assert "RuntimeError" in ours
    assert "hunter2" not in ours
    assert "hunter2" not in caplog.text


async def test_bodies_are_taken_as_they_are_sent() -> None:
    bomb = gzip.compress(bytes(5_000_000))
    async with served() as (url, _), aiohttp.ClientSession() as client:
        headers = {"Content-Encoding": "gzip"}
        async with client.post(f"{url}/take", data=bomb, headers=headers) as answer:
            assert await answer.text() == str(len(bomb))


async def test_a_port_that_is_taken_is_a_clear_error() -> None:
    async with serving(here(), []) as port:
        with pytest.raises(BadSettings, match="LISTEN_PORT: cannot listen at 127"):
            async with serving(here(port), []):
                pass


def test_the_public_address_s_own_path_may_be_there_or_not() -> None:
    assert paths("https://bot.example.org", "/a") == ("/a",)
    assert paths("https://example.org/bot", "/a") == ("/bot/a", "/a")
