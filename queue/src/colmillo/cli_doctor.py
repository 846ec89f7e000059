"""``colmillo doctor``."""

import argparse
import dataclasses
from typing import TYPE_CHECKING

from colmillo.cli_text import json_text, say
from colmillo.clock import SystemClock
from colmillo.desk import Desk
from colmillo.doctor import examine

if TYPE_CHECKING:
    from colmillo.cli import Commands

FOUND_SOMETHING = 2


def add(commands: "Commands", common: argparse.ArgumentParser) -> None:
    """Adds the command."""
    doctor = commands.add_parser(
        "doctor",
        parents=[common],
        help="what is wrong with the database, and what to do",
        description="Looks for what makes a queue slow or stuck. "
        "Status 0: nothing found; 2: something to do; 1: could not look.",
    )
    doctor.add_argument("--json", action="store_true", help="as a JSON list")
    doctor.set_defaults(run=look)


async def look(desk: Desk, options: argparse.Namespace) -> int:
    """Writes what was found."""
    findings = await examine(desk, SystemClock())
    if options.json:
        say(json_text([dataclasses.asdict(finding) for finding in findings]))
    elif not findings:
        say("Nothing found: schema, indexes, vacuum, horizon, workers, queues and clock are fine.")
    else:
        for finding in findings:
            say(f"{finding.about}: {finding.what}\n  → {finding.do}")
    return FOUND_SOMETHING if findings else 0
