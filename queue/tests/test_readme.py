"""The README's programs run as they stand there, and what it names exists."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

import colmillo.testing.suite

TESTS = Path(__file__).parent
README = (TESTS.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", README, re.DOTALL)
PROGRAMS = [(code, output) for code, output in BLOCKS if "asyncio.run(" in code]
DSN = "postgresql://localhost/app"


def test_it_is_short_and_has_a_quickstart_of_under_40_lines() -> None:
    assert len(README.splitlines()) <= 150
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


def test_the_tests_it_names_exist() -> None:
    named = re.findall(r"\| `(test_\w+)` \|", README)
    suite = Path(colmillo.testing.suite.__file__).parent
    files = [*TESTS.rglob("test_*.py"), *suite.glob("*.py")]
    source = "".join(path.read_text(encoding="utf-8") for path in files)
    assert len(named) > 8
    assert [name for name in named if f"def {name}(" not in source] == []
