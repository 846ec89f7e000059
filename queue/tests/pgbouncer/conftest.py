"""A real PgBouncer in transaction mode before a Postgres, with few connections for many clients.

These tests run when they are asked for: ``pytest queue -m pgbouncer``. They need the program
``pgbouncer`` (on Debian: ``apt-get install pgbouncer``) and fail without it.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from colmillo.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    from colmillo.database import Pool

SERVERS = 3
PORT = 6432
START_SECONDS = 30

SETTINGS = f"""
[databases]
* = host={{host}} port={{port}} user=postgres

[pgbouncer]
listen_addr =
listen_port = {PORT}
unix_socket_dir = {{home}}
auth_type = any
pool_mode = transaction
default_pool_size = {SERVERS}
max_client_conn = 500
server_idle_timeout = 0
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of this folder; the default options leave the mark out."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("pgbouncer")


def account() -> str | None:
    """Who runs both servers: neither of them runs as root."""
    return "nobody" if os.geteuid() == 0 else None


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A folder that the account can use, with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="colmillo-") as made:
        if (user := account()) is not None:
            os.chown(made, pwd.getpwnam(user).pw_uid, -1)
        yield Path(made)


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[EmbeddedPostgres]:
    """The session's server, where PgBouncer's account can reach it."""
    embedded = EmbeddedPostgres(home, durable=False)
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture(scope="session")
def pooled(server: EmbeddedPostgres, home: Path) -> Iterator[Callable[[str], str]]:
    """Runs PgBouncer; turns an address of the server into one that leads through it."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if program is None:
        pytest.fail("pgbouncer is not installed; on Debian: apt-get install pgbouncer")
    place = {key: value[0] for key, value in parse_qs(urlsplit(server.dsn()).query).items()}
    settings = home / "pgbouncer.ini"
    settings.write_text(SETTINGS.format(home=home, **place), encoding="utf-8")
    with (home / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen(
            [program, str(settings)],
            user=account(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    wait_for(home / f".s.PGSQL.{PORT}", process)
    yield lambda dsn: f"{dsn.partition('?')[0]}?host={home}&port={PORT}"
    process.terminate()
    process.wait(START_SECONDS)


def wait_for(path: Path, process: "subprocess.Popen[bytes]") -> None:
    """Until the socket is answered."""
    pause = threading.Event()
    for _ in range(START_SECONDS * 50):
        with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            client.connect(str(path))
            return
        assert process.poll() is None, path.with_name("pgbouncer.log").read_text()
        pause.wait(0.02)
    pytest.fail("pgbouncer does not answer")


@pytest.fixture
def pooled_dsn(dsn: str, pooled: Callable[[str], str]) -> str:
    """The address of the test's database by way of PgBouncer."""
    return pooled(dsn)


@pytest.fixture
async def pooled_pool(pooled_dsn: str) -> "AsyncIterator[Pool]":
    """More connections than PgBouncer has, set up as the documentation says."""
    async with asyncpg.create_pool(
        pooled_dsn, min_size=1, max_size=10 * SERVERS, statement_cache_size=0
    ) as opened:
        yield opened
