"""The page about flows: its program prints what it says, and the rest of it can be written so."""

import asyncio
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from colmillo import NewTask, flows

PAGE = (Path(__file__).parents[2] / "docs" / "colmillo" / "flows.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


async def test_the_program_prints_what_it_says(empty_dsn: str) -> None:
    ((code, output),) = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)
    assert code.count("postgresql://localhost/app") == 1
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c"),
        code.replace("postgresql://localhost/app", empty_dsn),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert said.decode() == output
    assert process.returncode == 0


def test_the_step_that_runs_anyway() -> None:
    (code,) = [code for code in BLOCKS if "on_failure" in code]
    new = NewTask(name="n", queue="q", payload="{}")
    names: dict[str, Any] = {"parts": [new, new], "tidy_up": SimpleNamespace(new=lambda: new)}
    exec(code, {**vars(flows), **names}, names)
    assert [one.on_failure for one in names["flow"].tasks()] == ["cancel", "cancel", "run"]
    assert names["flow"].tasks()[-1].after == (0, 1)
