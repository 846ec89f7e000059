"""What a command asks of the network: carried out by a worker, which then edits the answer."""

import logging
from datetime import datetime, timedelta

from telegram import InlineKeyboardMarkup

from colmillo import Backoff, Context, Outcome, Queue, Retry, Snooze, task
from heraldo import keyboards, texts
from heraldo.sender import RetryAfter, Sent, TargetAddress, Unavailable
from heraldo.services import Services
from heraldo_sync import failures
from heraldo_sync.check import check_feed
from heraldo_sync.choices import ChoiceStore
from heraldo_sync.model import Failed
from heraldo_sync.outbox import Outbox
from heraldo_sync.private import Private
from heraldo_sync.subscribing import Choices, Found, Subscribed, look, subscribe
from heraldo_sync.subscriptions import SubscriptionView
from heraldo_sync.urls import display
from heraldo_sync.vault import Vault

logger = logging.getLogger(__name__)

REQUEST_QUEUE = "request"
CHECK_AGAIN_AFTER = timedelta(seconds=30)


@task(
    name="subscribe",
    queue=REQUEST_QUEUE,
    unique=True,
    max_attempts=10,
    timeout=timedelta(minutes=3),
    backoff=Backoff.exponential(first=timedelta(seconds=1), cap=timedelta(seconds=30)),
)
async def subscribe_request(
    ctx: Context[Services],
    target_id: int,
    chat_id: int,
    topic_id: int,
    url: str,
    reply_message_id: int,
    sealed: str | None = None,
) -> Outcome | None:
    """Reads an address and subscribes the target, then says in its answer how that went.

    ``sealed`` are the private headers to ask with, locked away: a task's arguments are stored.
    """
    services = ctx.resources
    result = await _subscribe(services, target_id, url, sealed)
    html, keyboard = answer(url, result)
    target = TargetAddress(chat_id=chat_id, topic_id=topic_id)
    sent = await services.replies.rewrite(target, reply_message_id, html, keyboard)
    match sent:
        case Sent():
            if isinstance(result, Choices):
                await services.choices.offer(
                    chat_id=chat_id,
                    message_id=sent.message_id,
                    target_id=target_id,
                    links=result.links,
                    sealed=sealed,
                )
            return None
        case RetryAfter():
            return Snooze(sent.delay)
        case Unavailable():
            return Retry(sent.reason)
        case _:
            # The chat does not take our answer; the subscription stands, if there is one.
            logger.warning("answer not delivered", extra={"chat_id": chat_id})
            return None


async def _subscribe(
    services: Services, target_id: int, url: str, sealed: str | None
) -> Subscribed | Choices | Failed:
    private: Private | None = None
    if sealed is not None:
        private = services.vault.open(sealed) if services.vault is not None else None
        if private is None:
            return failures.locked()
    found = await look(services, url, private)
    return await subscribe(services, target_id, found) if isinstance(found, Found) else found


@task(
    name="check",
    queue=REQUEST_QUEUE,
    unique=True,
    max_attempts=10,
    timeout=timedelta(minutes=3),
    backoff=Backoff.exponential(first=timedelta(seconds=1), cap=timedelta(seconds=30)),
)
async def check_request(
    ctx: Context[Services],
    target_id: int,
    chat_id: int,
    topic_id: int,
    subscription_id: int,
    reply_message_id: int,
) -> Outcome | None:
    """Checks a subscription's feed because somebody asked, and says how that went.

    A feed that was asked a moment ago is not asked again, however often the button is pressed.
    """
    services = ctx.resources
    view = await services.subscriptions.get(target_id, subscription_id)
    if view is not None and not _asked_just_now(view, ctx.clock.now()):
        await check_feed(services, view.feed_id)
        view = await services.subscriptions.get(target_id, subscription_id)
    html, keyboard = (
        (texts.checked(view), keyboards.checked(view)) if view else (texts.ALREADY_GONE, None)
    )
    target = TargetAddress(chat_id=chat_id, topic_id=topic_id)
    sent = await services.replies.rewrite(target, reply_message_id, html, keyboard)
    match sent:
        case RetryAfter():
            return Snooze(sent.delay)
        case Unavailable():
            return Retry(sent.reason)
        case _:
            return None


def _asked_just_now(view: SubscriptionView, now: datetime) -> bool:
    return view.checked_at is not None and now - view.checked_at < CHECK_AGAIN_AFTER


def answer(
    url: str, result: Subscribed | Choices | Failed
) -> tuple[str, InlineKeyboardMarkup | None]:
    """What the person who asked is told, and the buttons under it."""
    match result:
        case Subscribed(already=True):
            return texts.already_subscribed(result.title, result.url), None
        case Subscribed(replaced=True):
            html = texts.resubscribed(result.title, result.url)
            return html + texts.about_private(result), None
        case Subscribed():
            html = texts.subscribed(result.title, result.url, result.newest)
            return html + texts.about_private(result), None
        case Choices():
            return texts.choices(url, result.links), keyboards.choices(result.links)
        case Failed():
            return texts.failed(display(url), result.message), None


class QueuedRequests:
    """Writes the work down as a task, which a worker takes at once."""

    def __init__(
        self, queue: Queue, choices: ChoiceStore, outbox: Outbox, vault: Vault | None = None
    ) -> None:
        self._queue = queue
        self._choices = choices
        self._outbox = outbox
        self._vault = vault

    @property
    def keeps_secrets(self) -> bool:
        """Whether there is a key to lock private headers with."""
        return self._vault is not None

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
        """Asks for a subscription to ``url``; the result replaces the message named.

        Raises:
            ValueError: there are private headers and no key.
        """
        sealed: str | None = None
        if private is not None:
            if self._vault is None:
                raise ValueError("there is no key for private headers")
            sealed = self._vault.seal(private)
        await self._queue.enqueue(
            subscribe_request.new(
                target_id=target_id,
                chat_id=chat_id,
                topic_id=topic_id,
                url=url,
                reply_message_id=reply_message_id,
                sealed=sealed,
            )
        )

    async def check(
        self,
        *,
        target_id: int,
        chat_id: int,
        topic_id: int,
        subscription_id: int,
        reply_message_id: int,
    ) -> None:
        """Asks for a check of a subscription's feed; the result replaces the message named."""
        await self._queue.enqueue(
            check_request.new(
                target_id=target_id,
                chat_id=chat_id,
                topic_id=topic_id,
                subscription_id=subscription_id,
                reply_message_id=reply_message_id,
            )
        )

    async def choose(self, *, target_id: int, chat_id: int, message_id: int, index: int) -> bool:
        """Asks for the feed that a message offers under this number; False: it offers none."""
        chosen = await self._choices.chosen(
            chat_id=chat_id, message_id=message_id, target_id=target_id, index=index
        )
        address = await self._outbox.address(target_id)
        if chosen is None or address is None:
            return False
        await self._queue.enqueue(
            subscribe_request.new(
                target_id=target_id,
                chat_id=chat_id,
                topic_id=address.topic_id,
                url=chosen.url,
                reply_message_id=message_id,
                sealed=chosen.sealed,
            )
        )
        return True
