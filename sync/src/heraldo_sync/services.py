"""What the sync's tasks work with: made once when a process starts, handed to every task."""

import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from colmillo import Queue
from heraldo_sync.database import Pool
from heraldo_sync.fetch import Fetcher
from heraldo_sync.health import Rules
from heraldo_sync.parse import Parser


class Readers(Protocol):
    """What it takes to read a feed that nobody keeps."""

    @property
    def fetcher(self) -> Fetcher:
        """Asks the server."""
        ...

    @property
    def parser(self) -> Parser:
        """Reads what it answered."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncServices:
    """The pool, the queue, the two that read feeds, and how feeds are checked."""

    pool: Pool
    queue: Queue
    fetcher: Fetcher
    parser: Parser
    interval: timedelta = timedelta(seconds=60)
    rules: Rules = field(default_factory=Rules)
    rng: random.Random = field(default_factory=random.Random)
