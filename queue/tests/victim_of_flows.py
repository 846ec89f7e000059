"""A worker that dies between a task's end and telling its children: its argument is a DSN."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta

import asyncpg

from colmillo import Done, PostgresStore, Worker, task


@task(queue="kill")
async def first() -> Done:
    """The last thing that this process does well."""
    return Done("from the dead")


class DyingStore(PostgresStore):
    """A store whose process is killed when the end is committed and nobody was told."""

    async def follow_up(self, ended: Sequence[int]) -> None:
        """Never returns."""
        os.kill(os.getpid(), signal.SIGKILL)
        await super().follow_up(ended)


async def main(dsn: str) -> None:
    """Works until it dies."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=8) as pool:
        worker = Worker(
            DyingStore(pool), tasks=[first], queues={"kill": 1}, lease=timedelta(seconds=2)
        )
        await worker.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
