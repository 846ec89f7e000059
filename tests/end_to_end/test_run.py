"""``heraldo run`` with a token: everything in one process, on the embedded database."""

import asyncio
import signal
from pathlib import Path

from feed_server import FeedServer
from fleet import Fleet

from heraldo.botapi import BotApiServer

SETTINGS = {
    "ALLOW_PRIVATE_ADDRESSES": "127.0.0.1",
    "SYNC_INTERVAL_SECONDS": "1",
    "WORKER_LEASE_SECONDS": "2",
}


async def test_it_survives_kill_9_and_ends_in_order(feeds: FeedServer, tmp_path: Path) -> None:
    url = feeds.add("blog")
    async with BotApiServer() as server:
        owner = server.person("Olga")
        async with Fleet(
            dsn="", server=server, owner=owner.id, folder=tmp_path, **SETTINGS
        ) as fleet:
            first = fleet.start("run")
            await owner.says(f"/subscribe {url}")
            await owner.private.wait_for(lambda m: "Text of blog post 3" in m.text, within=60)
            first.kill()
            await asyncio.to_thread(first.wait)
            feeds.publish("blog")
            second = fleet.start("run")
            await owner.private.wait_for(lambda m: "Text of blog post 4" in m.text, within=60)
            second.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(second.wait, 30) == 0
            assert "Traceback" not in fleet.logs()
    assert not (tmp_path / "data" / "postgres" / "data" / "postmaster.pid").exists()


async def test_it_waits_for_telegram_and_stops_without_it(tmp_path: Path) -> None:
    async with BotApiServer() as server:
        owner = server.person("Olga")
        await server.down("refused")
        async with Fleet(dsn="", server=server, owner=owner.id, folder=tmp_path) as fleet:
            running = fleet.start("run")
            log = tmp_path / "00-run.log"
            async with asyncio.timeout(60):
                while "Telegram cannot be reached" not in log.read_text():
                    await asyncio.to_thread(_changed, log)
            await server.up()
            await owner.says("/start")
            await owner.private.wait_for(1, within=60)
            await server.down("refused")
            running.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(running.wait, 30) == 0


def _changed(path: Path) -> int:
    """Looks at a file on disk; the thread's round trip is the pause between two looks."""
    return path.stat().st_size
