"""``heraldo run`` without a token, driven through a pipe, on the embedded database."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from feed_server import FeedServer

BASE = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
WITHIN = 60


class Terminal:
    """The program's two ends of a pipe."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.seen = ""

    def types(self, line: str) -> None:
        """Types a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    async def shows(self, text: str) -> None:
        """Returns when the program has printed this."""
        assert self._process.stdout is not None
        async with asyncio.timeout(WITHIN):
            while text not in self.seen:
                chunk = await self._process.stdout.read(4096)
                assert chunk, f"{text!r} was not shown:\n{self.seen}"
                self.seen += chunk.decode()

    async def ends(self) -> int:
        """Closes the input and returns the exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(WITHIN):
            return await self._process.wait()


def environment(folder: Path) -> dict[str, str]:
    return {
        **BASE,
        "HERALDO_DATA_DIR": str(folder / "data"),
        "ALLOW_PRIVATE_ADDRESSES": "127.0.0.1",
        "SYNC_INTERVAL_SECONDS": "2",
    }


@asynccontextmanager
async def terminal(folder: Path) -> AsyncIterator[Terminal]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "heraldo.cli", "run"),
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield Terminal(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def heraldo(folder: Path, *arguments: str) -> tuple[int, str]:
    """Runs a command to its end; returns the exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "heraldo.cli", *arguments),
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    async with asyncio.timeout(WITHIN):
        said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_a_newcomer_subscribes_and_gets_the_newest_post_then_each_new_one(
    feeds: FeedServer, tmp_path: Path
) -> None:
    url = feeds.add("blog")
    async with terminal(tmp_path) as chat:
        chat.types(f"/subscribe {url}")
        await chat.shows("Done! This chat now follows blog")
        await chat.shows("Text of blog post 3")
        feeds.publish("blog")
        await chat.shows("Text of blog post 4")
        chat.types("/list_subscriptions")
        await chat.shows("Subscriptions: 1")
        assert await chat.ends() == 0
        assert "blog post 2" not in chat.seen
    feeds.publish("blog")
    async with terminal(tmp_path) as chat:
        await chat.shows("Text of blog post 5")
        assert await chat.ends() == 0
        assert "blog post 4" not in chat.seen


async def test_commands_beside_a_running_one_use_its_database(
    feeds: FeedServer, tmp_path: Path
) -> None:
    assert await heraldo(tmp_path, "migrate") == (0, "The database is up to date.\n")
    async with terminal(tmp_path) as chat:
        chat.types("/start")
        await chat.shows("I follow RSS, Atom and JSON feeds")
        assert await heraldo(tmp_path, "migrate") == (0, "The database is up to date.\n")
        assert await heraldo(tmp_path, "healthcheck") == (0, "healthy\n")
        chat.types("/help")
        await chat.shows("What I can do")
        assert await chat.ends() == 0
    pid_file = tmp_path / "data" / "postgres" / "data" / "postmaster.pid"
    assert not pid_file.exists()


async def test_a_script_may_send_all_its_lines_at_once(feeds: FeedServer, tmp_path: Path) -> None:
    url = feeds.add("blog")
    async with terminal(tmp_path) as chat:
        chat.types("/subscribe")
        chat.types(url)
        chat.types("/unsubscribe 1")
        chat.types("/list_subscriptions")
        assert await chat.ends() == 0
        await chat.shows("This chat follows nothing yet")
    order = (
        "Which feed?",
        "Done! This chat now follows",
        "Text of blog post 3",
        "no longer follows",
    )
    places = [chat.seen.index(text) for text in order]
    assert places == sorted(places)


async def test_commands_that_need_a_token_say_so(tmp_path: Path) -> None:
    for command in ("bot", "scheduler", "worker"):
        code, said = await heraldo(tmp_path, command)
        assert code == 2
        assert "TELEGRAM_BOT_TOKEN" in said
        assert "Traceback" not in said


async def test_check_config_shows_what_is_set(tmp_path: Path) -> None:
    code, said = await heraldo(tmp_path, "check-config")
    assert code == 0
    assert "SYNC_INTERVAL_SECONDS = 2" in said
    assert "TELEGRAM_BOT_TOKEN = not set" in said


async def test_keys_for_private_feeds(tmp_path: Path) -> None:
    code, key = await heraldo(tmp_path, "new-key")
    assert (code, len(key)) == (0, 45)
    assert (await heraldo(tmp_path, "new-key"))[1] != key
    assert (await heraldo(tmp_path, "migrate"))[0] == 0
    code, said = await heraldo(tmp_path, "rekey")
    assert (code, said) == (0, "0 private feeds are locked with the first key.\n")
