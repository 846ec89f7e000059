"""Long polling and webhooks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from telegram import Update
from telegram.error import Conflict
from telegram.ext import Application, ContextTypes, MessageHandler, filters

from colmillo.testing import FakeClock
from heraldo.botapi import BotApiServer

App = Application[Any, Any, Any, Any, Any, Any]
Ask = Callable[..., Awaitable[Any]]


class Receiver:
    """A webhook that answers as it is told and keeps what it got."""

    def __init__(self) -> None:
        self.status = 200
        self.got: list[tuple[str | None, dict[str, Any]]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append(
            (request.headers.get("X-Telegram-Bot-Api-Secret-Token"), await request.json())
        )
        return web.Response(status=self.status)


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    await runner.cleanup()


async def test_an_offset_acknowledges(server: BotApiServer, ask: Ask) -> None:
    ana = server.person("Ana")
    for number in range(5):
        await ana.says(f"message {number}")

    async def ids(**parameters: object) -> list[int]:
        return [update["update_id"] for update in (await ask("getUpdates", **parameters))["result"]]

    assert await ids() == [1, 2, 3, 4, 5]
    assert await ids(limit=2) == [1, 2]
    assert await ids(offset=3) == [3, 4, 5]
    assert await ids() == [3, 4, 5]
    assert await ids(offset=-1) == [5]
    assert await ids() == [5]
    assert await ids(offset=6) == []
    assert server.world.updates.pending == []


async def test_a_long_poll_ends_with_an_update_or_its_time() -> None:
    clock = FakeClock()
    async with BotApiServer(clock=clock) as server:
        poll = asyncio.create_task(server.world.updates.fetch(offset=0, limit=10, wait=30))
        await server.wait_until(lambda: server.world.updates.is_polled)
        await server.person("Ana").says("hi")
        assert [update.id for update in await poll] == [1]
        poll = asyncio.create_task(server.world.updates.fetch(offset=2, limit=10, wait=30))
        await server.wait_until(lambda: server.world.updates.is_polled)
        await clock.advance(29)
        assert not poll.done()
        await clock.advance(1)
        assert await poll == []


async def test_only_allowed_shapes_arrive(server: BotApiServer, ask: Ask) -> None:
    await ask("getUpdates", allowed_updates=["callback_query"])
    ana = server.person("Ana")
    await ana.says("not wanted")
    server.inject("from_the_future", {"x": 1})
    updates = (await ask("getUpdates"))["result"]
    assert updates == [{"update_id": 1, "from_the_future": {"x": 1}}]


async def test_a_webhook_gets_updates_in_order_with_the_secret(
    server: BotApiServer, ask: Ask, receiver: Receiver
) -> None:
    await ask("setWebhook", url=receiver.url, secret_token="s3cret")
    ana = server.person("Ana")
    for number in range(3):
        await ana.says(f"message {number}")
    await server.wait_until(lambda: not server.world.updates.pending)
    assert [secret for secret, _ in receiver.got] == ["s3cret"] * 3
    assert [update["message"]["text"] for _, update in receiver.got] == [
        "message 0",
        "message 1",
        "message 2",
    ]
    info = (await ask("getWebhookInfo"))["result"]
    assert (info["url"], info["pending_update_count"]) == (receiver.url, 0)


async def test_a_failing_webhook_is_tried_again(receiver: Receiver) -> None:
    clock = FakeClock()
    async with BotApiServer(clock=clock) as server:
        receiver.status = 500
        from heraldo.botapi.updates import Webhook

        webhook = Webhook(url=receiver.url)
        server.world.updates.set_webhook(webhook)
        await server.person("Ana").says("hi")
        await server.wait_until(lambda: webhook.last_error_message is not None)
        assert webhook.last_error_message == (
            "Wrong response from the webhook: 500 Internal Server Error"
        )
        assert len(server.world.updates.pending) == 1
        receiver.status = 204
        await clock.advance(1)
        await server.wait_until(lambda: not server.world.updates.pending)
    assert len(receiver.got) == 2


async def test_a_webhook_nobody_listens_on_is_reported(server: BotApiServer, ask: Ask) -> None:
    await ask("setWebhook", url="http://127.0.0.1:9/hook")
    await server.person("Ana").says("hi")
    await server.wait_until(lambda: server.world.updates.webhook.last_error_date is not None)
    info = (await ask("getWebhookInfo"))["result"]
    assert info["pending_update_count"] == 1
    assert "Connection failed" in info["last_error_message"]
    await ask("deleteWebhook", drop_pending_updates=True)
    assert (await ask("getUpdates"))["result"] == []


async def test_polling_and_a_webhook_exclude_each_other(
    server: BotApiServer, app: App, receiver: Receiver
) -> None:
    poll = asyncio.create_task(app.bot.get_updates(timeout=30))
    await server.wait_until(lambda: server.world.updates.is_polled)
    await app.bot.set_webhook(receiver.url)
    with pytest.raises(Conflict, match="terminated by setWebhook request"):
        await poll
    with pytest.raises(Conflict, match="can't use getUpdates method while webhook is active"):
        await app.bot.get_updates()
    await app.bot.delete_webhook()
    assert await app.bot.get_updates() == ()


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"url": "nowhere"}, "bad webhook: Wrong HTTP URL"),
        ({"url": "https://example.org", "secret_token": "no spaces"}, "unallowed characters"),
    ],
)
async def test_wrong_webhooks(ask: Ask, parameters: dict[str, object], reason: str) -> None:
    assert reason in (await ask("setWebhook", **parameters))["description"]


async def test_ptb_behind_a_webhook(server: BotApiServer, app: App) -> None:
    """python-telegram-bot's own way to take updates from another web server."""

    async def echo(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.effective_message is not None
        await update.effective_message.reply_text(f"echo {update.effective_message.text}")

    async def take(request: web.Request) -> web.Response:
        assert request.headers["X-Telegram-Bot-Api-Secret-Token"] == "s3cret"
        await app.update_queue.put(Update.de_json(await request.json(), app.bot))
        return web.Response()

    app.add_handler(MessageHandler(filters.TEXT, echo))
    site = web.Application()
    site.router.add_post("/telegram", take)
    runner = web.AppRunner(site)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await app.start()
    await app.bot.set_webhook(
        f"http://127.0.0.1:{runner.addresses[0][1]}/telegram", secret_token="s3cret"
    )
    ana = server.person("Ana")
    await ana.says("hello")
    (reply,) = await ana.private.wait_for(1)
    await app.stop()
    await runner.cleanup()
    assert reply.text == "echo hello"
