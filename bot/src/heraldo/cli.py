"""The command line, ``heraldo``."""

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import TextIO

import click

from colmillo.clock import SystemClock
from heraldo import feed_report
from heraldo.database import check_migrated, database, migrate, open_pool
from heraldo.errors import BadSettings, HeraldoError
from heraldo.held_report import Step, settle_held
from heraldo.keys import open_vault
from heraldo.logs import set_up_logging
from heraldo.polling import make_application, serve
from heraldo.processes import (
    QUEUES,
    open_services,
    run_everything,
    run_scheduler,
    run_worker,
)
from heraldo.services import Services
from heraldo.settings import Settings
from heraldo.stopping import Stop, on_signals
from heraldo.terminal_mode import run_in_terminal
from heraldo.web.listening import listening
from heraldo_sync.errors import InvalidHeader, InvalidUrl, ParserUnavailable
from heraldo_sync.inspection import Inspection, inspect
from heraldo_sync.private import private_address
from heraldo_sync.rekeying import rekey
from heraldo_sync.urls import normalise
from heraldo_sync.vault import new_key

Work = Callable[[Services, Stop], Awaitable[None]]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("heraldo"))
def main() -> None:
    """A Telegram bot that follows RSS, Atom and JSON feeds and loses no post.

    Settings come from the environment or from a file named .env; see `heraldo check-config`.
    """


@main.command()
def run() -> None:
    """Everything in one process. Without a bot token: a chat in this terminal."""
    settings = _settings()
    if settings.telegram_bot_token is None:
        _guarded(lambda: run_in_terminal(settings))
        return

    async def work(services: Services, stop: Stop) -> None:
        async with listening(services):
            await run_everything(make_application(settings, services), services, stop)

    _serve(settings, work, prepare=True)


@main.command()
def bot() -> None:
    """Only takes commands, and serves PUBLIC_URL; scheduler and workers run elsewhere."""
    settings = _settings(token=True)

    async def work(services: Services, stop: Stop) -> None:
        async with listening(services):
            await serve(make_application(settings, services), services, stop)

    _serve(settings, work)


@main.command()
def scheduler() -> None:
    """Only enqueues the feeds that are due. Any number may run."""
    _serve(_settings(token=True), run_scheduler)


@main.command()
@click.option(
    "--queue",
    "queues",
    multiple=True,
    metavar="NAME[=N]",
    help=f"Take tasks of this queue, N at once; repeatable. Queues: {', '.join(QUEUES)}. "
    "Without it: all of them.",
)
def worker(queues: tuple[str, ...]) -> None:
    """Fetches feeds and sends posts. Any number may run, on any number of machines."""
    wanted = dict(_queue(text) for text in queues) or dict(QUEUES)

    async def work(services: Services, stop: Stop) -> None:
        await run_worker(services, wanted, stop)

    _serve(_settings(token=True), work)


@main.command("migrate")
def migrate_command() -> None:
    """Brings the database's tables to what this version needs."""
    settings = _settings()

    async def work() -> None:
        async with database(settings) as dsn:
            await migrate(dsn)

    _guarded(work)
    click.echo("The database is up to date.")


@main.command("check-config")
def check_config() -> None:
    """Says what is set, and everything that is wrong with it."""
    settings = _settings()
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        shown = "not set" if value is None else str(value)
        click.echo(f"{name.upper()} = {shown}")
        click.echo(f"    {field.description or ''}".rstrip())
    if settings.telegram_bot_token is not None and settings.owner_telegram_id is None:
        click.echo("Without OWNER_TELEGRAM_ID the bot obeys nobody.", err=True)


@main.command()
def healthcheck() -> None:
    """Whether the database answers and has this version's tables; for container engines."""
    settings = _settings()

    async def work() -> None:
        async with database(settings) as dsn, open_pool(dsn, size=1) as pool:
            await check_migrated(pool)

    _guarded(work, code=1)
    click.echo("healthy")


@main.command("new-key")
def make_key() -> None:
    """Prints a new key for SECRET_KEY, which locks private feeds' passwords away."""
    click.echo(new_key())


@main.command("rekey")
def rekey_command() -> None:
    """Locks all private feeds' headers with the first key; the others can go then."""
    settings = _settings()
    locked: list[tuple[int, int]] = []

    async def work() -> None:
        vault = open_vault(settings)
        if vault is None:
            raise BadSettings("SECRET_KEY is not set")
        async with database(settings) as dsn, open_pool(dsn, size=1) as pool:
            await check_migrated(pool)
            locked.append(await rekey(pool, vault))

    _guarded(work)
    done, lost = locked[0]
    click.echo(f"{done} private feeds are locked with the first key.")
    if lost:
        click.echo(f"{lost} are locked with a key that is missing.", err=True)
        raise SystemExit(1)


