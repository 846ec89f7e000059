"""``heraldo run`` without a token: the whole application, and a chat with it in this terminal."""

import asyncio
import contextlib
import logging
import sys

from pydantic import SecretStr

from colmillo import PostgresStore
from colmillo.clock import SystemClock
from colmillo.store import State
from heraldo.application import AnyApplication
from heraldo.botapi import BotApiServer
from heraldo.botapi.people import Person
from heraldo.database import database, migrate
from heraldo.logs import set_up_logging
from heraldo.polling import is_idle, make_application
from heraldo.processes import open_services, run_everything
from heraldo.requests import REQUEST_QUEUE
from heraldo.services import Services
from heraldo.settings import Settings
from heraldo.stopping import Stop, on_signals
from heraldo.terminal import chat
from heraldo_sync.messages import DELIVERY_QUEUE

logger = logging.getLogger(__name__)

# Its own database beside the bot's: a person in a terminal is nobody Telegram knows.
DATABASE = "terminal"
LOG_FILE = "terminal.log"
SETTLES_WITHIN = 45.0
LOOK_EVERY = 0.1


async def run_in_terminal(settings: Settings) -> None:
    """Runs everything against our own Bot API server until the person leaves.

    What the application logs goes to a file in the data folder, not between the lines.
    """
    settings.heraldo_data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.heraldo_data_dir / LOG_FILE).open("a", encoding="utf-8") as log:
        set_up_logging(settings.log_level, log)
        stop = Stop()
        async with database(settings, name=DATABASE) as dsn, BotApiServer() as server:
            person = server.person("You")
            mine = settings.model_copy(
                update={
                    "telegram_bot_token": SecretStr(server.token),
                    "telegram_api_url": server.base_url,
                    "owner_telegram_id": person.id,
                    # Hubs know the bot itself by that address.
                    "public_url": None,
                }
            )
            await migrate(dsn)
            with on_signals(stop):
                async with open_services(mine, dsn) as services:
                    await _talk(mine, services, stop, server, person)


async def _talk(
    settings: Settings, services: Services, stop: Stop, server: BotApiServer, person: Person
) -> None:
    """The application and the chat at once; the end of one is the end of the other."""

    application = make_application(settings, services)

    async def settled() -> None:
        await wait_until_idle(application, services)

    talking = asyncio.create_task(
        chat(server, person, stdin=sys.stdin, stdout=sys.stdout, settled=settled)
    )
    running = asyncio.create_task(run_everything(application, services, stop))
    asked = asyncio.create_task(stop.wait())
    await asyncio.wait({talking, running, asked}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.asked:
        stop.ask()
    for task in (talking, asked):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await running


async def wait_until_idle(application: AnyApplication, services: Services) -> None:
    """Returns when nothing that was asked for is still to be answered or sent; for scripts."""
    clock = SystemClock()
    store = PostgresStore(services.pool)
    give_up = clock.monotonic() + SETTLES_WITHIN
    while clock.monotonic() < give_up:
        counts = await store.counts()
        if is_idle(application) and not any(
            counts.get((queue, state), 0)
            for queue in (REQUEST_QUEUE, DELIVERY_QUEUE)
            for state in (State.WAITING, State.RUNNING)
        ):
            return
        await clock.sleep(LOOK_EVERY)
