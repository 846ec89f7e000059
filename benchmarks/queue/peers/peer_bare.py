"""The yardstick: the least that asyncpg code can do for the same outcome, without any library.

One table, one partial index, claims by SKIP LOCKED, deletes by id. No retries, no leases, no
fences, no schedule: what remains between this and a queue is the queue.
"""

import asyncio
import json
import time
from typing import Any

import asyncpg
from protocol import Adapter, serve

SETUP = """
CREATE TABLE bare (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    taken boolean NOT NULL DEFAULT false,
    payload text NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX bare_waiting ON bare (id) WHERE NOT taken
"""
ONE = "WITH added AS (INSERT INTO bare (payload) VALUES ($1)) SELECT pg_notify('bare', '')"
BULK = "INSERT INTO bare (payload) SELECT unnest($1::text[])"
CLAIM = """
UPDATE bare SET taken = true
WHERE id = ANY (ARRAY(
    SELECT id FROM bare WHERE NOT taken ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
))
RETURNING id, payload
"""
BACK = "UPDATE bare SET taken = false WHERE id = ANY ($1::bigint[])"
DONE = "DELETE FROM bare WHERE id = ANY ($1::bigint[])"


class Bare(Adapter):
    """A loop that claims, runs, deletes."""

    name = "bare loop"
    packages = ("asyncpg",)
    best = "claims and deletes 500 at a time on one connection"
    unfinished = "SELECT count(*) FROM bare"

    async def setup(self) -> None:
        """Creates the table."""
        await self.connection.execute(SETUP)

    async def open(self) -> None:
        """One connection is enough."""
        self.connection: Any = await asyncpg.connect(self.dsn)
        self.stopping = False
        self.wake = asyncio.Event()

    async def one(self, args: dict[str, Any]) -> None:
        """An insert with a notification."""
        await self.connection.execute(ONE, json.dumps(args))

    async def bulk(self, batch: list[dict[str, Any]]) -> None:
        """An insert from an array."""
        await self.connection.execute(BULK, [json.dumps(args) for args in batch])

    async def work(self, mode: str) -> None:
        """Claims while there is something, else waits for a notification."""
        size = 10 if mode == "ten" else 500
        await self.connection.add_listener("bare", lambda *_: self.wake.set())
        while not self.stopping:
            rows = await self.connection.fetch(CLAIM, size)
            if not rows:
                await self.wake.wait()
                self.wake.clear()
                continue
            for row in rows:
                await self.handle(json.loads(row["payload"]))
            await self.connection.execute(DONE, [row["id"] for row in rows])

    async def handle(self, args: dict[str, Any]) -> None:
        """The task."""
        self.ledger.note(args["n"])

    async def halt(self) -> None:
        """Ends the loop."""
        self.stopping = True
        self.wake.set()

    async def claims(self, rounds: int, size: int) -> list[float]:
        """Each claim is made durable and then given back, so that all see the same table."""
        seconds = []
        for _ in range(rounds):
            started = time.perf_counter()
            rows = await self.connection.fetch(CLAIM, size)
            seconds.append(time.perf_counter() - started)
            await self.connection.execute(BACK, [row["id"] for row in rows])
        return seconds


if __name__ == "__main__":
    serve(Bare)
