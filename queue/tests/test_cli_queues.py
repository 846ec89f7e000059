"""``colmillo queues``, ``top`` and ``schedules``, on the real server."""

import asyncio
import json
import os
import pty
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from colmillo import Every, PostgresStore, Worker, task
from colmillo.cli import main
from colmillo.cli_text import bytes_text, plain, span, table
from colmillo.limits import Limits, Rate
from colmillo.schedules import Schedules
from colmillo.store import NewTask, State, WorkerId
from colmillo.testing.working import working

if TYPE_CHECKING:
    from colmillo.database import Pool

MAIL = NewTask(name="welcome", queue="mail", payload='{"user":"ana"}')


@task(queue="mail")
async def welcome(user: str) -> None: ...


@pytest.fixture
def store(pool: "Pool") -> PostgresStore:
    return PostgresStore(pool)


@pytest.fixture
def shell(dsn: str, capsys: pytest.CaptureFixture[str]) -> Any:
    async def run(*words: str, status: int = 0) -> str:
        found = await asyncio.to_thread(main, [*words, "--dsn", dsn])
        said = capsys.readouterr()
        assert found == status, said
        return said.out or said.err

    return run


async def test_queues_are_listed(store: PostgresStore, shell: Any) -> None:
    assert await shell("queues", "list") == "No tasks, and no queue is paused or limited.\n"
    await store.enqueue([MAIL, MAIL, MAIL.with_options(delay=timedelta(hours=1))])
    worker = WorkerId(uuid4())
    await store.register(worker, name="host:1", lease=timedelta(minutes=5))
    await store.claim(worker, {"mail": 1})
    assert await shell("queues", "pause", "reports") == (
        "The queue reports is paused; what runs goes on.\n"
    )
    lines = (await shell("queues", "list")).splitlines()
    assert lines == [
        "queue    due  oldest  later  running  archived",
        "mail       1  0 s         1        1         0",
        "reports    0  –           0        0         0  paused 0 s ago",
    ]
    (mail, _) = json.loads(await shell("queues", "list", "--json"))
    assert (mail["queue"], mail["due"], mail["running"]) == ("mail", 1, 1)


async def test_a_pause_is_obeyed_by_running_workers(store: PostgresStore, shell: Any) -> None:
    poll = timedelta(milliseconds=50)
    async with working(Worker(store, tasks=[welcome], queues={"mail": 1}, poll=poll)):
        await store.enqueue([MAIL])
        while await store.counts():
            await store.now()
        await shell("queues", "pause", "mail")
        assert await shell("queues", "pause", "mail") == "The queue mail was paused already.\n"
        assert await shell("queues", "resume", "mail") == "The queue mail goes on.\n"
        await store.enqueue([MAIL])
        while await store.counts():
            await store.now()
        assert await shell("queues", "resume", "mail") == "The queue mail was not paused.\n"


async def test_limits_from_a_shell(store: PostgresStore, shell: Any, dsn: str) -> None:
    said = await shell(
        *("queues", "limit", "mail", "--running", "5", "--per-key", "1"),
        *("--rate", "100/1m", "--burst", "20"),
    )
    assert said == "The queue mail has these limits from the next claim on.\n"
    minute = timedelta(minutes=1)
    expected = Limits(running=5, per_key=1, rate=Rate(100, per=minute, burst=20))
    assert await store.limits() == {"mail": expected}
    await shell("queues", "pause", "mail")
    (line,) = (await shell("queues")).splitlines()[1:]
    assert line.endswith("paused 0 s ago, at most 5 run, 1 per key, 100 start per 60 s, burst 20")
    (row,) = json.loads(await shell("queues", "--json"))
    assert (row["limit_running"], row["burst"]) == (5, 20)
    assert json.loads(await shell("queues", "--json", "list"))[0]["queue"] == "mail"
    await shell("queues", "resume", "mail")
    assert (await shell("queues", "limit", "mail", "--rate", "1/500ms")).startswith("The queue")
    assert await store.limits() == {"mail": Limits(rate=Rate(1, per=timedelta(seconds=0.5)))}
    said = await shell("queues", "limit", "mail", "--none")
    assert said == "The queue mail has no limits from the next claim on.\n"
    assert await store.limits() == {}
    assert await shell("queues") == "No tasks, and no queue is paused or limited.\n"


