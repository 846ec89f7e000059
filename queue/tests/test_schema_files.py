"""The files with SQL: one statement each, explained, used, and understood by the server."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import colmillo
from colmillo.schema import latest, queries, statements

if TYPE_CHECKING:
    from colmillo.database import Pool

NAMES = sorted(queries("colmillo"))


def sql_files() -> Iterator[Path]:
    return Path(str(files("colmillo") / "sql")).rglob("*.sql")


def test_there_are_queries_and_migrations() -> None:
    assert {"claim", "settle", "enqueue_plain", "enqueue_unique"} <= set(NAMES)
    assert len(list(sql_files())) == len(NAMES) + len(statements("colmillo"))
    assert latest() >= 1


@pytest.mark.parametrize("file", sorted(sql_files()), ids=lambda file: file.stem)
def test_every_file_is_one_statement_with_a_reason(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("-- ")
    code = "\n".join(line for line in lines if not line.startswith("--"))
    # A function's one statement ends within it.
    assert code.count(";") == code.count("CREATE FUNCTION")
    assert "%" not in code.replace("%s", "")
    assert all(len(line) <= 100 for line in lines)


async def test_every_query_can_be_prepared(pool: "Pool") -> None:
    async with pool.acquire() as connection:
        for name in NAMES:
            prepared = await connection.prepare(queries("colmillo")[name])
            text = prepared.get_query()
            named = {f"${n}" for n in range(1, len(prepared.get_parameters()) + 1)}
            header = text[: text.index("\n\n") if "\n\n" in text else len(text)]
            missing = {parameter for parameter in named if parameter not in header}
            assert not missing, f"{name} does not explain {missing}"


@pytest.mark.parametrize("name", NAMES)
def test_every_query_is_used(name: str) -> None:
    folder = Path(colmillo.__file__).parent
    sources = (file.read_text(encoding="utf-8") for file in folder.glob("*.py"))
    assert any(f'"{name}"' in source for source in sources)
