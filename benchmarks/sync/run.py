"""Measures the whole way of a feed: queue, fetching over HTTPS, gates, parsing, Postgres.

    python benchmarks/sync/run.py                      the cases, and `reader` beside them
    python benchmarks/sync/run.py --quick              the same, small, to see that it works
    python benchmarks/sync/run.py --cases five,all --processes 2
    python benchmarks/sync/run.py growth               1,000 to 100,000 feeds in the table
    python benchmarks/sync/run.py late                 how late feeds are that come due evenly
    python benchmarks/sync/run.py memory               the whole bot with 10,000 feeds
    python benchmarks/sync/run.py idle                 the whole bot with nothing to do

See docs/benchmarks.md for what the figures mean.
"""

import argparse
import asyncio
import json
import resource
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import certificates
from cases import CASES, Case
from peer import compare_reader
from programs import HERE, Failed, Server, describe, program
from report import tables
from rounds import Bench, measure, memory
from town import Town

from heraldo.botapi import BotApiServer

FIRST = "quiet"
GROWTH = (1_000, 10_000, 100_000)
CHATS = 200
# No sooner than a tick looks ahead: a check never leaves less than that to the next one.
SOON = timedelta(seconds=30)
A_MINUTE = timedelta(minutes=1)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    modes = ["cases", "growth", "late", "memory", "idle"]
    parser.add_argument("mode", nargs="?", default="cases", choices=modes)
    parser.add_argument("--cases", default=",".join(CASES), help="comma-separated")
    parser.add_argument("--feeds", type=int, help="how many are due; by default 5,000 or 10,000")
    parser.add_argument("--size", help='bytes of every feed (50,000), or "corpus"')
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1, help="worker processes")
    parser.add_argument("--reader-feeds", type=int, default=500, help="0: without reader")
    parser.add_argument("--limit", type=float, default=900, help="seconds for one round")
    parser.add_argument("--environments", type=Path, default=HERE.parents[1] / ".venv-bench")
    parser.add_argument("--folder", type=Path, help="where the database lies for the run")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--quick", action="store_true", help="small numbers, one round")
    given = parser.parse_args()
    given.size = 50_000 if given.size is None else None if given.size == "corpus" else given.size
    given.size = None if given.size is None else int(given.size)
    usual = {"memory": 10_000, "idle": 1_000}
    given.feeds = given.feeds or usual.get(given.mode, 5_000)
    given.folder = Path(given.folder or tempfile.mkdtemp(prefix="heraldo-bench-")).resolve()
    if given.quick:
        given.feeds, given.rounds = 200, 1
        given.reader_feeds = min(given.reader_feeds, 50)
    return given


@asynccontextmanager
async def bench(
    given: argparse.Namespace, folder: Path, interval: float = 3600
) -> AsyncIterator[Bench]:
    """Postgres, the feed server, and a database without feeds; the pipeline is not running."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(Server(folder / "server"))
        keys = folder / "certificates"
        keys.mkdir()
        certificates.make(keys)
        size = [] if given.size is None else ["--size", str(given.size)]
        feeds = await stack.enter_async_context(
            program(
                "feed-server",
                str(HERE / "feedserver.py"),
                *("--certificates", str(keys), "--feeds", str(given.feeds), *size),
                folder=folder,
            )
        )
        dsn = server.dsn(await server.create())
        api = await stack.enter_async_context(BotApiServer())
        chats = [api.person(f"Reader {n}").id for n in range(CHATS)]
        town = await Town.open(dsn, feeds.about["ports"], chats)
        stack.push_async_callback(town.pool.close)
        environment = {
            "DATABASE_URL": dsn,
            "TELEGRAM_BOT_TOKEN": api.token,
            "TELEGRAM_API_URL": api.base_url,
            "ALLOW_PRIVATE_ADDRESSES": "127.0.0.1",
            "SYNC_INTERVAL_SECONDS": f"{interval:g}",
            # The hosts are many; where a case has few, their pace is not what is measured.
            "HOST_REQUESTS_PER_SECOND": "1000",
        }
        yield Bench(
            server=server,
            feeds=feeds,
            pipelines=[],
            town=town,
            folder=folder,
            limit=given.limit,
            sending=given.mode in ("memory", "idle"),
            environment=environment,
        )


@asynccontextmanager
async def running(equipment: Bench, given: argparse.Namespace) -> AsyncIterator[None]:
    """The pipeline's processes, fresh: they know no TLS session."""
    roles = ["everything" if equipment.sending else "both"] + ["worker"] * (given.processes - 1)
    root = equipment.folder / "certificates" / "root.pem"
    async with AsyncExitStack() as stack:
        equipment.pipelines = [
            await stack.enter_async_context(
                program(
                    f"pipeline-{number}",
                    *(str(HERE / "pipeline.py"), role, "--root", str(root)),
                    folder=equipment.folder,
                    **equipment.environment,
                )
            )
            for number, role in enumerate(roles)
        ]
        yield
    equipment.pipelines = []


