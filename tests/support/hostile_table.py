"""The table of docs/hostile.md: what each hostile input came to, and what it cost."""

import platform
import re
from collections.abc import Mapping
from os import cpu_count
from pathlib import Path

from meter import Cost

Costs = dict[str, tuple[str, Cost]]
_HEAD = (
    "| input | what comes of it | wall, ms | CPU here, ms | CPU parser, ms | MB here | MB parser |"
)
_RULE = "|---|---|--:|--:|--:|--:|--:|"
_ROW = re.compile(r"^\| (?P<name>.+?) \| [^|]+ \| [\d,]+ \|", re.MULTILINE)
_PLACE = re.compile(r"(?<=<!-- made by make hostile -->\n).*?(?=<!-- end -->)", re.DOTALL)


def names(page: Path) -> list[str]:
    """The inputs that the page's table has, in its order."""
    return [row["name"] for row in _ROW.finditer(page.read_text(encoding="utf-8"))]


def write(page: Path, costs: Costs) -> None:
    """Puts a new table into the page."""
    text = page.read_text(encoding="utf-8")
    page.write_text(_PLACE.sub(lambda _: table(costs), text), encoding="utf-8")


def table(costs: Mapping[str, tuple[str, Cost]]) -> str:
    """The machine, and a row for each input."""
    rows = [
        f"| {name} | {words} | {1000 * cost.wall:,.0f} | {1000 * cost.parent_cpu:,.0f} |"
        f" {1000 * cost.child_cpu:,.0f} | {max(cost.parent_mb, 0):,.0f} | {cost.child_mb:,.0f} |"
        for name, (words, cost) in costs.items()
    ]
    return "\n".join([f"{machine()}\n", _HEAD, _RULE, *rows, ""])


def machine() -> str:
    """Where the figures come from."""
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    memory = int(Path("/proc/meminfo").read_text(encoding="utf-8").split()[1]) / 1_000_000
    return (
        f"Measured on {cpu_count()} cores of {model[1] if model else platform.machine()}, "
        f"{memory:.0f} GB, Linux {platform.release()}, Python {platform.python_version()}."
    )
