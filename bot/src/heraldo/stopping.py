"""SIGTERM and SIGINT: the first asks for an orderly end, the second for an immediate one."""

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Told by signals or by `ask`; whoever has something to stop registers or waits."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._callbacks: list[Callable[[], None]] = []

    @property
    def asked(self) -> bool:
        """Whether anybody asked yet."""
        return self._asked.is_set()

    def ask(self) -> None:
        """Asks everybody to stop; asking again means at once."""
        logger.info("stopping", extra={"again": self._asked.is_set()})
        self._asked.set()
        for callback in self._callbacks:
            callback()

    def on_ask(self, callback: Callable[[], None]) -> None:
        """Calls ``callback`` at every asking, at once when it was asked already."""
        self._callbacks.append(callback)
        if self._asked.is_set():
            callback()

    async def wait(self) -> None:
        """Returns when the first asking comes."""
        await self._asked.wait()


@contextmanager
def on_signals(stop: Stop) -> Iterator[None]:
    """While open, the signals ask; afterwards they are Python's again."""
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stop.ask)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
