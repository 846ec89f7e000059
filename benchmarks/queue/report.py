"""Tables for people: medians, spreads, ratios."""

import statistics
from collections.abc import Callable
from typing import Any

Record = dict[str, Any]
MEGA = 1024 * 1024


def whole(value: float) -> str:
    """12,345"""
    return f"{value:,.0f}"


# Title, measure, key, how to print it, and whether more is better (None: no ratio).
COLUMNS: list[tuple[str, str, str, Callable[[float], str], bool | None]] = [
    ("drain, best settings /s", "best", "rate", whole, True),
    ("drain, concurrency 10 /s", "ten", "rate", whole, True),
    ("enqueue in bulk /s", "best", "bulk_rate", whole, True),
    ("enqueue one by one /s", "one", "rate", whole, True),
    ("CPU s per 10,000 (best)", "best", "cpu", lambda v: f"{v:.2f}", False),
    ("of it the worker's", "best", "worker_cpu", lambda v: f"{v:.2f}", None),
    ("CPU s per 10,000 (conc. 10)", "ten", "cpu", lambda v: f"{v:.2f}", False),
    ("WAL bytes per task", "best", "wal", whole, False),
    ("latency p50 ms", "latency", "p50", lambda v: f"{v * 1e3:.1f}", False),
    ("latency p99 ms", "latency", "p99", lambda v: f"{v * 1e3:.1f}", False),
    ("idle CPU, worker %", "idle", "worker_share", lambda v: f"{v * 100:.2f}", None),
    ("idle CPU, server %", "idle", "server_share", lambda v: f"{v * 100:.2f}", None),
    ("peak memory of the worker, MB", "best", "rss", lambda v: f"{v / MEGA:.0f}", None),
    ("start-up s", "best", "start_up", lambda v: f"{v:.2f}", None),
]


def medians(record: Record, peer: str, measure: str, key: str) -> tuple[float, float, float] | None:
    """Median, least and most over the rounds that succeeded."""
    rounds = record["results"][peer].get(measure, [])
    values = [each[key] for each in rounds if key in each]
    return (statistics.median(values), min(values), max(values)) if values else None


def tables(record: Record) -> str:
    """The whole report of a comparison."""
    peers = list(record["results"])
    parts = [machine_text(record), "## Medians\n", median_table(record, peers)]
    for against in ("bare", "colmillo"):
        if against in peers:
            said = "the peer's figure over the bare loop's"
            if against == "colmillo":
                said = "how many times better colmillo is than the peer (below 1: worse)"
            parts += [f"\n## Ratios: {said}\n", ratio_table(record, peers, against)]
    parts += ["\n## Least and most over the rounds\n", spread_table(record, peers)]
    parts += ["\n## Checks\n", checks(record, peers)]
    return "\n".join(parts) + "\n"


def machine_text(record: Record) -> str:
    """What the figures were taken on and with."""
    machine, options = record["machine"], record["options"]
    lines = [f"# Queue benchmark, {machine['date']}, mode {record['mode']}\n"]
    lines += [f"- {key}: {value}" for key, value in machine.items() if key != "postgres"]
    lines.append("- postgres: " + ", ".join(f"{k} {v}" for k, v in machine["postgres"].items()))
    asked = ("rounds", "tasks", "singles", "latencies", "idle", "most")
    lines.append("- asked for: " + ", ".join(f"{key} {options[key]}" for key in asked))
    if isinstance(record["results"], dict):
        made = [len(each) for of in record["results"].values() for each in of.values()]
        lines.append(f"- rounds made: {min(made, default=0)}")
    for peer, about in record["peers"].items():
        versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
        lines.append(f"- {peer}: {versions}; runtime {about['python']}")
        lines += [f"  - {mode}: {about[mode]}" for mode in ("best", "ten")]
    lines += [f"- {peer}: CANNOT BE RUN HERE: {why}" for peer, why in record["missing"].items()]
    return "\n".join(lines) + "\n"


def grid(heads: list[str], rows: list[list[str]]) -> str:
    """A markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def median_table(record: Record, peers: list[str]) -> str:
    """One row per figure, one column per peer."""
    rows = []
    for title, measure, key, show, _ in COLUMNS:
        found = [medians(record, peer, measure, key) for peer in peers]
        if any(found):
            rows.append([title, *("–" if it is None else show(it[0]) for it in found)])
    return grid(["", *peers], rows)


def spread_table(record: Record, peers: list[str]) -> str:
    """Least … most, for the same rows."""
    rows = []
    for title, measure, key, show, _ in COLUMNS:
        found = [medians(record, peer, measure, key) for peer in peers]
        if any(found):
            cells = ["–" if it is None else f"{show(it[1])} … {show(it[2])}" for it in found]
            rows.append([title, *cells])
    return grid(["", *peers], rows)


def ratio_table(record: Record, peers: list[str], against: str) -> str:
    """Every peer against the bare loop as it is, or colmillo against every peer as a factor."""
    others = [peer for peer in peers if peer != against]
    rows = []
    for title, measure, key, _, more in COLUMNS:
        base = medians(record, against, measure, key)
        if more is None or base is None or not base[0]:
            continue
        cells = []
        for peer in others:
            found = medians(record, peer, measure, key)
            if found is None or not found[0]:
                cells.append("–")
                continue
            ratio = found[0] / base[0]
            if against == "colmillo" and more:
                ratio = 1 / ratio
            cells.append(f"{ratio:.2f}")
        rows.append([title, *cells])
    return grid(["", *others], rows)


def checks(record: Record, peers: list[str]) -> str:
    """Failures and executions that were missing or repeated; or that there were none."""
    lines = []
    rounds = 0
    for peer in peers:
        for measure, results in record["results"][peer].items():
            for number, result in enumerate(results, 1):
                rounds += 1
                if result.get("failed"):
                    lines.append(f"- {peer}, {measure}, round {number}: {result['failed']}")
                if result.get("wrong"):
                    lines.append(f"- {peer}, {measure}, round {number}: NOT ONCE {result['wrong']}")
    good = f"All {rounds} measurements ended with every task run once and finished in the database."
    return "\n".join(lines) or good


def curve_table(record: Record) -> str:
    """A curve's rows as they are."""
    rows = record["results"]
    heads = list(dict.fromkeys(key for row in rows for key in row))
    body = [[cell(row.get(head, "–")) for head in heads] for row in rows]
    return machine_text(record) + "\n" + grid(heads, body) + "\n"


def cell(value: object) -> str:
    """A short form."""
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value) if value not in ({}, []) else "none"
