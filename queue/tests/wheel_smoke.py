"""Builds the wheel and runs the README's programs with it in an empty environment.

    python queue/tests/wheel_smoke.py python3.11 ~/.pyenv/versions/3.13.0/bin/python

For each Python: a new virtual environment, the wheel with its extras and what they need from
the package index, pip's own check, the command line, the programs against an embedded server,
and the suite for stores as docs/colmillo/stores.md runs it, with pytest and pytest-asyncio alone.
This Python needs ``hatchling`` and pip.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

QUEUE = Path(__file__).resolve().parents[1]
DSN = "postgresql://localhost/app"

KIT = """
import sys

import colmillo.testing, colmillo.testing.sync, colmillo.testing.trouble

assert {"pytest", "hypothesis"}.isdisjoint(sys.modules)
"""

RUN = """
import runpy, sys, tempfile
from pathlib import Path

import colmillo
from colmillo.embedded import EmbeddedPostgres

assert Path(colmillo.__file__).is_relative_to(sys.prefix), colmillo.__file__
assert {"psycopg", "sqlalchemy"}.isdisjoint(sys.modules)
with tempfile.TemporaryDirectory() as folder:
    server = EmbeddedPostgres(Path(folder), durable=False)
    server.start()
    try:
        program = Path(sys.argv[1])
        code = program.read_text(encoding="utf-8").replace(sys.argv[2], server.dsn())
        program.write_text(code, encoding="utf-8")
        runpy.run_path(str(program), run_name="__main__")
    finally:
        server.stop()
"""


def main() -> int:
    """Tries the wheel on each Python; 1 when any of them failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pythons", nargs="+", metavar="PYTHON")
    pythons: list[str] = parser.parse_args().pythons
    failed = 0
    with tempfile.TemporaryDirectory(prefix="colmillo-wheel-") as made:
        folder = Path(made)
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", made, cwd=QUEUE)
        (wheel,) = folder.glob("*.whl")
        for number, python in enumerate(pythons):
            version = run(python, "--version").strip()
            try:
                try_wheel(wheel, python, folder / str(number))
            except (subprocess.CalledProcessError, AssertionError) as error:
                failed += 1
                sys.stdout.write(f"FAILED  {version}: {error}\n")
            else:
                sys.stdout.write(f"passed  {version}\n")
            sys.stdout.flush()
    return 1 if failed else 0


def try_wheel(wheel: Path, python: str, home: Path) -> None:
    """Installs the wheel for this Python and uses it."""
    run(python, "-m", "venv", str(home))
    inside = str(home / "bin" / "python")
    install(inside, f"{wheel}[cron,embedded]")
    run(inside, "-m", "pip", "check")
    run(inside, "-W", "error", "-c", KIT, cwd=home)
    assert "CREATE TABLE" in run(str(home / "bin" / "colmillo"), "migrate", "--sql")
    for code, output in programs():
        program = home / "program.py"
        program.write_text(code, encoding="utf-8")
        said = run(inside, "-W", "error", "-c", RUN, str(program), DSN, cwd=home)
        assert said == output, f"{said!r} instead of {output!r}"
    try_suite(inside, home / "suite")


def try_suite(inside: str, folder: Path) -> None:
    """Runs the suite for stores against the page's store, with what it says it needs alone."""
    install(inside, "pytest", "pytest-asyncio")
    folder.mkdir()
    for name, code in suite():
        (folder / name).write_text(code, encoding="utf-8")
    said = run(inside, "-m", "pytest", "-q", cwd=folder)
    passed = re.search(r"(\d+) passed", said)
    assert passed is not None, said
    assert int(passed[1]) > 100, said


def suite() -> list[tuple[str, str]]:
    """The files of the page about stores, those that need hypothesis left out."""
    page = (QUEUE.parent / "docs" / "colmillo" / "stores.md").read_text(encoding="utf-8")
    files = re.findall(
        r"^`(\w+\.py)`[^\n]*:\n\n```python\n(.*?)```", page, re.DOTALL | re.MULTILINE
    )
    found = [(name, code) for name, code in files if "colmillo.testing.machine" not in code]
    assert len(found) == 3, "the page about stores has other files"
    return found


def install(inside: str, *what: str) -> None:
    """Installs packages into the environment of this Python."""
    run(inside, "-m", "pip", "install", "-qq", "--disable-pip-version-check", *what)


def programs() -> list[tuple[str, str]]:
    """The README's programs with what they print."""
    readme = (QUEUE / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", readme, re.DOTALL)
    found = [(code, output) for code, output in blocks if DSN in code]
    assert found, "no programs in the README"
    return found


def run(*command: str, cwd: Path | None = None) -> str:
    """Runs a program and returns what it printed."""
    environment = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    for name in ("PIP_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY"):
        if name in os.environ:
            environment[name] = os.environ[name]
    done = subprocess.run(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
