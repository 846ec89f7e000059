"""Where a task's function runs, and whether it can run there."""

import inspect
import sys
from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from typing import Any, Literal

from colmillo.errors import InvalidTask

Place = Literal["thread", "process"]
"""Where a function that is not async runs."""


class Runs(StrEnum):
    """Where a function runs. What is not async runs in a thread unless it asks for a process."""

    LOOP = "loop"
    THREAD = "thread"
    PROCESS = "process"


def place_of(name: str, function: Callable[..., Any], run: Place | None) -> Runs:
    """Where the function will run.

    Raises:
        InvalidTask: an async function that asks for a thread or a process, or a function for
            a process that another process could not find.
    """
    # Type checkers see to this, but not everybody runs one.
    if run is not None and run not in ("thread", "process"):
        raise InvalidTask(f'{name}: run is "thread" or "process", or left out')
    if inspect.iscoroutinefunction(function):
        if run is not None:
            raise InvalidTask(f"{name}: an async function runs in the event loop, not a {run}")
        return Runs.LOOP
    if not inspect.isroutine(function) or inspect.isasyncgenfunction(function):
        raise InvalidTask(f"{name}: a task's function is a def or an async def")
    if inspect.isgeneratorfunction(function):
        raise InvalidTask(f"{name}: a task's function does not yield")
    if run == "process":
        check_reachable(name, function)
    return Runs(run or Runs.THREAD)


def check_reachable(name: str, function: Callable[..., Any]) -> None:
    """Raises `InvalidTask` for a function that cannot be named as module and attribute."""
    path = getattr(function, "__qualname__", "")
    for part, what in (("<lambda>", "a lambda"), ("<locals>", "defined inside of a function")):
        if part in path:
            raise InvalidTask(
                f"{name}: {path} is {what}, which another process cannot import; "
                "define it at the top of a module"
            )
    if not path or not getattr(function, "__module__", None):
        raise InvalidTask(f"{name}: another process cannot import a function without a name")


def check_found(name: str, function: Callable[..., Any]) -> None:
    """Raises `InvalidTask` unless the function is what its module has under its name."""
    where = f"{function.__module__}.{function.__qualname__}"
    try:
        found = find(function.__module__, function.__qualname__)
    except (ImportError, AttributeError):
        found = None
    if found is not function:
        raise InvalidTask(f"{name}: to run in a process it has to be found as {where}, and is not")


def find(module: str, path: str) -> Callable[..., Any]:
    """The function of this name. What `task` made of it gives it back.

    Raises ImportError or AttributeError when there is none.
    """
    found: Any = import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    function: Callable[..., Any] = getattr(found, "function", found)
    return function


def main_path() -> tuple[str | None, str | None]:
    """What another process has to import, or the file it has to run, for our ``__main__``."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return spec.name, None
    return None, getattr(main, "__file__", None)
