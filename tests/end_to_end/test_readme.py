"""The README's session, run as it is written."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

from ports import free_port

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


# The reader's pauses are for these; here each lasts until it was shown, however slow the machine.
AWAITED = (b"16 Nov 2026, 08:00 UTC", b"17 Nov 2026, 08:00 UTC")


def block(kind: str) -> str:
    """The README's first block of this kind."""
    found = re.search(rf"```{kind}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


def comparable(text: str) -> str:
    """Without what differs from run to run: when the feed was checked."""
    return re.sub(r"checked \d+ \w+ \d{4}, \d\d:\d\d UTC", "checked …", text).strip()


async def test_the_session_goes_as_the_readme_shows(tmp_path: Path) -> None:
    port = str(free_port())
    script = block("sh").replace("8000", port)
    # What make runs, without looking whether the environment is up to date.
    script = script.replace("make -s run", f"{sys.executable} -m heraldo.cli run")
    process = await asyncio.create_subprocess_exec(
        *("bash", "-ec", f"set -m; sleep() {{ read -r _; }}; {script}"),
        cwd=ROOT,
        env={
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "HERALDO_DATA_DIR": str(tmp_path / "data"),
            "TMPDIR": str(tmp_path),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    said = b""
    async with asyncio.timeout(100):
        for awaited in AWAITED:
            while awaited not in said:
                chunk = await process.stdout.read(4096)
                assert chunk, said.decode()
                said += chunk
            process.stdin.write(b"\n")
        said += (await process.communicate())[0]
    shown = said.decode().replace(port, "8000")
    assert comparable(shown) == comparable(block("text"))
