"""How figures change with backlog, history, a pinned horizon, processes and payload."""

import argparse
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
from adapters import Failed, Process
from bench import Bench, Database, Peer, once
from measures import drain, quantile
from server import sizes

Rows = list[dict[str, Any]]
CLAIMS, CLAIM_SIZE = 200, 100
FILL = 100_000
PROBE = 10_000


async def probe(database: Database, tasks: int) -> dict[str, Any]:
    """Claim times where the peer can be asked for single claims, else nothing."""
    async with database.process() as process:
        try:
            answer = await process.ask("claims", rounds=CLAIMS, size=min(CLAIM_SIZE, tasks))
        except Failed as error:
            if "NotImplementedError" not in str(error):
                raise
            return {}
    ordered = sorted(answer["seconds"])
    return {
        "claim_p50_ms": quantile(ordered, 0.5) * 1e3,
        "claim_p99_ms": quantile(ordered, 0.99) * 1e3,
    }


async def partly(database: Database, tasks: int) -> dict[str, Any]:
    """The rate of a worker's first so many tasks, with whatever else waits behind them.

    Taken from handler to handler, because counting a large backlog takes longer than the tasks;
    what the database says after the stop is compared with what ran.
    """
    before = await database.unfinished()
    async with database.process() as worker:
        await worker.ask("work", mode="best", expect=tasks)
        await worker.ran(database.bench.limit)
        stopped = await worker.ask("stop")
    gone = before - await database.unfinished()
    rate = tasks / (stopped["last"] - stopped["first"])
    return {"rate": rate, "runs": stopped["runs"], "gone": gone, "repeated": stopped["repeated"]}


def steps(most: int) -> list[int]:
    """1,000 · 10,000 · … up to the most."""
    sizes_wanted = [1_000, 10_000, 100_000, 1_000_000]
    return [size for size in sizes_wanted if size < most] + [most]


async def fill_up(database: Database, size: int) -> None:
    """Enqueues until so many wait, in portions, and lets the planner know."""
    missing = size - await database.unfinished()
    while missing > 0:
        portion = min(FILL, missing)
        await database.fill(portion)
        missing -= portion
    await database.connection.execute("VACUUM (ANALYZE)")


async def backlog(bench: Bench, peers: list[Peer], given: argparse.Namespace) -> Rows:
    """Claim time and drain rate with more and more rows waiting."""
    rows: Rows = []
    for peer in peers:
        async with bench.database(peer) as database:
            for size in steps(given.most):
                await fill_up(database, size)
                row = {"peer": peer.name, "waiting": size, **await probe(database, size)}
                # Fewer than that are a few batches: no rate to speak of.
                rows.append(row | (await partly(database, PROBE) if size >= PROBE else {}))
                print(rows[-1], flush=True)
    return rows


async def finished(bench: Bench, peers: list[Peer], given: argparse.Namespace) -> Rows:
    """Claim time and drain rate after more and more tasks were finished, really run."""
    rows: Rows = []
    for peer in peers:
        async with bench.database(peer) as database:
            done = 0
            for size in [0, *steps(given.most)]:
                while done < size:
                    portion = min(FILL, size - done)
                    await database.fill(portion)
                    await drain(database, "best", portion)
                    done += portion
                await database.fill(PROBE)
                row = {"peer": peer.name, "finished": size, **await probe(database, PROBE)}
                row |= await partly(database, PROBE)
                await drain_rest(database)
                done += PROBE
                rows.append(row | await sizes(database.connection))
                print(rows[-1], flush=True)
    return rows


async def drain_rest(database: Database) -> None:
    """Runs what a stopped worker left behind."""
    left = await database.unfinished()
    if left:
        async with database.process() as worker:
            await worker.ask("work", mode="best", expect=left)
            await database.emptied(database.bench.limit)
            await worker.ask("stop")


