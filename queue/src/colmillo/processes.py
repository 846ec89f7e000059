"""Functions in processes of their own, each of which runs one task at a time and can be killed."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from colmillo.errors import ProcessError
from colmillo.outcome import Outcome
from colmillo.placing import main_path
from colmillo.process_child import LENGTH, LONGEST, frame, read

# What can be imported here can be imported there.
START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from colmillo.process_child import main; main()"
)


class Processes:
    """Processes that are started when needed; some are kept for the next task.

    A process runs one task at a time. One whose task was cancelled is killed, with whatever
    it started, and replaced when there is need of another.
    """

    def __init__(self) -> None:
        self._idle: list[Child] = []
        self._kept = os.cpu_count() or 1

    async def call(self, function: Callable[..., Any], payload: str) -> Outcome:
        """Returns what the function returns for these arguments.

        Raises:
            ProcessError: the function raised, could not be found, or its process died.
        """
        module, path = function.__module__, None
        if module == "__main__":
            name, path = main_path()
            module = name or module
        request = {
            "module": module,
            "main": path,
            "function": function.__qualname__,
            "payload": payload,
        }
        child = self._take() or await Child.start()
        try:
            answer = await child.ask(request)
        except BaseException:
            await child.kill()
            raise
        await self._keep(child)
        if "error" in answer:
            raise ProcessError(answer["error"], frozenset(answer["types"]))
        return read(answer["outcome"])

    async def close(self) -> None:
        """Kills the idle ones; the others die with their tasks."""
        self._kept = 0
        while self._idle:
            await self._idle.pop().kill()

    def _take(self) -> "Child | None":
        while self._idle:
            child = self._idle.pop()
            if child.lives():
                return child
        return None

    async def _keep(self, child: "Child") -> None:
        if len(self._idle) < self._kept:
            self._idle.append(child)
        else:
            await child.kill()


class Child:
    """One process, seen from outside."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls) -> "Child":
        """A new process. It has a session of its own: what ends us by Ctrl-C is ours to handle."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(f"-W{option}" for option in sys.warnoptions),
            "-c",
            START,
            json.dumps(sys.path),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        return cls(process)

    def lives(self) -> bool:
        """Whether the process has not ended, as far as we heard."""
        return self._process.returncode is None

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Sends a request and returns the answer. Raises `ProcessError` when the process died."""
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        try:
            requests.write(frame(request))
            await requests.drain()
            (length,) = LENGTH.unpack(await answers.readexactly(LENGTH.size))
            if length > 2 * LONGEST:
                raise ProcessError("its process sent what is no answer")
            answer: dict[str, Any] = json.loads(await answers.readexactly(length))
        except (ConnectionError, asyncio.IncompleteReadError):
            await self.kill()
            raise ProcessError(self._death()) from None
        return answer

    async def kill(self) -> None:
        """Kills the process and all it started, and waits until it is gone, come what may."""
        if self.lives():
            # macOS says the latter of a group whose last process is dead but not buried.
            with suppress(ProcessLookupError, PermissionError):
                if hasattr(os, "killpg"):
                    os.killpg(self._process.pid, signal.SIGKILL)
                else:
                    self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        gone = asyncio.ensure_future(self._process.wait())
        cancelled = False
        while not gone.done():
            try:
                await asyncio.wait([gone])
            except asyncio.CancelledError:
                cancelled = True
        if cancelled:
            raise asyncio.CancelledError

    def _death(self) -> str:
        code = self._process.returncode
        if code is not None and code < 0:
            return f"its process was ended by {signal.Signals(-code).name}"
        return f"its process ended with status {code}"
