"""``colmillo tasks``, on the real server, read as a person would."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from colmillo import PostgresStore
from colmillo.cli import main
from colmillo.store import Ending, Finish, NewTask, SetAside, Settlement, State, TaskId, WorkerId

if TYPE_CHECKING:
    from colmillo.database import Pool

MAIL = NewTask(name="welcome", queue="mail", payload='{"user":"ana"}')
REPORT = NewTask(name="report", queue="reports", payload="{}", priority=5, max_attempts=None)


class Shell:
    """Runs commands against the test's database and keeps what they wrote."""

    def __init__(self, dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.dsn = dsn
        self.capsys = capsys

    async def __call__(self, *words: str, status: int = 0) -> str:
        found = await asyncio.to_thread(main, [*words, "--dsn", self.dsn])
        said = self.capsys.readouterr()
        assert found == status, said
        return said.out or said.err

    async def json(self, *words: str) -> Any:
        return json.loads(await self(*words, "--json"))


@pytest.fixture
def shell(dsn: str, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(dsn, capsys)


@pytest.fixture
def store(pool: "Pool") -> PostgresStore:
    return PostgresStore(pool)


async def put(store: PostgresStore, *tasks: NewTask) -> list[int]:
    return [answer.id for answer in await store.enqueue(tasks)]


async def claim(store: PostgresStore, queue: str, number: int = 1) -> list[Any]:
    worker = WorkerId(uuid4())
    await store.register(worker, name="host:1", lease=timedelta(minutes=5))
    claimed = await store.claim(worker, {queue: number})
    assert len(claimed) == number
    return claimed


async def fail(store: PostgresStore, claimed: Any, error: str = "ValueError: no such user") -> None:
    verdict = SetAside(ending=Ending.FAILED, error=error)
    lost = await store.settle([Settlement(id=claimed.id, lease=claimed.lease, verdict=verdict)])
    assert not lost


async def test_list_reads_well(store: PostgresStore, shell: Shell) -> None:
    assert await shell("tasks", "list") == "No tasks.\n"
    failed, running, waiting = await put(
        store, MAIL, MAIL, REPORT.with_options(delay=timedelta(hours=3, seconds=30))
    )
    await fail(store, (await claim(store, "mail"))[0])
    await claim(store, "mail")
    lines = (await shell("tasks", "list")).splitlines()
    heading = ("id", "state", "queue", "task", "priority", "attempt", "when", "last", "error")
    assert tuple(lines[0].split()) == heading
    assert [line.split()[:4] for line in lines[1:]] == [
        [str(waiting), "waiting", "reports", "report"],
        [str(running), "running", "mail", "welcome"],
        [str(failed), "failed", "mail", "welcome"],
    ]
    assert "0/∞      due in 3 h" in lines[1]
    assert "1/25     was due 0 s ago" in lines[2]
    assert lines[3].endswith("1/25     ended 0 s ago    ValueError: no such user")


async def test_list_filters_and_pages(store: PostgresStore, shell: Shell) -> None:
    ids = await put(store, *[MAIL] * 5, *[REPORT] * 2)
    await fail(store, (await claim(store, "mail"))[0])
    assert {row["id"] for row in await shell.json("tasks", "list", "--queue", "reports")} == {
        *ids[5:]
    }
    assert [row["id"] for row in await shell.json("tasks", "list", "--state", "failed")] == ids[:1]
    both = await shell.json(
        "tasks", "list", "--name", "welcome", "--state", "failed", "--state", "waiting"
    )
    assert [row["id"] for row in both] == ids[4::-1]
    page = await shell("tasks", "list", "--limit", "3")
    assert page.endswith(f"There may be more: --before {ids[4]}\n")
    rest = await shell.json("tasks", "list", "--limit", "9", "--before", str(ids[4]))
    assert [row["id"] for row in rest] == ids[3::-1]
    said = await shell("tasks", "list", "--limit", "0", status=1)
    assert said.endswith("ask for 1 to 10000 tasks at once\n")


async def test_show_tells_everything(store: PostgresStore, shell: Shell) -> None:
    (task,) = await put(store, MAIL.with_key("k").with_headers({"trace": "t\n1"}))
    (claimed,) = await claim(store, "mail")
    shown = await shell("tasks", "show", str(task))
    assert "worker name   host:1\n" in shown
    await fail(store, claimed, "one\ntwo\x1b[31m")
    shown = await shell("tasks", "show", str(task))
    assert 'payload       {"user":"ana"}\n' in shown
    assert "header        trace: t\\n1\n" in shown
    assert "state         failed\n" in shown
    assert "error 1       one\\ntwo\\x1b[31m\n" in shown
    assert "(0 s ago)" in shown
    shown_json = await shell.json("tasks", "show", str(task))
    assert shown_json["errors"] == ["one\ntwo\x1b[31m"]
    assert shown_json["payload"] == '{"user":"ana"}'
    assert shown_json["headers"] == {"trace": "t\n1"}
    said = await shell("tasks", "show", "999", status=1)
    assert said.endswith("there is no task 999: it is done, or never was\n")


async def test_cancel_takes_waiting_tasks_only(store: PostgresStore, shell: Shell) -> None:
    running, waiting = await put(store, MAIL, MAIL)
    await claim(store, "mail")
    said = await shell("tasks", "cancel", str(running), str(waiting), "7777", status=1)
    assert said.splitlines() == [
        "Cancelled: 1 of 3.",
        f"  task {running}: it is running; cancel is for tasks that are waiting, blocked",
        "  task 7777: there is none of this id: it is done, or never was",
    ]
    record = await store.get(TaskId(waiting))
    assert record is not None
    assert (record.state, record.errors) == (State.CANCELLED, ("cancelled by an operator",))


async def test_retry_puts_back_with_all_attempts(store: PostgresStore, shell: Shell) -> None:
    (task,) = await put(store, MAIL.with_key("k"))
    (first,) = await claim(store, "mail")
    await fail(store, first)
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with store.listen(heard.put_nowait), asyncio.timeout(30):
        assert await shell("tasks", "retry", str(task)) == "Put back: 1 of 1.\n"
        assert await heard.get() == "mail"
    (second,) = await claim(store, "mail")
    assert (second.id, second.attempt) == (task, 1)
    assert second.lease > first.lease
    stale = Settlement(id=first.id, lease=first.lease, verdict=Finish())
    assert await store.settle([stale]) == {task}


async def test_retry_leaves_what_has_a_live_twin(store: PostgresStore, shell: Shell) -> None:
    (old,) = await put(store, MAIL.with_key("k"))
    await fail(store, (await claim(store, "mail"))[0])
    await put(store, MAIL.with_key("k"))
    said = await shell("tasks", "retry", str(old), status=1)
    assert said.splitlines()[1] == f"  task {old}: another task with its unique key is live"
    assert await store.counts() == {("mail", State.WAITING): 1, ("mail", State.FAILED): 1}


async def test_two_archived_twins_come_back_as_one(store: PostgresStore, shell: Shell) -> None:
    for _ in range(2):
        await put(store, MAIL.with_key("k"))
        await fail(store, (await claim(store, "mail"))[0])
    said = await shell("tasks", "retry", "--state", "failed", status=1)
    assert said.startswith("Put back: 1 of 2.\n")
    assert await store.counts() == {("mail", State.WAITING): 1, ("mail", State.FAILED): 1}


async def test_act_on_all_that_match(store: PostgresStore, shell: Shell) -> None:
    await put(store, *[MAIL] * 4, *[REPORT] * 3)
    for claimed in await claim(store, "mail", 2):
        await fail(store, claimed)
    assert await shell("tasks", "cancel", "--queue", "reports") == "Cancelled: 3 of 3.\n"
    assert await shell("tasks", "delete", "--state", "cancelled") == "Deleted: 3 of 3.\n"
    assert await shell("tasks", "delete", "--queue", "mail", "--name", "welcome") == (
        "Deleted: 4 of 4.\n"
    )
    assert await store.counts() == {}


@pytest.mark.parametrize("where", ["waiting", "archived"])
async def test_a_deleted_task_frees_its_periods_hash(
    store: PostgresStore, shell: Shell, where: str
) -> None:
    daily = replace(
        MAIL, unique_hash=bytes(32), unique_period=timedelta(days=999), unique_states="finished"
    )
    other = replace(daily, unique_hash=bytes([1] * 32))
    task, kept = await put(store, daily, other)
    if where == "archived":
        await store.cancel(TaskId(task), "no")
        await store.cancel(TaskId(kept), "no")
    assert await put(store, daily, other) == [task, kept]
    assert await shell("tasks", "delete", str(task)) == "Deleted: 1 of 1.\n"
    (answer,) = await store.enqueue([daily])
    assert answer.inserted
    assert await put(store, other) == [kept]


async def test_a_task_that_is_put_back_keeps_its_periods_hash(
    store: PostgresStore, shell: Shell
) -> None:
    daily = replace(
        MAIL, unique_hash=bytes(32), unique_period=timedelta(days=999), unique_states="finished"
    )
    (task,) = await put(store, daily)
    (claimed,) = await claim(store, "mail")
    await fail(store, claimed)
    assert await shell("tasks", "retry", str(task)) == "Put back: 1 of 1.\n"
    assert await put(store, daily) == [task]
    (claimed,) = await claim(store, "mail")
    done = Settlement(id=claimed.id, lease=claimed.lease, verdict=Finish())
    assert not await store.settle([done])
    assert await put(store, daily) == [task]


@pytest.mark.parametrize("words", [["delete"], ["delete", "1", "--queue", "mail"]])
async def test_acting_needs_ids_or_filters(shell: Shell, words: list[str]) -> None:
    said = await shell("tasks", *words, status=1)
    assert said.endswith("name tasks by id, or choose them with --queue, --name or --state\n")


async def test_states_that_an_action_cannot_take_are_named(shell: Shell) -> None:
    said = await shell("tasks", "cancel", "--state", "failed", status=1)
    assert said.endswith("cancel is for tasks that are waiting, blocked\n")


async def test_a_schema_that_is_not_there_is_one_line(shell: Shell) -> None:
    said = await shell("tasks", "list", "--schema", "nowhere", status=1)
    assert said.startswith("colmillo: ")
    assert "run migrate" in said
    assert said.count("\n") == 1
