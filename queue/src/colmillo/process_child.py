"""The program that runs functions apart from a worker, so that it can be killed.

It reads requests from its standard input until that ends, which it does when the parent does,
however the parent ends, and answers on its standard output. What functions print goes to the
standard error. Both ways: four bytes of length, then JSON.
"""

import ctypes
import json
import os
import signal
import struct
import sys
import threading
from datetime import timedelta
from importlib.util import module_from_spec, spec_from_file_location
from queue import SimpleQueue
from typing import Any, BinaryIO

from colmillo.arguments import Arguments
from colmillo.outcome import Cancel, Discard, Done, Outcome, Retry, Snooze
from colmillo.placing import find
from colmillo.verdict import error_text

LENGTH = struct.Struct(">I")
LONGEST = 16_000_000
MAIN = "__colmillo_main__"
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Runs one function after the other."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    die_with_parent()
    waiting: SimpleQueue[dict[str, Any]] = SimpleQueue()
    threading.Thread(target=listen, args=(requests, waiting), daemon=True).start()
    while True:
        answer = run(waiting.get())
        answers.write(frame(answer))
        answers.flush()


def die_with_parent() -> None:
    """Has the kernel kill us with the parent, where it can (Linux).

    The end of the input says the same, but a function that never lets other threads run
    would keep us from noticing.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def listen(requests: BinaryIO, waiting: "SimpleQueue[dict[str, Any]]") -> None:
    """Hands requests on; when there are no more this program and all it started end."""
    while (request := receive(requests)) is not None:
        waiting.put(request)
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def receive(stream: BinaryIO) -> dict[str, Any] | None:
    """Returns the next message, None at the end of the input."""
    prefix = stream.read(LENGTH.size)
    if len(prefix) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(prefix)
    payload = stream.read(length)
    message: dict[str, Any] | None = json.loads(payload) if len(payload) == length else None
    return message


def frame(message: dict[str, Any]) -> bytes:
    """The message as it is sent."""
    payload = json.dumps(message).encode()
    return LENGTH.pack(len(payload)) + payload


def run(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to one request: what the function returned or raised, as JSON."""
    try:
        function = function_of(request)
        values = Arguments(function, None).read(request["payload"])
        outcome: object = function(**values)
        answer = {"outcome": written(outcome)}
        if len(json.dumps(answer, allow_nan=False)) > LONGEST:
            raise ValueError(f"the result takes more than {LONGEST:,} bytes")
    except SystemExit as error:
        return refusal(RuntimeError(f"the function called exit({error.code!r})"))
    except BaseException as error:
        return refusal(error)
    return answer


def refusal(error: BaseException) -> dict[str, Any]:
    """The error as text, with the names of all its types."""
    kinds = [(kind.__module__, kind.__qualname__) for kind in type(error).__mro__]
    types = [f"{'__main__' if module == MAIN else module}.{name}" for module, name in kinds]
    return {"error": error_text(error), "types": types}


def function_of(request: dict[str, Any]) -> Any:
    """The function that a request names, imported. The parent's main program is no package."""
    module, path = request["module"], request["main"]
    if module == "__main__" and path is not None:
        module = MAIN
        if MAIN not in sys.modules:
            spec = spec_from_file_location(MAIN, path)
            if spec is None or spec.loader is None:
                raise ImportError(f"cannot import {path}")
            made = sys.modules[MAIN] = module_from_spec(spec)
            spec.loader.exec_module(made)
    return find(module, request["function"])


def written(outcome: object) -> dict[str, Any]:
    """The outcome as JSON. Raises TypeError when it is none."""
    match outcome:
        case None:
            return {"kind": "done", "result": None}
        case Done(result=result):
            return {"kind": "done", "result": result}
        case Retry(why=why, after=after):
            seconds = None if after is None else after.total_seconds()
            return {"kind": "retry", "why": why, "after": seconds}
        case Snooze(delay=delay):
            return {"kind": "snooze", "delay": delay.total_seconds()}
        case Cancel(why=why):
            return {"kind": "cancel", "why": why}
        case Discard(why=why):
            return {"kind": "discard", "why": why}
        case other:
            raise TypeError(f"a task returns an Outcome or None, not {type(other).__name__}")


def read(outcome: dict[str, Any]) -> Outcome:
    """The outcome that was `written`."""
    match outcome:
        case {"kind": "retry", "why": why, "after": after}:
            return Retry(why=why, after=None if after is None else timedelta(seconds=after))
        case {"kind": "snooze", "delay": delay}:
            return Snooze(timedelta(seconds=delay))
        case {"kind": "cancel", "why": why}:
            return Cancel(why)
        case {"kind": "discard", "why": why}:
            return Discard(why)
        case _:
            return Done(outcome["result"])
