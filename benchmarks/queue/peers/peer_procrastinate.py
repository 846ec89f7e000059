"""procrastinate: psycopg connector, async tasks."""

from typing import Any

import procrastinate
from procrastinate.schema import SchemaManager
from protocol import Adapter, serve


class Procrastinate(Adapter):
    """An App with one task."""

    name = "procrastinate"
    packages = ("procrastinate", "psycopg", "psycopg-pool")
    # It claims one job per query, so concurrency is its knob (howto/production/concurrency);
    # delete_jobs spares it the finished rows (howto/production/delete_finished_jobs).
    best = "concurrency=100, delete_jobs=always"
    unfinished = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
    finished = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"

    async def setup(self) -> None:
        """What `procrastinate schema --apply` does."""
        await SchemaManager(connector=self.connector).apply_schema_async()

    async def open(self) -> None:
        """A pool that does not hold a busy worker back."""
        self.connector = procrastinate.PsycopgConnector(conninfo=self.dsn, min_size=1, max_size=12)
        self.app = procrastinate.App(connector=self.connector)
        ledger = self.ledger

        @self.app.task(name="bench", queue="bench")
        async def handle(n: int, pad: str = "") -> None:
            ledger.note(n)

        self.task = handle
        self.worker: Any = None
        await self.app.open_async()

    async def one(self, args: dict[str, Any]) -> None:
        """One job."""
        await self.task.defer_async(**args)

    async def bulk(self, batch: list[dict[str, Any]]) -> None:
        """Its batch defer."""
        await self.task.batch_defer_async(*batch)

    async def work(self, mode: str) -> None:
        """The worker behind App.run_worker_async, kept at hand so that it can be stopped."""
        ten = mode == "ten"
        self.worker = self.app._worker(
            concurrency=10 if ten else 100,
            delete_jobs="never" if ten else "always",
            install_signal_handlers=False,
        )
        await self.worker.run()

    async def halt(self) -> None:
        """Its stop request."""
        if self.worker is not None:
            self.worker.stop()


if __name__ == "__main__":
    serve(Procrastinate)
