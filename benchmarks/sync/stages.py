"""Where a process of the pipeline spends its processor time, by looking at it now and then.

A timer of the kernel that counts processor time interrupts the main thread; what it is at belongs
to the stage of the innermost frame that tells one. Work of asyncpg and of asyncio counts for who
asked for it.
"""

import signal
from collections import Counter
from pathlib import PurePath
from types import FrameType

EVERY_SECONDS = 0.003
LOOP = "event loop"
FETCH = "fetch, TLS"
GATES = "gates"
PARSE = "parse, this side"
STORE = "database, this side"
QUEUE = "queue"

_FETCHING = {
    "addresses",
    "body",
    "failures",
    "fetch",
    "http_hints",
    "limits",
    "outage",
    "proxy",
    "room",
    "tls",
    "turns",
    "urls",
}
_GATING = {"gate", "reading", "spans", "detect", "charset"}
_PARSING = {"parse", "wire"}
_FOREIGN = {
    "aiohttp": FETCH,
    "yarl": FETCH,
    "multidict": FETCH,
    "aiohappyeyeballs": FETCH,
    "colmillo": QUEUE,
    "telegram": "Telegram",
    "httpx": "Telegram",
    "heraldo": "Telegram",
}
_OF_ASYNCIO = {
    "sslproto.py": FETCH,
    "subprocess.py": PARSE,
    "base_subprocess.py": PARSE,
    "unix_events.py": PARSE,
}


def _stage_of_file(name: str) -> str | None:
    path = PurePath(name)
    parts = path.parts
    if "heraldo_sync" in parts:
        for stage, stems in ((FETCH, _FETCHING), (GATES, _GATING), (PARSE, _PARSING)):
            if path.stem in stems:
                return stage
        return STORE
    if len(parts) > 1 and parts[-2] == "asyncio":
        return _OF_ASYNCIO.get(parts[-1])
    for part in reversed(parts):
        if part in _FOREIGN:
            return _FOREIGN[part]
    return None


class Stages:
    """Counts while it is on."""

    def __init__(self) -> None:
        self.counts = Counter[str]()
        self.lines = Counter[str]()
        self._files: dict[str, str | None] = {}

    def start(self) -> None:
        """Begins, in the main thread of this process."""
        signal.signal(signal.SIGPROF, self._look)
        signal.siginterrupt(signal.SIGPROF, False)
        signal.setitimer(signal.ITIMER_PROF, EVERY_SECONDS, EVERY_SECONDS)

    def taken(self) -> dict[str, dict[str, int]]:
        """What was counted since the last time, by stage and by function."""
        stages, lines = self.counts, self.lines
        # The timer may strike at any moment: it gets others to count in first.
        self.counts, self.lines = Counter(), Counter()
        return {"stages": dict(stages), "lines": dict(lines.most_common(60))}

    def _look(self, _: int, frame: FrameType | None) -> None:
        if frame is not None:
            code = frame.f_code
            where = "/".join(PurePath(code.co_filename).parts[-2:])
            self.lines[f"{where}:{code.co_name}"] += 1
        self.counts[self._stage(frame)] += 1

    def _stage(self, frame: FrameType | None) -> str:
        while frame is not None:
            name = frame.f_code.co_filename
            if name not in self._files:
                self._files[name] = _stage_of_file(name)
            stage = self._files[name] or _by_protocol(frame)
            if stage is not None:
                return stage
            frame = frame.f_back
        return LOOP


def _by_protocol(frame: FrameType) -> str | None:
    """The stage of a transport's callback, which is its protocol's."""
    if not frame.f_code.co_filename.endswith("selector_events.py"):
        return None
    protocol = getattr(frame.f_locals.get("self"), "_protocol", None)
    module = type(protocol).__module__
    if module.startswith("asyncpg"):
        return STORE
    return FETCH if module.startswith(("aiohttp", "asyncio.sslproto")) else None
