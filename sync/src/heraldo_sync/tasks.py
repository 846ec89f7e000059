"""The tasks of this layer."""

from collections import Counter
from datetime import timedelta

from colmillo import Backoff, Context, Snooze, task
from heraldo_sync.check import check_feed
from heraldo_sync.hosts import HOST_QUEUE, TOGETHER, give_moments, key_of, postpone, take_turn
from heraldo_sync.hub_store import note_missed
from heraldo_sync.messages import deliver_target
from heraldo_sync.schedule import in_turns
from heraldo_sync.services import SyncServices
from heraldo_sync.spreading import Due, part
from heraldo_sync.statements import statement

SCHEDULE_QUEUE = "schedule"
SYNC_QUEUE = "sync"
TICK_BATCH = 1000
STRANDED_AFTER = timedelta(minutes=2)


@task(
    name="sync_feed",
    queue=SYNC_QUEUE,
    unique=True,
    max_attempts=3,
    timeout=timedelta(minutes=3),
    backoff=Backoff.exponential(first=timedelta(seconds=2), cap=timedelta(minutes=1)),
)
async def sync_feed(ctx: Context[SyncServices], feed_id: int) -> Snooze | None:
    """Checks one feed. Unique: a feed still queued or running is not queued twice.

    One of a host with many feeds comes by `HOST_QUEUE`, and takes a turn of its host's.
    """
    services = ctx.resources
    if ctx.task.queue == HOST_QUEUE:
        turn = await take_turn(services.pool, feed_id, services.host_interval)
        if not turn.taken:
            return Snooze(turn.wait + services.interval * services.rng.random())
        if turn.wait:
            await ctx.clock.sleep(turn.wait.total_seconds())
    new = await check_feed(services, feed_id)
    if new and services.public_url:
        await note_missed(services.pool, feed_id)
    return None


@task(name="tick", queue=SCHEDULE_QUEUE, unique=True, max_attempts=1)
async def tick(ctx: Context[SyncServices]) -> None:
    """Enqueues a sync task for every due feed, and delivery tasks that went missing."""
    met = Counter[str]()
    while await enqueue_due(ctx.resources, met=met) == TICK_BATCH:
        pass
    await enqueue_stranded(ctx.resources)
    await ctx.resources.pool.execute(statement("forget_holds"))
    await ctx.resources.pool.execute(statement("forget_busy_hosts"))


async def enqueue_due(
    services: SyncServices, *, limit: int = TICK_BATCH, met: Counter[str] | None = None
) -> int:
    """Enqueues up to ``limit`` due feeds and moves their next check, in one transaction.

    Any number of ticks may run at once. Returns how many feeds were due. The look-ahead of
    half an interval keeps a check that took a moment from missing the very next tick. ``met``
    counts the hosts of one tick's batches (`part`).
    """
    async with services.pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(statement("due_feeds"), limit, services.interval / 2)
        due = [Due(feed_id=row["id"], host=row["host"], busy=row["busy"]) for row in rows]
        plain, busy = part(due, Counter() if met is None else met, together=TOGETHER)
        tasks = []
        if plain:
            feed_ids = in_turns([(feed.feed_id, feed.host) for feed in plain], together=TOGETHER)
            await connection.execute(statement("postpone_feeds"), feed_ids, services.interval)
            tasks += [sync_feed.new(feed_id=feed_id) for feed_id in feed_ids]
        if busy:
            given = await give_moments(connection, busy, services.host_interval)
            await postpone(connection, given, services.interval)
            tasks += [
                sync_feed.new(feed_id=moment.feed_id).with_options(
                    queue=HOST_QUEUE, delay=moment.wait, concurrency_key=key_of(moment.host)
                )
                for moment in given
            ]
        await services.queue.enqueue_many(tasks, connection=connection)
    return len(due)


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
