"""The whole application in the test's own process, with a fetcher of the test's choice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from colmillo import PostgresStore, Queue
from heraldo.botapi import BotApiServer, Person
from heraldo.limits import SendLimits
from heraldo.polling import make_application
from heraldo.processes import run_everything
from heraldo.replies import Replies
from heraldo.sender import Sender
from heraldo.services import Services
from heraldo.settings import Settings
from heraldo.stopping import Stop
from heraldo.telegram_api import open_bot
from heraldo_sync.choices import ChoiceStore
from heraldo_sync.database import Pool
from heraldo_sync.fetch import Fetcher
from heraldo_sync.outbox import Outbox
from heraldo_sync.pace import Pace
from heraldo_sync.parse import Parser
from heraldo_sync.subscriptions import Subscriptions


@asynccontextmanager
async def make_services(
    pool: Pool, server: BotApiServer, fetcher: Fetcher, limits: SendLimits | None = None
) -> AsyncIterator[Services]:
    """Services on a migrated database."""
    queue = Queue(PostgresStore(pool))
    async with open_bot(settings_for(server)) as bot, Parser() as parser:
        yield Services(
            pool=pool,
            queue=queue,
            fetcher=fetcher,
            parser=parser,
            sender=Sender(bot),
            replies=Replies(bot),
            outbox=Outbox(pool),
            pace=Pace(pool),
            subscriptions=Subscriptions(pool, queue),
            choices=ChoiceStore(pool),
            limits=limits or SendLimits(),
        )


def settings_for(server: BotApiServer, owner: Person | None = None) -> Settings:
    """Settings that lead to this server."""
    return Settings.model_validate(
        {
            "telegram_bot_token": server.token,
            "telegram_api_url": server.base_url,
            "owner_telegram_id": owner.id if owner else None,
        }
    )


@asynccontextmanager
async def application_running(
    services: Services, server: BotApiServer, owner: Person
) -> AsyncIterator[None]:
    """Bot, scheduler and workers, for the length of the block."""
    stop = Stop()
    application = make_application(settings_for(server, owner), services)
    running = asyncio.create_task(run_everything(application, services, stop))
    try:
        yield
    finally:
        stop.ask()
        await running
