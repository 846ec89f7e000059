"""A new key for what private feeds are asked with: all of it locked anew."""

import asyncpg

from heraldo_sync.database import Pool
from heraldo_sync.statements import statement
from heraldo_sync.vault import Vault

_AT_ONCE = 200


async def rekey(pool: Pool, vault: Vault) -> tuple[int, int]:
    """Locks every private feed's headers with the vault's first key.

    Returns how many there are, and how many of others none of the keys opens. Feeds go on being
    checked meanwhile; it may be repeated, and stop anywhere.
    """
    done = lost = last = 0
    while rows := await pool.fetch(statement("sealed_feeds"), last, _AT_ONCE):
        for row in rows:
            private = vault.open(row["sealed"])
            if private is None:
                lost += 1
                continue
            await _relock(pool, row, vault.fingerprints(private)[0], vault.seal(private))
            done += 1
        last = rows[-1]["id"]
    return done, lost


async def _relock(pool: Pool, row: asyncpg.Record, fingerprint: bytes, sealed: str) -> None:
    change = statement("relock_feed")
    try:
        await pool.execute(change, row["id"], row["sealed"], sealed, fingerprint)
    except asyncpg.UniqueViolationError:
        # Somebody has subscribed with the same headers under the new key: the two stay apart.
        await pool.execute(change, row["id"], row["sealed"], sealed, row["private"])
