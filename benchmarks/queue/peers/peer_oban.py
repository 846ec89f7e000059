"""oban for Python, the open-source edition."""

import asyncio
from typing import Any

from oban import Oban, worker
from oban.schema import install
from protocol import Adapter, Ledger, serve

LEDGER: list[Ledger] = []


@worker(queue="bench")
class Handle:
    """The task."""

    async def process(self, job: Any) -> None:
        """Notes the number."""
        LEDGER[0].note(job.args["n"])


class ObanPeer(Adapter):
    """One instance; it enqueues without queues and works with one."""

    name = "oban"
    packages = ("oban", "psycopg", "psycopg-pool")
    # The queue's limit is both concurrency and the most a fetch takes (its README's knob).
    best = "queues={'bench': 200}"
    unfinished = (
        "SELECT count(*) FROM oban_jobs WHERE state NOT IN ('completed', 'discarded', 'cancelled')"
    )
    finished = "SELECT count(*) FROM oban_jobs WHERE state = 'completed'"

    async def setup(self) -> None:
        """What `oban install` does."""
        await install(self.pool)

    async def open(self) -> None:
        """Its own pool."""
        LEDGER[:] = [self.ledger]
        self.pool = await Oban.create_pool(self.dsn, min_size=1, max_size=10)
        self.stopping = asyncio.Event()
        self.client: Oban | None = None

    async def instance(self) -> Oban:
        """The instance that enqueues: no queues."""
        if self.client is None:
            self.client = Oban(pool=self.pool, name="producer")
            await self.client.start()
        return self.client

    async def one(self, args: dict[str, Any]) -> None:
        """One job."""
        await (await self.instance()).enqueue(Handle.new(args))

    async def bulk(self, batch: list[dict[str, Any]]) -> None:
        """Its enqueue_many."""
        jobs = [Handle.new(args) for args in batch]
        await (await self.instance()).enqueue_many(jobs)

    async def work(self, mode: str) -> None:
        """One queue."""
        async with Oban(pool=self.pool, queues={"bench": 10 if mode == "ten" else 200}):
            await self.stopping.wait()

    async def halt(self) -> None:
        """Leaves the block."""
        self.stopping.set()


if __name__ == "__main__":
    from peer_oban import ObanPeer as Imported

    serve(Imported)