async def pinned(bench: Bench, peers: list[Peer], given: argparse.Namespace) -> Rows:
    """Waves of tasks before, during and after a transaction that pins the xmin horizon.

    That the horizon was held is checked after each wave: the holder's backend_xmin did not
    move, nobody's in this database is older, and how many transactions began since is told.
    """
    rows: Rows = []
    wave = max(1_000, min(FILL, given.most // 10))
    for peer in peers:
        async with bench.database(peer) as database:
            done = 0
            for phase, tasks in (("before", wave), ("pinned", given.most), ("after", wave)):
                holder = await Pin.open(bench, database) if phase == "pinned" else None
                for _ in range(max(1, tasks // wave)):
                    await database.fill(wave)
                    row = {"peer": peer.name, "phase": phase, **await probe(database, wave)}
                    drained = await drain(database, "best", wave)
                    done += wave
                    row |= {key: drained[key] for key in ("rate", "start_up", "wrong")}
                    row |= {"tasks": done, **await sizes(database.connection)}
                    if holder is not None:
                        row["held_transactions"] = await holder.check()
                    rows.append(row)
                    print(row, flush=True)
                if holder is not None:
                    await holder.close()
                    await database.connection.execute("VACUUM (ANALYZE)")
    return rows


class Pin:
    """A transaction with a snapshot, and the proof that it holds the horizon."""

    def __init__(self, connection: Any, looker: Any, xmin: int) -> None:
        self._connection = connection
        self._looker = looker
        self._xmin = xmin

    @classmethod
    async def open(cls, bench: Bench, database: Database) -> "Pin":
        """Takes the snapshot in the measured database."""
        connection = await asyncpg.connect(bench.server.dsn(database.name))
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await connection.execute("SELECT 1")
        xmin = await held(database.connection, connection.get_server_pid())
        return cls(connection, database.connection, xmin)

    async def check(self) -> int:
        """How many transactions began since. Raises `Failed` if the horizon moved on."""
        xmin = await held(self._looker, self._connection.get_server_pid())
        oldest = await self._looker.fetchval(
            "SELECT max(age(backend_xmin)) FROM pg_stat_activity WHERE datname = current_database()"
        )
        age = int(
            await self._looker.fetchval(
                "SELECT age(backend_xmin) FROM pg_stat_activity WHERE pid = $1",
                self._connection.get_server_pid(),
            )
        )
        if xmin != self._xmin or oldest > age:
            raise Failed(f"the horizon was not held: {xmin} instead of {self._xmin}")
        return age

    async def close(self) -> None:
        """Lets go."""
        await self._connection.execute("ROLLBACK")
        await self._connection.close()


async def held(looker: Any, pid: int) -> int:
    """The backend_xmin of a session. Raises `Failed` when it holds none."""
    query = "SELECT backend_xmin::text::bigint FROM pg_stat_activity WHERE pid = $1"
    xmin = await looker.fetchval(query, pid)
    if xmin is None:
        raise Failed("the pinning transaction has no snapshot")
    return int(xmin)


async def processes(bench: Bench, peers: list[Peer], given: argparse.Namespace) -> Rows:
    """1 → 8 worker processes on one queue; across all of them every task runs once."""
    rows: Rows = []
    for peer in peers:
        tasks = max(1_000, int(given.tasks * 2 * peer.scale))
        for number in (1, 2, 4, 8):
            async with bench.database(peer) as database, AsyncExitStack() as stack:
                workers = [
                    await stack.enter_async_context(database.process()) for _ in range(number)
                ]
                await database.fill(tasks)
                for worker in workers:
                    await worker.ask("work", mode="best", expect=tasks + 1)
                await all_ran(database, workers, tasks)
                ended = await database.emptied(bench.limit)
                said = [await worker.ask("stop", numbers=True) for worker in workers]
                first = min(each["first"] for each in said if each["runs"])
            ran = [n for each in said for n in each["numbers"]]
            whole = {"distinct": len(set(ran)), "runs": len(ran), "repeated": []}
            shares = [each["runs"] for each in said]
            row = {"peer": peer.name, "processes": number, "rate": tasks / (ended - first)}
            rows.append(row | {"least_share": min(shares), "wrong": once(whole, tasks)})
            print(rows[-1], flush=True)
    return rows


async def all_ran(database: Database, workers: list[Process], tasks: int) -> None:
    """Waits until the workers together say that they ran so many. Raises `Failed`."""
    deadline = time.monotonic() + database.bench.limit
    while sum([(await worker.ask("progress"))["runs"] for worker in workers]) < tasks:
        if time.monotonic() > deadline:
            raise Failed("the workers did not run the tasks in time")
        await database.rest(0.02)


async def payload(bench: Bench, peers: list[Peer], given: argparse.Namespace) -> Rows:
    """100 bytes → 100 KB of arguments per task."""
    rows: Rows = []
    for peer in peers:
        for size in (100, 1_000, 10_000, 100_000):
            tasks = max(200, min(int(given.tasks * peer.scale), 100_000_000 // size))
            async with bench.database(peer) as database:
                wal = await bench.server.wal()
                filled = await database.fill(tasks, pad=size)
                drained = await drain(database, "best", tasks)
                wal = await bench.server.wal() - wal
            row = {"peer": peer.name, "bytes": size, "tasks": tasks}
            row |= {"bulk_rate": tasks / filled["seconds"], "wal": wal / tasks}
            rows.append(row | {key: drained[key] for key in ("rate", "cpu", "rss", "wrong")})
            print(rows[-1], flush=True)
    return rows


CURVES: dict[str, Callable[[Bench, list[Peer], argparse.Namespace], Awaitable[Rows]]] = {
    "backlog": backlog,
    "finished": finished,
    "pinned": pinned,
    "processes": processes,
    "payload": payload,
}
