"""What an operator should know about the queue's database, and what to do about it."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from colmillo.cli_text import bytes_text, plain, span
from colmillo.clock import Clock
from colmillo.compaction import LEAST
from colmillo.desk import ROW, Desk
from colmillo.schema import quoted, statements

if TYPE_CHECKING:
    from colmillo.database import Connection

OLDEST_SERVER = 140_000
# Less than this is what a busy queue has between two vacuums.
MANY_DEAD = 50_000
LONG_OPEN = timedelta(minutes=5)
MANY_TRANSACTIONS = 1_000_000
CLOCKS_APART = timedelta(seconds=2)
WAITED_LONG = timedelta(hours=1)
# A rescue frees the tasks of the dead within seconds, and then removes them.
DEAD_FOR_LONG = timedelta(minutes=1)
HELD_FOR_LONG = timedelta(minutes=1)
LARGE_ARCHIVE = 1_000_000_000
# Fewer bytes cannot hold a row: what counts more is left from before the table was written anew.
LEAST_ROW = 40

_OBJECTS = re.compile(r"CREATE (?:UNIQUE )?(INDEX|TABLE)\s+(?:\S+\.)?\"?(\w+)\"?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong or soon will be, and the remedy."""

    about: str
    what: str
    do: str


async def examine(desk: Desk, clock: Clock) -> list[Finding]:
    """All that is to be said. Raises `SchemaOutdated` first when the schema is not current."""
    await desk.check()
    return [
        finding
        for look in (server, tables, space, indexes, horizon, workers, queues)
        async for finding in look(desk, clock)
    ]


async def server(desk: Desk, clock: Clock) -> AsyncIterator[Finding]:
    """The server's version and settings, its clock, and what stands between it and us."""
    asked = clock.now()
    (row,) = await desk.rows("doctor_server")
    answered = clock.now()
    if row["number"] < OLDEST_SERVER:
        yield Finding(
            about="server",
            what=f"PostgreSQL {plain(row['version'])} is older than 14",
            do="upgrade it; colmillo is tested from 14 on",
        )
    for setting in ("autovacuum", "track_counts"):
        if row[setting] != "on":
            yield Finding(
                about="vacuum",
                what=f"the server's {setting} is off, so nothing removes dead rows",
                do=f"set {setting} = on in postgresql.conf and reload",
            )
    apart = max(asked - row["now"], row["now"] - answered)
    if apart > CLOCKS_APART:
        yield Finding(
            about="clock",
            what=f"this machine's clock and the server's are {span(apart)} apart",
            do="run a time service (chrony, systemd-timesyncd) on both; due times are the "
            "server's, so run_at as computed here is off by as much",
        )
    if pooled(desk.connection, row["pid"]):
        yield Finding(
            about="pooler",
            what="there is a pooler such as PgBouncer between us and the server",
            do="in transaction mode workers hear no notifications and poll: give them the "
            "server's own address, or connect with statement_cache_size=0 and keep poll short",
        )


def pooled(connection: "Connection", backend: int) -> bool:
    """Whether the process that greeted us is another than the one that runs our statements.

    A pooler makes up the process id of the greeting, as a cancel request goes through it.
    """
    return connection.get_server_pid() != backend


