"""The one Postgres server of a run: databases, WAL, CPU, sizes."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from colmillo.embedded import EmbeddedPostgres

TICK = os.sysconf("SC_CLK_TCK")
SETTINGS = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "shared_buffers",
    "max_wal_size",
    "autovacuum",
    "wal_compression",
)
SIZES = """
SELECT
    coalesce(sum(pg_total_relation_size(relid)), 0)::bigint AS bytes,
    coalesce(sum(n_live_tup), 0)::bigint AS live,
    coalesce(sum(n_dead_tup), 0)::bigint AS dead
FROM pg_stat_user_tables
"""


class Server:
    """A durable embedded server (fsync on), and a template database per peer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._postgres = EmbeddedPostgres(folder, durable=True)
        self._made = 0
        self.admin: Any = None

    async def __aenter__(self) -> "Server":
        """Starts it."""
        await self._postgres.__aenter__()
        self.admin = await asyncpg.connect(self._postgres.dsn())
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            if await self.admin.fetchval(f"SHOW {name}") != "on":
                raise SystemExit(f"the server has {name} off: figures would mean nothing")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stops it."""
        await self.admin.close()
        await self._postgres.__aexit__(None, None, None)

    async def settings(self) -> dict[str, str]:
        """Those that matter for the figures."""
        return {name: await self.admin.fetchval(f"SHOW {name}") for name in SETTINGS}

    def dsn(self, database: str) -> str:
        """The address of one database."""
        return self._postgres.dsn(database)

    @asynccontextmanager
    async def database(self, template: str = "template0") -> AsyncIterator[str]:
        """A fresh database for one measurement; the caches are written out before it begins."""
        self._made += 1
        name = f"bench_{self._made}"
        await self.admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        await self.admin.execute("CHECKPOINT")
        try:
            yield name
        finally:
            await self.admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    async def keep_as(self, database: str, template: str) -> None:
        """Renames a database that nobody is connected to."""
        await self.admin.execute(f'ALTER DATABASE "{database}" RENAME TO "{template}"')

    async def create(self) -> str:
        """An empty database that stays."""
        self._made += 1
        name = f"bench_{self._made}"
        await self.admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        return name

    async def drop(self, name: str) -> None:
        """Removes a database."""
        await self.admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    async def wal(self) -> int:
        """Bytes of WAL written since the server was made."""
        position = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
        return int(await self.admin.fetchval(position))

    def cpu(self) -> float:
        """CPU seconds of the postmaster, its children, and the children that are gone."""
        root = int((self._folder / "data" / "postmaster.pid").read_text().split()[0])
        own = fields(root)
        # utime, stime, and what waited-for children used.
        ticks = sum(int(number) for number in own[11:15])
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    stat = fields(int(entry.name))
                except OSError:
                    continue
                if stat[1] == str(root):
                    ticks += int(stat[11]) + int(stat[12])
        return ticks / TICK


def fields(pid: int) -> list[str]:
    """The fields of /proc/pid/stat after the name: state, parent, and so on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def peak_rss(pid: int) -> int:
    """The most memory a process ever had resident, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


async def sizes(connection: Any) -> dict[str, int]:
    """Bytes, live and dead rows of all tables of this connection's database."""
    return dict(await connection.fetchrow(SIZES))
