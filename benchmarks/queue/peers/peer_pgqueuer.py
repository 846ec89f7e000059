"""pgqueuer: asyncpg pool driver, its own command line's event loop (uvloop)."""

import json
from typing import Any

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries
from protocol import Adapter, serve

ENTRYPOINT = "bench"


class PgQueuerPeer(Adapter):
    """Queries for the producer, PgQueuer for the worker."""

    name = "pgqueuer"
    packages = ("pgqueuer", "asyncpg", "uvloop")
    # QueueManager.run's one knob for throughput is batch_size: it bounds the dequeue and the
    # buffer of finished jobs (default 10; its benchmark page varies the same knob).
    best = "batch_size=500, uvloop"
    # It has no cap on concurrency of its own below twice the batch size.
    ten = "batch_size=10 (its default), uvloop"
    unfinished = "SELECT count(*) FROM pgqueuer"
    finished = "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"

    async def setup(self) -> None:
        """What `pgq install` does."""
        await self.queries.install()

    async def open(self) -> None:
        """A pool."""
        self.pool: Any = await asyncpg.create_pool(self.dsn, min_size=1, max_size=10)
        self.queries = Queries(AsyncpgPoolDriver(self.pool))
        self.pgq: PgQueuer | None = None

    async def one(self, args: dict[str, Any]) -> None:
        """One job."""
        await self.queries.enqueue(ENTRYPOINT, json.dumps(args).encode())

    async def bulk(self, batch: list[dict[str, Any]]) -> None:
        """Its batch insert: parallel lists."""
        payloads: list[bytes | None] = [json.dumps(args).encode() for args in batch]
        await self.queries.enqueue([ENTRYPOINT] * len(batch), payloads, [0] * len(batch))

    async def work(self, mode: str) -> None:
        """The default batch size is 10, which is what concurrency 10 comes closest to."""
        self.pgq = pgq = PgQueuer.from_asyncpg_pool(self.pool)
        ledger = self.ledger

        @pgq.entrypoint(ENTRYPOINT)
        async def handle(job: Job) -> None:
            ledger.note(json.loads(job.payload or b"")["n"])

        await pgq.run(batch_size=10 if mode == "ten" else 500)

    async def halt(self) -> None:
        """Its shutdown event."""
        if self.pgq is not None:
            self.pgq.shutdown.set()


if __name__ == "__main__":
    serve(PgQueuerPeer, uvloop.run)
