"""Everything that strangers may send to the bot: what comes of each, and what it may cost.

Every case goes the whole way: an address is sent, fetched by the guarded fetcher from a server
in another process, parsed in a child, stored, read again and shown. ``make hostile`` writes what
each cost into docs/hostile.md.
"""

import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import hostile_table
import pytest
import pytest_asyncio
from hostile_case import Case
from hostile_run import Bot, Trap, hostile_site, is_expected
from hostile_server import CASES

from colmillo import PostgresStore, Queue
from colmillo.embedded import EmbeddedPostgres
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.fetch import Fetcher
from heraldo_sync.parse import Parser
from heraldo_sync.services import SyncServices

# One process has the server and the table of costs; no other test's work is in its figures.
pytestmark = pytest.mark.xdist_group("hostile")

PAGE = Path(__file__).parent.parent.parent / "docs" / "hostile.md"
DATABASE = "test_hostile"


@pytest.fixture(scope="module")
def costs(request: pytest.FixtureRequest) -> Iterator[hostile_table.Costs]:
    """Collects what was measured; writes it down if somebody wants to have it."""
    costs: hostile_table.Costs = {}
    yield costs
    if request.config.getoption("--write-costs"):
        hostile_table.write(PAGE, costs)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bot(server: EmbeddedPostgres, template: str) -> AsyncIterator[Bot]:
    admin = await asyncpg.connect(server.dsn())
    await admin.execute(f"CREATE DATABASE {DATABASE} TEMPLATE {template}")
    async with (
        Trap() as trap,
        asyncpg.create_pool(server.dsn(DATABASE), min_size=1, max_size=4) as pool,
        Fetcher(AddressPolicy()) as fetcher,
        Parser(workers=1) as parser,
        hostile_site(trap.port) as site,
    ):
        services = SyncServices(
            pool=pool,
            queue=Queue(PostgresStore(pool)),
            fetcher=fetcher,
            parser=parser,
            rng=random.Random(1),
        )
        yield Bot(services, site, trap)
    await admin.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    await admin.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.path)
async def test_it_comes_to_nothing(case: Case, bot: Bot, costs: hostile_table.Costs) -> None:
    faced = await bot.face(case)
    cost = faced.cost
    costs[case.name] = (faced.words, cost)
    # Not by assert, which would print megabytes.
    if not is_expected(case.expect, faced):
        pytest.fail(f"wanted {case.expect}, found {faced.words}: {faced.told}")
    assert not bot.trap.sprung
    assert cost.parent_cpu <= case.most.parent_cpu
    assert cost.child_cpu <= case.most.child_cpu
    assert cost.parent_mb <= case.most.parent_mb
    assert cost.child_mb <= case.most.child_mb


def test_the_page_s_table_has_these_cases() -> None:
    assert hostile_table.names(PAGE) == [case.name for case in CASES]


def test_the_cases_can_be_told_apart() -> None:
    assert len({case.path for case in CASES}) == len(CASES)
    assert len({case.name for case in CASES}) == len(CASES)
    assert len(CASES) >= 60
