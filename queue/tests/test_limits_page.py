"""The program of the page about limits prints what it says."""

import asyncio
import re
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "colmillo" / "limits.md"
((CODE, OUTPUT),) = re.findall(
    r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
)


async def test_the_program_prints_what_it_says(empty_dsn: str) -> None:
    assert CODE.count("postgresql://localhost/app") == 1
    code = CODE.replace("postgresql://localhost/app", empty_dsn)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", code), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert said.decode() == OUTPUT
    assert process.returncode == 0
