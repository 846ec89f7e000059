"""A chat with the bot in the terminal, over the project's own Bot API server.

Lines typed become messages of a person in a private chat; what the bot sends, edits and answers
is printed as plain text. A script can drive it through a pipe: after each line the next one is
read only when the bot has answered, and ``!wait 5`` waits up to five seconds for a message the
bot sends by itself.
"""

import asyncio
import codecs
import contextlib
import io
import os
import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import TextIO

from heraldo.botapi.people import Person
from heraldo.botapi.server import BotApiServer
from heraldo.botapi.state import Message
from heraldo.botapi.transcript import readable

ANSWER_WITHIN = 10.0
"""Seconds a line from a pipe waits for the bot before the next one is read."""

_BANNER = """\
This is a chat with {bot}. It runs on this machine alone; no Telegram account is needed.
Write a message or a command, for example /subscribe https://example.org/feed.xml or /help.
Buttons have numbers: type 1 (or #1) to press the first. /quit leaves.
"""
_CHUNK = 65_536
# What could move the cursor, recolour the terminal or turn the reading direction around.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb]"
)
_BUTTON = re.compile(r"(?P<mark>#?)(?P<number>[0-9]{1,3})")
_WAIT = re.compile(r"!wait\s+(?P<seconds>[0-9]{1,6}(?:\.[0-9]{1,3})?)")


async def chat(
    server: BotApiServer,
    person: Person | None = None,
    *,
    stdin: TextIO,
    stdout: TextIO,
    settled: Callable[[], Awaitable[None]],
) -> None:
    """Lets a person chat with the bot until they type ``/quit`` or the input ends.

    ``settled`` returns when the bot has done what it was asked for; a script's next line waits
    for it, so that the answers stand where they belong.

    Without ``person`` one is added. The bot has to be running on the server already, or to come
    up soon. From a pipe or a file each line waits for its answer, at most ten seconds on the
    server's clock, and the end of the input for what the bot has not fetched yet.
    """
    if isinstance(stdout, io.TextIOWrapper):
        stdout.reconfigure(encoding="utf-8", errors="replace")
    session = _Session(
        server,
        person or server.person("You"),
        stdout,
        settled=settled,
        scripted=not stdin.isatty(),
    )
    session.write(_BANNER.format(bot=clean(server.bot_user.first_name)))
    printer = asyncio.create_task(session.keep_printing(), name="terminal printer")
    try:
        await _converse(session, _Lines(stdin))
    finally:
        printer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await printer
        session.show()


def clean(text: str) -> str:
    """Returns the text without anything that controls a terminal; line breaks stay."""
    return _UNPRINTABLE.sub("", text.replace("\t", " "))


async def _converse(session: "_Session", lines: "_Lines") -> None:
    while (line := await lines.next()) is not None:
        line = line.strip()
        if line == "/quit":
            return
        if line:
            await session.take(line)
    if session.scripted:
        await session.settle()


