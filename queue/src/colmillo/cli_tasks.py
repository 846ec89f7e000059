"""``colmillo tasks``: list, show, retry, cancel, delete."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from colmillo.cli_text import json_text, plain, say, table, when
from colmillo.desk import MOST_AT_ONCE, ROW, Desk, Filter
from colmillo.errors import InvalidTask
from colmillo.payload import arguments_in, headers_in
from colmillo.store import Ending, State

if TYPE_CHECKING:
    from colmillo.cli import Commands

ARCHIVED = tuple(State(ending) for ending in Ending)
# What each action can act on.
SCOPES = {
    "retry": ARCHIVED,
    "cancel": (State.WAITING, State.BLOCKED),
    "delete": (State.WAITING, State.BLOCKED, *ARCHIVED),
}
DONE = {"retry": "Put back", "cancel": "Cancelled", "delete": "Deleted"}


def add(commands: "Commands", common: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser("tasks", help="see tasks; retry, cancel or delete them")
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", parents=[common], help="the newest tasks first")
    add_filters(listing)
    listing.add_argument("--limit", type=int, default=50, help="how many (50)")
    listing.add_argument("--before", type=int, metavar="ID", help="those below this id: a page on")
    listing.add_argument("--json", action="store_true", help="as a JSON list")
    listing.set_defaults(run=list_tasks)
    show = actions.add_parser("show", parents=[common], help="everything about one task")
    show.add_argument("id", type=int)
    show.add_argument("--json", action="store_true", help="as a JSON object")
    show.set_defaults(run=show_task)
    for action, text in (
        ("retry", "put archived tasks back, due now, with all their attempts"),
        ("cancel", "archive waiting tasks as cancelled"),
        ("delete", "remove waiting or archived tasks for good"),
    ):
        acting = actions.add_parser(
            action, parents=[common], help=text, description=f"{text}: by id, or all that match."
        )
        acting.add_argument("id", type=int, nargs="*")
        add_filters(acting)
        if action == "cancel":
            acting.add_argument("--why", default="cancelled by an operator", help="kept with it")
        acting.set_defaults(run=act)


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Adds the options that choose tasks."""
    parser.add_argument("--queue", help="of this queue")
    parser.add_argument("--name", help="of this name")
    parser.add_argument(
        "--state", action="append", choices=[s.value for s in State], help="may be repeated"
    )


async def list_tasks(desk: Desk, options: argparse.Namespace) -> int:
    """Writes a page of tasks."""
    rows = await desk.tasks(
        Filter(
            queue=options.queue,
            name=options.name,
            states=tuple(State(state) for state in options.state or ()),
            before=options.before,
            limit=options.limit,
        )
    )
    if options.json:
        say(json_text([{key: row[key] for key in row if key != "now"} for row in rows]))
        return 0
    if not rows:
        say("No tasks.")
        return 0
    columns = ("id", "state", "queue", "task", "priority", "attempt", "when", "last error")
    say(table(columns, [line_of(row) for row in rows]))
    if len(rows) == options.limit:
        say(f"\nThere may be more: --before {rows[-1]['id']}")
    return 0


def line_of(row: ROW) -> Sequence[object]:
    """One task in the list."""
    most = row["max_attempts"]
    if row["archived_at"] is not None:
        moment = f"ended {when(row['archived_at'], row['now'])}"
    elif row["state"] == State.BLOCKED:
        moment = "after its parents"
    elif row["state"] == State.RUNNING:
        moment = f"was due {when(row['run_at'], row['now'])}"
    else:
        moment = f"due {when(row['run_at'], row['now'])}"
    attempt = f"{row['attempt']}/{most or '∞'}"
    head = (row["id"], row["state"], row["queue"], row["name"], row["priority"])
    return (*head, attempt, moment, row["last_error"])


async def show_task(desk: Desk, options: argparse.Namespace) -> int:
    """Writes everything about one task."""
    row = await desk.task(options.id)
    if row is None:
        raise InvalidTask(f"there is no task {options.id}: it is done, or never was")
    now = row.pop("now")
    headers = headers_in(row["payload"])
    row["payload"] = arguments_in(row["payload"])
    if options.json:
        say(json_text({**row, "headers": headers}))
        return 0
    errors = row.pop("errors")
    row["parents"] = ", ".join(f"{task} ({how or 'open'})" for task, how in row["parents"].items())
    row["children"] = ", ".join(map(str, row["children"]))
    width = max(map(len, row))
    for key, value in row.items():
        if value in (None, ""):
            continue
        moment = f" ({when(value, now)})" if key.endswith("_at") else ""
        text = value.isoformat(sep=" ", timespec="seconds") if moment else plain(value)
        say(f"{key.replace('_', ' ').ljust(width)}  {text}{moment}")
    for name, value in headers.items():
        say(f"{'header'.ljust(width)}  {plain(name)}: {plain(value)}")
    for number, error in enumerate(errors, 1):
        say(f"{f'error {number}'.ljust(width)}  {plain(error)}")
    return 0


async def act(desk: Desk, options: argparse.Namespace) -> int:
    """Retries, cancels or deletes; status 1 when a task that was named could not be."""
    scope = SCOPES[options.action]
    ids = list(dict.fromkeys(options.id))
    states = tuple(State(state) for state in options.state or ())
    filtered = bool(options.queue or options.name or states)
    if bool(ids) == filtered:
        raise InvalidTask("name tasks by id, or choose them with --queue, --name or --state")
    if filtered:
        chosen = tuple(state for state in scope if not states or state in states)
        if not chosen:
            raise InvalidTask(f"{options.action} is for tasks that are {', '.join(scope)}")
        wanted = Filter(queue=options.queue, name=options.name, states=chosen, limit=MOST_AT_ONCE)
        ids = [row["id"] for row in await desk.tasks(wanted)]
    match options.action:
        case "retry":
            done = await desk.retry(ids)
        case "cancel":
            done = await desk.cancel(ids, options.why)
        case _:
            done = await desk.delete(ids)
    say(f"{DONE[options.action]}: {len(done)} of {len(ids)}.")
    left = sorted(set(ids) - set(done))
    for task in left[:20]:
        say(f"  task {task}: {await reason(desk, task, options.action)}")
    if filtered and len(ids) == MOST_AT_ONCE:
        say("There may be more: run it again.")
    return 1 if left else 0


async def reason(desk: Desk, task: int, action: str) -> str:
    """Why nothing could be done about a task."""
    row = await desk.task(task)
    if row is None:
        return "there is none of this id: it is done, or never was"
    if row["state"] not in SCOPES[action]:
        return f"it is {row['state']}; {action} is for tasks that are {', '.join(SCOPES[action])}"
    if action == "retry" and row["unique_hash"] is not None:
        return "another task with its unique key is live"
    return "it changed meanwhile; try again"
