"""The application's processes, as an operator starts them."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from heraldo.botapi import BotApiServer


class Fleet:
    """Starts ``heraldo`` commands on one database and one Bot API server; kills what is left."""

    def __init__(
        self, *, dsn: str, server: BotApiServer, owner: int, folder: Path, **settings: str
    ) -> None:
        self._folder = folder
        self._environment = {
            # Nothing of the machine's own settings, and no .env of the folder we run in.
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "DATABASE_URL": dsn,
            "TELEGRAM_BOT_TOKEN": server.token,
            "TELEGRAM_API_URL": server.base_url,
            "OWNER_TELEGRAM_ID": str(owner),
            "HERALDO_DATA_DIR": str(folder / "data"),
            **settings,
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        # In threads: what the processes still say goes to a server in this very event loop.
        await asyncio.gather(*(asyncio.to_thread(_end, process) for process in self._processes))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts a command; its log goes to a file in the folder."""
        number = len(self._processes)
        with (self._folder / f"{number:02}-{arguments[0]}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "heraldo.cli", *arguments],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process

    def logs(self) -> str:
        """All that was logged, for the message of a failing test."""
        return "\n".join(
            f"== {path.name}\n{path.read_text(errors='replace')[-3000:]}"
            for path in sorted(self._folder.glob("*.log"))
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