class _Session:
    """One chat: what was printed, and what a line does."""

    def __init__(
        self,
        server: BotApiServer,
        person: Person,
        stdout: TextIO,
        *,
        settled: Callable[[], Awaitable[None]],
        scripted: bool,
    ) -> None:
        self._settled = settled
        self.scripted = scripted
        self._server = server
        self._person = person
        self._stdout = stdout
        self._shown: dict[int, object] = {}
        self._counted = 0
        self._bot = clean(server.bot_user.first_name)

    def write(self, text: str) -> None:
        """Prints a paragraph at once."""
        self._stdout.write(text.rstrip("\n") + "\n")
        self._stdout.flush()

    async def keep_printing(self) -> None:
        """Prints whatever the bot sends or changes; returns only when cancelled."""
        while True:
            await self._server.world.changed.met(lambda: next(self._news(), None) is not None)
            self.show()

    def show(self) -> None:
        """Prints what was not printed yet."""
        for message in list(self._news()):
            edited = message.message_id in self._shown
            self._shown[message.message_id] = _version(message)
            self._print(message, edited=edited)

    async def take(self, line: str) -> None:
        """Does what a line says: a wait, a pressed button or a message."""
        if self.scripted:
            self.write(f"> {clean(line)}")
        if wait := _WAIT.fullmatch(line):
            await self._wait(float(wait["seconds"]))
            return
        if press := _BUTTON.fullmatch(line):
            message = self._with_buttons()
            if message is not None and await self._press(message, int(press["number"])):
                return
            if press["mark"]:
                self.write(f"There is no button {press['number']} to press.")
                return
        before = self._activity()
        await self._person.says(line)
        update = self._server.world.updates.last_id
        if self.scripted:
            await self._answered(before, update)

    async def settle(self) -> None:
        """Waits until the bot has fetched everything, for a bounded time."""
        updates = self._server.world.updates
        await updates.changed.met_within(
            lambda: not updates.pending, clock=self._server.clock, seconds=ANSWER_WITHIN
        )
        await self._settled()

    async def _wait(self, seconds: float) -> None:
        seen = self._counted
        came = await self._server.world.changed.met_within(
            lambda: self._activity() > seen, clock=self._server.clock, seconds=seconds
        )
        self._counted = self._activity()
        if not came:
            self.write(f"(nothing new in {seconds:g} s)")
        self.show()

    async def _press(self, message: Message, number: int) -> bool:
        """Presses a button by its number; returns whether there was one."""
        flat = [button for row in message.buttons for button in row]
        if not 0 < number <= len(flat):
            return False
        button = flat[number - 1]
        if button.data is None:
            self.write(f"This button opens {clean(button.url or 'something in Telegram')}")
            return True
        callback = await self._person.presses(message, button.data)
        answered = await self._server.world.changed.met_within(
            lambda: callback.answer is not None,
            clock=self._server.clock,
            seconds=ANSWER_WITHIN,
        )
        if callback.answer is not None and callback.answer.text:
            self.write(f"({clean(callback.answer.text)})")
        if not answered:
            self._say_silence()
        await self._done()
        return True

    async def _answered(self, before: int, update: int) -> None:
        """Waits until the bot has fetched the update and sent or changed something since."""
        updates = self._server.world.updates
        answered = await self._server.world.changed.met_within(
            lambda: updates.was_handed_out(update) and self._activity() > before,
            clock=self._server.clock,
            seconds=ANSWER_WITHIN,
        )
        if not answered:
            self._say_silence()
        await self._done()

    async def _done(self) -> None:
        """Prints what has come; in a script, when all of it has come."""
        if self.scripted:
            await self._settled()
        self.show()
        self._counted = self._activity()

    def _say_silence(self) -> None:
        self.write(f"(no answer from the bot in {ANSWER_WITHIN:g} s)")

    def _activity(self) -> int:
        """Counts what the bot did in the chat: messages, changes and deletions."""
        mine = self._person.private.state.messages.values()
        return sum(
            1 + len(message.history) + message.deleted + bool(message.edited_at)
            for message in mine
            if message.by_bot
        )

    def _news(self) -> Iterator[Message]:
        for message in self._person.private.from_bot:
            if self._shown.get(message.message_id) != _version(message):
                yield message

    def _with_buttons(self) -> Message | None:
        found = [message for message in self._person.private.from_bot if message.buttons]
        return found[-1] if found else None

    def _print(self, message: Message, *, edited: bool) -> None:
        name = f"{self._bot} (edited): " if edited else f"{self._bot}: "
        lines = clean(readable(message)).splitlines() or [""]
        printed = [name + lines[0], *(f"  {line}".rstrip() for line in lines[1:])]
        number = 0
        for row in message.buttons:
            labels = []
            for button in row:
                number += 1
                opens = f" (opens {clean(button.url)})" if button.url else ""
                labels.append(f"[{number}] {clean(button.text)}{opens}")
            printed.append("  " + "   ".join(labels))
        self.write("\n".join(printed))


def _version(message: Message) -> object:
    """Returns what tells a changed message from the one printed before."""
    return message.text, message.entities, message.markup, message.edited_at


class _Lines:
    """Lines of a terminal, a pipe, a file or any text stream, read by a thread of its own.

    A thread, because the event loop can watch terminals and pipes but no plain files; it ends
    with the input or with the process.
    """

    def __init__(self, stdin: TextIO) -> None:
        self._stdin = stdin
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        threading.Thread(target=self._read, name="terminal input", daemon=True).start()

    async def next(self) -> str | None:
        """Returns the next line, None at the end of the input."""
        return await self._lines.get()

    def _read(self) -> None:
        # The loop may be gone, or the input closed, when a line comes after /quit.
        with contextlib.suppress(RuntimeError, OSError):
            for line in self._source():
                self._loop.call_soon_threadsafe(self._lines.put_nowait, line)
            self._loop.call_soon_threadsafe(self._lines.put_nowait, None)

    def _source(self) -> Iterator[str]:
        try:
            descriptor = self._stdin.fileno()
        except (OSError, ValueError):
            yield from self._stdin
            return
        # Not through the stream's buffer: its lock would be held while the process ends.
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rest = ""
        while chunk := os.read(descriptor, _CHUNK):
            *lines, rest = (rest + decoder.decode(chunk)).split("\n")
            yield from lines
        rest += decoder.decode(b"", final=True)
        if rest:
            yield rest
