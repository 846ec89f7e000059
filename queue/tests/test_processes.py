"""Functions in processes of their own."""

import asyncio
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest

from colmillo import InvalidTask, MemoryStore, Queue, Worker, task
from colmillo.clock import SystemClock
from colmillo.errors import ProcessError
from colmillo.store import NewTask, State, TaskId, TaskRecord
from colmillo.testing import FakeClock
from colmillo.testing.working import working

TESTS = Path(__file__).parent


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module that the processes import as well."""
    monkeypatch.syspath_prepend(str(TESTS))
    yield import_module("process_tasks")
    del sys.modules["process_tasks"]


class Desk:
    """A store and a worker of one slot for the tasks."""

    def __init__(self, tasks: Any) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.queue = Queue(self.store)
        known = [tasks.square, tasks.spin, tasks.fail, tasks.answer]
        self.worker = Worker(self.store, tasks=known, queues={"cpu": 1}, clock=self.clock)

    async def put(self, new: NewTask) -> TaskId:
        return (await self.queue.enqueue(new)).id

    async def ended(self, task_id: TaskId) -> TaskRecord | None:
        """The record once the task does not run and has been tried."""
        while record := await self.store.get(task_id):
            if record.state is not State.RUNNING and record.lease:
                return record
            await SystemClock().sleep(0.005)
        return None


@pytest.fixture
def desk(tasks: Any) -> Desk:
    return Desk(tasks)


def exists(file: Path) -> bool:
    return file.exists()


def text_in(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def is_gone(pid: int) -> bool:
    """Whether there is no such process, but for a zombie that somebody else has to bury."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return True
    return state == "Z"


async def pid_in(file: Path) -> int:
    while not exists(file):
        await SystemClock().sleep(0.005)
    return int(text_in(file))


async def gone(pid: int) -> bool:
    while not is_gone(pid):
        await SystemClock().sleep(0.005)
    return True


async def test_runs_elsewhere_and_keeps_the_process(desk: Desk, tasks: Any, tmp_path: Path) -> None:
    into = [tmp_path / name for name in ("one", "two")]
    async with working(desk.worker):
        for number, file in enumerate(into, start=7):
            assert await desk.ended(await desk.put(tasks.square.new(number, str(file)))) is None
    (first, pid), (second, other) = (text_in(file).split() for file in into)
    assert (first, second) == ("49", "64")
    assert pid == other
    assert int(pid) != os.getpid()
    assert await gone(int(pid))


async def test_a_spinning_task_is_killed_on_timeout_and_the_worker_lives(
    desk: Desk, tasks: Any, tmp_path: Path
) -> None:
    async with working(desk.worker):
        spinning = await desk.put(tasks.spin.new(str(tmp_path / "pid")))
        pid = await pid_in(tmp_path / "pid")
        await desk.clock.advance(60)
        record = await desk.ended(spinning)
        assert record is not None
        assert (record.state, record.errors) == (State.FAILED, ("timed out after 0:01:00",))
        assert await gone(pid)
        assert await desk.ended(await desk.put(tasks.square.new(3, str(tmp_path / "nine")))) is None
    assert text_in(tmp_path / "nine").startswith("9 ")


async def test_a_stopping_worker_kills_what_spins_and_gives_it_back(
    desk: Desk, tasks: Any, tmp_path: Path
) -> None:
    async with working(desk.worker):
        spinning = await desk.put(tasks.spin.new(str(tmp_path / "pid")))
        pid = await pid_in(tmp_path / "pid")
    record = await desk.store.get(spinning)
    assert record is not None
    assert (record.state, record.attempt) == (State.WAITING, 0)
    assert await gone(pid)


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("raise", "LookupError: nothing there"),
        ("exit", "RuntimeError: the function called exit(3)"),
        ("die", "its process was ended by SIGKILL"),
        ("leave", "its process ended with status 7"),
        ("wrong", "TypeError: a task returns an Outcome or None, not int"),
    ],
)
async def test_failures_come_back_as_text(desk: Desk, tasks: Any, how: str, error: str) -> None:
    async with working(desk.worker):
        record = await desk.ended(await desk.put(tasks.fail.new(how)))
    assert record is not None
    assert record.state is State.FAILED
    assert record.errors[0].startswith(error)
    assert "processes.py" not in record.errors[0]


