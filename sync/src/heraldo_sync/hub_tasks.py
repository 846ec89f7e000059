"""The tasks around hubs: asking them to push, and looking at a feed that was pushed.

A push only says that a feed has changed. What has changed is fetched from the feed's own server
and goes through every gate of a check, so nothing that is pushed can harm.
"""

import logging
from datetime import timedelta

from colmillo import Backoff, Context, Unique, task
from heraldo_sync.check import check_feed
from heraldo_sync.hub_store import note_delivered
from heraldo_sync.model import Failed
from heraldo_sync.services import SyncServices
from heraldo_sync.statements import statement
from heraldo_sync.tasks import SCHEDULE_QUEUE, SYNC_QUEUE, TICK_BATCH
from heraldo_sync.urls import display
from heraldo_sync.websub import LEASE, PATIENCE, Step, ask_again_after, gap, next_step

logger = logging.getLogger(__name__)

# A queue of its own: a push must not wait behind thousands of feeds that are merely due.
PUSH_QUEUE = "push"
CALLBACK_PATH = "/websub/"
_TASK_TAKES = timedelta(minutes=10)


@task(
    name="ask_hub",
    queue=SYNC_QUEUE,
    unique=True,
    max_attempts=3,
    timeout=timedelta(minutes=3),
    backoff=Backoff.exponential(first=timedelta(seconds=2), cap=timedelta(minutes=1)),
)
async def ask_hub(ctx: Context[SyncServices], feed_id: int) -> None:
    """Asks a feed's hub for what is wanted of it: to push, to go on, or to push no more.

    The hub confirms it later, at the callback. So what was asked is written down first.
    """
    services = ctx.resources
    row = await services.pool.fetchrow(statement("hub_to_ask"), feed_id)
    if row is None or services.public_url is None:
        return
    step = next_step(wanted=row["wanted"], standing=row["standing"], tries=row["tries"])
    if step is Step.REST:
        await services.pool.execute(statement("rest_hub"), feed_id, row["key"])
        return
    asked = await services.pool.fetchval(
        statement("ask_hub"),
        feed_id,
        row["key"],
        step.value,
        services.public_url,
        ask_again_after(row["tries"] + 1, services.rng),
    )
    if asked is None:
        return
    form = {
        "hub.callback": f"{services.public_url}{CALLBACK_PATH}{row['key']}",
        "hub.mode": step.value,
        "hub.topic": row["topic"],
    }
    if step is Step.SUBSCRIBE:
        form["hub.lease_seconds"] = str(int(LEASE.total_seconds()))
        form["hub.secret"] = row["secret"]
    answer = await services.fetcher.post(row["hub"], form)
    about = {"feed_id": feed_id, "hub": display(row["hub"]), "mode": step.value}
    if isinstance(answer, Failed):
        logger.warning(
            "hub not reached or not willing",
            extra={**about, "reason": answer.reason.value, "status": answer.status},
        )
        if answer.retry_after is not None:
            await services.pool.execute(statement("delay_hub"), feed_id, answer.retry_after)
    else:
        logger.info("hub asked", extra=about)


@task(name="hubs", queue=SCHEDULE_QUEUE, unique=True, max_attempts=1)
async def ask_due_hubs(ctx: Context[SyncServices]) -> None:
    """Enqueues a task for every hub that is to be asked, or to be asked again."""
    while await enqueue_hubs(ctx.resources) == TICK_BATCH:
        pass


async def enqueue_hubs(services: SyncServices, *, limit: int = TICK_BATCH) -> int:
    """Enqueues up to ``limit`` hubs whose time has come, in one transaction; returns how many."""
    if services.public_url is None:
        return 0
    async with services.pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(statement("due_hubs"), limit)
        feed_ids = [row["feed_id"] for row in rows]
        if feed_ids:
            await connection.execute(statement("postpone_hubs"), feed_ids, _TASK_TAKES)
            await services.queue.enqueue_many(
                [ask_hub.new(feed_id=feed_id) for feed_id in feed_ids], connection=connection
            )
    return len(feed_ids)


@task(
    name="look_at_pushed",
    queue=PUSH_QUEUE,
    unique=Unique(states="waiting"),
    max_attempts=3,
    timeout=timedelta(minutes=3),
    backoff=Backoff.exponential(first=timedelta(seconds=1), cap=timedelta(minutes=1)),
)
async def look_at_pushed(ctx: Context[SyncServices], feed_id: int) -> None:
    """Checks a feed because its hub says that it has changed.

    Unique until it begins: a push that comes in later may be about something that this look
    does not see, so it gets a look of its own. A look that sees nothing new may have been shown
    an old copy; it is repeated a few times, later and later.
    """
    services = ctx.resources
    fruitless = await services.pool.fetchval(statement("begin_look"), feed_id)
    if fruitless is None:
        return
    await check_feed(services, feed_id)
    if not await note_delivered(services.pool, feed_id) and fruitless < PATIENCE:
        await services.queue.enqueue(
            look_at_pushed.new(feed_id=feed_id).with_options(delay=gap(fruitless))
        )
