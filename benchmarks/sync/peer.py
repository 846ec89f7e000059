"""`reader` from the package index, over the same feed server: what one would run instead."""

import argparse
import asyncio
import os
import subprocess
import time
import venv
from pathlib import Path
from typing import Any

from cases import CASES, host
from certificates import DOMAIN
from programs import HERE, Failed, program
from rounds import MS, Bench, measure

PINS = HERE / "peers" / "reader.txt"
COMPARED = ("quiet", "five", "all")


async def compare_reader(bench: Bench, given: argparse.Namespace) -> list[dict[str, Any]]:
    """A first reading and the compared cases, over fewer feeds; ours right before each of its."""
    due = min(given.reader_feeds, given.feeds)
    try:
        python = await asyncio.to_thread(environment, given.environments / "reader")
    except (OSError, subprocess.SubprocessError) as error:
        return [{"case": "reader", "failed": {f"cannot be installed here: {error}": 1}}]
    port = bench.town.ports["p256"]
    case = CASES["quiet"]
    urls = [f"https://{host(case, n)}.{DOMAIN}:{port}/{n}" for n in range(1, due + 1)]
    root = bench.folder / "certificates" / "root.pem"
    place = bench.folder / "reader"
    place.mkdir()
    found: list[dict[str, Any]] = []
    async with program(
        "reader",
        *("-P", str(HERE / "peers" / "peer_reader.py"), str(root)),
        folder=place,
        python=str(python),
        path=[],
    ) as peer:
        await peer.ask("add", limit=600, urls=urls)
        for name in ("first reading", *COMPARED):
            # Ours, and then its over the very same feeds, which do not change in between.
            ours = await measure(bench, CASES.get(name, case), due)
            before, before_server = peer.cpu(), bench.feeds.cpu()
            began = time.monotonic()
            try:
                await peer.ask("update", limit=given.limit)
            except Failed as error:
                return [*found, {"case": name, "failed": {str(error): due}}]
            seconds = time.monotonic() - began
            spent = (peer.cpu()["own"] - before["own"]) / due * MS
            served = (bench.feeds.cpu()["own"] - before_server["own"]) / due * MS
            counted = await peer.ask("count")
            versions = (await bench.feeds.ask("versions"))["feeds"][:due]
            row = {
                "case": name,
                "due": due,
                "seconds": seconds,
                "per_minute": due / seconds * 60,
                "ms": {"reader": spent, "feed server": served},
                "ms_ours": spent,
                "memory": peer.memory(),
                "about": peer.about,
                **counted,
            }
            row["failed"] = {str(counted["why"]): counted["failed"]} if counted["failed"] else {}
            row["expected"] = _expected(found, versions)
            print(f"{time.strftime('%H:%M:%S')} reader, {name}: {row['per_minute']:.0f}/min")
            if name in COMPARED:
                row["ours"] = ours
            found.append(row)
    return found


def _expected(found: list[dict[str, Any]], versions: list[list[int]]) -> int:
    """Entries that it should have: what its first reading brought, and what came since."""
    newest = sum(last for _, _, last in versions)
    if not found:
        return sum(items for _, items, _ in versions)
    first = found[0]
    first.setdefault("newest", newest)
    return int(first["expected"]) + newest - int(first["newest"])


def environment(place: Path) -> Path:
    """A private environment with what the pins name, made once."""
    python, stamp = place / "bin" / "python", place / ".installed"
    if not stamp.exists() or stamp.read_text() != PINS.read_text():
        place.parent.mkdir(parents=True, exist_ok=True)
        venv.create(place, with_pip=True, clear=True)
        command = [os.fspath(python), "-m", "pip", "install", "--quiet", "-r", os.fspath(PINS)]
        subprocess.run(command, check=True, capture_output=True, text=True)
        stamp.write_text(PINS.read_text())
    return python
