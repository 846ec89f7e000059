"""The package's SQL, one statement per file in ``sql/``, loaded by name."""

from functools import cache
from importlib.resources import files


@cache
def statement(name: str) -> str:
    """The text of ``sql/<name>.sql``; parameters are positional ($1, $2 ...)."""
    return files("heraldo_sync").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


def statements(name: str) -> list[str]:
    """The statements of a file that holds several, each closed by a semicolon at a line's end."""
    return [part.strip() for part in statement(name).split(";\n") if part.strip()]
