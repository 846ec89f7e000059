"""The tasks of this layer."""

from datetime import timedelta

from colmillo import Backoff, Context, Snooze, task
from heraldo_sync.check import check_feed
from heraldo_sync.hosts import (
    HOST_QUEUE,
    TOGETHER,
    give_moments,
    key_of,
    postpone,
    recently_met,
    remember_met,
    take_turn,
)
from heraldo_sync.hub_store import note_missed
from heraldo_sync.messages import deliver_target
from heraldo_sync.schedule import look_ahead
from heraldo_sync.services import SyncServices
from heraldo_sync.spreading import Due, Met, own_moments, part
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
    """Enqueues a sync task for every feed that is due until the tick after the next."""
    services = ctx.resources
    if not await services.pool.fetchval(statement("any_due"), look_ahead(services.interval)):
        return
    met = await recently_met(services.pool)
    while await enqueue_due(services, met=met) == TICK_BATCH:
        pass


@task(name="tidy", queue=SCHEDULE_QUEUE, unique=True, max_attempts=1)
async def tidy(ctx: Context[SyncServices]) -> None:
    """Enqueues delivery tasks that went missing, and forgets what is over about hosts."""
    await enqueue_stranded(ctx.resources)
    for name in ("forget_holds", "forget_busy_hosts", "forget_met"):
        await ctx.resources.pool.execute(statement(name))


async def enqueue_due(
    services: SyncServices, *, limit: int = TICK_BATCH, met: Met | None = None
) -> int:
    """Enqueues up to ``limit`` feeds that are due soon, each for its moment, and moves their next
    check, in one transaction.

    Any number of ticks may run at once. Returns how many feeds were found. ``met`` goes through
    one tick's batches, and begins with what the ticks before it met (`part`).
    """
    if met is None:
        met = await recently_met(services.pool)
    async with services.pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(statement("due_feeds"), limit, look_ahead(services.interval))
        due = [Due(feed_id=r["id"], host=r["host"], busy=r["busy"], wait=r["wait"]) for r in rows]
        plain, busy = part(due, met, together=TOGETHER)
        given = own_moments(plain)
        tasks = [
            sync_feed.new(feed_id=moment.feed_id).with_options(delay=moment.wait)
            for moment in given
        ]
        if given:
            await remember_met(connection, given)
        if busy:
            paced = await give_moments(connection, busy, services.host_interval)
            given += paced
            tasks += [
                sync_feed.new(feed_id=moment.feed_id).with_options(
                    queue=HOST_QUEUE, delay=moment.wait, concurrency_key=key_of(moment.host)
                )
                for moment in paced
            ]
        if given:
            await postpone(connection, given, services.interval)
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
