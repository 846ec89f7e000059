"""The delivery task: a target's waiting posts, oldest first, each recorded when it is sent.

A crash between Telegram's answer and the record repeats one message; nothing else can.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from colmillo import Context, Outcome, Retry, Snooze
from heraldo import keyboards, texts
from heraldo.limits import SendLimits
from heraldo.render import link_only, plain, render
from heraldo.sender import (
    ChatGone,
    Migrated,
    Rejected,
    RetryAfter,
    SendOutcome,
    Sent,
    TargetAddress,
    TopicGone,
    Unavailable,
)
from heraldo.services import Services
from heraldo_sync.messages import deliver_target
from heraldo_sync.model import Entry
from heraldo_sync.notices import Notice
from heraldo_sync.outbox import Address, Delivery, nothing_waits
from heraldo_sync.pace import EVERYBODY

logger = logging.getLogger(__name__)

T = TypeVar("T")

# One run sends so many at most, then makes room for other targets.
RUN_LENGTH = 20
# A wait that is shorter is spent in the task; a longer one gives the worker's slot back.
PATIENCE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class _Changed:
    """The row is not as we read it: unsubscribed meanwhile, or another worker's. Look again."""


async def deliver(ctx: Context[Services], target_id: int) -> Outcome | None:
    """Sends up to ``RUN_LENGTH`` posts, then ends in the transaction that sees nothing waits."""
    services = ctx.resources
    waiting = await services.outbox.waiting(target_id, RUN_LENGTH)
    # A post that was begun comes first: its parts belong together, whatever was added meanwhile.
    for delivery in sorted(waiting, key=lambda one: not one.parts_sent):
        address = await services.outbox.address_of(delivery)
        if address is None:
            continue
        if not address.open:
            break
        if await _fold(services, target_id, address, delivery):
            continue
        ended = await Sending(ctx, target_id, address, delivery).run()
        if ended is not None:
            return ended
    async with services.pool.acquire() as connection, connection.transaction():
        if await nothing_waits(connection, target_id):
            await ctx.complete(connection=connection)
            return None
    return Snooze(timedelta(0))


async def _fold(services: Services, target_id: int, address: Address, delivery: Delivery) -> bool:
    """Whether the post need not be sent, because another feed's has been."""
    entry = delivery.foldable if address.folds else None
    if entry is None:
        return False
    return await services.subscriptions.folding.fold(target_id, delivery.id, entry)


class Sending:
    """One post on its way to one target."""

    def __init__(
        self, ctx: Context[Services], target_id: int, address: Address, delivery: Delivery
    ) -> None:
        self._ctx = ctx
        self._services = ctx.resources
        self._target_id = target_id
        self._address = address
        self._delivery = delivery
        self._recorded = delivery.parts_sent

    async def run(self) -> Outcome | None:
        """Sends the post in the best form Telegram takes: HTML, plain, the link alone.

        None when the next post may follow; an outcome when the task must stop here.
        """
        reason = ""
        for parts in _forms(self._delivery.content):
            answer = await self._send_parts(parts)
            if not isinstance(answer, Rejected):
                return answer
            reason = answer.description
        await self._services.outbox.set_aside(self._delivery, reason)
        logger.error(
            "post set aside",
            extra={
                "delivery_id": self._delivery.id,
                "chat_id": self._address.chat_id,
                "reason": reason,
            },
        )
        return None

    async def _send_parts(self, parts: tuple[str, ...]) -> Outcome | Rejected | None:
        """Goes on after the parts that are recorded; a shorter form has its last part left."""
        first = min(self._recorded, len(parts) - 1)
        for part in range(first, len(parts)):
            if (pause := await self._wait_for_slot()) is not None:
                return pause
            last = part == len(parts) - 1
            answer = await _finish(self._send_and_record(parts[part], last=last))
            if isinstance(answer, Rejected):
                return answer
            if isinstance(answer, _Changed):
                return Snooze(timedelta(0))
            if not isinstance(answer, Sent):
                return await self._stop(answer)
        return None

    async def _wait_for_slot(self) -> Snooze | None:
        """Waits for the chat's turn, then for a slot of all; long waits are snoozed away."""
        limits: SendLimits = self._services.limits
        for chat_id, interval in (
            (self._address.chat_id, limits.between(self._address.kind)),
            (EVERYBODY, limits.overall),
        ):
            slot = await self._services.pace.reserve(chat_id, interval, patience=PATIENCE)
            if not slot.taken:
                return Snooze(slot.wait)
            if slot.wait:
                await self._ctx.clock.sleep(slot.wait.total_seconds())
        return None

    async def _send_and_record(self, html: str, *, last: bool) -> SendOutcome | _Changed:
        # A worker that stalled here may not be the owner any more: then another one sends it.
        self._ctx.check_lease()
        content = self._delivery.content
        notice = content if isinstance(content, Notice) else None
        answer = await self._services.sender.send(
            TargetAddress(chat_id=self._address.chat_id, topic_id=self._address.topic_id),
            html,
            preview=not notice,
            markup=keyboards.notice(notice) if notice and last else None,
        )
        if isinstance(answer, Sent):
            ours = await self._services.outbox.part_sent(
                self._delivery,
                self._recorded,
                answer.message_id,
                last=last,
                folds=self._address.folds,
            )
            if not ours:
                return _Changed()
            self._recorded += 1
        return answer

    async def _stop(
        self, answer: RetryAfter | ChatGone | TopicGone | Migrated | Unavailable
    ) -> Outcome:
        """What an answer other than "sent" means for the target; no row is ever dropped."""
        chat_id = self._address.chat_id
        subscriptions = self._services.subscriptions
        match answer:
            case RetryAfter():
                await self._services.pace.hold(chat_id, answer.delay)
                return Snooze(answer.delay)
            case Unavailable():
                return Retry(answer.reason)
            case Migrated():
                await subscriptions.migrate_chat(chat_id, answer.new_chat_id)
            case ChatGone():
                logger.warning(
                    "chat suspended", extra={"chat_id": chat_id, "reason": answer.reason}
                )
                await subscriptions.suspend_chat(chat_id, answer.reason)
            case TopicGone():
                logger.warning(
                    "topic closed", extra={"target_id": self._target_id, "reason": answer.reason}
                )
                await subscriptions.close_target(self._target_id, answer.reason)
        return Snooze(timedelta(0))


def _forms(content: Entry | Notice) -> Iterator[tuple[str, ...]]:
    """The parts of a message in each form it has, the best first, each made when it is needed."""
    if isinstance(content, Notice):
        yield (texts.notice(content),)
        return
    for write in (render, plain, link_only):
        yield write(content)


async def _finish(work: Coroutine[Any, Any, T]) -> T:
    """Sees a message that is on its way through to its record, even when the task is cancelled.

    Otherwise every orderly shutdown could repeat the message it interrupted.
    """
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


deliver_task = deliver_target.handled_by(deliver)
