"""Whether the network is down: ours, not a feed's. What fails then is held against nobody.

Pure functions of what was met; `Network` remembers it for one process.
"""

import logging
from dataclasses import dataclass, field
from datetime import timedelta

from colmillo.clock import Clock, SystemClock
from heraldo_sync.model import Failed, Reason

logger = logging.getLogger(__name__)

ENOUGH_HOSTS = 5
WINDOW = timedelta(minutes=1)
LONGEST = timedelta(hours=6)
"""A longer silence is taken for the feeds' own: a small bot's few feeds may all be dead."""

_SILENT = frozenset({Reason.DNS, Reason.CONNECT, Reason.TIMEOUT, Reason.TLS})
_NOT_ASKED = frozenset(
    {Reason.INVALID_URL, Reason.FORBIDDEN_ADDRESS, Reason.HOST_BUSY, Reason.LOCKED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Hosts that could not be reached since any was, and when last; moments are in seconds.

    Only as many are kept as decide, those that failed last. ``since`` is when the first failed.
    """

    hosts: tuple[tuple[str, float], ...] = ()
    since: float = 0.0


def after(silence: Silence, host: str, failed: Failed | None, now: float) -> Silence:
    """Returns what is known after one more check; ``failed`` is None for one that went well."""
    if failed is not None and failed.reason in _NOT_ASKED:
        return silence
    if failed is None or failed.reason not in _SILENT:
        # Any answer, even a refusal, came over a network that works.
        return Silence()
    others = tuple(known for known in silence.hosts if known[0] != host)
    return Silence(
        hosts=(*others, (host, now))[-ENOUGH_HOSTS:],
        since=silence.since if silence.hosts else now,
    )


def is_outage(silence: Silence, now: float) -> bool:
    """Whether enough different hosts failed within the last minute, and none answered between."""
    recent = [at for _, at in silence.hosts if now - at <= WINDOW.total_seconds()]
    return len(recent) >= ENOUGH_HOSTS and now - silence.since <= LONGEST.total_seconds()


@dataclass(slots=True, kw_only=True)
class Network:
    """What this process met last. Not shared: a worker's network may fail without the others'."""

    clock: Clock = field(default_factory=SystemClock)
    _silence: Silence = field(default_factory=Silence)
    _down: bool = False

    def met(self, host: str, failed: Failed | None) -> bool:
        """Notes how a check went; whether its failure is the network's."""
        now = self.clock.monotonic()
        self._silence = after(self._silence, host, failed, now)
        down = is_outage(self._silence, now)
        if down != self._down:
            self._down = down
            logger.warning("the network is down" if down else "the network is up again")
        return down and failed is not None and failed.reason in _SILENT
