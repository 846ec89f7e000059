"""The how-to pages are programs, and print what they say."""

from pathlib import Path

import pytest
from pages import joined, run_program

PAGES = (
    "tasks.md",
    "around.md",
    "scheduling.md",
    "unique.md",
    "long-work.md",
    "retries.md",
    "deploying.md",
)


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_prints_what_it_says(page: str, empty_dsn: str, tmp_path: Path) -> None:
    printed = await run_program(joined(page, "python"), empty_dsn, tmp_path)
    said = joined(page, "text")
    assert printed.split("\n") == [line for line in said.split("\n") if line] + [""]
