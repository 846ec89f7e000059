"""The program that is measured: the application's own services, worker and scheduler.

    python pipeline.py worker|scheduler|both|everything --root root.pem

As `heraldo.processes` wires them, with two things of our own: the names of the benchmark's hosts
lead to this machine, and its certificates are trusted. ``both`` is worker and scheduler in one
process without sending; ``everything`` is what ``heraldo run`` does. Settings come from the
environment. Answers each line on its standard input with what it was at since the last one.
"""

import argparse
import asyncio
import json
import socket
import sys
from dataclasses import replace
from pathlib import Path

from aiohttp.abc import ResolveResult
from certificates import DOMAIN
from stages import Stages

from heraldo.logs import set_up_logging
from heraldo.polling import make_application
from heraldo.processes import QUEUES, open_services, run_everything, run_scheduler, run_worker
from heraldo.settings import Settings
from heraldo.stopping import Stop, on_signals
from heraldo_sync.addresses import SystemResolver
from heraldo_sync.fetch import Fetcher
from heraldo_sync.hosts import HOST_QUEUE
from heraldo_sync.tasks import SYNC_QUEUE
from heraldo_sync.tls import SessionContext


class HereResolver(SystemResolver):
    """Looks up as the application does, threads included; our names lead to this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Returns the host's addresses."""
        return await super().resolve(
            "127.0.0.1" if host.endswith(f".{DOMAIN}") else host, port, family
        )


async def main(role: str, root: Path) -> None:
    """Runs until the standard input ends."""
    settings = Settings.read()
    set_up_logging(settings.log_level, sys.stderr)
    stages, stop = Stages(), Stop()
    assert settings.database_url is not None
    fetcher = Fetcher(
        settings.allow_private_addresses,
        limits=settings.fetch_limits,
        resolver=HereResolver(),
        tls=SessionContext.for_clients(cafile=str(root)),
    )
    database = settings.database_url.get_secret_value()
    with on_signals(stop):
        async with open_services(settings, database) as opened, fetcher:
            services = replace(opened, fetcher=fetcher)
            async with asyncio.TaskGroup() as group:
                if role == "everything":
                    application = make_application(settings, services)
                    group.create_task(run_everything(application, services, stop))
                if role in ("worker", "both"):
                    queues = {queue: QUEUES[queue] for queue in (SYNC_QUEUE, HOST_QUEUE)}
                    group.create_task(run_worker(services, queues, stop))
                if role in ("scheduler", "both"):
                    group.create_task(run_scheduler(services, stop))
                group.create_task(answer(stages, stop))


async def answer(stages: Stages, stop: Stop) -> None:
    """Says what it was at, for every line; the end of the input is the end."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    stages.start()
    print(json.dumps({"queues": dict(QUEUES)}), flush=True)
    while await reader.readline():
        print(json.dumps(stages.taken()), flush=True)
    stop.ask()


def run() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("role", choices=["worker", "scheduler", "both", "everything"])
    parser.add_argument("--root", type=Path, required=True)
    given = parser.parse_args()
    asyncio.run(main(given.role, given.root))


if __name__ == "__main__":
    run()
