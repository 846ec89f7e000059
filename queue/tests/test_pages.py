"""The how-to pages are programs, and print what they say."""

import asyncio
import os
import signal
import sys
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
)


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_prints_what_it_says(page: str, empty_dsn: str, tmp_path: Path) -> None:
    printed = await run_program(joined(page, "python"), empty_dsn, tmp_path)
    said = joined(page, "text")
    assert printed.split("\n") == [line for line in said.split("\n") if line] + [""]


async def test_the_deployed_worker_stops_when_it_is_told(empty_dsn: str, tmp_path: Path) -> None:
    program = tmp_path / "worker.py"
    program.write_text(joined("deploying.md", "python"), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(program)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "DATABASE_URL": empty_dsn},
    )
    assert process.stderr is not None
    while b"worker registered" not in (line := await process.stderr.readline()):
        assert line, "it ended before it began"
    process.send_signal(signal.SIGTERM)
    said, _ = await process.communicate()
    assert said.decode() == joined("deploying.md", "text")
    assert process.returncode == 0
