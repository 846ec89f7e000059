"""The README's programs run as they stand there, and what it names exists."""

import asyncio
import re
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import colmillo.testing.suite
from colmillo import MemoryStore, Unique, task
from colmillo.schema import statements

TESTS = Path(__file__).parent
README = (TESTS.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", README, re.DOTALL)
PROGRAMS = [(code, output) for code, output in BLOCKS if "asyncio.run(" in code]
DSN = "postgresql://localhost/app"


def test_there_is_a_quickstart_of_under_40_lines() -> None:
    assert len(PROGRAMS) == 2
    assert len(PROGRAMS[0][0].splitlines()) < 40


@pytest.mark.parametrize(("code", "output"), PROGRAMS, ids=["quickstart", "transaction"])
async def test_programs_print_what_they_say(
    code: str, output: str, empty_dsn: str, tmp_path: Path
) -> None:
    assert code.count(DSN) == 1
    program = tmp_path / "program.py"
    program.write_text(code.replace(DSN, empty_dsn), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", str(program), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert said.decode() == output
    assert process.returncode == 0


def test_the_unique_tasks_in_it_are_declared_right() -> None:
    names: dict[str, Any] = {"Unique": Unique, "task": task, "timedelta": timedelta}
    for code, _ in BLOCKS:
        if "Unique(" in code:
            exec(code, names)
    assert names["one"].unique_hash != names["check"].new(feed_id=3, why="").unique_hash
    assert (names["one"].duplicate, names["other"].duplicate) == ("earlier", "raise")
    assert names["later"].duplicate == "replace"


async def test_the_test_in_it_passes() -> None:
    (code,) = [code for code, _ in BLOCKS if "FakeClock" in code]
    names: dict[str, Any] = {"__name__": "readme"}
    exec(code, names)
    await names["test_reminders_come_every_minute"]()


def test_the_alembic_revision_runs_every_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    executed: list[str] = []
    alembic = SimpleNamespace(op=SimpleNamespace(execute=executed.append))
    monkeypatch.setitem(sys.modules, "alembic", alembic)
    (code,) = [code for code, _ in BLOCKS if "alembic" in code]
    names: dict[str, Any] = {}
    exec(code, names)
    names["upgrade"]()
    assert executed == statements("colmillo")


def test_the_worker_with_middleware_can_be_made() -> None:
    (code,) = [code for code, _ in BLOCKS if "middleware=" in code]
    names: dict[str, Any] = {"__name__": "readme"}
    exec(code, names)
    names["worker"](MemoryStore())


def test_the_tests_it_names_exist() -> None:
    named = re.findall(r"\| `(test_\w+)` \|", README)
    suite = Path(colmillo.testing.suite.__file__).parent
    files = [*TESTS.rglob("test_*.py"), *suite.glob("*.py")]
    source = "".join(path.read_text(encoding="utf-8") for path in files)
    assert len(named) > 8
    assert [name for name in named if f"def {name}(" not in source] == []
