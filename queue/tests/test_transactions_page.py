"""The programs of the page about transactions print what it says, and leave what they say."""

import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from colmillo import PostgresStore
from colmillo.store import State

if TYPE_CHECKING:
    from colmillo.database import Pool

PAGE = Path(__file__).parents[2] / "docs" / "colmillo" / "transactions.md"
BLOCKS = re.findall(
    r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
)
TASKS: tuple[dict[tuple[str, State], int], ...] = (
    {("mail", State.WAITING): 1},
    {("mail", State.WAITING): 2},
    {},
)


@pytest.mark.parametrize(
    ("code", "output", "left"),
    [(*block, left) for block, left in zip(BLOCKS, TASKS, strict=True)],
    ids=["sqlalchemy", "psycopg", "complete"],
)
async def test_programs_print_what_they_say(
    code: str, output: str, left: dict[tuple[str, State], int], dsn: str, pool: "Pool"
) -> None:
    address = dsn.removeprefix("postgresql")
    assert code.count("://localhost/app") == 1
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", code.replace("://localhost/app", address)),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert said.decode() == output
    assert process.returncode == 0
    assert await PostgresStore(pool).counts() == left
