"""Tables for people."""

import statistics
from collections.abc import Callable
from typing import Any

MEGA = 1024 * 1024
Row = dict[str, Any]

# Title, where the figure is, how to print it.
COLUMNS: list[tuple[str, tuple[str, ...], Callable[[float], str]]] = [
    ("feeds/min, as measured", ("per_minute",), lambda v: f"{v:,.0f}"),
    ("feeds/min of 2 cores", ("per_minute_of_two_cores",), lambda v: f"{v:,.0f}"),
    ("CPU ms/feed", ("ms_ours",), lambda v: f"{v:.2f}"),
    ("pipeline", ("ms", "pipeline"), lambda v: f"{v:.2f}"),
    ("parsers", ("ms", "parsers"), lambda v: f"{v:.2f}"),
    ("Postgres", ("ms", "postgres"), lambda v: f"{v:.2f}"),
    ("(feed server)", ("ms", "feed server"), lambda v: f"{v:.2f}"),
    ("99 % asked after s", ("first_p99",), lambda v: f"{v:.1f}"),
    ("peak MB", ("memory", "own"), lambda v: f"{v / MEGA:.0f}"),
    ("parsers' MB", ("memory", "children"), lambda v: f"{v / MEGA:.0f}"),
    ("late s: least", ("late_least",), lambda v: f"{v:.1f}"),
    ("p50", ("late_p50",), lambda v: f"{v:.1f}"),
    ("p99", ("late_p99",), lambda v: f"{v:.1f}"),
    ("most", ("late_most",), lambda v: f"{v:.1f}"),
    ("idle, % of a core: program", ("idle_pipeline",), lambda v: f"{v:.2f}"),
    ("Postgres", ("idle_postgres",), lambda v: f"{v:.2f}"),
]


def tables(record: dict[str, Any]) -> str:
    """The whole report."""
    rows: dict[str, list[Row]] = dict(record["rows"])
    peer = rows.pop("reader", [])
    parts = [machine_text(record), "## Medians\n", medians(rows)]
    if any("stages_ms" in each for of in rows.values() for each in of):
        parts += ["\n## The pipeline's own CPU, ms per feed by stage\n", stages(rows)]
    if peer:
        parts += ["\n## `reader` over the same server\n", beside(rows, peer)]
    parts += ["\n## Checks\n", checks({**rows, "reader": peer})]
    return "\n".join(parts) + "\n"


def machine_text(record: dict[str, Any]) -> str:
    """What the figures were taken on and with."""
    lines = [f"# Feeds benchmark, {record['machine']['date']}, mode {record['mode']}\n"]
    lines += [f"- {key}: {value}" for key, value in record["machine"].items()]
    lines.append("- postgres: " + ", ".join(f"{k} {v}" for k, v in record["postgres"].items()))
    asked = ("feeds", "size", "rounds", "processes")
    said = ", ".join(f"{key} {record['options'][key]}" for key in asked)
    lines.append(f"- asked for: {said} (size None: spread as the corpus's)")
    return "\n".join(lines) + "\n"


def value(row: Row, path: tuple[str, ...]) -> float | None:
    """A figure of a row, None where it has none."""
    found: Any = row
    for key in path:
        if not isinstance(found, dict) or key not in found:
            return None
        found = found[key]
    return float(found)


def median(rows: list[Row], path: tuple[str, ...]) -> float | None:
    """Over the rounds that have the figure."""
    values = [found for row in rows if (found := value(row, path)) is not None]
    return statistics.median(values) if values else None


def medians(rows: dict[str, list[Row]]) -> str:
    """One line per case."""
    used = [
        column
        for column in COLUMNS
        if any(median(of, column[1]) is not None for of in rows.values())
    ]
    body = []
    for name, of in rows.items():
        found = [(median(of, path), show) for _, path, show in used]
        body.append([name, *("–" if it is None else show(it) for it, show in found)])
    return grid(["", *(title for title, _, _ in used)], body)


def stages(rows: dict[str, list[Row]]) -> str:
    """One line per stage, one column per case."""
    known = list(
        dict.fromkeys(stage for of in rows.values() for row in of for stage in row["stages_ms"])
        if all("stages_ms" in row for of in rows.values() for row in of)
        else []
    )
    body = []
    for stage in known:
        found = [median(of, ("stages_ms", stage)) for of in rows.values()]
        body.append([stage, *("–" if it is None else f"{it:.2f}" for it in found)])
    return grid(["", *rows], body)


def beside(rows: dict[str, list[Row]], peer: list[Row]) -> str:
    """Its figures, and how many times ours are better."""
    body = []
    for row in peer:
        ours = [row["ours"]] if "ours" in row else rows.get(row["case"], [])
        rate, cost = median(ours, ("per_minute",)), median(ours, ("ms_ours",))
        if "per_minute" not in row:
            continue
        body.append(
            [
                row["case"],
                f"{row['per_minute']:,.0f}",
                f"{row['ms_ours']:.2f}",
                "–" if rate is None else f"{rate / row['per_minute']:.1f}",
                "–" if cost is None else f"{row['ms_ours'] / cost:.1f}",
                f"{row['memory']['own'] / MEGA:.0f}",
                f"{row['entries']:,} of {row['expected']:,}",
            ]
        )
    heads = ["", "feeds/min", "CPU ms/feed", "ours: times faster", "times less CPU", "peak MB"]
    return grid([*heads, "entries stored"], body)


def checks(rows: dict[str, list[Row]]) -> str:
    """What went wrong, or that nothing did."""
    lines, rounds = [], 0
    for name, of in rows.items():
        for number, row in enumerate(of, 1):
            rounds += 1
            if row.get("failed"):
                lines.append(f"- {name}, round {number}: FAILED {row['failed']}")
            if row.get("once", {}).get("wrong"):
                lines.append(f"- {name}, round {number}: NOT ONCE {row['once']}")
    good = f"All {rounds} rounds: every new item stored once and fanned out once, no check failed."
    return "\n".join(lines) or good


def grid(heads: list[str], rows: list[list[str]]) -> str:
    """A markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
