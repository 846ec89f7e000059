"""Functions that tests run in processes: another process has to be able to import them."""

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from colmillo import Cancel, Discard, Done, Outcome, Retry, Snooze, task


@task(run="process", queue="cpu", max_attempts=1)
def square(number: int, into: str) -> None:
    """Writes the square, and which process it was."""
    sys.stdout.write("what is printed must not end up among the answers\n")
    Path(into).write_text(f"{number * number} {os.getpid()}", encoding="utf-8")


@task(run="process", queue="cpu", max_attempts=1, timeout=timedelta(seconds=60))
def spin(pid_file: str) -> None:
    """Never ends, and lets nothing else in its process run for long."""
    made = Path(pid_file + ".new")
    made.write_text(str(os.getpid()), encoding="utf-8")
    made.rename(pid_file)
    while True:
        sum(range(10_000_000))


@task(run="process", queue="cpu", max_attempts=1)
def fail(how: str) -> Outcome | None:
    """Ends in one of many ways."""
    match how:
        case "raise":
            raise LookupError("nothing there \0 \ud800")
        case "exit":
            sys.exit(3)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "leave":
            os._exit(7)
        case "wrong":
            return cast("Outcome", 5)
    return None


@task(run="process", queue="cpu", max_attempts=3)
def answer(kind: str) -> Outcome | None:
    """Answers with an outcome."""
    outcomes: dict[str, Outcome] = {
        "retry": Retry(why="later", after=timedelta(hours=1)),
        "snooze": Snooze(timedelta(hours=1)),
        "cancel": Cancel("unwanted"),
        "discard": Discard("impossible"),
    }
    return outcomes.get(kind)


@task(run="process", queue="cpu", discard_on=LookupError)
def picky(how: str) -> Outcome | None:
    """Ends as ``fail`` does; some errors are final."""
    function: Any = fail.function
    outcome: Outcome | None = function(how)
    return outcome


@task(run="process", queue="cpu", max_attempts=1, keep_result=timedelta(minutes=1))
def total(numbers: list[int]) -> Outcome | None:
    """Returns the sum, or what cannot be sent."""
    return Done({"total": sum(numbers)} if numbers else object())
