"""The embedded server, for real: processes are started, killed and looked for afterwards."""

import asyncio
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from colmillo.embedded import EmbeddedError, EmbeddedPostgres
from colmillo.embedded.lock import InstanceLock
from colmillo.embedded.probe import accepts

PATIENCE_SECONDS = 30.0

# A program that runs the server in argv[1], says so on a line, and obeys lines of Python.
PROGRAM = textwrap.dedent(
    """
    import asyncio, json, os, signal, sys, threading
    from pathlib import Path
    from colmillo.embedded import EmbeddedPostgres

    server = EmbeddedPostgres(Path(sys.argv[1]), durable="durable" in sys.argv)
    if "async" in sys.argv:
        asyncio.run(server.__aenter__())
    else:
        starter = threading.Thread(target=server.start)
        starter.start()
        starter.join()
    print(json.dumps({"owned": server.owned, "dsn": server.dsn()}), flush=True)
    for line in sys.stdin:
        exec(line)
        print("done", flush=True)
    """
)


def until(holds: Callable[[], bool]) -> None:
    """Waits until the condition holds; fails after PATIENCE_SECONDS."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_SECONDS * 200)):
        if holds():
            return
        pause.wait(0.005)
    pytest.fail("waited in vain")


def server_pid(folder: Path) -> int:
    return int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])


def open_paths(pid: int) -> list[str]:
    """The files that the process has open."""
    paths: list[str] = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        # The one that lists the folder is gone by now.
        with contextlib.suppress(FileNotFoundError):
            paths.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return paths


class Watched:
    """A process held by a file descriptor, so that its number cannot come to mean another."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    def gone(self, seconds: float = PATIENCE_SECONDS) -> bool:
        return bool(select.select([self._fd], [], [], seconds)[0])

    def close(self) -> None:
        os.close(self._fd)


@contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    """The server in the folder; killed at the end if the test failed to get rid of it."""
    server = Watched(server_pid(folder))
    try:
        yield server
    finally:
        if not server.gone(0):
            os.kill(server.pid, signal.SIGQUIT)
        server.close()


class Program:
    """The program above, in a process (and a process group) of its own."""

    def __init__(self, folder: Path, *options: str, prefix: tuple[str, ...] = ()) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", PROGRAM, str(folder), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": "/usr/bin:/bin"},
        )

    def started(self) -> dict[str, object]:
        assert self.process.stdout is not None
        told: dict[str, object] = json.loads(self.process.stdout.readline())
        return told

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def does(self, line: str) -> None:
        assert self.process.stdout is not None
        self.tell(line)
        assert self.process.stdout.readline() == "done\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        with self.process:
            self.process.kill()


@pytest.fixture
def run() -> Iterator[Callable[..., Program]]:
    programs: list[Program] = []

    def start(folder: Path, *options: str, prefix: tuple[str, ...] = ()) -> Program:
        programs.append(Program(folder, *options, prefix=prefix))
        return programs[-1]

    yield start
    for program in programs:
        program.close()


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embedded") / "instance"
    server = EmbeddedPostgres(folder, durable=False)
    server.start()
    server.stop()
    return folder


@pytest.fixture
def folder(made_once: Path, tmp_path: Path) -> Path:
    """A folder with a fresh database. (For root it is root's own, as after a restored backup.)"""
    shutil.copytree(made_once / "data", tmp_path / "instance" / "data")
    return tmp_path / "instance"


async def execute(dsn: object, *statements: str) -> object:
    """The value of the last statement."""
    connection = await asyncpg.connect(str(dsn))
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        value: object = await connection.fetchval(statements[-1])
        return value
    finally:
        await connection.close()


WRITE = ("CREATE TABLE note (text text)", "INSERT INTO note VALUES ('kept')", "SELECT 1")
READ = "SELECT text FROM note"


async def test_an_empty_folder_becomes_a_private_durable_utf8_database(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "a" / "b") as server:
        assert server.owned
        assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "a" / "b" / "data").stat().st_mode & 0o777 == 0o700
        connection = await asyncpg.connect(server.dsn())
        settings = (
            "fsync synchronous_commit full_page_writes listen_addresses server_encoding "
            "timezone max_connections data_checksums"
        )
        shown = [await connection.fetchval(f"SHOW {name}") for name in settings.split()]
        assert shown == ["on", "on", "on", "", "UTF8", "UTC", "200", "on"]
        assert await connection.fetchval("SELECT lower('ÑANDÚ')") == "ñandú"
        await connection.close()
        assert server.sqlalchemy_url("x y") == server.dsn("x%20y").replace(
            "postgresql://", "postgresql+asyncpg://"
        ).replace("%2520", "%20")
    with pytest.raises(EmbeddedError, match="not started"):
        server.dsn()


async def test_data_outlive_a_stop(folder: Path) -> None:
    server = EmbeddedPostgres(folder, durable=False)
    for statements in (WRITE, (READ,)):
        async with server:
            value = await execute(server.dsn(), *statements)
            with watched(folder) as process:
                await asyncio.to_thread(server.stop)
                assert process.gone(0)
    assert value == "kept"


@pytest.mark.parametrize("way", ["thread", "async"])
async def test_data_outlive_kill_9_of_the_parent(
    folder: Path, run: Callable[..., Program], way: str
) -> None:
    program = run(folder, "durable", way)
    # The thread that called start is over: the server must not take that for our death.
    await execute(program.started()["dsn"], *WRITE)
    with watched(folder) as process:
        program.kill()
        assert process.gone()
    async with EmbeddedPostgres(folder) as server:
        assert server.owned
        assert await execute(server.dsn(), READ) == "kept"


