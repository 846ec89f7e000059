"""The reference is what its script makes of today's docstrings."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "docs" / "reference.py"


def test_the_reference_is_current() -> None:
    checked = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False
    )
    # What is out of date, and the command that brings it up to date: make reference.
    assert (checked.stderr, checked.returncode) == ("", 0)
