"""One folder with a database: how it is made, checked, cleaned up and addressed.

lock          who runs the server (see lock.py)
postgres.log  what the server says, and postgres.log.1
data/         the database and the socket, for the server's account alone
data.new/     a database that is being made; worth nothing when no one holds the lock
"""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from colmillo.embedded.account import Account, account_for
from colmillo.embedded.binaries import Binaries, usable_by
from colmillo.embedded.errors import EmbeddedError, EmbeddedVersion
from colmillo.embedded.launch import command
from colmillo.embedded.probe import SOCKET_NAME, USER

_INITDB_SECONDS = 300.0
_SOCKET_PATH_LIMIT_BYTES = 107
# The server's own view of its folder. It holds even where the account may not walk to the
# folder by its path, below a 0700 folder of root's, and it is short enough for every socket.
_HERE = "/proc/self/cwd"
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "port": "5432",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    # Statements and the values in DETAIL lines are the application's, and may be secret.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Instance:
    """The folder. Whoever calls anything but ``host`` holds its lock."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._durable = durable
        self._data_fd = -1

    def host(self) -> str:
        """Where a client of this process finds the socket: the data folder, by a short name.

        A path that is too long for a socket's address, or has characters that mean something in
        a DSN, is replaced by one through this process's table of open files.
        """
        path = str(self.data)
        length = len(os.fsencode(self.data / SOCKET_NAME))
        if length <= _SOCKET_PATH_LIMIT_BYTES and re.fullmatch(r"[A-Za-z0-9/._-]+", path):
            return path
        if self._data_fd < 0:
            self._data_fd = os.open(self.data, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/{os.getpid()}/fd/{self._data_fd}"

    def close(self) -> None:
        """Forgets the open folder behind ``host``."""
        if self._data_fd >= 0:
            fd, self._data_fd = self._data_fd, -1
            os.close(fd)

    def prepare(self, binaries: Binaries, lock_fd: int) -> list[str]:
        """Makes the folder ready and returns the command that runs the server in it.

        Raises:
            EmbeddedError: the folder cannot be used.
            EmbeddedVersion: it was made by another major version.
        """
        account = account_for(self.folder, self.data)
        binaries = usable_by(binaries, account)
        shutil.rmtree(self.folder / "data.new", ignore_errors=True)
        if self.data.exists():
            self._check_version(binaries.major)
            self._clear_leftovers()
            if account is not None and self.data.stat().st_uid != account.uid:
                account.give(self.data)
        else:
            self._create(binaries, account, lock_fd)
        settings = _SETTINGS | ({} if self._durable else _NOT_DURABLE)
        options = [f"--{name}={value}" for name, value in settings.items()]
        return command(
            account=_ids(account),
            # As if asked to stop: clients are cut off, the data are written, all within a moment.
            death_signal=signal.SIGINT,
            folder=str(self.data),
            program=[binaries.program("postgres"), "-D", _HERE, *options],
        )

    def _create(self, binaries: Binaries, account: Account | None, lock_fd: int) -> None:
        """Makes the database beside its place and moves it there when it is whole."""
        fresh = self.folder / "data.new"
        fresh.mkdir(mode=0o700)
        if account is not None:
            account.give(fresh)
        locale = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        access = (f"--username={USER}", "--auth-local=trust", "--auth-host=reject")
        sync = () if self._durable else ("--no-sync",)
        program = [binaries.program("initdb"), "-D", _HERE, "--locale=C", *locale, *access, *sync]
        making = subprocess.run(
            command(
                account=_ids(account),
                death_signal=signal.SIGKILL,
                folder=str(fresh),
                program=program,
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=_INITDB_SECONDS,
            check=False,
            pass_fds=(lock_fd,),
            start_new_session=True,
        )
        if making.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            raise EmbeddedError(
                f"the database in {self.folder} could not be made: {making.stderr.strip()[-1000:]}"
            )
        fresh.rename(self.data)
        folder_fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder_fd)
        finally:
            os.close(folder_fd)

    def _check_version(self, major: int) -> None:
        found = _first_number(self.data / "PG_VERSION")
        if found is None:
            raise EmbeddedError(
                f"{self.data} holds no whole PostgreSQL database (PG_VERSION is missing or "
                "unreadable); move the folder away to start with an empty one"
            )
        if found != major:
            raise EmbeddedVersion(
                f"{self.folder} was made by PostgreSQL {found} and the installed one is {major}; "
                f"dump it with the programs of version {found} (pg_dumpall), move the folder "
                "away, start once and restore the dump"
            )

    def _clear_leftovers(self) -> None:
        """Removes what a killed server left, after making sure that no server is behind it.

        PostgreSQL would believe a stale process number as soon as another process has it.
        """
        pid_file = self.data / "postmaster.pid"
        pid = _first_number(pid_file)
        if pid is not None and self._is_inside(pid):
            raise EmbeddedError(
                f"a PostgreSQL server that somebody else started (process {pid}) runs on "
                f"{self.data}; stop it first"
            )
        for path in (pid_file, self.data / SOCKET_NAME, self.data / f"{SOCKET_NAME}.lock"):
            path.unlink(missing_ok=True)

    def _is_inside(self, pid: int) -> bool:
        """Whether process ``pid`` works in the data folder, as every PostgreSQL server does."""
        try:
            return Path(f"/proc/{pid}/cwd").samefile(self.data)
        except OSError:
            return False


def _ids(account: Account | None) -> str:
    return "" if account is None else f"{account.uid}:{account.gid}"


def _first_number(path: Path) -> int | None:
    """The number on the first line of a small file, None when there is none."""
    try:
        found = re.match(r"\d{1,9}", path.read_bytes()[:20].decode("ascii", errors="replace"))
    except OSError:
        return None
    return None if found is None else int(found[0])
