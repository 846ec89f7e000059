"""What a store does now and then to stay small. Part of `colmillo.store.Store`."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

KEEP_ARCHIVED = timedelta(days=30)
"""For how long the stores keep archived tasks unless they are told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Housekept:
    """What a round of housekeeping did.

    ``removed`` is how many rows went whose time was over, ``freed`` how many bytes the live
    tasks' table gave back to the disk. ``more`` says that another round would find more to do
    at once: each does a bounded amount.
    """

    removed: int = 0
    freed: int = 0
    more: bool = False


class Housekeeping(Protocol):
    """The part of a `Store` that workers call when a while has passed."""

    async def housekeep(self) -> Housekept:
        """Removes what nobody can ask for any more, and keeps the live tasks' place small.

        Tasks that were archived longer ago than the store keeps them, results and unique hashes
        whose time is over, and fire times that lie over a week back, except the latest of each
        schedule. Live tasks stay as they are. Any number of processes may call it at any time.
        """
        ...


def check_kept(keep_archived: timedelta | None) -> timedelta | None:
    """The duration. Raises ValueError if it is negative."""
    if keep_archived is not None and keep_archived < timedelta(0):
        raise ValueError("keep_archived is negative; None keeps archived tasks for ever")
    return keep_archived


__all__ = ["KEEP_ARCHIVED", "Housekeeping", "Housekept", "check_kept"]
