"""What one fetch may take."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much time, and how many bytes and redirects, one fetch may take.

    ``total`` covers all redirects and the whole body. At most ``per_host`` requests of this
    process go to a host at a time, begun ``between`` apart; waiting for that does not count, but
    has a limit of its own, ``turn``, and at most ``waiting`` others wait for a host. ``body`` is
    in bytes, after decompression. Bodies above ``small`` bytes have ``bodies`` bytes together, in
    this process (`heraldo_sync.room`).
    """

    connect: timedelta = timedelta(seconds=10)
    read: timedelta = timedelta(seconds=15)
    total: timedelta = timedelta(seconds=30)
    body: int = 5_000_000
    small: int = 256 * 1024
    bodies: int = 32_000_000
    redirects: int = 5
    per_host: int = 2
    waiting: int = 100
    between: timedelta = timedelta()
    turn: timedelta = timedelta(seconds=60)
