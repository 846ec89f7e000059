"""The bot process: takes updates by long polling until it is asked to stop."""

import asyncio
import logging
from datetime import timedelta
from itertools import count

from telegram.error import InvalidToken, TelegramError

from colmillo import Backoff
from colmillo.clock import Clock, SystemClock
from heraldo.access import Access
from heraldo.application import (
    ALLOWED_UPDATES,
    AnyApplication,
    build_application,
    set_commands,
)
from heraldo.errors import BadSettings
from heraldo.redact import redact
from heraldo.requests import QueuedRequests
from heraldo.services import Services
from heraldo.settings import Settings
from heraldo.stopping import Stop

logger = logging.getLogger(__name__)

RECONNECT = Backoff.exponential(first=timedelta(seconds=1), cap=timedelta(minutes=1))
# Telegram holds a poll open for this long when there is nothing to tell.
POLL_SECONDS = 30
GRACE_SECONDS = 10


def make_application(settings: Settings, services: Services) -> AnyApplication:
    """The bot's application on these services. Raises BadSettings when there is no token."""
    if settings.telegram_bot_token is None:
        raise BadSettings("TELEGRAM_BOT_TOKEN is not set")
    return build_application(
        token=settings.telegram_bot_token.get_secret_value(),
        api_url=settings.telegram_api_url,
        subscriptions=services.subscriptions,
        requests=QueuedRequests(services.queue, services.choices, services.outbox, services.vault),
        access=Access(settings.owner_telegram_id, SystemClock()),
    )


async def serve(application: AnyApplication, services: Services, stop: Stop) -> None:
    """Answers commands; waits for Telegram as long as it takes when it cannot be reached.

    Raises:
        BadSettings: Telegram does not know the token.
    """
    if await _connect(application, services, stop, SystemClock()):
        await _poll(application, stop)
    await application.shutdown()


def is_idle(application: AnyApplication) -> bool:
    """Whether every update that came in has been handled."""
    return (
        application.update_queue.empty()
        and not application.update_processor.current_concurrent_updates
    )


async def _connect(
    application: AnyApplication, services: Services, stop: Stop, clock: Clock
) -> bool:
    """Gets to know who we are, however long that takes; False when it was asked to stop."""
    for attempt in count(1):
        try:
            await application.initialize()
        except InvalidToken as error:
            raise BadSettings("TELEGRAM_BOT_TOKEN: Telegram does not know this token") from error
        except TelegramError as error:
            delay = RECONNECT.delay(attempt, services.rng)
            logger.warning(
                "Telegram cannot be reached",
                extra={"reason": redact(error.message), "again_in_seconds": delay.total_seconds()},
            )
            if await _stopped_within(stop, clock, delay.total_seconds()):
                return False
        else:
            return True
    return False


async def _stopped_within(stop: Stop, clock: Clock, seconds: float) -> bool:
    asked = asyncio.ensure_future(stop.wait())
    pause = asyncio.ensure_future(clock.sleep(seconds))
    done, pending = await asyncio.wait({asked, pause}, return_when=asyncio.FIRST_COMPLETED)
    for waiting in pending:
        waiting.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    return asked in done


async def _poll(application: AnyApplication, stop: Stop) -> None:
    updater = application.updater
    assert updater is not None  # the builder makes one unless it is told not to
    await set_commands(application.bot)
    await application.start()
    await updater.start_polling(
        timeout=POLL_SECONDS,
        bootstrap_retries=-1,
        allowed_updates=ALLOWED_UPDATES,
        error_callback=_poll_failed,
    )
    logger.info("listening", extra={"bot": application.bot.username})
    try:
        await stop.wait()
    finally:
        await updater.stop()
        await _let_finish(application)


def _poll_failed(error: TelegramError) -> None:
    """A line instead of a traceback per poll; the library tries again by itself."""
    logger.warning("Telegram cannot be reached", extra={"reason": redact(error.message)})


async def _let_finish(application: AnyApplication) -> None:
    """Gives what came in a while to be answered, not for ever: the database may be gone."""
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            await application.stop()
    except TimeoutError:
        logger.warning("stopped with unanswered updates")
