"""The suite can fail: it finds every store that breaks one promise."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

TESTS = Path(__file__).parent
SOURCE = (TESTS / "twins" / "broken.py").read_text(encoding="utf-8")
BROKEN = re.findall(r"^class (\w+)\(Honest\):", SOURCE, re.MULTILINE)


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[str]]:
    """The tests that failed, for each twin, from one run of them all."""
    report = tmp_path_factory.mktemp("twins") / "report.xml"
    said = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", str(TESTS / "twins" / "broken.py")),
            *("--quiet", "--tb=no", "--timeout=30", "-p", "no:cacheprovider"),
            # Races take their time, and mean little in one process.
            *("-k", "not thousand and not two_workers"),
            f"--junitxml={report}",
        ],
        cwd=TESTS.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert said.returncode == 1, said.stdout
    found: dict[str, list[str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kind = case.attrib["classname"].rpartition(".Test")[2]
        failed = case.find("failure") is not None
        assert case.find("error") is None, case.attrib
        found.setdefault(kind, []).extend([case.attrib["name"]] * failed)
    return found


def test_the_store_that_they_are_copies_of_passes(failures: Mapping[str, list[str]]) -> None:
    assert failures["Honest"] == []
    assert failures.keys() == {"Honest", *BROKEN}


@pytest.mark.parametrize("twin", BROKEN)
def test_the_suite_finds_it(twin: str, failures: Mapping[str, list[str]]) -> None:
    assert failures[twin]
