"""What the command line writes: tables, ages and JSON. Nothing here can steer a terminal."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

MINUTE, HOUR, DAY = 60, 3600, 86400


def say(text: str) -> None:
    """Writes a line."""
    sys.stdout.write(f"{text}\n")


def plain(text: object, width: int | None = None) -> str:
    """The text on one line, control characters written out, cut to a width."""
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)
    )
    return shown if width is None or len(shown) <= width else shown[: width - 1] + "…"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], width: int = 60) -> str:
    """The rows under their headings. Numbers are to the right; None is a dash."""
    cells = [["–" if cell is None else plain(cell, width) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    right = [
        any(isinstance(row[n], int) for row in rows)
        and all(isinstance(row[n], int | None) for row in rows)
        for n in range(len(columns))
    ]
    lines = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in [list(columns), *cells]
    ]
    return "\n".join(lines)


def span(duration: timedelta) -> str:
    """A duration in its two largest units: ``2 h 5 min``."""
    seconds = int(abs(duration).total_seconds())
    if seconds < MINUTE:
        return f"{seconds} s"
    for unit, size, small, part in (
        ("min", MINUTE, "s", 1),
        ("h", HOUR, "min", MINUTE),
        ("d", DAY, "h", HOUR),
    ):
        if seconds < {"min": HOUR, "h": DAY}.get(unit, seconds + 1):
            rest = seconds % size // part
            return f"{seconds // size} {unit}" + (f" {rest} {small}" if rest else "")
    raise AssertionError("days have no upper end")


def when(moment: datetime, now: datetime) -> str:
    """A moment as seen from now: ``5 min ago``, ``in 3 s``."""
    return f"in {span(moment - now)}" if moment > now else f"{span(now - moment)} ago"


def bytes_text(size: int) -> str:
    """A size in B, kB, MB or GB."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} B"


def json_text(value: Sequence[Mapping[str, object]] | Mapping[str, object]) -> str:
    """The value as JSON; times in ISO 8601, whatever else JSON lacks as text."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=_other)


def _other(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
