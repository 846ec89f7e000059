"""What the Postgres store does now and then to stay small."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from colmillo.compaction import Compaction
from colmillo.housekeeping import Housekept

if TYPE_CHECKING:
    from colmillo.database import Database
    from colmillo.floors import Floors

BATCH = 1000


class PostgresHousekeeping:
    """The part of `PostgresStore` that is a `colmillo.housekeeping.Housekeeping`."""

    _database: "Database"
    _sql: Mapping[str, str]
    _floors: "Floors"
    _compaction: Compaction
    _keep_archived: timedelta | None

    async def housekeep(self) -> Housekept:
        """Removes what is over and compacts the tasks; see `Housekeeping.housekeep`."""
        keep = self._keep_archived
        (row,) = await self._database.fetch(
            self._sql["housekeep"], None if keep is None else keep.total_seconds(), BATCH
        )
        freed = await self._compaction.run()
        if freed:
            # Looking below them costs little from now on.
            self._floors.forget()
        return Housekept(removed=row["removed"], freed=freed, more=row["more"])