@pytest.mark.parametrize(
    "ending",
    [
        "sys.exit(0)",
        "raise ValueError('on purpose')",
        "os._exit(1)",
        "os.kill(os.getpid(), signal.SIGTERM)",
        "os.execv('/bin/true', ['true'])",
    ],
)
def test_is_not_left_running_however_the_program_ends(
    folder: Path, run: Callable[..., Program], ending: str
) -> None:
    program = run(folder)
    program.started()
    with watched(folder) as process:
        program.tell(ending)
        program.process.wait(PATIENCE_SECONDS)
        assert process.gone()


def test_a_fork_of_the_program_neither_stops_the_server_nor_keeps_the_folder(
    folder: Path, run: Callable[..., Program]
) -> None:
    program = run(folder)
    program.started()
    with watched(folder) as process:
        # The fork's own stop does nothing, so its dsn is still good.
        program.does("pid = os.fork() or (server.stop(), server.dsn(), os._exit(0))")
        program.does("assert os.waitpid(pid, 0)[1] == 0")
        assert not process.gone(0)
        # The next one lives on until this test closes the other end of its standard input.
        program.does("pid = os.fork() or (sys.stdin.read(), os._exit(0))")
        os.kill(program.process.pid, signal.SIGKILL)
        assert process.gone()
    with_server = EmbeddedPostgres(folder, durable=False)
    with_server.start()
    assert with_server.owned
    with_server.stop()


async def test_signals_to_the_programs_group_do_not_reach_the_server(
    folder: Path, run: Callable[..., Program]
) -> None:
    program = run(folder)
    dsn = program.started()["dsn"]
    program.does("[signal.signal(n, lambda *_: None) for n in (signal.SIGINT, signal.SIGTERM)]")
    for number in (signal.SIGINT, signal.SIGTERM):
        os.killpg(program.process.pid, number)
    with watched(folder) as process:
        assert os.getpgid(process.pid) != program.process.pid
        assert await execute(dsn, "SELECT 1") == 1


async def test_a_second_program_uses_the_server_and_leaves_it_running(
    folder: Path, run: Callable[..., Program]
) -> None:
    first = run(folder)
    assert first.started()["owned"] is True
    with watched(folder) as process:
        open_files = {os.path.basename(path) for path in open_paths(process.pid)}
        assert "server.lock" in open_files
        assert "owner.lock" not in open_files
        second = run(folder)
        told = second.started()
        assert told["owned"] is False
        await execute(told["dsn"], *WRITE)
        second.does("server.stop()")
        second.kill()
        assert not process.gone(0)
        async with EmbeddedPostgres(folder) as beside:
            assert not beside.owned
            assert await execute(beside.dsn(), READ) == "kept"
        assert not process.gone(0)


def test_of_several_starting_together_one_owns_the_server(
    tmp_path: Path, run: Callable[..., Program]
) -> None:
    programs = [run(tmp_path / "instance") for _ in range(3)]
    assert sorted(bool(program.started()["owned"]) for program in programs) == [False, False, True]


async def test_the_next_start_takes_over_from_a_killed_owner(
    folder: Path, run: Callable[..., Program]
) -> None:
    first = run(folder)
    await execute(first.started()["dsn"], *WRITE)
    first.kill()
    # The old server may not even have noticed yet.
    told = run(folder).started()
    assert told["owned"] is True
    assert await execute(told["dsn"], READ) == "kept"


async def test_a_server_that_dies_under_its_owner_is_started_again(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    server.start()
    await execute(server.dsn(), *WRITE)
    with watched(folder) as process:
        os.kill(process.pid, signal.SIGKILL)
        assert process.gone()
    # The killed one's last children may hold the folder for a moment: more than one try.
    await asyncio.to_thread(until, lambda: accepts(str(folder / "data")))
    assert await execute(server.dsn(), READ) == "kept"
    with watched(folder) as process:
        server.stop()
        assert process.gone(0)


def test_a_server_whose_owner_is_gone_is_not_joined(tmp_path: Path) -> None:
    owner, other = InstanceLock(tmp_path), InstanceLock(tmp_path)
    assert owner.acquire()
    assert not other.acquire()
    assert other.owner_lives()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=(owner.server_fd,)) as server:
        owner.close()
        assert not other.acquire()
        assert not other.owner_lives()
        server.kill()
    assert other.acquire()
    other.close()


def test_a_killed_initdb_leaves_nothing_that_matters(
    tmp_path: Path, run: Callable[..., Program]
) -> None:
    folder = tmp_path / "instance"
    program = run(folder)
    until((folder / "data.new" / "global").exists)
    program.kill()
    assert not (folder / "data").exists()
    server = EmbeddedPostgres(folder, durable=False)
    server.start()
    assert server.owned
    assert not (folder / "data.new").exists()
    server.stop()


async def test_a_start_that_is_cancelled_leaves_nothing_running(tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    server = EmbeddedPostgres(folder, durable=False)
    starting = asyncio.create_task(server.__aenter__())
    await asyncio.to_thread(until, (folder / "data.new" / "global").exists)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    # Every process of a server would hold it.
    lock = InstanceLock(folder)
    assert lock.acquire()
    lock.close()


@pytest.mark.parametrize("name", ["long/" * 40, "spaces, commas; 100% @ñ?&x=y"])
async def test_a_path_no_socket_could_have_works(folder: Path, tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    place.parent.mkdir(parents=True, exist_ok=True)
    os.rename(folder, place)
    async with EmbeddedPostgres(place, durable=False) as server:
        async with EmbeddedPostgres(place, durable=False) as beside:
            await execute(beside.dsn(), *WRITE)
        assert await execute(server.dsn(), READ) == "kept"
    assert not [path for path in open_paths(os.getpid()) if path.startswith(str(place))]
