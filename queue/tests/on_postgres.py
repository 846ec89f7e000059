"""Runs the queue's tests on other versions of PostgreSQL.

    python queue/tests/on_postgres.py /usr/lib/postgresql/15/bin [more folders] [-- -k claim]

Each folder has initdb, pg_ctl and postgres in it. What comes after -- is for pytest. The tests
of the embedded server run on the one that is installed, so they are left out here.
"""

import argparse
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TESTS = Path(__file__).resolve().parent

PORT = 5432


def main() -> int:
    """Runs the tests on each server in turn; 1 when any of them failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("programs", nargs="+", type=Path, metavar="FOLDER")
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:split])
    results: dict[str, bool] = {}
    for programs in options.programs:
        version = run(programs.resolve() / "postgres", "--version").strip()
        sys.stdout.write(f"== {version}\n")
        sys.stdout.flush()
        with postgres(programs.resolve()) as dsn:
            results[version] = tests_pass(dsn, sys.argv[split + 1 :])
    for version, passed in results.items():
        sys.stdout.write(f"{'passed' if passed else 'FAILED'}  {version}\n")
    return 0 if all(results.values()) else 1


def tests_pass(dsn: str, arguments: list[str]) -> bool:
    """Runs pytest against the server."""
    command = [sys.executable, "-m", "pytest", "--quiet", str(TESTS.parent)]
    left_out = [f"--ignore={path}" for path in sorted(TESTS.glob("test_embedded*.py"))]
    environment = {**os.environ, "COLMILLO_TEST_DSN": dsn}
    return subprocess.call([*command, *left_out, *arguments], env=environment) == 0


def account() -> str | None:
    """Who runs servers: this user, or one without rights when this is root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder that belongs to `account`, with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="colmillo-", dir="/tmp") as made:
        if (user := account()) is not None:
            os.chown(made, pwd.getpwnam(user).pw_uid, -1)
        yield Path(made)


@contextmanager
def postgres(programs: Path) -> Iterator[str]:
    """Runs a fresh server on a socket; the address of its database ``postgres``."""
    with folder() as home:
        data = home / "data"
        run(programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")
        settings = f"-k {home} -p {PORT} -c listen_addresses= -c fsync=off -c max_connections=200"
        log = home / "log"
        run(programs / "pg_ctl", "start", "-w", "-D", data, "-l", log, "-o", settings)
        try:
            yield f"postgresql://postgres@/postgres?host={home}&port={PORT}"
        finally:
            run(programs / "pg_ctl", "stop", "-w", "-m", "immediate", "-D", data)


def run(*command: Path | str) -> str:
    """Runs a program as `account` and returns what it said."""
    done = subprocess.run(
        [str(part) for part in command],
        user=account(),
        cwd="/",
        env={"LC_ALL": "C.UTF-8", "PATH": os.defpath},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
