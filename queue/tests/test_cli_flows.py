"""``colmillo tasks`` and ``queues`` on tasks that wait for others."""

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from colmillo import NewTask, PostgresStore
from colmillo.cli import main
from colmillo.flows import Step, chain, group
from colmillo.store import State, TaskId

if TYPE_CHECKING:
    from colmillo.database import Pool

MAIL = NewTask(name="welcome", queue="mail", payload="{}")


@pytest.fixture
def store(pool: "Pool") -> PostgresStore:
    return PostgresStore(pool)


@pytest.fixture
def shell(dsn: str, capsys: pytest.CaptureFixture[str]) -> Any:
    async def run(*words: str) -> str:
        assert await asyncio.to_thread(main, [*words, "--dsn", dsn]) == 0
        return capsys.readouterr().out

    return run


async def fan_in(store: PostgresStore) -> list[TaskId]:
    flow = chain(group(MAIL, MAIL), Step(MAIL, on_failure="run"), MAIL)
    return await store.enqueue_flow(flow.tasks())


async def test_blocked_tasks_can_be_listed(store: PostgresStore, shell: Any) -> None:
    ids = await fan_in(store)
    listed = json.loads(await shell("tasks", "list", "--state", "blocked", "--json"))
    assert [(row["id"], row["run_at"]) for row in listed] == [(ids[3], None), (ids[2], None)]
    said = await shell("tasks", "list", "--state", "blocked")
    assert said.count("after its parents") == 2
    assert "2 wait for other tasks" in await shell("queues", "list")


async def test_a_task_is_shown_with_its_parents_and_children(
    store: PostgresStore, shell: Any
) -> None:
    first, second, third, last = await fan_in(store)
    await shell("tasks", "cancel", str(first))
    shown = json.loads(await shell("tasks", "show", str(third), "--json"))
    assert shown["state"] == "blocked"
    assert shown["parents"] == {str(first): "cancelled", str(second): None}
    assert shown["children"] == [last]
    lines = [
        line.split(maxsplit=1) for line in (await shell("tasks", "show", str(third))).split("\n")
    ]
    assert ["parents", f"{first} (cancelled), {second} (open)"] in lines
    assert ["children", str(last)] in lines
    assert "parents" not in await shell("tasks", "show", str(second))


@pytest.mark.parametrize(("action", "outcome"), [("cancel", "cancelled"), ("delete", "deleted")])
async def test_what_an_operator_ends_is_passed_on(
    store: PostgresStore, shell: Any, pool: "Pool", action: str, outcome: str
) -> None:
    ids = await fan_in(store)
    await shell("tasks", action, str(ids[0]), str(ids[1]))
    third, last = await store.get(ids[2]), await store.get(ids[3])
    assert third is not None
    assert third.state is State.WAITING
    assert [parent.outcome for parent in await store.parents(ids[2])] == [outcome] * 2
    await shell("tasks", action, str(ids[2]))
    last = await store.get(ids[3])
    assert last is not None
    assert last.errors == (f"its parent, task {ids[2]}, ended as {outcome}",)
    assert await pool.fetchval("SELECT count(*) FROM colmillo.dependencies") == 0
    assert await pool.fetchval("SELECT count(*) FROM colmillo.followups") == 0


@pytest.mark.parametrize("action", ["cancel", "delete"])
async def test_a_whole_flow_can_be_ended_at_once(
    store: PostgresStore, shell: Any, pool: "Pool", action: str
) -> None:
    await fan_in(store)
    assert "4 of 4" in await shell("tasks", action, "--queue", "mail")
    assert set(await store.counts()) <= {("mail", State.CANCELLED)}
    assert await pool.fetchval("SELECT count(*) FROM colmillo.dependencies") == 0
    assert await pool.fetchval("SELECT count(*) FROM colmillo.followups") == 0
