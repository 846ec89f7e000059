"""Feeds on a real server, and everything a check works with."""

import random
from collections.abc import AsyncIterator

import pytest
from club import CANARY, Club
from feed_server import FeedServer
from private_site import PrivateSite
from town import Town

from colmillo import Queue
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.database import Pool
from heraldo_sync.fetch import Fetcher
from heraldo_sync.parse import Parser
from heraldo_sync.services import SyncServices
from heraldo_sync.vault import new_key


@pytest.fixture
async def town(pool: Pool, queue: Queue) -> AsyncIterator[Town]:
    policy = AddressPolicy.parse("127.0.0.1")
    async with FeedServer() as feeds, Fetcher(policy) as fetcher, Parser() as parser:
        services = SyncServices(
            pool=pool, queue=queue, fetcher=fetcher, parser=parser, rng=random.Random(1)
        )
        yield Town(services, feeds)


@pytest.fixture
async def services(pool: Pool, queue: Queue) -> AsyncIterator[SyncServices]:
    """What a check needs, apart from feeds on a server."""
    policy = AddressPolicy.parse("127.0.0.1")
    async with Fetcher(policy) as fetcher, Parser(workers=1) as parser:
        yield SyncServices(
            pool=pool, queue=queue, fetcher=fetcher, parser=parser, rng=random.Random(1)
        )


@pytest.fixture
async def club(town: Town) -> AsyncIterator[Club]:
    async with PrivateSite() as site:
        for member in ("ana", "ben"):
            site.join("Cookie", f"{CANARY}-{member}", member)
        club = Club(town, site, town.pool)
        club.use(new_key())
        yield club