@main.group()
def feed() -> None:
    """Looks at feeds, and at what is held of them."""


@feed.command("check")
@click.argument("url")
@click.option(
    "--entries",
    default=10,
    show_default=True,
    type=click.IntRange(min=0),
    help="How many entries to show, the newest; 0 for all.",
)
@click.option(
    "--headers",
    type=click.File(encoding="utf-8"),
    help="A file of private headers, a line Name: value each; - for the standard input.",
)
def check_feed(url: str, entries: int, headers: TextIO | None) -> None:
    """Prints what a subscription to this address would see.

    Needs no database and no token; nothing is stored. Ends with 0 for a feed, 1 when there is
    none or it cannot be read, 2 for wrong settings or a wrong address, 3 for a page with several
    feeds.
    """
    settings = _settings()
    try:
        lines = [text for line in headers or () if (text := line.strip())]
        address, private = private_address(url, lines)
    except (InvalidUrl, InvalidHeader) as error:
        click.echo(str(error), err=True)
        raise SystemExit(2) from None
    seen: list[Inspection] = []

    async def work() -> None:
        try:
            inspection = await inspect(
                address,
                policy=settings.allow_private_addresses,
                interval=settings.interval,
                longest=settings.longest_interval,
                clock=SystemClock(),
                rng=random.Random(),
                rsshub=settings.rsshub_base_url,
                proxy=settings.proxy,
                private=private,
            )
        except ParserUnavailable as error:
            raise HeraldoError(str(error)) from error
        seen.append(inspection)

    _guarded(work)
    click.echo(feed_report.report(address, seen[0], limit=entries))
    raise SystemExit(feed_report.exit_code(seen[0]))


@feed.command("held")
@click.argument("url", required=False)
@click.option("--chat", type=int, metavar="ID", help="Only for this chat.")
@click.option("--send", is_flag=True, help="Send what is listed.")
@click.option("--skip", is_flag=True, help="Skip what is listed.")
def held_posts(url: str | None, chat: int | None, send: bool, skip: bool) -> None:
    """Lists the posts that are held back, of all feeds or of the one at this address.

    Posts are held when a feed's ids all change at once; each chat decides with buttons or /held.
    With --send or --skip the operator does, for all that is listed.
    """
    if send and skip:
        raise click.UsageError("Either --send or --skip.")
    step = Step.SEND if send else Step.SKIP if skip else None
    settings = _settings()
    address = _address(url) if url is not None else None
    lines: list[str] = []

    async def work() -> None:
        async with database(settings) as dsn, open_pool(dsn, size=2) as pool:
            await check_migrated(pool)
            lines.extend(await settle_held(pool, url=address, chat_id=chat, step=step))

    _guarded(work)
    click.echo("\n".join(lines))


def _address(text: str) -> str:
    try:
        return normalise(text)
    except InvalidUrl as error:
        click.echo(str(error), err=True)
        raise SystemExit(2) from None


def _queue(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if name not in QUEUES:
        raise click.BadParameter(
            f"there is no queue {name!r}; there are {', '.join(QUEUES)}", param_hint="--queue"
        )
    if not number:
        return name, QUEUES[name]
    if not number.isdecimal() or not 1 <= int(number) <= 1000:
        raise click.BadParameter(f"{number!r} is no number from 1 to 1000", param_hint="--queue")
    return name, int(number)


def _settings(*, token: bool = False) -> Settings:
    try:
        settings = Settings.read()
    except HeraldoError as error:
        raise SystemExit(_complain(error)) from None
    if token and settings.telegram_bot_token is None:
        click.echo("Set TELEGRAM_BOT_TOKEN; @BotFather gives you one.", err=True)
        raise SystemExit(2)
    return settings


def _serve(settings: Settings, work: Work, *, prepare: bool = False) -> None:
    set_up_logging(settings.log_level)

    async def go() -> None:
        stop = Stop()
        with on_signals(stop):
            async with database(settings) as dsn:
                if prepare:
                    await migrate(dsn)
                async with open_services(settings, dsn) as services:
                    await work(services, stop)

    _guarded(go)


def _guarded(work: Callable[[], Awaitable[None]], *, code: int = 2) -> None:
    """Runs it; what we know how to explain is explained in a line, without a traceback."""

    async def run() -> None:
        await work()

    try:
        asyncio.run(run())
    except HeraldoError as error:
        _complain(error)
        raise SystemExit(code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _complain(error: HeraldoError) -> int:
    click.echo(str(error), err=True)
    return 2


if __name__ == "__main__":
    sys.exit(main())
