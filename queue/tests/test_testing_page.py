"""The tests of the page about testing pass as they stand there."""

import asyncio
import re
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "colmillo" / "testing.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
DSN = "postgresql://localhost/app_test"


async def test_its_tests_pass(empty_dsn: str, tmp_path: Path) -> None:
    code = "".join(BLOCKS)
    assert code.count(DSN) == 1
    (tmp_path / "test_page.py").write_text(code.replace(DSN, empty_dsn), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider"),
        *("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert f"{code.count('async def test_')} passed" in said.decode()
