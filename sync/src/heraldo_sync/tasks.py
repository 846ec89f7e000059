"""The tasks of this layer."""

from datetime import timedelta

from colmillo import Backoff, Context, task
from heraldo_sync.check import check_feed
from heraldo_sync.hub_store import note_missed
from heraldo_sync.messages import deliver_target
from heraldo_sync.schedule import in_turns
from heraldo_sync.services import SyncServices
from heraldo_sync.statements import statement

SCHEDULE_QUEUE = "schedule"
SYNC_QUEUE = "sync"
TICK_BATCH = 1000
# As many feeds of a host are checked one after another as it may be asked at once.
TOGETHER = 2
STRANDED_AFTER = timedelta(minutes=2)


@task(
    name="sync_feed",
    queue=SYNC_QUEUE,
    unique=True,
    max_attempts=3,
    timeout=timedelta(minutes=3),
    backoff=Backoff.exponential(first=timedelta(seconds=2), cap=timedelta(minutes=1)),
)
async def sync_feed(ctx: Context[SyncServices], feed_id: int) -> None:
    """Checks one feed. Unique: a feed still queued or running is not queued twice."""
    new = await check_feed(ctx.resources, feed_id)
    if new and ctx.resources.public_url:
        await note_missed(ctx.resources.pool, feed_id)


@task(name="tick", queue=SCHEDULE_QUEUE, unique=True, max_attempts=1)
async def tick(ctx: Context[SyncServices]) -> None:
    """Enqueues a sync task for every due feed, and delivery tasks that went missing."""
    while await enqueue_due(ctx.resources) == TICK_BATCH:
        pass
    await enqueue_stranded(ctx.resources)
    await ctx.resources.pool.execute(statement("forget_holds"))


async def enqueue_due(services: SyncServices, *, limit: int = TICK_BATCH) -> int:
    """Enqueues up to ``limit`` due feeds and moves their next check, in one transaction.

    Any number of ticks may run at once. Returns how many feeds were due. The look-ahead of
    half an interval keeps a check that took a moment from missing the very next tick.
    """
    async with services.pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(statement("due_feeds"), limit, services.interval / 2)
        feed_ids = in_turns([(row["id"], row["host"]) for row in rows], together=TOGETHER)
        if feed_ids:
            await connection.execute(statement("postpone_feeds"), feed_ids, services.interval)
            await services.queue.enqueue_many(
                [sync_feed.new(feed_id=feed_id) for feed_id in feed_ids], connection=connection
            )
    return len(feed_ids)


async def enqueue_stranded(services: SyncServices) -> int:
    """Enqueues the delivery of open targets whose rows have waited for long.

    Nothing strands by design (docs/decisions/0003-no-stranded-delivery.md); this is for what
    the design did not foresee, an archived task for one.
    """
    async with services.pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(statement("stranded_targets"), STRANDED_AFTER)
        await services.queue.enqueue_many(
            [deliver_target.new(target_id=row["target_id"]) for row in rows],
            connection=connection,
        )
    return len(rows)
