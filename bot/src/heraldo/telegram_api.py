"""The connection to a Bot API server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from telegram import Bot
from telegram.request import HTTPXRequest

import heraldo.ptb  # noqa: F401 - before the library is used
from heraldo.errors import BadSettings
from heraldo.settings import Settings

CONNECTIONS = 64


@asynccontextmanager
async def open_bot(settings: Settings) -> AsyncIterator[Bot]:
    """A bot that can send; nothing is asked of Telegram yet, so it may be down.

    Raises:
        BadSettings: there is no token.
    """
    if settings.telegram_bot_token is None:
        raise BadSettings("TELEGRAM_BOT_TOKEN is not set")
    request = HTTPXRequest(
        connection_pool_size=CONNECTIONS,
        connect_timeout=10,
        read_timeout=30,
        write_timeout=30,
        pool_timeout=60,
    )
    bot = Bot(
        settings.telegram_bot_token.get_secret_value(),
        base_url=f"{settings.telegram_api_url}/bot",
        base_file_url=f"{settings.telegram_api_url}/file/bot",
        request=request,
        get_updates_request=request,
    )
    try:
        yield bot
    finally:
        await request.shutdown()