async def test_limits_that_make_no_sense(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ((), ("--none", "--running", "1"), ("--running", "0"), ("--burst", "1")):
        assert (await shell("queues", "limit", "mail", *words, status=1)).startswith("colmillo: ")
    for text in ("100", "0/s", "5/99999999999d", "x/s"):
        with pytest.raises(SystemExit):
            main(["queues", "limit", "mail", "--rate", text])
        assert "--rate" in capsys.readouterr().err


async def test_top_once(store: PostgresStore, shell: Any) -> None:
    assert (await shell("top", "--once")).splitlines()[2:] == ["No tasks.", "", "No workers."]
    await store.enqueue([MAIL, MAIL])
    worker = WorkerId(uuid4())
    await store.register(worker, name="host:1", lease=timedelta(minutes=5))
    await store.claim(worker, {"mail": 1})
    said = await shell("top", "--once")
    assert "\x1b" not in said
    lines = said.splitlines()
    assert lines[0].endswith("UTC  2 live tasks")
    assert lines[2:4] == [
        "queue  due  oldest  later  running  archived",
        "mail     1  0 s         0        1         0",
    ]
    assert lines[5].split() == ["worker", "running", "up", "lease"]
    assert lines[6].startswith("host:1        1  0 s  4 min 59 s left")


async def test_top_lives_in_a_terminal_until_q(dsn: str) -> None:
    ours, theirs = pty.openpty()
    command = str(Path(sys.executable).with_name("colmillo"))
    process = await asyncio.create_subprocess_exec(
        command, "top", "--dsn", dsn, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    # Two pictures: the second one has rates.
    while b"enqueued/s" not in shown:
        shown += await asyncio.to_thread(os.read, ours, 4096)
    os.write(ours, b"q")
    while b"\x1b[?1049l" not in shown:
        shown += await asyncio.to_thread(os.read, ours, 4096)
    assert await process.wait() == 0
    os.close(ours)
    assert shown.startswith(b"\x1b[?1049h")


async def test_schedules_from_a_shell(store: PostgresStore, shell: Any) -> None:
    assert await shell("schedules", "list") == "No schedules.\n"
    said = await shell(
        *("schedules", "add", "nightly", "--cron", "30 2 * * *", "--zone", "Europe/Madrid"),
        *("--task", "welcome", "--queue", "mail", "--args", '{"user": "ana"}'),
        *("--missed", "all", "--overlap", "skip"),
    )
    assert said.startswith("The schedule nightly fires first at ")
    await Schedules(store).add(Every("often", timedelta(seconds=1), welcome.new("eva")))
    await store.declare_schedule(
        "static", timing="every 60 s", spec='{"task": {"name": "t", "queue": "q"}}'
    )
    assert await shell("schedules", "pause", "static") == "The schedule static is paused.\n"
    assert (await shell("schedules", "list")).splitlines() == [
        "schedule  when                      task     queue  last fired  from",
        "nightly   30 2 * * * Europe/Madrid  welcome  mail   –           added",
        "often     every 1 s                 welcome  mail   –           added",
        "static    every 60 s                t        q      –           code   paused",
    ]
    listed = json.loads(await shell("schedules", "list", "--json"))
    assert listed[0]["spec"]["task"]["payload"] == '{"user":"ana"}'
    async with working(Worker(store, tasks=[], queues={"none": 1})):
        while ("mail", State.WAITING) not in await store.counts():
            await store.now()
    assert await shell("schedules", "resume", "static") == (
        "The schedule static goes on from now.\n"
    )
    assert await shell("schedules", "remove", "often") == "The schedule often is removed.\n"
    said = await shell("schedules", "remove", "often", status=1)
    assert "schedule often: there is none of this name" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cron", "30 2 * *"], "schedule x: '30 2 * *': a cron expression has 5 fields"),
        (["--cron", "* * * * *", "--zone", "Mars/Base"], "no time zone is called 'Mars/Base'"),
        (["--every", "0"], "schedule x: the interval is under one second"),
        (["--every", "60", "--args", "[]"], "--args has to be a JSON object"),
        (["--every", "60", "--args", "{"], "--args is no JSON"),
        (["--every", "60", "--priority", "99999"], "a priority lies between"),
    ],
)
async def test_a_schedule_that_makes_no_sense(shell: Any, words: list[str], message: str) -> None:
    said = await shell("schedules", "add", "x", "--task", "t", *words, status=1)
    assert message in said
    assert said.count("\n") == 1


async def test_a_name_that_is_taken(shell: Any) -> None:
    words = ("schedules", "add", "x", "--task", "t", "--every", "60")
    await shell(*words)
    assert "there is one of this name already" in await shell(*words, status=1)
    await shell(*words, "--replace")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min 59 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (86_400, "1 d"),
        (1_000_000, "11 d 13 h"),
        (-61, "1 min 1 s"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(timedelta(seconds=seconds)) == text


def test_nothing_steers_the_terminal() -> None:
    assert plain("a\x1b[2J\nñ\u202e") == "a\\x1b[2J\\nñ\\u202e"
    assert plain("x" * 70, 60) == "x" * 59 + "…"
    assert table(("a", "b"), [("\x07", 1), ("y", 20)]).splitlines()[1] == "\\x07   1"
    assert [bytes_text(n) for n in (7, 1500, 2 * 10**6)] == ["7 B", "1.5 kB", "2.0 MB"]
