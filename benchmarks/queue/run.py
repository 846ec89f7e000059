"""Measures colmillo and its peers on one embedded Postgres server.

    python benchmarks/queue/run.py                     the comparison
    python benchmarks/queue/run.py --quick             the same, small, to see that it works
    python benchmarks/queue/run.py backlog --peers colmillo,bare

See docs/benchmarks.md for what the figures mean.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from adapters import HERE, PEERS, ROOT, Environments, Failed, Peer, Unavailable
from bench import Bench, write
from curves import CURVES
from machine import describe, load
from measures import MEASURES
from report import curve_table, tables
from server import Server


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("mode", nargs="?", default="compare", choices=["compare", *CURVES])
    parser.add_argument("--peers", help=f"comma-separated, of {', '.join(PEERS)}")
    parser.add_argument("--measures", default=",".join(MEASURES), help="for compare")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=20_000, help="per drain (slow peers: fewer)")
    parser.add_argument("--singles", type=int, default=2_000, help="tasks enqueued one at a time")
    parser.add_argument("--latencies", type=int, default=200, help="tasks on an idle system")
    parser.add_argument("--idle", type=int, default=10, help="seconds of doing nothing")
    parser.add_argument("--most", type=int, default=1_000_000, help="where a curve ends")
    parser.add_argument("--limit", type=float, default=180, help="seconds for one drain")
    parser.add_argument("--minutes", type=float, default=600, help="no new round after so long")
    parser.add_argument("--python", help="interpreter of the Python peers, colmillo included")
    parser.add_argument("--environments", type=Path, default=ROOT / ".venv-bench")
    parser.add_argument("--folder", type=Path, help="where the database lies for the run")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--quick", action="store_true", help="small numbers, one round")
    given = parser.parse_args()
    if given.quick:
        given.rounds, given.tasks, given.singles = 1, 1_000, 200
        given.latencies, given.idle, given.most = 20, 2, 20_000
    return given


async def compare(bench: Bench, peers: list[Peer], given: argparse.Namespace) -> dict[str, Any]:
    """All measures of all peers, interleaved: every round has each of them once."""
    amounts = {
        "best": given.tasks,
        "ten": given.tasks // 2,
        "one": given.singles,
        "latency": given.latencies,
        "idle": given.idle,
    }
    found: dict[str, Any] = {peer.name: {} for peer in peers}
    began = time.monotonic()
    for number in range(given.rounds):
        if time.monotonic() - began > given.minutes * 60:
            say(f"time is up: {number} rounds of {given.rounds}")
            break
        for measure in given.measures.split(","):
            # Nobody always comes first, or always after the same neighbour's debris.
            turn = number % len(peers)
            for peer in peers[turn:] + peers[:turn]:
                amount = amounts[measure]
                if measure in ("best", "ten"):
                    amount = max(200, int(amount * peer.scale))
                result = await attempt(MEASURES[measure](bench, peer, amount))
                found[peer.name].setdefault(measure, []).append(result)
                say(f"round {number + 1} {measure} {peer.name}: {brief(result)}")
        # A run that is interrupted leaves its whole rounds.
        write(given.out / "unfinished.json", found)
    return found


async def attempt(measuring: Any) -> dict[str, Any]:
    """A measurement that fails is a result too."""
    try:
        result: dict[str, Any] = {**await measuring, "load": load()}
    except (Failed, OSError) as error:
        result = {"failed": str(error)}
    return result


def brief(result: dict[str, Any]) -> str:
    """A line for the terminal."""
    shown = {
        key: f"{value:.4g}" if isinstance(value, float) else value
        for key, value in result.items()
        if value != {}
    }
    return " ".join(f"{key}={value}" for key, value in shown.items())


def say(text: str) -> None:
    """Progress."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


async def main(given: argparse.Namespace) -> None:
    """Prepares the peers, measures, writes the results down."""
    chosen = given.peers.split(",") if given.peers else list(PEERS)
    given.out.mkdir(parents=True, exist_ok=True)
    given.environments.mkdir(parents=True, exist_ok=True)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="colmillo-bench-"))
    stamp = time.strftime("%Y%m%d-%H%M%S")
    record: dict[str, Any] = {"mode": given.mode, "missing": {}}
    record["options"] = {key: str(value) for key, value in vars(given).items()}
    try:
        async with Server(folder / "server") as server:
            environments = Environments(given.environments.resolve(), given.python)
            bench = Bench(server=server, environments=environments, logs=folder, limit=given.limit)
            peers = []
            for name in chosen:
                try:
                    await bench.prepare(PEERS[name])
                    peers.append(PEERS[name])
                except (Unavailable, Failed) as error:
                    record["missing"][name] = str(error)
                    say(f"{name} cannot be run here: {error}")
            record["machine"] = {**describe(folder), "postgres": await server.settings()}
            measuring = compare if given.mode == "compare" else CURVES[given.mode]
            record["results"] = await measuring(bench, peers, given)
            record["peers"] = bench.about
            record["machine"]["load_at_the_end"] = load()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = tables(record) if given.mode == "compare" else curve_table(record)
    write(given.out / f"{stamp}-{given.mode}.json", record)
    (given.out / f"{stamp}-{given.mode}.md").write_text(text)
    print(text)
    say(f"written to {given.out / stamp}-{given.mode}.json and .md")


if __name__ == "__main__":
    asyncio.run(main(arguments()))
