"""One measured round: every due feed is checked once, and what that took."""

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cases import Case, request
from programs import Failed, Program, Server, load
from town import Town

LOOK_SECONDS = 0.05
# Stages are told as processor time of the pipeline's own processes.
MS = 1000.0


@dataclass(slots=True, kw_only=True)
class Bench:
    """What a round is measured with."""

    server: Server
    feeds: Program
    pipelines: list[Program]
    town: Town
    folder: Path
    limit: float
    """Seconds that one round may take."""
    environment: dict[str, str]
    """Of the pipeline's processes."""
    sending: bool = False
    """Whether what is fanned out is also sent, while it is measured."""
    rounds: int = 0


async def measure(bench: Bench, case: Case, due: int) -> dict[str, Any]:
    """A round over the feeds 1 … ``due``. Raises `Failed` when it does not end in time."""
    town = bench.town
    bench.rounds += 1
    await town.address(case, due)
    await bench.feeds.ask("round", limit=600, **request(case, due, bench.rounds))
    since = await town.make_due(due)
    for pipeline in bench.pipelines:
        await pipeline.ask("stages")
    before = _used(bench)
    began = time.monotonic()
    await town.tick()
    await _all_asked(bench, due, began)
    ended = await _all_stored(bench, due, since, began)
    after = _used(bench)
    told = await bench.feeds.ask("told")
    versions = await bench.feeds.ask("versions")
    late = sorted(at - began for at in told["first"].values())
    spent = {name: (after[name] - before[name]) / due * MS for name in after}
    ours = spent["pipeline"] + spent["parsers"] + spent["postgres"]
    return {
        "due": due,
        "seconds": ended - began,
        "per_minute": due / (ended - began) * 60,
        "ms": spent,
        "ms_ours": ours,
        "per_minute_of_two_cores": 2 * 60 * MS / ours,
        "stages_ms": await _stages(bench, spent["pipeline"]),
        "first_p50": statistics.median(late),
        "first_p99": late[int(len(late) * 0.99) - 1],
        "served": told["counts"],
        "failed": await town.failed(),
        "once": await town.wrong(versions["feeds"], due, sending=bench.sending),
        "memory": memory(bench),
        "load": load(),
    }


async def _all_asked(bench: Bench, due: int, began: float) -> None:
    while (asked := (await bench.feeds.ask("progress"))["asked"]) < due:
        if time.monotonic() - began > bench.limit:
            failed = await bench.town.failed()
            raise Failed(f"{asked} of {due} feeds asked after {bench.limit:.0f} s; {failed}")
        await bench.town.rest(LOOK_SECONDS)


async def _all_stored(bench: Bench, due: int, since: Any, began: float) -> float:
    """The moment at which the database says so: that at which the look began."""
    while True:
        looked = time.monotonic()
        left = await bench.town.left(due, since)
        if not left:
            return looked
        if looked - began > bench.limit:
            raise Failed(f"{left} checks unfinished after {bench.limit:.0f} s")
        await bench.town.rest(LOOK_SECONDS)


def _used(bench: Bench) -> dict[str, float]:
    """CPU seconds so far, by who used them."""
    pipelines = [pipeline.cpu() for pipeline in bench.pipelines]
    return {
        "pipeline": sum(each["own"] for each in pipelines),
        "parsers": sum(each["children"] for each in pipelines),
        "postgres": bench.server.cpu(),
        "feed server": bench.feeds.cpu()["own"],
        "harness": time.process_time(),
    }


async def _stages(bench: Bench, spent: float) -> dict[str, float]:
    """The pipeline's own processor time per feed, in the proportions of what was seen."""
    seen: dict[str, int] = {}
    lines: dict[str, int] = {}
    for pipeline in bench.pipelines:
        said = await pipeline.ask("stages")
        for into, new in ((seen, said["stages"]), (lines, said["lines"])):
            for name, times in new.items():
                into[name] = into.get(name, 0) + times
    total = sum(seen.values()) or 1
    (bench.folder / "lines.txt").write_text(
        "\n".join(f"{times:6} {name}" for name, times in sorted(lines.items(), key=_times))
    )
    return {name: times / total * spent for name, times in sorted(seen.items(), key=_times)}


def _times(pair: tuple[str, int]) -> int:
    return -pair[1]


def memory(bench: Bench) -> dict[str, int]:
    """The most bytes that were ever resident, of all pipelines together."""
    each = [pipeline.memory() for pipeline in bench.pipelines]
    return {name: sum(one[name] for one in each) for name in ("own", "children")}
