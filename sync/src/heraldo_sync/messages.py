"""The task that the sync enqueues and the bot carries out."""

from datetime import timedelta

from colmillo import Backoff, declare

DELIVERY_QUEUE = "delivery"


@declare(
    name="deliver_target",
    queue=DELIVERY_QUEUE,
    unique=True,
    max_attempts=None,
    timeout=timedelta(minutes=10),
    backoff=Backoff.exponential(first=timedelta(seconds=1), cap=timedelta(minutes=1)),
)
async def deliver_target(target_id: int) -> None:
    """Sends a target's waiting deliveries, oldest first.

    One live task per target at any time: the hash covers waiting and running tasks. It never
    gives up, because the posts it stands for must not be lost.
    """
