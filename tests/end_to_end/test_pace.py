"""Two worker processes and a host with many feeds: what its server sees of them together."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from crowd import Crowd
from fleet import Fleet

from colmillo import PostgresStore, Queue
from heraldo.botapi import BotApiServer
from heraldo.database import migrate
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.fetch import Fetcher
from heraldo_sync.hosts import TOGETHER, limit_hosts
from heraldo_sync.parse import Parser
from heraldo_sync.services import SyncServices
from heraldo_sync.tasks import enqueue_due

QUICK, SLOW, LATE = "127.0.2.1", "127.0.2.2", "127.0.2.3"
FEEDS = 60
PER_SECOND = 20
SETTINGS = {
    "ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8",
    "HOST_REQUESTS_PER_SECOND": str(PER_SECOND),
}


@pytest.mark.timeout(180)
async def test_two_workers_keep_one_pace_and_ask_for_few_feeds_at_a_time(
    empty_dsn: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """``SLOW`` takes longer than its pace allows for, and the feeds of ``LATE`` are all overdue."""
    await migrate(empty_dsn)
    async with (
        BotApiServer() as server,
        Crowd([SLOW], delay=timedelta(seconds=0.3)) as crowd,
        asyncpg.create_pool(empty_dsn, min_size=1, max_size=4) as pool,
        Fetcher(AddressPolicy()) as fetcher,
        Parser(workers=1) as parser,
    ):
        queue = Queue(PostgresStore(pool))
        services = SyncServices(
            pool=pool,
            queue=queue,
            fetcher=fetcher,
            parser=parser,
            host_interval=timedelta(seconds=1) / PER_SECOND,
        )
        await limit_hosts(queue)
        wanted = {LATE: FEEDS, QUICK: FEEDS, SLOW: 20}
        await crowd.add(pool, LATE, FEEDS)
        await enqueue_due(replace(services, host_interval=timedelta()))
        await crowd.add(pool, QUICK, FEEDS)
        await crowd.add(pool, SLOW, 20)
        async with Fleet(
            dsn=empty_dsn, server=server, owner=1, folder=tmp_path, **SETTINGS
        ) as fleet:
            fleet.start("worker", "--queue", "sync_hosts")
            fleet.start("worker", "--queue", "sync_hosts")
            try:
                async with asyncio.timeout(60):
                    await crowd.met(lambda: crowd.asked[LATE] > TOGETHER)
                    await enqueue_due(services)
                    await crowd.met(lambda: crowd.asked == wanted)
            except TimeoutError:
                pytest.fail(f"{crowd.asked}\n{fleet.logs()}")
    took = {host: times[-1] - times[0] for host, times in crowd.times.items()}
    record_property(
        "measured",
        ", ".join(
            f"{host}: {crowd.asked[host]} feeds in {took[host]:.1f} s, {crowd.most[host]} at a time"
            for host in sorted(took)
        ),
    )
    assert crowd.repeats == {}
    # Neither bound depends on how fast the machine is: one that is slow takes longer.
    for host in (QUICK, LATE):
        assert took[host] > 0.9 * (FEEDS - 1) / PER_SECOND
    assert max(crowd.most.values()) <= TOGETHER
