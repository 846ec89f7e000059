"""The revision of the page about deploying, in a real alembic project with a schema of its own."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.config import Config
from pages import blocks

from colmillo import PostgresStore, migrate
from colmillo.schema import check, latest
from colmillo.store import NewTask

if TYPE_CHECKING:
    from colmillo.database import Pool


ENV = """
from alembic import context
from sqlalchemy import MetaData, create_engine

engine = create_engine(context.config.get_main_option("sqlalchemy.url"))
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=MetaData())
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
"""

REVISION = """
revision = "1"
down_revision = None
"""


@pytest.fixture
def project(tmp_path: Path, empty_dsn: str) -> Config:
    """A project of alembic with the revision as its first one."""
    (code,) = [
        block.text
        for block in blocks("deploying.md")
        if block.kind == "python" and "alembic" in block.text
    ]
    versions = tmp_path / "versions"
    versions.mkdir()
    code = code.replace('"colmillo"', '"My jobs"')
    (versions / "1_colmillo.py").write_text(code + REVISION, encoding="utf-8")
    (tmp_path / "env.py").write_text(ENV, encoding="utf-8")
    config = Config()
    config.set_main_option("script_location", str(tmp_path))
    config.set_main_option("path_separator", "os")
    url = empty_dsn.replace("postgresql://", "postgresql+psycopg://")
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


async def test_upgrade_makes_what_migrate_makes(project: Config, empty_pool: "Pool") -> None:
    await asyncio.to_thread(command.upgrade, project, "head")
    await check(empty_pool, "My jobs")
    assert await migrate(empty_pool, "My jobs") == latest()
    task = NewTask(name="a", queue="q", payload="{}")
    assert (await PostgresStore(empty_pool, "My jobs").enqueue([task]))[0].inserted


async def test_autogenerate_leaves_the_queues_tables_alone(project: Config) -> None:
    await asyncio.to_thread(command.upgrade, project, "head")
    await asyncio.to_thread(command.check, project)
