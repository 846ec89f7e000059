"""What every check needs of the database, for many checks in one statement.

Most checks bring nothing. For them a statement that loads the feed and one that writes the
outcome down are all there is, and the way to the database and back costs more than the work.
What brings something new has a transaction of its own, as before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from heraldo_sync.database import Pool
from heraldo_sync.health import Moving
from heraldo_sync.model import Validators
from heraldo_sync.statements import statement
from heraldo_sync.store import StoredFeed, load_feeds
from heraldo_sync.together import Together


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """A check that went well and brought nothing; the fields are `store.record_success`'s."""

    feed_id: int
    next_check: timedelta
    validators: Validators
    permanent_url: str | None
    body_hash: bytes | None = None


class Batches:
    """The statements of one process. Each outcome is committed when its call returns."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._loads = Together(self._load, culpable=may_be_one_row)
        self._outcomes = Together(self._record, culpable=may_be_one_row)

    async def load(self, feed_id: int) -> StoredFeed | None:
        """The feed, or None when it is gone."""
        return await self._loads.call(feed_id)

    async def unchanged(self, outcome: Unchanged) -> Moving | None:
        """Writes the outcome down; returns what is known of a move, as `record_success` does."""
        return await self._outcomes.call(outcome)

    async def _load(self, feed_ids: Sequence[int]) -> list[StoredFeed | None]:
        async with self._pool.acquire() as connection:
            found = await load_feeds(connection, feed_ids)
        return [found.get(feed_id) for feed_id in feed_ids]

    async def _record(self, outcomes: Sequence[Unchanged]) -> list[Moving | None]:
        # Two checks of one feed at once are rare; the later answer is the one that counts.
        latest = list({outcome.feed_id: outcome for outcome in outcomes}.values())
        rows = await self._pool.fetch(
            statement("feeds_unchanged"),
            [outcome.feed_id for outcome in latest],
            [outcome.next_check for outcome in latest],
            [outcome.validators.etag for outcome in latest],
            [outcome.validators.last_modified for outcome in latest],
            [outcome.body_hash for outcome in latest],
            [outcome.permanent_url for outcome in latest],
            [outcome.validators.origin for outcome in latest],
        )
        moving = {
            row["id"]: Moving(
                url=row["url"],
                target=row["moved_to"],
                private=row["private"],
                seen=row["moved_seen"],
                lasting=row["moved_for"],
            )
            for row in rows
            if row["moved_to"] is not None
        }
        return [moving.get(outcome.feed_id) for outcome in outcomes]


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
