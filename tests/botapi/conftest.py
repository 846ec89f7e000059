import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest_asyncio
from telegram import Update
from telegram.ext import Application

from heraldo.botapi import BotApiServer

App = Application[Any, Any, Any, Any, Any, Any]


def build(server: BotApiServer) -> App:
    return (
        Application.builder()
        .token(server.token)
        .base_url(f"{server.base_url}/bot")
        .base_file_url(f"{server.base_url}/file/bot")
        .build()
    )


@contextlib.asynccontextmanager
async def polling(app: App) -> AsyncIterator[None]:
    assert app.updater is not None
    async with app:
        await app.start()
        await app.updater.start_polling(timeout=5, allowed_updates=Update.ALL_TYPES)
        try:
            yield
        finally:
            await app.updater.stop()
            await app.stop()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[BotApiServer]:
    async with BotApiServer() as running:
        yield running


@pytest_asyncio.fixture
async def app(server: BotApiServer) -> AsyncIterator[App]:
    async with build(server) as application:
        yield application


@pytest_asyncio.fixture
async def other_app(server: BotApiServer) -> AsyncIterator[App]:
    """A second client of the same bot, as another process would be."""
    async with build(server) as application:
        yield application


@pytest_asyncio.fixture
async def polled(server: BotApiServer) -> AsyncIterator[App]:
    """An application without handlers that polls; add handlers in the test."""
    application = build(server)
    async with polling(application):
        yield application


@pytest_asyncio.fixture
async def ask(server: BotApiServer) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """Calls a method with a JSON body, without a client library; returns the answer's body."""
    async with aiohttp.ClientSession() as session:

        async def call(method: str, **parameters: object) -> Any:
            url = f"{server.base_url}/bot{server.token}/{method}"
            async with session.post(url, json=parameters) as answer:
                body = await answer.json()
                assert body["ok"] == (answer.status == 200)
                return body

        yield call
