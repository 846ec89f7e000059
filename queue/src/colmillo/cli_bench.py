"""``colmillo bench``: how fast the queue is on this database, and what to compare that with."""

import argparse
import dataclasses
from typing import TYPE_CHECKING

import asyncpg

from colmillo.cli_text import json_text, say, table
from colmillo.clock import SystemClock
from colmillo.desk import ROW, Desk
from colmillo.errors import ColmilloError
from colmillo.measuring import Figures, measure, own_schema

if TYPE_CHECKING:
    from colmillo.cli import Commands

SCHEMA = "colmillo_bench"
CONNECTIONS = 6


def add(commands: "Commands") -> None:
    """Adds the command. Its schema is not that of the others."""
    bench = commands.add_parser(
        "bench",
        help="how fast the queue is on this database",
        description="Measures enqueueing, running and picking up on this database, in a schema "
        "of its own that it creates and drops. One process, tasks that do nothing.",
    )
    bench.add_argument("--dsn", help="as for the other commands")
    bench.add_argument(
        "--schema", default=SCHEMA, help=f"must not exist yet ({SCHEMA}); dropped at the end"
    )
    bench.add_argument("--tasks", type=int, default=5000, help="how many per measurement (5000)")
    bench.add_argument("--json", action="store_true", help="as a JSON object")
    bench.set_defaults(run=run)


async def run(desk: Desk, options: argparse.Namespace) -> int:
    """Measures and writes the table."""
    if options.tasks < 1:
        raise ColmilloError("--tasks has to be 1 or more")
    (server,) = await desk.rows("bench_server")
    async with own_schema(desk.connection, options.schema):
        pool = await asyncpg.create_pool(options.dsn, min_size=1, max_size=CONNECTIONS)
        try:
            if not options.json:
                say(about(server))
            figures = await measure(pool, options.schema, options.tasks, SystemClock())
            await pool.close()
        finally:
            # After an interruption nothing is waited for, least of all a cancelled statement.
            pool.terminate()
    if options.json:
        say(json_text({**server, **dataclasses.asdict(figures)}))
    else:
        say(table(("measure", "here", "compare with"), lines(figures), width=80))
    return 0


def about(server: ROW) -> str:
    """The server's settings, and what they mean for the figures."""
    settings = ", ".join(
        f"{name} {server[name]}"
        for name in ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers")
    )
    text = f"PostgreSQL {server['version']}: {settings}"
    if "off" in (server["fsync"], server["synchronous_commit"]):
        text += "\nCommits do not wait for the disk here: enqueueing is faster than it is safe."
    return f"{text}\n"


def lines(figures: Figures) -> list[tuple[str, str, str]]:
    """The table. What to compare with depends on what was measured."""
    trip = figures.round_trip_p50
    commit = 1 / figures.one_by_one
    return [
        (
            "round trip, p50 / p99",
            f"{ms(trip)} / {ms(figures.round_trip_p99)}",
            "a socket 0.1 ms, a network nearby 0.5 ms; everything below contains it",
        ),
        (
            "enqueue one by one",
            rate(figures.one_by_one),
            f"{ms(commit)} each, of it {ms(trip)} round trip; the rest is the server's commit",
        ),
        (
            "enqueue in bulk, by 1,000",
            rate(figures.in_bulk),
            f"{figures.in_bulk / figures.one_by_one:.0f} times one by one",
        ),
        ("drain at concurrency 10", rate(figures.drain_at_10), "a core by a socket: 20,000/s"),
        (
            "drain at concurrency 100",
            rate(figures.drain_at_100),
            "the same: about 25 µs of Python per task; more needs more processes",
        ),
        (
            "pick-up, p50 / p99",
            f"{ms(figures.pick_up_p50)} / {ms(figures.pick_up_p99)}",
            f"the enqueue's {ms(commit)}, a notification, a claim; 1 s would be polling",
        ),
    ]


def rate(per_second: float) -> str:
    """Tasks per second."""
    return f"{per_second:,.0f}/s"


def ms(seconds: float) -> str:
    """Milliseconds, to a digit that means something."""
    return f"{seconds * 1000:.2g} ms" if seconds < 0.1 else f"{seconds * 1000:,.0f} ms"
