"""What the sync's tasks work with: made once when a process starts, handed to every task."""

import random
from dataclasses import dataclass, field
from datetime import timedelta

from colmillo import Queue
from heraldo_sync.batches import Batches
from heraldo_sync.database import Pool
from heraldo_sync.fetch import Fetcher
from heraldo_sync.health import Rules
from heraldo_sync.keeping import Keeper, Rhythm
from heraldo_sync.outage import Network
from heraldo_sync.parse import Parser
from heraldo_sync.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncServices:
    """The pool, the queue, the two that read feeds, and how feeds are checked.

    A feed is checked every ``interval`` at most and, if it works, every ``longest`` at least; a
    host with many feeds is asked every ``host_interval`` at most, by all workers together.
    ``rsshub`` is the base address of an RSSHub for sites without feeds. ``public_url`` is where
    hubs reach us; without it no hub is ever asked. Without a ``vault`` no private feed can be
    followed. ``keeper``, ``batches`` and ``rhythm`` are made of the others.
    """

    pool: Pool
    queue: Queue
    fetcher: Fetcher
    parser: Parser
    interval: timedelta = timedelta(seconds=60)
    longest: timedelta = timedelta(days=1)
    host_interval: timedelta = timedelta()
    retention: timedelta = timedelta(days=30)
    rules: Rules = field(default_factory=Rules)
    network: Network = field(default_factory=Network)
    rsshub: str | None = None
    public_url: str | None = None
    vault: Vault | None = None
    rng: random.Random = field(default_factory=random.Random)
    rhythm: Rhythm = field(init=False)
    keeper: Keeper = field(init=False)
    batches: Batches = field(init=False)

    def __post_init__(self) -> None:
        """Frozen, so not by assignments."""
        rhythm = Rhythm(
            interval=self.interval,
            longest=self.longest,
            pushes=self.public_url is not None,
            rng=self.rng,
        )
        keeper = Keeper(self.queue, rhythm)
        object.__setattr__(self, "rhythm", rhythm)
        object.__setattr__(self, "keeper", keeper)
        object.__setattr__(self, "batches", Batches(self.pool, keeper))