async def cases(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Every case in every round, those together whose feeds are at the same addresses."""
    found: dict[str, list[Any]] = {}
    chosen = given.cases.split(",")
    async with bench(given, folder) as equipment:
        await equipment.town.grow(given.feeds)
        places = dict.fromkeys(CASES[name].place for name in (FIRST, *chosen))
        for place in places:
            async with running(equipment, given):
                # A feed at a new address is read as a whole once more: not what is measured.
                before = FIRST if place == CASES[FIRST].place else "all"
                moved = replace(CASES[before], hosts=place[0], keys=place[1])
                first = await attempt(equipment, moved, given.feeds)
                if before == FIRST:
                    found["first reading"] = [first]
                names = [name for name in chosen if CASES[name].place == place]
                for name in names * given.rounds:
                    result = await attempt(equipment, CASES[name], given.feeds)
                    found.setdefault(name, []).append(result)
                if before == FIRST and given.reader_feeds:
                    found["reader"] = await compare_reader(equipment, given)
        shutil.copy(folder / "lines.txt", given.out / "lines.txt")
        about = await equipment.server.settings()
    return {"rows": found, "postgres": about}


async def attempt(equipment: Bench, case: Case, due: int) -> dict[str, Any]:
    """A round that fails is a result too."""
    try:
        result = await measure(equipment, case, due)
    except Failed as error:
        result = {"failed": {str(error): due}, "due": due}
    line = {key: result[key] for key in ("per_minute", "ms_ours", "failed") if key in result}
    say(f"{case.name}, {due} feeds: {line} {result.get('once', '')}")
    return result


async def growth(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The same round with ever more feeds in the table that are not due."""
    found: dict[str, list[Any]] = {}
    async with bench(given, folder) as equipment, running(equipment, given):
        for size in (size for size in GROWTH if not given.quick or size <= given.feeds * 10):
            due = min(given.feeds, size)
            if due > equipment.town.feeds:
                await equipment.town.grow(due)
                await attempt(equipment, CASES[FIRST], due)
            await equipment.town.grow(size, idle=True)
            found[f"{size:,} feeds in the table"] = [
                await attempt(equipment, CASES["five"], due) for _ in range(given.rounds)
            ]
        about = await equipment.server.settings()
    return {"rows": found, "postgres": about}


async def late(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Feeds that come due evenly over a minute, with the real schedule of a minute."""
    async with AsyncExitStack() as stack:
        equipment = await stack.enter_async_context(bench(given, folder))
        town, due = equipment.town, given.feeds
        await town.grow(due)
        # Read once, with the schedule of an hour: checks are queued ahead of their moments.
        async with running(equipment, given):
            await attempt(equipment, CASES[FIRST], due)
        equipment.environment["SYNC_INTERVAL_SECONDS"] = "60"
        await stack.enter_async_context(running(equipment, given))
        begin, moments = await town.spread(due, A_MINUTE, SOON)
        await equipment.feeds.ask("round", limit=600, changed=list(range(1, due + 1, 20)))
        started = time.monotonic() - time.time() + begin.timestamp()
        while (await equipment.feeds.ask("progress"))["asked"] < due:
            await town.rest(1.0)
            if time.monotonic() - started > given.limit:
                raise Failed("not all feeds were asked in time")
        told = await equipment.feeds.ask("told")
        asked = {int(number): at for number, at in told["first"].items()}
        lateness = sorted(
            asked[n] - started - (moment - begin).total_seconds()
            for n, moment in enumerate(moments, 1)
        )
        about = await equipment.server.settings()
    row = {
        "due": due,
        "late_least": lateness[0],
        "late_p50": lateness[due // 2],
        "late_p99": lateness[int(due * 0.99) - 1],
        "late_most": lateness[-1],
    }
    say(str(row))
    return {"rows": {f"{due} feeds, one minute": [row]}, "postgres": about}


async def whole_bot(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """What ``heraldo run`` has resident at most while it serves so many feeds."""
    found: dict[str, list[Any]] = {}
    async with bench(given, folder) as equipment, running(equipment, given):
        await equipment.town.grow(given.feeds)
        for label, name in (("first reading", FIRST), ("five", "five"), ("all", "all")):
            found[label] = [await attempt(equipment, CASES[name], given.feeds)]
            say(f"{label}: {memory(equipment)}")
        about = await equipment.server.settings()
    return {"rows": found, "postgres": about}


async def idle(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """What ``heraldo run`` and Postgres use when no feed is due, in % of a core."""
    found: dict[str, list[Any]] = {}
    async with bench(given, folder, 60) as equipment, running(equipment, given):
        for feeds in (0, given.feeds):
            await equipment.town.grow(feeds, idle=True)
            # What the start has left behind is not what is measured.
            await equipment.town.rest(30)
            row = found[f"{feeds} feeds, none due"] = []
            for _ in range(given.rounds):
                before = used(equipment)
                await equipment.town.rest(A_MINUTE.total_seconds())
                after = used(equipment)
                row.append({f"idle_{of}": (after[of] - before[of]) / 0.6 for of in after})
                say(f"{feeds} feeds: {row[-1]}")
        about = await equipment.server.settings()
    return {"rows": found, "postgres": about}


def used(equipment: Bench) -> dict[str, float]:
    """CPU seconds so far, of the pipeline with its children and of Postgres."""
    ours = [sum(pipeline.cpu().values()) for pipeline in equipment.pipelines]
    return {"pipeline": sum(ours), "postgres": equipment.server.cpu()}


def say(text: str) -> None:
    """Progress."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


async def main(given: argparse.Namespace) -> None:
    """Measures and writes the results down."""
    given.out.mkdir(parents=True, exist_ok=True)
    folder: Path = given.folder
    modes = {"cases": cases, "growth": growth, "late": late, "memory": whole_bot, "idle": idle}
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    options = {key: str(value) for key, value in vars(given).items()}
    try:
        machine = describe(folder)
        record = {"mode": given.mode, "options": options, "machine": machine, "files": files}
        record |= await modes[given.mode](given, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    name = f"{stamp}-{given.mode}"
    (given.out / f"{name}.json").write_text(json.dumps(record, indent=1, default=str) + "\n")
    (given.out / f"{name}.md").write_text(tables(record))
    print(tables(record))
    say(f"written to {given.out / name}.json and .md")


if __name__ == "__main__":
    asyncio.run(main(arguments()))