@pytest.mark.parametrize(
    ("kind", "state", "attempt", "errors"),
    [
        ("retry", State.WAITING, 1, ("later",)),
        ("snooze", State.WAITING, 0, ()),
        ("cancel", State.CANCELLED, 1, ("unwanted",)),
        ("discard", State.DISCARDED, 1, ("impossible",)),
    ],
)
async def test_outcomes_come_back(
    desk: Desk, tasks: Any, kind: str, state: State, attempt: int, errors: tuple[str, ...]
) -> None:
    async with working(desk.worker):
        record = await desk.ended(await desk.put(tasks.answer.new(kind)))
    assert record is not None
    assert (record.state, record.attempt, record.errors) == (state, attempt, errors)


async def test_the_process_dies_with_a_killed_parent(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import asyncio, sys\n"
        "from colmillo import MemoryStore, Queue, Worker\n"
        "from process_tasks import spin\n"
        "async def main():\n"
        "    store = MemoryStore()\n"
        "    await Queue(store).enqueue(spin.new(sys.argv[1]))\n"
        "    await Worker(store, tasks=[spin], queues={'cpu': 1}).run()\n"
        "asyncio.run(main())\n"
    )
    paths = os.pathsep.join([str(TESTS), *sys.path])
    parent = await asyncio.create_subprocess_exec(
        sys.executable, str(program), str(tmp_path / "pid"), env={"PYTHONPATH": paths}
    )
    pid = await pid_in(tmp_path / "pid")
    parent.kill()
    await parent.wait()
    assert await gone(pid)


async def test_a_function_of_the_main_program_is_found(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import asyncio, os\n"
        "from datetime import timedelta\n"
        "from colmillo import MemoryStore, Queue, Worker, task\n"
        "@task(run='process', max_attempts=1, keep_result=timedelta(minutes=5))\n"
        "def job(parent: int):\n"
        "    assert os.getppid() == parent\n"
        "    print('ran', flush=True)\n"
        "async def main():\n"
        "    store = MemoryStore()\n"
        "    queue = Queue(store)\n"
        "    added = await queue.enqueue(job.new(os.getpid()))\n"
        "    worker = Worker(store, tasks=[job], queues={'default': 1})\n"
        "    running = asyncio.create_task(worker.run())\n"
        "    await queue.result(added.id)\n"
        "    worker.stop()\n"
        "    await running\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(program),
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert said == b"ran\n"
    assert process.returncode == 0


def test_declarations_that_cannot_run_in_a_process(tasks: Any) -> None:
    def inner() -> None: ...
    async def is_async() -> None: ...

    with pytest.raises(InvalidTask, match="inner is defined inside of a function, which another"):
        task(run="process")(inner)
    with pytest.raises(InvalidTask, match="lambda> is a lambda, which another process"):
        task(run="process", name="x")(lambda: None)
    with pytest.raises(InvalidTask, match="event loop, not a process"):
        task(run="process")(is_async)
    with pytest.raises(InvalidTask, match='run is "thread" or "process"'):
        task(run=cast("Any", "fork"))(inner)
    replaced = tasks.square
    tasks.square = tasks.spin
    with pytest.raises(InvalidTask, match=r"found as process_tasks\.square, and is not"):
        Worker(MemoryStore(), tasks=[replaced], queues={"cpu": 1})


def test_the_error_survives_pickling() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(ProcessError("x", frozenset({"builtins.ValueError"}))))
    assert (error.detail, error.types) == ("x", {"builtins.ValueError"})
