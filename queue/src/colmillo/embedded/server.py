"""The embedded server as a program uses it: start, address, stop."""

import asyncio
import atexit
import os
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from colmillo.embedded.binaries import Binaries, installed
from colmillo.embedded.errors import EmbeddedError
from colmillo.embedded.files import ServerLog
from colmillo.embedded.instance import Instance
from colmillo.embedded.lock import InstanceLock
from colmillo.embedded.probe import PORT, USER, accepts
from colmillo.embedded.process import ServerProcess

# Recovery after a crash reads what was written since the last checkpoint.
_START_SECONDS = 180.0
_PAUSE_SECONDS = 0.02


class EmbeddedPostgres:
    """A PostgreSQL server in a folder, shared by all programs that name the folder.

    The first one to start runs the server (``owned``); the others use it and never stop it.
    The server goes down with its owner however that ends, kill -9 included, and the next start
    takes the folder over; a server that dies under its owner is started again. No TCP: a socket
    that only the server's account (and root) can reach.

    ``durable=False`` gives up safety in a crash of the machine for speed; for tests.
    """

    owned: bool

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.owned = False
        self._instance = Instance(Path(os.path.abspath(folder)), durable=durable)
        self._lock: InstanceLock | None = None
        self._log: ServerLog | None = None
        self._process: ServerProcess | None = None
        self._started_by = 0

    async def __aenter__(self) -> Self:
        """Starts the server, see ``start``; when cancelled, stops what it had begun."""
        starting = asyncio.ensure_future(asyncio.to_thread(self.start))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait({starting})
            await asyncio.to_thread(self.stop)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops the server, see ``stop``."""
        await asyncio.to_thread(self.stop)

    def start(self) -> None:
        """Runs the server, or finds the one that another process runs, and waits until it answers.

        Does nothing when it was started already. Makes the folder and the database when there
        are none.

        Raises:
            EmbeddedMissing: the extra ``embedded`` is not installed.
            EmbeddedVersion: the folder was made by another major version of PostgreSQL.
            EmbeddedError: anything else that is in the way, with what to do about it.
        """
        if self._started_by:
            return
        self._started_by = os.getpid()
        try:
            self._start(installed())
        except BaseException as error:
            self.stop()
            if isinstance(error, (OSError, subprocess.SubprocessError)):
                raise EmbeddedError(f"{self._instance.folder}: {error}") from error
            raise

    def stop(self) -> None:
        """Stops the server if this process runs it, within 40 seconds at worst.

        Does nothing when it is not started, and nothing in a forked child of the starter.
        """
        if self._started_by != os.getpid():
            return
        atexit.unregister(self.stop)
        if self._process is not None:
            self._process.stop()
        for held in (self._log, self._lock, self._instance):
            if held is not None:
                held.close()
        self._process = self._log = self._lock = None
        self._started_by, self.owned = 0, False

    def dsn(self, database: str = "postgres") -> str:
        """The address of one database for asyncpg and libpq, while the server is started.

        When the folder's path is too long for a socket it names an open file of this process,
        and is of use to other processes only as long as this one runs.

        Raises:
            EmbeddedError: the server is not started.
        """
        return self._url("postgresql", database)

    def sqlalchemy_url(self, database: str = "postgres") -> str:
        """The same for SQLAlchemy with asyncpg. Raises EmbeddedError when not started."""
        return self._url("postgresql+asyncpg", database)

    def _url(self, scheme: str, database: str) -> str:
        if not self._started_by:
            raise EmbeddedError("it is not started")
        host = quote(self._instance.host())
        # The port is named because asyncpg would else take it from PGPORT.
        return f"{scheme}://{USER}@/{quote(database, safe='')}?host={host}&port={PORT}"

    def _start(self, binaries: Binaries) -> None:
        instance = self._instance
        instance.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = InstanceLock(instance.folder)
        # Nobody sets it: a pause that needs no clock.
        pause = threading.Event()
        deadline = time.monotonic() + _START_SECONDS
        while not self._lock.acquire():
            # Taken: by an owner at work, by one that is just starting, or by a server on its way
            # out after its owner's death. The first answers soon, the last lets go soon.
            if instance.data.exists() and accepts(instance.host()) and self._lock.owner_lives():
                return
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"another process holds {instance.folder}, and its server does not answer; "
                    "see postgres.log there"
                )
            pause.wait(_PAUSE_SECONDS)
        self.owned = True
        atexit.register(self.stop)
        self._run(binaries, self._lock.server_fd)

    def _run(self, binaries: Binaries, lock_fd: int) -> None:
        instance = self._instance
        command = instance.prepare(binaries, lock_fd)
        self._log = ServerLog(instance.folder / "postgres.log")
        self._process = ServerProcess(command, log=self._log, lock_fd=lock_fd)
        self._process.start()
        deadline = time.monotonic() + _START_SECONDS
        while not accepts(instance.host()):
            if self._process.ended(_PAUSE_SECONDS):
                said = self._log.tail()
                raise EmbeddedError(f"the server in {instance.folder} did not start: {said}")
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"the server in {instance.folder} does not answer; see {self._log.path}"
                )
        self._process.keep()
