"""Workers for the length of a block."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from colmillo.worker import Worker


@asynccontextmanager
async def working(*workers: Worker) -> AsyncIterator[None]:
    """Runs the workers during the block, then stops them at once: what runs is given back.

    Raises what a worker raised.
    """
    runs = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()
            worker.stop()
        await asyncio.gather(*runs)
