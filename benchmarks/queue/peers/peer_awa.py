"""awa: the Rust runtime with Python handlers."""

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from awa import AsyncClient
from protocol import Adapter, serve

QUEUE = "bench"


@dataclass
class Handle:
    """The task's arguments."""

    n: int
    pad: str = ""


class Awa(Adapter):
    """One client for everything."""

    name = "awa"
    packages = ("awa-pg",)
    # AsyncClient.start: "claimers" and "claim_batch_size" are for hot queues, "benchmark 2 or 4".
    best = "max_workers=256, claimers=2, claim_batch_size=512, enqueue_many_copy"
    # Its own view awa.jobs takes seconds per thousand rows; rows and the batches that complete
    # them are truncated together, and single completions (done_entries) are the exception.
    unfinished = (
        "SELECT (SELECT count(*) FROM awa.ready_entries)"
        " - (SELECT coalesce(sum(completed_count), 0) FROM awa.receipt_completion_batches)"
        " - (SELECT count(*) FROM awa.done_entries)"
    )

    async def setup(self) -> None:
        """`awa migrate`, and then its queue storage, the engine that its figures are of."""
        await self.client.migrate()
        await self.client.install_queue_storage()

    async def open(self) -> None:
        """Its own pool; one connection is taken by each of several services."""
        # Its URL parser wants no user before an empty host.
        parts = urlsplit(self.dsn)
        address = f"postgresql://{parts.path}?{parts.query}&user={parts.username}"
        self.client = AsyncClient(address, max_connections=20)
        self.stopping = asyncio.Event()

    async def one(self, args: dict[str, Any]) -> None:
        """One insert."""
        await self.client.insert(Handle(**args), queue=QUEUE)

    async def bulk(self, batch: list[dict[str, Any]]) -> None:
        """Its direct COPY."""
        await self.client.enqueue_many_copy([Handle(**args) for args in batch], queue=QUEUE)

    async def work(self, mode: str) -> None:
        """One queue."""
        ledger = self.ledger

        @self.client.task(Handle, queue=QUEUE)
        async def handle(job: Any) -> None:
            ledger.note(job.args.n)

        if mode == "ten":
            await self.client.start([(QUEUE, 10)])
        else:
            hot = {"name": QUEUE, "max_workers": 256, "claimers": 2, "claim_batch_size": 512}
            await self.client.start([hot])
        await self.stopping.wait()
        await self.client.shutdown()

    async def halt(self) -> None:
        """Ends the wait."""
        self.stopping.set()


if __name__ == "__main__":
    serve(Awa)
