"""Memory for large bodies: so many bytes for all that one process fetches at a time.

Most bodies are small and take none of it. A larger one claims memory as it grows, not what its
server says it will be, and has it until it is parsed and stored: as long as its `Fetched` lives.

Nobody waits for ever. Of the bodies that are still being read, the one that began first may fill
the whole room; the others leave so much free that a body of the largest size fits in. So that one
always goes on to its end, or its server's time is over, and then it is the next one's turn. What
has been read is given back without claiming more.
"""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from heraldo_sync.errors import SyncError
from heraldo_sync.limits import Limits
from heraldo_sync.turns import Patience

# A body of the largest size claims so many times: few waits, and a slow one has little for nothing.
_STEPS = 20


class NoRoom(SyncError):
    """So many large bodies are being read that there was no memory for this one in time."""


class Room:
    """``size`` bytes for all bodies of more than ``small``, each ``largest`` at most.

    ``taken`` are the bytes that are claimed now, never more than ``size``.
    """

    def __init__(self, size: int, *, small: int, largest: int) -> None:
        self.small = small
        self.largest = largest
        self.step = max(largest // _STEPS, 1)
        self.taken = 0
        self._size = max(size, largest)
        # In the order in which they came; a dictionary, as any of them may leave.
        self._reading: dict[Claim, None] = {}

    @classmethod
    def within(cls, limits: Limits) -> Self:
        """The room that these limits leave."""
        return cls(limits.bodies, small=limits.small, largest=limits.body)

    def claim(self, patience: Patience, deadline: asyncio.Timeout) -> "Claim":
        """A claim for one body, of nothing yet. Waiting comes off ``patience``, and the
        ``deadline``, whose block the caller is in, stands still meanwhile."""
        return Claim(self, patience, deadline)

    def join(self, claim: "Claim") -> None:
        """This body is being read, and larger than a small one."""
        self._reading.setdefault(claim)

    def leave(self, claim: "Claim", back: int) -> None:
        """It is read or given up, and so many bytes are others' again."""
        self._reading.pop(claim, None)
        self.give_back(back)

    def give_back(self, size: int) -> None:
        """So many bytes are others' again."""
        self.taken -= size
        self.serve()

    def serve(self) -> None:
        """Gives those who wait what there is, in their order: nobody is overtaken for ever."""
        most = self._size
        for claim in self._reading:
            if claim.wants:
                if self.taken + claim.wants > most:
                    break
                self.taken += claim.wants
                claim.granted()
            most = self._size - self.largest


class Claim:
    """One body's part of the room. Entered while the body is read.

    What was not kept in the block is given back at its end, and what was when nobody has the
    claim any more, in whatever thread that comes to pass.
    """

    __slots__ = ("_deadline", "_granted", "_held", "_kept", "_loop", "_patience", "_room", "wants")

    def __init__(self, room: Room, patience: Patience, deadline: asyncio.Timeout) -> None:
        self.wants = 0
        self._held = 0
        self._kept = False
        self._room = room
        self._patience = patience
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._granted: asyncio.Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None or not self._kept:
            self._shrink(0)

    def __del__(self) -> None:
        if self._held:
            with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                self._loop.call_soon_threadsafe(self._room.give_back, self._held)

    async def expect(self, size: int) -> None:
        """Has a body that is said to be large wait before it takes any memory, for its first
        step alone: what servers say is not to be believed.

        Raises:
            NoRoom: patience was over first.
        """
        await self.cover(min(size, self._room.small + 1))

    async def cover(self, size: int) -> None:
        """Returns when the body may have so many bytes.

        Raises:
            NoRoom: patience was over first.
        """
        if size <= max(self._held, self._room.small):
            return
        self._room.join(self)
        self.wants = min(self._room.largest, size + self._room.step) - self._held
        self._granted = self._loop.create_future()
        self._room.serve()
        if self.wants:
            await self._wait(self._granted)

    def granted(self) -> None:
        """What was wanted is there."""
        self._held += self.wants
        self.wants = 0
        if self._granted is not None and not self._granted.done():
            self._granted.set_result(None)

    def keep(self, size: int) -> Self | None:
        """The body is read and has so many bytes: these stay taken. None if it is a small one."""
        self._kept = True
        self._shrink(size if self._held else 0)
        return self if self._held else None

    def _shrink(self, size: int) -> None:
        back, self._held, self.wants = self._held - size, size, 0
        self._room.leave(self, back)

    async def _wait(self, granted: "asyncio.Future[None]") -> None:
        """The server is not to blame for this wait: its own time stands still."""
        started = self._loop.time()
        ends = self._deadline.when()
        self._deadline.reschedule(None)
        try:
            async with asyncio.timeout(max(self._patience.left, 0.0)):
                await granted
        except TimeoutError as error:
            raise NoRoom("too many large bodies") from error
        finally:
            waited = self._loop.time() - started
            self._patience.left -= waited
        if ends is not None:
            self._deadline.reschedule(ends + waited)
