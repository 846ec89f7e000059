"""The bot on a real application, a real database and the project's Bot API server, over HTTP."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

from colmillo import Queue
from colmillo.clock import SystemClock
from heraldo.access import Access
from heraldo.application import ALLOWED_UPDATES, build_application
from heraldo.botapi import BotApiServer, Chat, Message, Person
from heraldo_sync.private import Private
from heraldo_sync.statements import statement
from heraldo_sync.subscriptions import Subscriptions


@dataclass(slots=True)
class Requests:
    """Writes down what the handlers ask for; ``offered`` is how many choices there are."""

    notify: Callable[[], None]
    asked: list[dict[str, Any]] = field(default_factory=list)
    chosen: list[dict[str, Any]] = field(default_factory=list)
    checked: list[dict[str, Any]] = field(default_factory=list)
    offered: int = 2
    failure: Exception | None = None
    keeps_secrets: bool = True

    async def request(
        self,
        *,
        target_id: int,
        chat_id: int,
        topic_id: int,
        url: str,
        reply_message_id: int,
        private: Private | None = None,
    ) -> None:
        if self.failure is not None:
            raise self.failure
        self.asked.append(
            {
                "target_id": target_id,
                "chat_id": chat_id,
                "topic_id": topic_id,
                "url": url,
                "reply_message_id": reply_message_id,
                "private": private,
            }
        )
        self.notify()

    async def choose(self, *, target_id: int, chat_id: int, message_id: int, index: int) -> bool:
        self.chosen.append({"chat_id": chat_id, "message_id": message_id, "index": index})
        return index < self.offered

    async def check(
        self,
        *,
        target_id: int,
        chat_id: int,
        topic_id: int,
        subscription_id: int,
        reply_message_id: int,
    ) -> None:
        self.checked.append({"chat_id": chat_id, "subscription_id": subscription_id})
        self.notify()

    @property
    def urls(self) -> list[str]:
        return [asked["url"] for asked in self.asked]


@dataclass(slots=True, kw_only=True)
class Scene:
    """A running bot and its owner."""

    api: BotApiServer
    owner: Person
    pool: asyncpg.Pool
    subscriptions: Subscriptions
    requests: Requests

    async def follow(
        self, chat: Chat, url: str, title: str, *, topic_id: int = 0, error: str | None = None
    ) -> int:
        """Subscribes a chat as a worker would; returns the subscription's id."""
        target_id = await self.subscriptions.target(
            chat_id=chat.id, kind=chat.state.kind, title=chat.state.title, topic_id=topic_id
        )
        feed_id = await self.pool.fetchval(statement("upsert_feed"), url, title)
        if error is not None:
            await self.pool.execute(
                "UPDATE feeds SET failing_since = '2026-11-03 08:00Z', last_error = $2"
                " WHERE id = $1",
                feed_id,
                error,
            )
        added: int = await self.pool.fetchval(statement("insert_subscription"), target_id, feed_id)
        return added

    async def followed(self, chat: Chat, *, topic_id: int = 0) -> list[str]:
        """The titles a chat follows."""
        target_id = await self.subscriptions.target(
            chat_id=chat.id, kind=chat.state.kind, title=chat.state.title, topic_id=topic_id
        )
        page = await self.subscriptions.page(target_id, offset=0, limit=100)
        return [view.title for view in page.items]

    async def ask(self, text: str) -> Message:
        """The owner says something in private; returns the bot's next message."""
        before = len(self.owner.private.from_bot)
        await self.owner.says(text)
        return (await self.owner.private.wait_for(before + 1))[before]


@pytest.fixture
async def api() -> AsyncIterator[BotApiServer]:
    async with BotApiServer() as server:
        yield server


@pytest.fixture
async def scene(api: BotApiServer, pool: asyncpg.Pool, queue: Queue) -> AsyncIterator[Scene]:
    owner = api.person("Olga")
    subscriptions = Subscriptions(pool, queue)
    requests = Requests(api.world.changed.notify)
    application = build_application(
        token=api.token,
        api_url=api.base_url,
        subscriptions=subscriptions,
        requests=requests,
        access=Access(owner.id, SystemClock()),
    )
    async with application:
        assert application.updater is not None
        await application.start()
        await application.updater.start_polling(allowed_updates=ALLOWED_UPDATES)
        yield Scene(api=api, owner=owner, pool=pool, subscriptions=subscriptions, requests=requests)
        await application.updater.stop()
        await application.stop()