async def tables(desk: Desk, _clock: Clock) -> AsyncIterator[Finding]:
    """Tables that are missing, full of dead rows, or out of autovacuum's reach."""
    rows = {row["name"]: row for row in await desk.rows("doctor_tables", desk.schema)}
    for name in sorted(expected(desk.schema, "TABLE") - rows.keys()):
        yield Finding(
            about="schema",
            what=f"the table {name} is missing although the schema says it is current",
            do="restore it: colmillo migrate --sql prints its statement",
        )
    for name, row in rows.items():
        if row["autovacuum_off"]:
            yield Finding(
                about="vacuum",
                what=f"autovacuum is switched off for the table {plain(name)}",
                do=f"ALTER TABLE {desk.schema}.{name} RESET (autovacuum_enabled)",
            )
        dead = min(row["dead"], row["size"] // LEAST_ROW)
        if dead > max(MANY_DEAD, row["live"]):
            yield Finding(
                about="bloat",
                what=f"{plain(name)} has {dead} dead rows to {row['live']} live ones "
                f"({bytes_text(row['size'])})",
                do="look for an old transaction (horizon, below); if there is none, run "
                f"VACUUM {desk.schema}.{name}",
            )


async def space(desk: Desk, _clock: Clock) -> AsyncIterator[Finding]:
    """An archive that has become large, and what keeps workers from compacting the tasks."""
    rows = {row["name"]: row for row in await desk.rows("doctor_tables", desk.schema)}
    archive, live = rows.get("archive"), rows.get("tasks")
    if archive is not None and archive["size"] > LARGE_ARCHIVE:
        yield Finding(
            about="archive",
            what=f"the archive has about {archive['live']} tasks ({bytes_text(archive['size'])})",
            do="see what fails with colmillo tasks list; give the workers' PostgresStore a shorter "
            "keep_archived, or remove tasks with colmillo tasks delete",
        )
    if live is None or live["size"] < LEAST or live["dead"] < live["live"]:
        return
    for row in await desk.rows("doctor_holders", f"{quoted(desk.schema)}.tasks"):
        if row["open_for"] is None or row["open_for"] < HELD_FOR_LONG:
            continue
        yield Finding(
            about="compaction",
            what=f"the session with pid {row['who']} ({plain(row['details'], 80)}) has held the "
            f"table tasks for {span(row['open_for'])}, so workers cannot compact its "
            f"{bytes_text(live['size'])} ({live['dead']} dead rows to {live['live']} live ones)",
            do="end its transaction, or wait for a backup to end; workers try every ten minutes",
        )


async def indexes(desk: Desk, _clock: Clock) -> AsyncIterator[Finding]:
    """Indexes that are missing or cannot be used."""
    rows = {row["name"]: row["valid"] for row in await desk.rows("doctor_indexes", desk.schema)}
    for name in sorted(expected(desk.schema, "INDEX") - rows.keys()):
        yield Finding(
            about="index",
            what=f"the index {name} is missing",
            do="make it again: colmillo migrate --sql prints its statement",
        )
    for name, valid in rows.items():
        if not valid:
            yield Finding(
                about="index",
                what=f"the index {plain(name)} is invalid: building it was interrupted",
                do=f"REINDEX INDEX CONCURRENTLY {desk.schema}.{name}, or drop it if it is not ours",
            )


def expected(schema: str, kind: str) -> set[str]:
    """The names of what the migrations create."""
    found = (_OBJECTS.search(statement) for statement in statements(schema))
    return {match[2] for match in found if match is not None and match[1] == kind}


async def horizon(desk: Desk, _clock: Clock) -> AsyncIterator[Finding]:
    """Long transactions, and whatever else keeps dead rows from being removed."""
    for row in await desk.rows("doctor_horizon"):
        finding = holder(row)
        if finding is not None:
            yield finding


def holder(row: ROW) -> Finding | None:
    """What is to be said about one holder of the horizon."""
    open_for, transactions = row["open_for"], row["transactions"]
    old = open_for is not None and open_for >= LONG_OPEN
    if not old and (transactions or 0) < MANY_TRANSACTIONS:
        return None
    who, details = plain(row["who"], 80), plain(row["details"], 80)
    age = "" if open_for is None else f", open for {span(open_for)}"
    pins = f", pins rows for {transactions} transactions" if transactions is not None else ""
    match row["kind"]:
        case "session":
            what = f"the session with pid {who} ({details}) is {row['state']}{age}{pins}"
            do = f"end its transaction, or SELECT pg_terminate_backend({who})"
        case "prepared transaction":
            what = f"the prepared transaction {who} of {details} was never ended{age}{pins}"
            do = "COMMIT PREPARED or ROLLBACK PREPARED it"
        case _:
            what = f"the {row['state']} replication slot {who} ({details}) lags behind{pins}"
            do = "let its consumer catch up, or SELECT pg_drop_replication_slot(…)"
    return Finding(about="horizon", what=what, do=do)


async def workers(desk: Desk, _clock: Clock) -> AsyncIterator[Finding]:
    """Workers whose lease is over, with what they hold."""
    for row in await desk.workers():
        dead_for = None if row["expires_at"] is None else row["now"] - row["expires_at"]
        if row["alive"] or (dead_for is not None and dead_for < DEAD_FOR_LONG):
            continue
        name = plain(row["name"] or row["id"], 80)
        since = "" if dead_for is None else f" {span(dead_for)} ago"
        held = ""
        if row["running"]:
            held = f" and holds {row['running']} tasks (the first is {row['first_task']})"
        yield Finding(
            about="worker",
            what=f"the lease of {name} ended{since}{held}",
            do="any living worker takes its tasks within seconds: start one if there is none"
            if row["started_at"] is not None
            else "nobody knows this worker; the next worker that starts takes its tasks",
        )


async def queues(desk: Desk, _clock: Clock) -> AsyncIterator[Finding]:
    """Tasks that are due and wait for nobody."""
    rows: list[dict[str, Any]] = [row for row in await desk.queues() if row["oldest"] is not None]
    if rows and not any(row["alive"] for row in await desk.workers()):
        yield Finding(
            about="queue",
            what="tasks are due and no worker is alive",
            do="start a worker",
        )
    for row in rows:
        if row["paused_at"] is not None:
            continue
        waited = row["now"] - row["oldest"]
        if waited >= WAITED_LONG:
            name = plain(row["queue"], 80)
            yield Finding(
                about="queue",
                what=f"in the queue {name} {row['due']} tasks are due, the oldest for "
                f"{span(waited)}",
                do="check that a worker serves this queue, and give it more room",
            )
