"""What every check needs of the database, for many checks at once.

Most checks bring nothing. For them a statement that loads the feed and one that writes the
outcome down are all there is, and the way to the database and back costs more than the work.
Those that bring something share a transaction where that makes no difference (`keeping`).
"""

from collections.abc import Sequence

import asyncpg

from heraldo_sync.database import Pool
from heraldo_sync.health import Moving
from heraldo_sync.keeping import Keeper, Kept
from heraldo_sync.reading import Reading
from heraldo_sync.store import StoredFeed, Success, load_feeds, record_success
from heraldo_sync.together import Together

# So many readings share a transaction. A large one goes alone: the others need not wait for it.
_READINGS = 100
_SMALL = 256 * 1024


class Batches:
    """The statements of one process. Each outcome is committed when its call returns."""

    def __init__(self, pool: Pool, keeper: Keeper) -> None:
        self._pool = pool
        self._keeper = keeper
        self._loads = Together(self._load, culpable=may_be_one_row)
        self._outcomes = Together(self._record, culpable=may_be_one_row)
        self._readings = Together(self._keep, culpable=may_be_one_row, most=_READINGS)

    async def load(self, feed_id: int) -> StoredFeed | None:
        """The feed, or None when it is gone."""
        return await self._loads.call(feed_id)

    async def succeeded(self, outcome: Success) -> Moving | None:
        """Writes down that a check went well; returns what is known if the feed is moving."""
        return await self._outcomes.call(outcome)

    async def keep(self, feed_id: int, reading: Reading) -> Kept:
        """Stores a reading and fans out what is new (`Keeper.keep`)."""
        kept: Kept | None = None
        if len(reading.fetched.body) <= _SMALL:
            kept = await self._readings.call((feed_id, reading))
        if kept is None:
            async with self._pool.acquire() as connection, connection.transaction():
                kept = await self._keeper.keep(connection, feed_id, reading)
        return kept

    async def _load(self, feed_ids: Sequence[int]) -> list[StoredFeed | None]:
        async with self._pool.acquire() as connection:
            found = await load_feeds(connection, feed_ids)
        return [found.get(feed_id) for feed_id in feed_ids]

    async def _record(self, outcomes: Sequence[Success]) -> list[Moving | None]:
        # Two checks of one feed at once are rare; the later answer is the one that counts.
        latest = {outcome.feed_id: outcome for outcome in outcomes}
        async with self._pool.acquire() as connection:
            moving = await record_success(connection, list(latest.values()))
        return [moving.get(outcome.feed_id) for outcome in outcomes]

    async def _keep(self, readings: Sequence[tuple[int, Reading]]) -> list[Kept | None]:
        async with self._pool.acquire() as connection, connection.transaction():
            return await self._keeper.keep_plain(connection, readings)


def may_be_one_row(error: Exception) -> bool:
    """Whether a statement for many may have failed for what one of them holds.

    A database that cannot be reached is asked once for all.
    """
    lost = (
        asyncpg.PostgresConnectionError,
        asyncpg.OperatorInterventionError,
        asyncpg.InsufficientResourcesError,
    )
    # What asyncpg cannot encode is a ValueError.
    return isinstance(error, asyncpg.PostgresError | ValueError) and not isinstance(error, lost)
