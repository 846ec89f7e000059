"""``colmillo schedules``: list, add, pause, resume, remove."""

import argparse
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from colmillo.checks import check_name, check_tasks
from colmillo.cli_text import json_text, plain, say, table, when
from colmillo.desk import Desk
from colmillo.errors import InvalidTask
from colmillo.schedule import Cron, Every, task_of
from colmillo.schedule_spec import spec_of, timing_of
from colmillo.store import NewTask

if TYPE_CHECKING:
    from colmillo.cli import Commands


def add(commands: "Commands", common: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser("schedules", help="see schedules; add, pause or remove them")
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", parents=[common], help="all of them")
    listing.add_argument("--json", action="store_true", help="as a JSON list")
    listing.set_defaults(run=list_schedules)
    for action, text in (
        ("pause", "fire it no more, static or not"),
        ("resume", "let it go on; the pause is not made up for"),
        ("remove", "forget it; a static one comes back with its workers"),
    ):
        change = actions.add_parser(action, parents=[common], help=text)
        change.add_argument("name")
        change.set_defaults(run=change_schedule)
    adding = actions.add_parser("add", parents=[common], help="a schedule from now on")
    adding.add_argument("name")
    times = adding.add_mutually_exclusive_group(required=True)
    times.add_argument("--cron", metavar="EXPRESSION", help="five fields, such as '0 7 * * *'")
    times.add_argument("--every", metavar="SECONDS", type=float)
    adding.add_argument("--zone", default="UTC", help="the expression's IANA zone (UTC)")
    adding.add_argument("--task", required=True, help="the task's name")
    adding.add_argument("--queue", default="default", help="the task's queue (default)")
    adding.add_argument("--args", default="{}", help="its arguments, a JSON object ({})")
    adding.add_argument("--priority", type=int, default=0)
    adding.add_argument("--max-attempts", type=int, default=25, help="0 is without limit (25)")
    adding.add_argument("--missed", choices=["none", "last", "all"], default="last")
    adding.add_argument("--overlap", choices=["allow", "skip"], default="allow")
    adding.add_argument("--replace", action="store_true", help="in the place of one that is there")
    adding.set_defaults(run=add_schedule)


async def list_schedules(desk: Desk, options: argparse.Namespace) -> int:
    """Writes the schedules."""
    rows = await desk.rows("schedules")
    if options.json:
        say(json_text([{**row, "spec": json.loads(row["spec"])} for row in rows]))
        return 0
    if not rows:
        say("No schedules.")
        return 0
    now = (await desk.rows("now"))[0]["clock_timestamp"]
    columns = ("schedule", "when", "task", "queue", "last fired", "from", "")
    lines: list[tuple[object, ...]] = []
    for row in rows:
        task = json.loads(row["spec"])["task"]
        fired = None if row["last_tick"] is None else when(row["last_tick"], now)
        origin = "code" if row["static"] else "added"
        paused = "paused" if row["paused"] else ""
        names = (task["name"], task["queue"])
        lines.append((row["name"], row["timing"], *names, fired, origin, paused))
    say(table(columns, lines))
    return 0


async def change_schedule(desk: Desk, options: argparse.Namespace) -> int:
    """Pauses, resumes or removes."""
    name = plain(options.name)
    if options.action == "remove":
        rows = await desk.rows("remove_schedule", options.name)
        said = "is removed"
    else:
        rows = await desk.rows("pause_schedule", options.name, options.action == "pause")
        said = "is paused" if options.action == "pause" else "goes on from now"
    if not rows:
        raise InvalidTask(f"schedule {name}: there is none of this name, or it was so already")
    say(f"The schedule {name} {said}.")
    return 0


async def add_schedule(desk: Desk, options: argparse.Namespace) -> int:
    """Adds one. Its task need not be known here, so its arguments are not checked."""
    schedule = schedule_of(options)
    check_name("schedule's name", schedule.name)
    check_tasks([task_of(schedule)])
    rows = await desk.rows(
        "add_schedule", schedule.name, timing_of(schedule), spec_of(schedule), options.replace
    )
    if not rows:
        raise InvalidTask(
            f"schedule {plain(schedule.name)}: there is one of this name already "
            "(--replace is for those that were added)"
        )
    now = (await desk.rows("now"))[0]["clock_timestamp"]
    following = schedule.next(now)
    text = f"{following.isoformat(sep=' ', timespec='seconds')} ({when(following, now)})"
    say(f"The schedule {plain(schedule.name)} fires first at {text}.")
    return 0


def schedule_of(options: argparse.Namespace) -> Every | Cron:
    """The schedule that the options describe."""
    try:
        arguments = json.loads(options.args)
    except ValueError as error:
        raise InvalidTask(f"--args is no JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise InvalidTask("--args has to be a JSON object, the arguments by name")
    task = NewTask(
        name=options.task,
        queue=options.queue,
        payload=json.dumps(arguments, ensure_ascii=False, separators=(",", ":")),
        priority=options.priority,
        max_attempts=options.max_attempts or None,
    )
    policy: dict[str, Any] = {"missed": options.missed, "overlap": options.overlap}
    if options.every is not None:
        return Every(options.name, timedelta(seconds=options.every), task, **policy)
    return Cron(options.name, options.cron, options.zone, task, **policy)
