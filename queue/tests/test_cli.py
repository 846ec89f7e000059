"""The command line: ``colmillo migrate``."""

import asyncio
import socket
import sys
from pathlib import Path

import asyncpg
import pytest

from colmillo.cli import main
from colmillo.schema import check, statements


async def test_migrate_makes_the_tables_and_may_be_repeated(empty_dsn: str) -> None:
    command = Path(sys.executable).with_name("colmillo")
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            str(command),
            "migrate",
            "--dsn",
            empty_dsn,
            "--schema",
            "jobs",
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0
        assert said == b"The tables in schema jobs are up to date.\n"
    connection = await asyncpg.connect(empty_dsn)
    try:
        await check(connection, "jobs")
    finally:
        await connection.close()


def test_sql_prints_every_statement(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", "--sql", "--schema", "jobs"]) == 0
    printed = capsys.readouterr().out
    for statement in statements("jobs"):
        assert f"{statement.strip()};\n" in printed


async def test_the_printed_sql_can_be_run(
    empty_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate", "--sql"]) == 0
    connection = await asyncpg.connect(empty_dsn)
    try:
        await connection.execute(capsys.readouterr().out)
        await check(connection, "colmillo")
    finally:
        await connection.close()


@pytest.mark.parametrize("arguments", [["--dsn", "nonsense"], ["--schema", "x" * 99, "--sql"]])
def test_failures_are_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", *arguments]) == 1
    said = capsys.readouterr().err
    assert said.startswith("colmillo: ")
    assert said.count("\n") == 1


async def test_a_server_that_does_not_answer_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("colmillo.cli.CONNECT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        dsn = f"postgresql://nobody@127.0.0.1:{port}/x?sslmode=disable"
        assert await asyncio.to_thread(main, ["doctor", "--dsn", dsn]) == 1
    assert capsys.readouterr().err.startswith("colmillo: the server did not answer in time")
