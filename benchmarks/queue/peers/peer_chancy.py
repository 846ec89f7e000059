"""chancy: the asyncio executor, which is the one for async functions."""

import asyncio
from collections.abc import Callable
from typing import Any

from chancy import Chancy, Job, Queue, Worker
from protocol import Adapter, Ledger, serve

LEDGER: list[Ledger] = []


async def handle(n: int, pad: str = "") -> None:
    """The task; chancy imports it by its name."""
    LEDGER[0].note(n)


class ChancyPeer(Adapter):
    """An app with its default plugins and one queue."""

    name = "chancy"
    packages = ("chancy", "psycopg", "psycopg-pool")
    # Queue.eager_polling: "continuously available" work is polled for at once; concurrency is
    # how many are fetched at a time. Finished jobs are written once a second, without a knob.
    best = "concurrency=500, eager_polling, executor Async"
    # With the default (off) a backlog drains at one fetch per polling_interval: 10 tasks in 5 s.
    ten = "concurrency=10, eager_polling, executor Async"
    unfinished = "SELECT count(*) FROM chancy_jobs WHERE state NOT IN ('succeeded', 'failed')"
    finished = "SELECT count(*) FROM chancy_jobs WHERE state = 'succeeded'"

    async def setup(self) -> None:
        """What `chancy misc migrate` does."""
        await self.app.migrate()

    async def open(self) -> None:
        """The pool opens by itself."""
        LEDGER[:] = [self.ledger]
        self.app = Chancy(self.dsn)
        self.app.log.setLevel("WARNING")
        await self.app.pool.open()
        self.stopping = asyncio.Event()
        self.function: Callable[..., Any] = handle

    def job(self, args: dict[str, Any]) -> Job:
        """One job for the queue."""
        return Job.from_func(self.function, queue="bench", kwargs=args)

    async def one(self, args: dict[str, Any]) -> None:
        """One push."""
        await self.app.push(self.job(args))

    async def bulk(self, batch: list[dict[str, Any]]) -> None:
        """Its batch push: one transaction of single inserts."""
        async for _ in self.app.push_many([self.job(args) for args in batch]):
            pass

    async def work(self, mode: str) -> None:
        """The queue is declared for the mode, then the worker finds it."""
        ten = mode == "ten"
        queue = Queue(
            "bench",
            concurrency=10 if ten else 500,
            executor=Chancy.Executor.Async,
            eager_polling=True,
        )
        await self.app.declare(queue, upsert=True)
        worker = Worker(self.app, register_signal_handlers=False)
        async with worker:
            await self.stopping.wait()

    async def halt(self) -> None:
        """Leaves the worker's block."""
        self.stopping.set()


if __name__ == "__main__":
    # The worker imports the function by its module's name, and there must be one ledger only.
    from peer_chancy import ChancyPeer as Imported

    serve(Imported)
