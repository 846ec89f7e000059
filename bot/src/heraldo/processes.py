"""The processes of the application: everything in one, or bot, scheduler and workers apart."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from colmillo import Every, PostgresStore, Queue, Task, Worker
from heraldo.application import AnyApplication
from heraldo.database import check_migrated, open_pool
from heraldo.delivery import deliver_task
from heraldo.keys import open_vault
from heraldo.polling import serve
from heraldo.replies import Replies
from heraldo.requests import REQUEST_QUEUE, check_request, subscribe_request
from heraldo.sender import Sender
from heraldo.services import Services
from heraldo.settings import Settings
from heraldo.stopping import Stop
from heraldo.telegram_api import open_bot
from heraldo_sync import housekeeping
from heraldo_sync.choices import ChoiceStore
from heraldo_sync.fetch import Fetcher
from heraldo_sync.hosts import HOST_QUEUE, limit_hosts
from heraldo_sync.housekeeping import keep_house
from heraldo_sync.hub_tasks import PUSH_QUEUE, ask_due_hubs, ask_hub, look_at_pushed
from heraldo_sync.messages import DELIVERY_QUEUE
from heraldo_sync.outbox import Outbox
from heraldo_sync.pace import Pace
from heraldo_sync.parse import Parser
from heraldo_sync.schedule import between_ticks
from heraldo_sync.subscriptions import Subscriptions
from heraldo_sync.tasks import SCHEDULE_QUEUE, SYNC_QUEUE, sync_feed, tick, tidy

logger = logging.getLogger(__name__)

# How many tasks of a queue one worker process runs at once. A check mostly waits for a server far
# away: at 0.3 s each, 20 would be 4,000 feeds a minute. Hosts with many feeds have places of their
# own, so that they never take those of the others.
QUEUES: Mapping[str, int] = {
    SYNC_QUEUE: 200,
    HOST_QUEUE: 20,
    PUSH_QUEUE: 10,
    DELIVERY_QUEUE: 30,
    REQUEST_QUEUE: 5,
}
TASKS: Sequence[Task[...]] = (
    sync_feed,
    look_at_pushed,
    ask_hub,
    deliver_task,
    subscribe_request,
    check_request,
)
POOL_SIZE = 12
# A delivery that is set aside waits for `tidy` to find it; a busy target may see many kills.
# The same in every process, as each of them rescues the tasks of all.
MAX_CRASHES = 20
TIDY_AT_LEAST_EVERY = timedelta(minutes=1)


@asynccontextmanager
async def open_services(settings: Settings, dsn: str) -> AsyncIterator[Services]:
    """Everything the tasks and the bot work with, on a database that is migrated.

    Raises:
        DatabaseUnavailable: it cannot be reached, or its tables are of another version.
        BadSettings: the key file for private feeds is of no use.
    """
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(dsn, size=POOL_SIZE))
        await check_migrated(pool)
        queue = Queue(PostgresStore(pool))
        bot = await stack.enter_async_context(open_bot(settings))
        yield Services(
            pool=pool,
            queue=queue,
            fetcher=await stack.enter_async_context(
                Fetcher(
                    settings.allow_private_addresses,
                    limits=settings.fetch_limits,
                    proxy=settings.proxy,
                )
            ),
            parser=await stack.enter_async_context(Parser()),
            interval=settings.interval,
            longest=settings.longest_interval,
            host_interval=settings.fetch_limits.between,
            rsshub=settings.rsshub_base_url,
            public_url=settings.public_url,
            listen=settings.listen,
            vault=open_vault(settings),
            retention=settings.retention,
            sender=Sender(bot),
            replies=Replies(bot),
            outbox=Outbox(pool),
            pace=Pace(pool),
            subscriptions=Subscriptions(pool, queue),
            choices=ChoiceStore(pool),
            limits=settings.limits,
            lease=timedelta(seconds=settings.worker_lease_seconds),
        )


async def run_worker(services: Services, queues: Mapping[str, int], stop: Stop) -> None:
    """Runs the tasks of these queues until it is asked to stop."""
    worker = Worker(
        PostgresStore(services.pool),
        tasks=list(TASKS),
        queues=dict(queues),
        resources=services,
        lease=services.lease,
        max_crashes=MAX_CRASHES,
    )
    stop.on_ask(worker.stop)
    await worker.run()


def schedules(interval: timedelta, *, hubs: bool) -> list[Every]:
    """What the scheduler enqueues, and how often, if feeds are checked every ``interval``."""
    found = [
        Every("tick", between_ticks(interval), tick.new()),
        Every("tidy", min(interval, TIDY_AT_LEAST_EVERY), tidy.new()),
        Every("keep_house", housekeeping.EVERY, keep_house.new()),
    ]
    if hubs:
        found.append(Every("hubs", interval, ask_due_hubs.new()))
    return found


async def run_scheduler(services: Services, stop: Stop) -> None:
    """Ticks until it is asked to stop. Any number of these is safe."""
    await limit_hosts(services.queue)
    worker = Worker(
        PostgresStore(services.pool),
        tasks=[tick, tidy, keep_house, ask_due_hubs],
        # A place for each: keeping house may take a while, and the tick must not wait for it.
        queues={SCHEDULE_QUEUE: 4},
        resources=services,
        lease=services.lease,
        max_crashes=MAX_CRASHES,
        schedules=schedules(services.interval, hubs=services.public_url is not None),
    )
    stop.on_ask(worker.stop)
    await worker.run()


async def run_everything(application: AnyApplication, services: Services, stop: Stop) -> None:
    """Bot, scheduler and workers in one process; when one of them fails, all end."""
    async with asyncio.TaskGroup() as group:
        group.create_task(run_worker(services, QUEUES, stop))
        group.create_task(run_scheduler(services, stop))
        group.create_task(serve(application, services, stop))
