"""asyncpg's types as this application uses them: rows are records."""

from typing import TYPE_CHECKING

import asyncpg
from asyncpg.pool import PoolConnectionProxy

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
else:
    # The classes are generic for type checkers only.
    Pool = asyncpg.Pool
    Connection = asyncpg.Connection | PoolConnectionProxy
