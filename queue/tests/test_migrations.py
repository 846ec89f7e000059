"""Installing the schema: again, at once, elsewhere, and next to what is too new."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from colmillo.errors import SchemaOutdated
from colmillo.postgres import PostgresStore
from colmillo.schema import channel, check, latest, migrate, quoted, statements
from colmillo.store import Finish, NewTask, Settlement, WorkerId

if TYPE_CHECKING:
    from colmillo.database import Pool

ODD_NAMES = ("my-Queue", "we\"ird; {schema} 'x' $1 %s", "ñandú 😀", "select", "x" * 63)

CATALOG = """
SELECT relation.relname, relation.relkind::text, relation.reloptions,
    attribute.attname, attribute.atttypid::regtype::text, attribute.attnotnull,
    CASE WHEN relation.relkind = 'i' THEN
        split_part(pg_get_indexdef(relation.oid), ' USING ', 2) END
FROM pg_class AS relation
JOIN pg_attribute AS attribute ON attribute.attrelid = relation.oid AND attribute.attnum > 0
WHERE relation.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
ORDER BY relation.relname, attribute.attnum
"""


async def test_installs_and_then_does_nothing(empty_pool: "Pool") -> None:
    with pytest.raises(SchemaOutdated, match="no tables of colmillo yet; run migrate"):
        await check(empty_pool)
    assert await migrate(empty_pool) == latest()
    await check(empty_pool)
    store = PostgresStore(empty_pool)
    (task,) = await store.enqueue([NewTask(name="a", queue="q", payload="{}")])
    assert await migrate(empty_pool) == latest()
    assert await store.get(task.id) is not None
    versions = await empty_pool.fetch("SELECT version FROM colmillo.versions ORDER BY version")
    assert [row["version"] for row in versions] == list(range(1, latest() + 1))


async def test_many_at_once_install_it_once(empty_pool: "Pool") -> None:
    done = await asyncio.gather(*(migrate(empty_pool) for _ in range(8)))
    assert done == [latest()] * 8
    await check(empty_pool)


async def test_is_part_of_the_callers_transaction(empty_pool: "Pool") -> None:
    async with empty_pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await migrate(connection)
        await check(connection)
        await transaction.rollback()
    with pytest.raises(SchemaOutdated):
        await check(empty_pool)


async def test_refuses_what_is_newer(pool: "Pool") -> None:
    await pool.execute("INSERT INTO colmillo.versions (version) VALUES ($1)", latest() + 1)
    for refused in (migrate, check):
        with pytest.raises(SchemaOutdated, match="newer than this colmillo knows"):
            await refused(pool)


async def test_check_refuses_what_is_older(pool: "Pool") -> None:
    await pool.execute("DELETE FROM colmillo.versions")
    await pool.execute("INSERT INTO colmillo.versions (version) VALUES (-1)")
    with pytest.raises(SchemaOutdated, match="has version -1, this colmillo needs"):
        await check(pool)


async def test_statements_make_what_migrate_makes(empty_pool: "Pool") -> None:
    await migrate(empty_pool)
    one_by_one = [
        statement
        for version in range(latest())
        for statement in statements("other", since=version, until=version + 1)
    ]
    assert one_by_one == statements("other")
    for statement in one_by_one:
        await empty_pool.execute(statement)
    await check(empty_pool, "other")
    made = await empty_pool.fetch(CATALOG, "other")
    expected = await empty_pool.fetch(CATALOG, "colmillo")
    assert len(made) > 30
    assert [tuple(row) for row in made] == [
        tuple(f.replace("colmillo.", "other.") if isinstance(f, str) else f for f in row)
        for row in expected
    ]


@pytest.mark.parametrize(("since", "until"), [(-1, None), (0, 10_000), (1, 0)])
def test_statements_of_unknown_versions(since: int, until: int | None) -> None:
    with pytest.raises(ValueError, match="there are versions 0 to"):
        statements("colmillo", since, until)


@pytest.mark.parametrize("name", ["", "x" * 64, "ñ" * 32, "a\0b"], ids=len)
def test_impossible_schema_names(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 63 bytes and no NUL"):
        quoted(name)


def test_a_schema_name_cannot_end_a_function() -> None:
    with pytest.raises(ValueError, match="cannot contain"):
        quoted("a$colmillo$b")


def test_channels_are_short_and_differ() -> None:
    channels = {channel(name) for name in ("colmillo", *ODD_NAMES)}
    assert len(channels) == 1 + len(ODD_NAMES)
    assert all(name.isidentifier() and len(name) < 64 for name in channels)


async def test_any_schema_name_works(empty_pool: "Pool") -> None:
    for name in ODD_NAMES:
        await migrate(empty_pool, name)
        await check(empty_pool, name)
    for name in ODD_NAMES:
        await use(empty_pool, name)


async def use(pool: asyncpg.Pool, schema: str) -> None:
    """Sends one task through its life."""
    store = PostgresStore(pool, schema)
    assert await store.counts() == {}
    heard: asyncio.Queue[str] = asyncio.Queue()
    task = NewTask(name="a", queue="q", payload="{}", unique_hash=bytes(32))
    async with store.listen(heard.put_nowait), asyncio.timeout(30):
        (answer,) = await store.enqueue([task])
        assert await heard.get() == "q"
    worker = WorkerId(uuid4())
    await store.register(worker, name="test", lease=timedelta(minutes=1))
    (claimed,) = await store.claim(worker, {"q": 1})
    assert claimed.id == answer.id
    done = Settlement(id=claimed.id, lease=claimed.lease, verdict=Finish())
    assert await store.settle([done]) == frozenset()


async def test_worker_does_not_register_before_the_tables_are_there(empty_pool: "Pool") -> None:
    store = PostgresStore(empty_pool)
    worker = WorkerId(uuid4())
    with pytest.raises(SchemaOutdated, match="run migrate"):
        await store.register(worker, name="test", lease=timedelta(minutes=1))
    await migrate(empty_pool)
    await store.register(worker, name="test", lease=timedelta(minutes=1))
