"""How fast messages may go out, shared by all workers through the database.

A slot is a moment in time: each reservation moves the chat's next free moment on by the
interval. A reservation further away than the caller will wait is not made.
"""

from dataclasses import dataclass
from datetime import timedelta

from heraldo_sync.database import Pool
from heraldo_sync.statements import statement

EVERYBODY = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """``wait`` from now until the moment; ``taken`` is false when it was too far away."""

    wait: timedelta
    taken: bool


class Pace:
    """Reserves moments to send in. Moments are the database's clock; waits are relative."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def reserve(self, chat_id: int, interval: timedelta, *, patience: timedelta) -> Slot:
        """The chat's next free moment (``EVERYBODY``: of all chats together)."""
        row = await self._pool.fetchrow(statement("reserve"), chat_id, interval, patience)
        assert row is not None  # the statement always answers one row
        return Slot(wait=row["wait"], taken=row["taken"])

    async def hold(self, chat_id: int, duration: timedelta) -> None:
        """Nobody sends to this chat for so long: Telegram said so."""
        await self._pool.execute(statement("hold_chat"), chat_id, duration)
