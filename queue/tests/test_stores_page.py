"""The store of the page about stores passes the suite, run as the page says."""

import asyncio
import re
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "colmillo" / "stores.md"
FILES = re.findall(
    r"^`(\w+\.py)`[^\n]*:\n\n```python\n(.*?)```",
    PAGE.read_text(encoding="utf-8"),
    re.DOTALL | re.MULTILINE,
)


async def test_its_store_passes_the_suite(tmp_path: Path) -> None:
    assert [name for name, _ in FILES] == [
        "audited_store.py",
        "test_audited_store.py",
        "conftest.py",
        "test_audited_machine.py",
    ]
    for name, code in FILES:
        (tmp_path / name).write_text(code, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    passed = re.search(r"(\d+) passed", said.decode())
    assert passed is not None
    assert int(passed[1]) > 100


def test_it_says_how_many_twins_there_are() -> None:
    twins = (Path(__file__).parent / "twins" / "broken.py").read_text(encoding="utf-8")
    number = twins.count("(Honest):")
    assert f"has {number} stores" in PAGE.read_text(encoding="utf-8")
