"""The measurements of one peer in one round. Each begins with a fresh database."""

from collections.abc import Awaitable, Callable
from typing import Any

from adapters import Failed
from bench import Bench, Database, Peer, once
from server import peak_rss

Result = dict[str, Any]
SETTLE_SECONDS = 2.0


async def drain(database: Database, mode: str, tasks: int) -> Result:
    """Runs what is in the database to its durable end, in one worker process.

    The rate counts from the first handler's start (the start-up is given apart) to the moment
    at which a look into the database shows that every row is finished.
    """
    server, limit = database.bench.server, database.bench.limit
    kept_before = await database.finished()
    async with database.process() as worker:
        server_cpu = server.cpu()
        worker_cpu = (await worker.ask("usage"))["cpu"]
        started = (await worker.ask("work", mode=mode, expect=tasks))["started"]
        await worker.ran(limit)
        ended = await database.emptied(limit)
        worker_cpu = (await worker.ask("usage"))["cpu"] - worker_cpu
        server_cpu = server.cpu() - server_cpu
        rss = peak_rss(worker.pid)
        stopped = await worker.ask("stop")
    kept = await database.finished()
    # A peer that deletes what is done has none, one that keeps it has all.
    if kept is not None and kept_before is not None and kept - kept_before not in (0, tasks):
        raise Failed(f"{kept - kept_before} rows became finished, not {tasks}")
    return {
        "tasks": tasks,
        "rate": tasks / (ended - stopped["first"]),
        "start_up": stopped["first"] - started,
        "worker_cpu": worker_cpu / tasks * 10_000,
        "server_cpu": server_cpu / tasks * 10_000,
        "cpu": (worker_cpu + server_cpu) / tasks * 10_000,
        "rss": rss,
        "wrong": once(stopped, tasks),
    }


async def best(bench: Bench, peer: Peer, tasks: int) -> Result:
    """Bulk enqueue, then a drain with the peer's best settings; WAL over both."""
    async with bench.database(peer) as database:
        wal = await bench.server.wal()
        filled = await database.fill(tasks)
        drained = await drain(database, "best", tasks)
        wal = await bench.server.wal() - wal
    return {**drained, "bulk_rate": tasks / filled["seconds"], "wal": wal / tasks}


async def ten(bench: Bench, peer: Peer, tasks: int) -> Result:
    """A drain at concurrency 10, everything else at its default."""
    async with bench.database(peer) as database:
        await database.fill(tasks)
        return await drain(database, "ten", tasks)


async def one(bench: Bench, peer: Peer, tasks: int) -> Result:
    """Enqueues one at a time, each in its own transaction, with no worker about."""
    async with bench.database(peer) as database:
        wal = await bench.server.wal()
        async with database.process() as producer:
            request = {"first": 0, "tasks": tasks, "how": "one", "pad": 0}
            sent = await producer.ask("enqueue", **request)
        if await database.unfinished() != tasks:
            raise Failed("not all tasks are there")
        wal = await bench.server.wal() - wal
    return {"tasks": tasks, "rate": tasks / sent["seconds"], "wal": wal / tasks}


async def latency(bench: Bench, peer: Peer, tasks: int) -> Result:
    """Enqueue (the call begins) to running (the handler begins), one task at a time."""
    async with bench.database(peer) as database, database.process() as worker:
        await worker.ask("work", mode="ten", expect=tasks, timed=True)
        await database.rest(SETTLE_SECONDS)
        async with database.process() as producer:
            request = {"first": 0, "tasks": tasks, "how": "one", "pad": 0, "pause_between": 0.03}
            sent = (await producer.ask("enqueue", **request))["sent"]
        await worker.ran(bench.limit)
        stopped = await worker.ask("stop")
    pairs = zip(stopped["numbers"], stopped["times"], strict=True)
    waits = sorted(at - sent[number] for number, at in pairs)
    return {
        "tasks": tasks,
        "p50": quantile(waits, 0.5),
        "p99": quantile(waits, 0.99),
        "most": waits[-1],
        "wrong": once(stopped, tasks),
    }


async def idle(bench: Bench, peer: Peer, seconds: int) -> Result:
    """What an idle worker costs: CPU of it and of the server, as a share of one core."""
    server = bench.server
    async with bench.database(peer) as database, database.process() as worker:
        await worker.ask("work", mode="ten", expect=1)
        await database.rest(SETTLE_SECONDS)
        before, server_before = (await worker.ask("usage"))["cpu"], server.cpu()
        await database.rest(float(seconds))
        worker_cpu = (await worker.ask("usage"))["cpu"] - before
        server_cpu = server.cpu() - server_before
        await worker.ask("stop")
    return {"worker_share": worker_cpu / seconds, "server_share": server_cpu / seconds}


def quantile(ordered: list[float], share: float) -> float:
    """By nearest rank."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


MEASURES: dict[str, Callable[[Bench, Peer, int], Awaitable[Result]]] = {
    "best": best,
    "ten": ten,
    "one": one,
    "latency": latency,
    "idle": idle,
}
