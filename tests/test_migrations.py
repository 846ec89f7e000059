"""The chain of migrations leads to the very tables that a fresh install has."""

from io import StringIO

import asyncpg
from alembic import command

from colmillo import schema
from heraldo.database import MIGRATIONS, alembic_config, migrate
from heraldo_sync.statements import statements

CATALOG = """
SELECT 'column' AS kind, table_schema || '.' || table_name || '.' || column_name AS name,
    concat_ws(' ', data_type, column_default, is_nullable, is_identity, ordinal_position) AS what
FROM information_schema.columns WHERE table_schema IN ('public', 'colmillo')
UNION ALL
SELECT 'index', schemaname || '.' || indexname, indexdef FROM pg_indexes
WHERE schemaname IN ('public', 'colmillo')
UNION ALL
SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace::regnamespace::text IN ('public', 'colmillo')
UNION ALL
SELECT 'table', oid::regclass::text, concat_ws(' ', relpersistence, reloptions::text)
FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text IN ('public', 'colmillo')
ORDER BY 1, 2, 3
"""


async def catalog(dsn: str) -> set[tuple[str, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(CATALOG)
    finally:
        await connection.close()
    return {tuple(map(str, row.values())) for row in rows if "alembic_version" not in str(row)}


async def test_upgrading_an_empty_database_equals_a_fresh_install(empty_dsn: str, dsn: str) -> None:
    await migrate(empty_dsn)
    migrated, fresh = await catalog(empty_dsn), await catalog(dsn)
    assert migrated == fresh
    assert len(fresh) > 50


async def test_upgrading_twice_changes_nothing(empty_dsn: str) -> None:
    await migrate(empty_dsn)
    before = await catalog(empty_dsn)
    await migrate(empty_dsn)
    assert await catalog(empty_dsn) == before


def test_the_upgrade_can_be_written_out_as_sql() -> None:
    config = alembic_config("postgresql://nobody@nowhere/")
    config.output_buffer = StringIO()
    command.upgrade(config, "head", sql=True)
    text = config.output_buffer.getvalue()
    for statement in (*schema.statements(), *statements("schema")):
        assert statement.strip().splitlines()[-1] in text


def test_the_migrations_are_found_wherever_the_package_is() -> None:
    assert (MIGRATIONS / "env.py").is_file()
