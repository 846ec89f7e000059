"""``colmillo queues`` and ``colmillo top``."""

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from colmillo import cli_limits
from colmillo.cli_text import json_text, plain, say, span, table, when
from colmillo.clock import SystemClock
from colmillo.desk import ROW, Desk
from colmillo.waiting import wait_any

if TYPE_CHECKING:
    from colmillo.cli import Commands

CLEAR = "\x1b[H\x1b[2J"
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


def add(commands: "Commands", common: argparse.ArgumentParser) -> None:
    """Adds the commands."""
    queues = commands.add_parser(
        "queues", parents=[common], help="see queues; pause, resume and limit them"
    )
    queues.add_argument("--json", action="store_true", help="as a JSON list")
    queues.set_defaults(run=list_queues)
    actions = queues.add_subparsers(dest="action")
    # What is left out after the action stays as it was given before it.
    again = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    again.add_argument("--dsn", help="as above")
    again.add_argument("--schema", help="as above")
    listing = actions.add_parser(
        "list",
        parents=[again],
        argument_default=argparse.SUPPRESS,
        help="what waits, runs and failed",
    )
    listing.add_argument("--json", action="store_const", const=True, help="as a JSON list")
    listing.set_defaults(run=list_queues)
    cli_limits.add(actions, again)
    for action, text in (
        ("pause", "let no worker take tasks of this queue"),
        ("resume", "let workers take its tasks again"),
    ):
        switch = actions.add_parser(action, parents=[again], help=text)
        switch.add_argument("queue")
        switch.set_defaults(run=pause)
    top = commands.add_parser("top", parents=[common], help="queues and workers, live; q leaves")
    top.add_argument("--once", action="store_true", help="write it once and end")
    top.set_defaults(run=show_top)


async def list_queues(desk: Desk, options: argparse.Namespace) -> int:
    """Writes the queues."""
    rows = await desk.queues()
    if options.json:
        say(json_text([{key: row[key] for key in row if key != "now"} for row in rows]))
    else:
        say(queue_table(rows) if rows else "No tasks, and no queue is paused or limited.")
    return 0


def queue_table(rows: list[ROW]) -> str:
    """The queues, one per line."""
    columns = ("queue", "due", "oldest", "later", "running", "archived", "")
    return table(
        columns,
        [
            (
                row["queue"],
                row["due"],
                None if row["oldest"] is None else span(row["now"] - row["oldest"]),
                row["later"],
                row["running"],
                row["archived"],
                remarks(row),
            )
            for row in rows
        ],
        width=100,
    )


def remarks(row: ROW) -> str:
    """What is true of few queues: tasks that are blocked, a pause, limits."""
    blocked = [f"{row['blocked']} wait for other tasks"] if row["blocked"] else []
    paused = [f"paused {when(row['paused_at'], row['now'])}"] if row["paused_at"] else []
    return ", ".join([*blocked, *paused, *cli_limits.limits_text(row)])


async def pause(desk: Desk, options: argparse.Namespace) -> int:
    """Pauses or resumes a queue."""
    pausing = options.action == "pause"
    rows = await desk.rows("pause_queue", options.queue, pausing)
    name = plain(options.queue)
    if pausing:
        said = "is paused; what runs goes on" if rows else "was paused already"
    else:
        said = "goes on" if rows else "was not paused"
    say(f"The queue {name} {said}.")
    return 0


async def show_top(desk: Desk, options: argparse.Namespace) -> int:
    """Writes the view once, or every second until q or Ctrl-C."""
    before = await desk.totals()
    if options.once or not sys.stdout.isatty():
        say(await view(desk, before, None))
        return 0
    left = asyncio.Event()
    with screen(left):
        earlier: ROW | None = None
        while not left.is_set():
            lines = (await view(desk, before, earlier)).splitlines()
            columns, height = shutil.get_terminal_size()
            shown = "\r\n".join(line[:columns] for line in lines[: height - 1])
            sys.stdout.write(f"{CLEAR}{shown}")
            sys.stdout.flush()
            await wait_any(SystemClock(), 1.0, left)
            earlier, before = before, await desk.totals()
    return 0


async def view(desk: Desk, totals: ROW, earlier: ROW | None) -> str:
    """The whole view as text."""
    head = f"colmillo  {totals['now']:%Y-%m-%d %H:%M:%S} UTC  {totals['live']} live tasks"
    if earlier is not None:
        seconds = max((totals["now"] - earlier["now"]).total_seconds(), 0.001)
        new = totals["last_id"] - earlier["last_id"]
        ended = new - (totals["live"] - earlier["live"])
        head += f"  {max(new, 0) / seconds:.0f} enqueued/s  {max(ended, 0) / seconds:.0f} ended/s"
    queues, workers = await desk.queues(), await desk.workers()
    lines = [head, "", queue_table(queues) if queues else "No tasks.", ""]
    lines.append(worker_table(workers) if workers else "No workers.")
    return "\n".join(lines)


def worker_table(rows: list[ROW]) -> str:
    """The workers, one per line."""
    return table(
        ("worker", "running", "up", "lease"),
        [
            (
                row["name"] or row["id"],
                row["running"],
                None if row["started_at"] is None else span(row["now"] - row["started_at"]),
                f"{span(row['expires_at'] - row['now'])} left" if row["alive"] else "over",
            )
            for row in rows
        ],
    )


@contextmanager
def screen(left: asyncio.Event) -> Iterator[None]:
    """The terminal's other screen during the block; the key q sets ``left``."""
    import termios
    import tty

    loop, keys = asyncio.get_running_loop(), sys.stdin.fileno()
    interactive = sys.stdin.isatty()
    saved = termios.tcgetattr(keys) if interactive else None

    def pressed() -> None:
        typed = os.read(keys, 64)
        # Nothing at all means that the terminal is gone.
        if not typed or b"q" in typed.lower():
            left.set()

    sys.stdout.write(ENTER)
    try:
        if interactive:
            tty.setcbreak(keys)
            loop.add_reader(keys, pressed)
        yield
    finally:
        if saved is not None:
            loop.remove_reader(keys)
            termios.tcsetattr(keys, termios.TCSADRAIN, saved)
        sys.stdout.write(LEAVE)
        sys.stdout.flush()
