"""Parsing with a deadline that works: in child processes, which can be killed.

Tiny hostile feeds stall feedparser for seconds to minutes, and nothing can stop a thread. A
child that overruns or dies costs the feed it was reading; the next feed gets a new child.

Processor time is what is limited, by the kernel, in proportion to the document: a busy machine
makes no feed late, and a feed that stalls cannot wait it out. The deadline is for what is left,
a child that does not get to run at all.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Self, TypeVar

from heraldo_sync.documents import not_a_feed, takes_too_long
from heraldo_sync.errors import ParserUnavailable
from heraldo_sync.model import Failed, FeedLink, ParsedFeed
from heraldo_sync.urls import without_credentials
from heraldo_sync.wire import (
    LEAVING,
    LENGTH,
    MAX_MESSAGE,
    READY,
    BadMessage,
    Want,
    decode,
    decode_links,
    frame,
)

logger = logging.getLogger(__name__)

_START_SECONDS = 60.0
_DYING_SECONDS = 5.0
# A pipe holds 64 KB; what it does not take waits in a copy of its own.
_PIECE = 64 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The processor time that reading a document may take, by its size.

    By default 30 times what feeds of 50 KB take and 8 times what broken ones of megabytes do,
    which is for slow machines.
    """

    base: timedelta = timedelta(milliseconds=250)
    per_megabyte: timedelta = timedelta(seconds=2)

    def seconds(self, size: int) -> float:
        """What a document of so many bytes gets."""
        return (self.base + self.per_megabyte * (size / 1_000_000)).total_seconds()


class Parser:
    """Parses documents in up to ``workers`` child processes. Used with ``async with``.

    A child that used up the allowance, or took longer than the deadline, is ended. Children
    start when they are first needed and end with the parser, or with this process however it
    ends. They inherit no environment, so no secrets.
    """

    def __init__(
        self,
        deadline: timedelta = timedelta(seconds=30),
        *,
        allowance: Allowance | None = None,
        workers: int = 2,
    ) -> None:
        self._deadline = deadline.total_seconds()
        self._allowance = allowance or Allowance()
        # The child that was used last is taken first, so that a quiet bot keeps only one.
        self._idle: asyncio.LifoQueue[_Child] = asyncio.LifoQueue()
        self._children = [_Child() for _ in range(workers)]

    async def __aenter__(self) -> Self:
        for child in self._children:
            self._idle.put_nowait(child)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.gather(*(child.end() for child in self._children))

    async def parse(
        self, body: bytes, *, url: str, content_type: str | None = None
    ) -> ParsedFeed | Failed:
        """Returns the feed in a document from ``url``, or why there is none.

        The deadline counts from when a child begins. Cancelling is safe at any moment.

        Raises:
            ParserUnavailable: no child process can be started on this machine.
        """
        return await self._ask(Want.FEED, body, url, content_type, decode)

    async def links(
        self, page: bytes, *, url: str, content_type: str | None = None
    ) -> tuple[FeedLink, ...] | Failed:
        """Returns the feeds that a web page from ``url`` names, or why that cannot be told.

        Deadline, cancelling and ``ParserUnavailable`` are those of `parse`.
        """
        return await self._ask(Want.LINKS, page, url, content_type, decode_links)

    async def _ask(
        self,
        want: Want,
        body: bytes,
        url: str,
        content_type: str | None,
        read: Callable[[bytes], T | Failed],
    ) -> T | Failed:
        head = {
            "want": want.value,
            "url": without_credentials(url),
            "content_type": content_type,
            "cpu": self._allowance.seconds(len(body)),
        }
        child = await self._idle.get()
        try:
            return await self._ask_child(child, json.dumps(head).encode(), body, read)
        finally:
            self._idle.put_nowait(child)

    async def _ask_child(
        self, child: "_Child", head: bytes, body: bytes, read: Callable[[bytes], T | Failed]
    ) -> T | Failed:
        await child.start()
        unharmed = False
        try:
            async with asyncio.timeout(self._deadline):
                answer = read(await child.ask(head, body))
            unharmed = True
            return answer
        except TimeoutError:
            logger.warning("parsing took too long", extra={"bytes": len(body)})
            return takes_too_long()
        except (OSError, EOFError, BadMessage) as error:
            if await child.died() == -signal.SIGPROF:
                logger.warning("parsing took too much", extra={"bytes": len(body)})
                return takes_too_long()
            logger.warning(
                "the parser process died",
                extra={"bytes": len(body), "error": type(error).__name__},
            )
            return not_a_feed("What is at this address is too broken to be read as a feed.")
        finally:
            # After anything else its half-written answer would be taken for the next feed's.
            if not unharmed:
                await child.end()


class _Child:
    """One child process, started when it is needed, and again after it was ended."""

    def __init__(self) -> None:
        self._process: Process | None = None

    async def start(self) -> None:
        if self._process is not None and self._process.returncode is None:
            return
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "heraldo_sync.parser_process",
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONUTF8": "1"},
                # Ctrl-C in a terminal goes to the whole group; the parent decides for us.
                start_new_session=True,
            )
            async with asyncio.timeout(_START_SECONDS):
                ready = await self._receive(self._process)
        except (OSError, EOFError, BadMessage) as error:
            await self.end()
            raise ParserUnavailable(f"the parser process did not start: {error!r}") from error
        except BaseException:
            await self.end()
            raise
        if ready != READY:
            await self.end()
            raise ParserUnavailable("the parser process did not start: it said something else")

    async def ask(self, head: bytes, body: bytes) -> bytes:
        """Sends a request and returns the answer.

        Raises:
            OSError, EOFError, BadMessage: the child died or spoke nonsense.
        """
        process = self._process
        if process is None or process.stdin is None:
            raise EOFError
        process.stdin.write(frame(head) + LENGTH.pack(len(body)))
        rest = memoryview(body)
        while rest:
            process.stdin.write(rest[:_PIECE])
            rest = rest[_PIECE:]
            await process.stdin.drain()
        answer = await self._receive(process)
        if answer.startswith(LEAVING):
            await self.end()
        return answer[len(LEAVING) :]

    async def died(self) -> int | None:
        """Returns what a process that closed its pipes ended with; kills one that lives on."""
        process = self._process
        if process is not None:
            # To kill it at once would take the answer from asyncio, which waits for it as well.
            with suppress(TimeoutError):
                async with asyncio.timeout(_DYING_SECONDS):
                    await process.wait()
        await self.end()
        return None if process is None else process.returncode

    async def end(self) -> None:
        """Kills the process, if there is one, and waits until it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        # Not wait(): this closes the pipes as well.
        await process.communicate()

    @staticmethod
    async def _receive(process: Process) -> bytes:
        if process.stdout is None:
            raise EOFError
        (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
        if length > MAX_MESSAGE:
            raise BadMessage(f"{length} bytes")
        return await process.stdout.readexactly(length)
