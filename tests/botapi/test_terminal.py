"""The chat in the terminal, driven through a pipe, a file and a stand-in for a terminal."""

import asyncio
import io
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TextIO

import pytest
import pytest_asyncio
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.ext import (
    Application,
    CallbackQueryHandler,
    CommandHandler,
    ContextTypes,
    MessageHandler,
    filters,
)

from heraldo.botapi import BotApiServer
from heraldo.terminal import chat, clean

App = Application[Any, Any, Any, Any, Any, Any]
Context = ContextTypes.DEFAULT_TYPE
Script = Callable[..., Awaitable[list[str]]]


async def start(update: Update, context: Context) -> None:
    assert update.effective_message is not None
    await update.effective_message.reply_html(
        'Welcome to <a href="https://example.org/">the docs</a>.\nSecond line.'
    )


async def menu(update: Update, context: Context) -> None:
    assert update.effective_message is not None
    row = [
        InlineKeyboardButton("Next", callback_data="next"),
        InlineKeyboardButton("Site", url="https://example.org/"),
    ]
    await update.effective_message.reply_text("Page 1", reply_markup=InlineKeyboardMarkup([row]))


async def turn(update: Update, context: Context) -> None:
    assert update.callback_query is not None
    await update.callback_query.edit_message_text("Page 2")
    await update.callback_query.answer("Turned")


async def echo(update: Update, context: Context) -> None:
    assert update.effective_message is not None
    await update.effective_message.reply_text(f"You said {update.effective_message.text}")


@pytest_asyncio.fixture
async def bot(polled: App) -> App:
    polled.add_handler(CommandHandler("start", start))
    polled.add_handler(CommandHandler("menu", menu))
    polled.add_handler(CallbackQueryHandler(turn))
    polled.add_handler(MessageHandler(filters.TEXT & ~filters.COMMAND, echo))
    return polled


async def nothing_left() -> None:
    """Stands for an application that has done all it was asked for."""


def piped(text: str) -> TextIO:
    """A pipe with a writer that closes it."""
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "w", encoding="utf-8") as pipe:
            pipe.write(text)

    threading.Thread(target=write).start()
    return open(reading, encoding="utf-8")


@pytest_asyncio.fixture
async def script(server: BotApiServer, bot: App) -> AsyncIterator[Script]:
    """Runs a chat with these lines through a pipe; returns what was printed after the banner."""

    async def run(*lines: str) -> list[str]:
        stdout = io.StringIO()
        with piped("".join(f"{line}\n" for line in lines)) as stdin:
            await chat(server, stdin=stdin, stdout=stdout, settled=nothing_left)
        return stdout.getvalue().splitlines()[3:]

    yield run


async def test_lines_from_a_pipe_get_their_answers_in_order(script: Script) -> None:
    assert await script("/start", "  ", "hello", "ñandú 🏟") == [
        "> /start",
        "El Heraldo: Welcome to the docs (https://example.org/).",
        "  Second line.",
        "> hello",
        "El Heraldo: You said hello",
        "> ñandú 🏟",
        "El Heraldo: You said ñandú 🏟",
    ]


@pytest.mark.parametrize("press", ["1", "#1"])
async def test_buttons_are_listed_and_pressed_by_number(script: Script, press: str) -> None:
    printed = await script("/menu", "2", press)
    assert printed[:5] == [
        "> /menu",
        "El Heraldo: Page 1",
        "  [1] Next   [2] Site (opens https://example.org/)",
        "> 2",
        "This button opens https://example.org/",
    ]
    assert printed[5] == f"> {press}"
    assert sorted(printed[6:]) == ["(Turned)", "El Heraldo (edited): Page 2"]


async def test_a_number_without_buttons_is_a_message(script: Script) -> None:
    assert await script("7", "#7") == [
        "> 7",
        "El Heraldo: You said 7",
        "> #7",
        "There is no button 7 to press.",
    ]


async def test_quit_ends_it_before_the_input_does(script: Script) -> None:
    assert await script("/quit", "never said") == []


class Watched(io.StringIO):
    """Sends a message as soon as a wait is printed."""

    def __init__(self, send: Callable[[], Coroutine[Any, Any, object]]) -> None:
        super().__init__()
        self._send = send
        self.sending: asyncio.Future[object] | None = None

    def write(self, text: str) -> int:
        if "!wait 30" in text:
            self.sending = asyncio.ensure_future(self._send())
        return super().write(text)


async def test_a_wait_ends_with_a_message_the_bot_sends_by_itself(
    server: BotApiServer, bot: App
) -> None:
    ana = server.person("Ana")
    stdout = Watched(lambda: bot.bot.send_message(ana.id, "News!"))
    with piped("hello\n!wait 30\n!wait 0\n") as stdin:
        await chat(server, ana, stdin=stdin, stdout=stdout, settled=nothing_left)
    assert stdout.sending is not None
    await stdout.sending
    assert stdout.getvalue().splitlines()[3:] == [
        "> hello",
        "El Heraldo: You said hello",
        "> !wait 30",
        "El Heraldo: News!",
        "> !wait 0",
        "(nothing new in 0 s)",
    ]


async def test_lines_from_a_file(server: BotApiServer, bot: App, tmp_path: Path) -> None:
    source = tmp_path / "lines"
    source.write_text("hello", encoding="utf-8")
    stdout = io.StringIO()
    with source.open(encoding="utf-8") as stdin:
        await chat(server, stdin=stdin, stdout=stdout, settled=nothing_left)
    assert stdout.getvalue().splitlines()[3:] == ["> hello", "El Heraldo: You said hello"]


class Terminal(io.StringIO):
    """Lines somebody typed."""

    def isatty(self) -> bool:
        return True


async def test_at_a_terminal_lines_are_not_repeated(server: BotApiServer, bot: App) -> None:
    ana = server.person("Ana")
    stdout = io.StringIO()
    await chat(
        server,
        ana,
        stdin=Terminal("hello\n/quit\n"),
        stdout=stdout,
        settled=nothing_left,
    )
    await ana.private.wait_for(1)
    assert "> hello" not in stdout.getvalue()
    assert "Buttons have numbers" in stdout.getvalue()


async def test_output_is_utf8_whatever_the_locale(server: BotApiServer, bot: App) -> None:
    raw = io.BytesIO()
    stdout = io.TextIOWrapper(raw, encoding="ascii")
    with piped("ñ\n") as stdin:
        await chat(server, stdin=stdin, stdout=stdout, settled=nothing_left)
    assert "You said ñ" in raw.getvalue().decode("utf-8")


async def test_nothing_a_feed_says_controls_the_terminal(server: BotApiServer, bot: App) -> None:
    ana = server.person("Ana")
    await bot.bot.send_message(ana.id, "a\x9b2Jb\x7fc\u2066d")
    stdout = io.StringIO()
    with piped("") as stdin:
        await chat(server, ana, stdin=stdin, stdout=stdout, settled=nothing_left)
    assert stdout.getvalue().splitlines()[3:] == ["El Heraldo: a2Jbcd"]


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("\x1b]0;title\x07", "]0;title"),
        ("over\rwrite\b", "overwrite"),
        ("a\tb\nc", "a b\nc"),
        ("\u202eabc\u202c\u200f", "abc"),
        ("ñ 🏟 \u200d", "ñ 🏟 \u200d"),
    ],
)
def test_cleaning(text: str, printed: str) -> None:
    assert clean(text) == printed
