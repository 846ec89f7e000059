"""The program that parses feeds apart from the bot: ``python -m heraldo_sync.parser_process``.

It reads requests from its standard input and answers on its standard output (`heraldo_sync.wire`)
until the input ends, which it does when the parent does, however the parent ends.
"""

import json
import re
import resource
import sys
from pathlib import Path
from typing import BinaryIO

from heraldo_sync.documents import not_a_feed, read_document
from heraldo_sync.model import Failed, ParsedFeed
from heraldo_sync.wire import LEAVING, LENGTH, READY, STAYING, encode, frame

_STATUS = Path("/proc/self/status")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_MAX_MEMORY = 1024 * 1024 * 1024
# The parent's deadline comes first; this is for a parent that was killed while we spin.
_MAX_CPU_SECONDS = 20
# Python gives little memory back; past this a fresh process is cheaper.
_LEAVE_AT = 150 * 1024 * 1024


def main() -> None:
    """Serves requests until the input ends or the parent, told that we leave, ends us."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_lower(_MAX_MEMORY, hard), hard))
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    _send(answers, READY)
    while (head := _receive(requests)) is not None:
        body = _receive(requests)
        if body is None:
            return
        _allow_cpu()
        answer = encode(_answer(json.loads(head), body))
        _send(answers, (LEAVING if _peak() > _LEAVE_AT else STAYING) + answer)


def _answer(head: dict[str, str | None], body: bytes) -> ParsedFeed | Failed:
    try:
        return read_document(body, head["url"] or "", head["content_type"])
    except (Exception, RecursionError, MemoryError):
        # A feed can break feedparser in ways nobody has listed, and must cost that feed only.
        return not_a_feed("What is at this address is too broken to be read as a feed.")


def _peak() -> int:
    """The most memory this program has had, in bytes; 0 where the system does not say.

    Not what getrusage tells: Linux hands that down from the parent, so below a large one every
    child would look too large after its first feed.
    """
    try:
        found = _PEAK.search(_STATUS.read_text(encoding="ascii"))
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def _allow_cpu() -> None:
    """Lets this process use that many seconds from now on; past them the kernel ends it."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    wanted = int(usage.ru_utime + usage.ru_stime) + _MAX_CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (_lower(wanted, hard), hard))


def _lower(wanted: int, hard: int) -> int:
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def _receive(stream: BinaryIO) -> bytes | None:
    """Returns the next message, None at the end of the input."""
    prefix = stream.read(LENGTH.size)
    if len(prefix) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(prefix)
    payload = stream.read(length)
    return payload if len(payload) == length else None


def _send(stream: BinaryIO, payload: bytes) -> None:
    stream.write(frame(payload))
    stream.flush()


if __name__ == "__main__":
    main()
