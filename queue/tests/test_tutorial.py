"""The tutorial, played from its second step on: files, commands, terminals, and what they say."""

from importlib.metadata import metadata
from pathlib import Path

import pytest
from pages import blocks, terminals

PAGE = "tutorial.md"
LASTING = ("python worker.py", "python -m colmillo.embedded")


def test_what_it_installs_can_be_installed() -> None:
    install = blocks(PAGE)[0].text
    assert 'pip install "colmillo[cron,embedded]"' in install
    assert {"cron", "embedded"} <= set(metadata("colmillo").get_all("Provides-Extra") or ())


@pytest.mark.timeout(240)
async def test_everything_in_it_happens_as_it_says(tmp_path: Path) -> None:
    first, *rest = blocks(PAGE)
    assert first.text.startswith("$ mkdir")
    async with terminals(tmp_path, LASTING) as opened:
        for block in rest:
            await opened.play(block)
