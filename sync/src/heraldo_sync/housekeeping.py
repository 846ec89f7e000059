"""What is dropped, and when. What entries are recognised by outlives everything else of them.

Nothing here can make an old post new: an entry that its feed has shown within a year, or that is
among its latest thousand, is always remembered (docs/decisions/0020-identity.md).
"""

from datetime import timedelta

from colmillo import Context, task
from heraldo_sync.folding import Folding
from heraldo_sync.holding import Held
from heraldo_sync.services import SyncServices
from heraldo_sync.statements import statement
from heraldo_sync.tasks import SCHEDULE_QUEUE

EVERY = timedelta(days=1)
FORGET_AFTER = timedelta(days=365)
REMEMBER_AT_LEAST = 1000
FEEDS_AT_ONCE = 200
ROWS_AT_ONCE = 2000


@task(
    name="keep_house",
    queue=SCHEDULE_QUEUE,
    unique=True,
    max_attempts=3,
    timeout=timedelta(hours=2),
)
async def keep_house(ctx: Context[SyncServices]) -> None:
    """Drops what is not needed any more, in small transactions; may stop anywhere."""
    services = ctx.resources
    await Held(services.pool, services.queue).expire()
    await drop_deliveries(services)
    await forget_private_feeds(services)
    await clean_feeds(services)
    await Folding(services.pool).forget(ROWS_AT_ONCE)


async def drop_deliveries(services: SyncServices) -> None:
    """Drops the rows of what was sent or let go so long ago."""
    last: int | None = 0
    while last is not None:
        last = await services.pool.fetchval(
            statement("drop_deliveries"), last, ROWS_AT_ONCE, services.retention
        )


async def forget_private_feeds(services: SyncServices) -> None:
    """Drops private feeds that were left while posts of theirs still waited to be sent."""
    async with services.pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(statement("lock_idle_private_feeds"), ROWS_AT_ONCE)
        await connection.execute(statement("forget_private_feeds"), [row["id"] for row in rows])


async def clean_feeds(services: SyncServices, *, remember: int = REMEMBER_AT_LEAST) -> None:
    """Drops the contents of entries that are gone for so long, and the oldest of all entries.

    ``remember`` is how many entries of a feed stay in any case.
    """
    last = 0
    while True:
        rows = await services.pool.fetch(statement("feeds_to_clean"), last, FEEDS_AT_ONCE)
        feeds = [row["id"] for row in rows]
        if not feeds:
            return
        for name, arguments in (
            ("drop_bodies", (services.retention,)),
            ("forget_entries", (max(FORGET_AFTER, services.retention), remember)),
        ):
            dropped = ROWS_AT_ONCE
            while dropped == ROWS_AT_ONCE:
                dropped = len(
                    await services.pool.fetch(statement(name), feeds, *arguments, ROWS_AT_ONCE)
                )
        await services.pool.execute(statement("feeds_cleaned"), feeds)
        last = feeds[-1]
