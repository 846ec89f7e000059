"""The slips of a first hour: what is said of them leads to the remedy."""

from pathlib import Path
from typing import Any, cast

import pytest

from colmillo import MemoryStore, PostgresStore, Queue, Worker, task
from colmillo.cli import main


@task()
async def nothing() -> None: ...


async def test_a_task_is_enqueued_without_its_arguments() -> None:
    slip: Any = nothing
    with pytest.raises(TypeError, match=r"some_task\.new\(…\) returns, not <Task 'nothing'"):
        await Queue(MemoryStore()).enqueue(slip)


def test_a_store_is_given_an_address() -> None:
    slip: Any = "postgresql://localhost/app"
    with pytest.raises(TypeError, match="takes an asyncpg pool, not a str"):
        PostgresStore(slip)


def test_a_worker_is_given_a_pool() -> None:
    slip = cast(Any, object())
    with pytest.raises(TypeError, match=r"takes a store, PostgresStore\(pool\) say, not a object"):
        Worker(slip, tasks=[nothing], queues={"default": 1})


async def test_a_worker_does_not_wait_for_a_store_without_a_pool() -> None:
    with pytest.raises(TypeError, match="this store has no pool"):
        await Worker(PostgresStore(None), tasks=[nothing], queues={"default": 1}).run()


def test_the_command_line_is_given_no_address(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PGHOST", str(tmp_path))
    assert main(["top", "--once"]) == 1
    assert "No --dsn was given" in capsys.readouterr().err
