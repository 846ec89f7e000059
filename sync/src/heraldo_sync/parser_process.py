"""The program that parses feeds apart from the bot: ``python -m heraldo_sync.parser_process``.

It reads requests from its standard input and answers on its standard output (`heraldo_sync.wire`)
until the input ends, which it does when the parent does, however the parent ends.
"""

import json
import re
import resource
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

from heraldo_sync.documents import named_feeds, not_a_feed, read_document
from heraldo_sync.wire import (
    LEAVING,
    LENGTH,
    READY,
    STAYING,
    Want,
    encode,
    encode_links,
    frame,
)

_STATUS = Path("/proc/self/status")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_MAX_MEMORY = 1024 * 1024 * 1024
# Python gives little memory back; past this a fresh process is cheaper.
_LEAVE_AT = 150 * 1024 * 1024


def main() -> None:
    """Serves requests until the input ends or the parent, told that we leave, ends us."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    memory = _MAX_MEMORY if hard == resource.RLIM_INFINITY else min(_MAX_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (memory, hard))
    # The kernel's way to end a process, which the parent may have had switched off.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    _send(answers, READY)
    while (head := _receive(requests)) is not None:
        body = _receive(requests)
        if body is None:
            return
        request = json.loads(head)
        # It counts processor time, and ends us wherever we are, also when the parent is gone.
        signal.setitimer(signal.ITIMER_PROF, request["cpu"])
        answer = _answer(request, body)
        signal.setitimer(signal.ITIMER_PROF, 0)
        _send(answers, (LEAVING if _peak() > _LEAVE_AT else STAYING) + answer)


def _answer(head: dict[str, Any], body: bytes) -> bytes:
    about = head["url"], head["content_type"]
    try:
        if head["want"] == Want.LINKS:
            return encode_links(named_feeds(body, *about))
        return encode(read_document(body, *about))
    except (Exception, RecursionError, MemoryError):
        # A feed can break feedparser in ways nobody has listed, and must cost that feed only.
        return encode(not_a_feed("What is at this address is too broken to be read as a feed."))


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
