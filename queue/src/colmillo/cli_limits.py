"""``colmillo queues limit``."""

import argparse
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from colmillo.cli_text import plain, say
from colmillo.desk import ROW, Desk
from colmillo.errors import InvalidTask
from colmillo.limits import Limits, Rate

if TYPE_CHECKING:
    from colmillo.cli import Commands

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
RATE = re.compile(r"(\d+)/(\d*)(ms|s|m|h|d)")


def add(actions: "Commands", common: argparse.ArgumentParser) -> None:
    """Adds the command."""
    limit = actions.add_parser(
        "limit",
        parents=[common],
        help="limit what runs of a queue, over all workers",
        description="Sets the queue's limits, in place of those it has. They hold from the next "
        "claim of any worker on; what runs already is not counted.",
    )
    limit.add_argument("queue")
    limit.add_argument("--running", type=int, metavar="N", help="at most N of its tasks at a time")
    limit.add_argument("--per-key", type=int, metavar="N", help="at most N of one concurrency key")
    limit.add_argument("--rate", type=rate, metavar="N/TIME", help="starts: 100/1m, 5/s, 1/500ms")
    limit.add_argument("--burst", type=int, metavar="N", help="so many of the rate at once")
    limit.add_argument("--none", action="store_true", help="no limits any more")
    limit.set_defaults(run=set_limits)


def rate(text: str) -> Rate:
    """A rate as it is written: ``100/1m``."""
    match = RATE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError("a rate is written as 100/1m, 5/s or 1/500ms")
    tasks, count, unit = match.groups()
    try:
        return Rate(int(tasks), timedelta(seconds=int(count or 1) * UNITS[unit]))
    except InvalidTask as error:
        raise argparse.ArgumentTypeError(error.detail) from None
    except OverflowError:
        raise argparse.ArgumentTypeError("that is no time") from None


async def set_limits(desk: Desk, options: argparse.Namespace) -> int:
    """Sets the limits."""
    given = [options.running, options.per_key, options.rate]
    if options.none == any(value is not None for value in given):
        raise ValueError("give --running, --per-key or --rate, or --none by itself")
    timing: Rate | None = options.rate
    if options.burst is not None:
        if timing is None:
            raise ValueError("--burst is part of a rate: give --rate too")
        timing = Rate(timing.tasks, timing.per, options.burst)
    limits = Limits(running=options.running, per_key=options.per_key, rate=timing)
    await desk.set_limits(options.queue, limits)
    said = "has these limits" if limits else "has no limits"
    say(f"The queue {plain(options.queue)} {said} from the next claim on.")
    return 0


def limits_text(row: ROW) -> list[str]:
    """The limits in a row of ``queues.sql``, for people."""
    said: list[str] = []
    if row["limit_running"] is not None:
        said.append(f"at most {row['limit_running']} run")
    if row["limit_per_key"] is not None:
        said.append(f"{row['limit_per_key']} per key")
    if row["rate_tasks"] is not None:
        said.append(f"{row['rate_tasks']} start per {row['rate_seconds']:g} s")
        if row["burst"] != row["rate_tasks"]:
            said.append(f"burst {row['burst']}")
    return said
