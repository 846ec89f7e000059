"""colmillo, from this repository's own folder."""

import time
import uuid
from datetime import timedelta
from typing import Any

import asyncpg
from protocol import Adapter, serve

from colmillo import PostgresStore, Queue, Task, Worker, migrate, task
from colmillo.store import Again, Settlement, WorkerId

QUEUE = "bench"


class Colmillo(Adapter):
    """A store, a queue, and a worker with everything at its defaults but the slots."""

    name = "colmillo"
    packages = ("asyncpg",)
    best = "queues={'bench': 1000}, else defaults"
    unfinished = "SELECT count(*) FROM colmillo.tasks"

    async def setup(self) -> None:
        """Runs the migrations."""
        await migrate(self.pool)

    async def open(self) -> None:
        """A pool as an application has it."""
        self.pool: Any = await asyncpg.create_pool(self.dsn, min_size=1, max_size=10)
        self.store = PostgresStore(self.pool)
        self.queue = Queue(self.store)
        self.worker: Worker | None = None
        ledger = self.ledger

        @task(queue=QUEUE)
        async def work(n: int, pad: str = "") -> None:
            ledger.note(n)

        self.task: Task[...] = work

    async def one(self, args: dict[str, Any]) -> None:
        """One enqueue, its own transaction."""
        await self.queue.enqueue(self.task.new(**args))

    async def bulk(self, batch: list[dict[str, Any]]) -> None:
        """One statement for all."""
        await self.queue.enqueue_many([self.task.new(**args) for args in batch])

    async def work(self, mode: str) -> None:
        """One worker."""
        slots = 10 if mode == "ten" else 1000
        self.worker = Worker(self.store, tasks=[self.task], queues={QUEUE: slots})
        await self.worker.run()

    async def halt(self) -> None:
        """The graceful stop."""
        if self.worker is not None:
            self.worker.stop()

    async def claims(self, rounds: int, size: int) -> list[float]:
        """Each claim is given back at once, at the place in the line that it had."""
        worker = WorkerId(uuid.uuid4())
        await self.store.register(worker, name="claims", lease=timedelta(minutes=30))
        seconds = []
        for _ in range(rounds):
            started = time.perf_counter()
            claimed = await self.store.claim(worker, {QUEUE: size})
            seconds.append(time.perf_counter() - started)
            back = Again(delay=timedelta(0), keep_attempt=False)
            await self.store.settle(
                [Settlement(id=it.id, lease=it.lease, verdict=back) for it in claimed]
            )
        await self.store.retire(worker)
        return seconds


if __name__ == "__main__":
    serve(Colmillo)
