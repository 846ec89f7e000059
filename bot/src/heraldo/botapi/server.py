"""The project's own Bot API server, for tests and for the chat in the terminal.

Any client that can be pointed at another server works with it unmodified; several processes may
use it at once. People, chats and failures are moved from the process it runs in.
"""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Literal, Self

from aiohttp import web

from colmillo.clock import Clock, SystemClock
from heraldo.botapi.errors import BotApiError, ConnectionDropped, NothingHappened, Rejected
from heraldo.botapi.faults import Call, Faults
from heraldo.botapi.methods import METHODS
from heraldo.botapi.params import Params
from heraldo.botapi.people import Chat, Person
from heraldo.botapi.rates import Rates
from heraldo.botapi.state import MemberStatus, User
from heraldo.botapi.transcript import transcript
from heraldo.botapi.updates import UpdateQueue
from heraldo.botapi.webhook import WebhookPoster
from heraldo.botapi.wire import MAX_BODY, failure, read_params, success
from heraldo.botapi.world import World

_BOT_ID = 7_000_000_001
Outage = Literal["refused", "bad gateway"]


class BotApiServer:
    """A Bot API server on the loopback interface; use it as an async context manager.

    ``token`` is made up when it is not given. ``clock`` times long polls, webhook retries, rate
    limits and dates. ``privacy`` is the bot's privacy mode: on, it sees in groups only what is
    meant for it.
    """

    def __init__(
        self,
        *,
        token: str | None = None,
        clock: Clock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        bot_name: str = "El Heraldo",
        bot_username: str = "heraldo_test_bot",
        privacy: bool = True,
    ) -> None:
        self.token = token or f"{_BOT_ID}:{secrets.token_urlsafe(26)}"
        self.clock: Clock = clock or SystemClock()
        self.bot_user = User(
            id=_bot_id(self.token), first_name=bot_name, is_bot=True, username=bot_username
        )
        self.faults = Faults()
        self.rates = Rates(self.clock)
        self.calls: list[Call] = []
        self.world = World(
            clock=self.clock,
            bot=self.bot_user,
            updates=UpdateQueue(self.clock),
            rates=self.rates,
            privacy=privacy,
        )
        self._host, self._port = host, port
        self._outage: Outage | None = None
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._reserved: socket.socket | None = None
        self._poster: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/bot{token}/{method}", self._handle)
        app.router.add_get("/file/bot{token}/files/{file_id}", self._download)
        app.router.add_route("*", "/{anything:.*}", _not_found)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await self._listen()
        poster = WebhookPoster(self.world.updates, self.clock)
        self._poster = asyncio.create_task(poster.run(), name="webhook poster")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._poster is not None:
            self._poster.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._poster
        self.world.updates.end_polls()
        self._unreserve()
        if self._runner is not None:
            self._cut_connections()
            await self._runner.cleanup()

    @property
    def base_url(self) -> str:
        """The address to which ``/bot<token>/<method>`` is added."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    # People and chats

    def person(
        self, name: str, *, language: str | None = "en", started: bool = True, is_bot: bool = False
    ) -> Person:
        """Adds somebody; ``started`` is whether they wrote to the bot before."""
        user = self.world.new_person(name, language=language, is_bot=is_bot)
        return Person(self.world, user, self.world.new_private_chat(user, started=started))

    def group(
        self,
        title: str,
        *,
        members: Iterable[Person] = (),
        admins: Iterable[Person] = (),
        forum: bool = False,
        supergroup: bool = True,
        bot: MemberStatus = "member",
    ) -> Chat:
        """Adds a group with the bot in it; no update tells the bot of it."""
        if forum and not supergroup:
            raise BotApiError("only a supergroup can be a forum")
        state = self.world.new_chat("supergroup" if supergroup else "group", title, is_forum=forum)
        return self._furnish(Chat(self.world, state), members, admins, bot)

    def channel(
        self,
        title: str,
        *,
        members: Iterable[Person] = (),
        admins: Iterable[Person] = (),
        bot: MemberStatus = "administrator",
    ) -> Chat:
        """Adds a channel with the bot as administrator; no update tells the bot of it."""
        state = self.world.new_chat("channel", title)
        return self._furnish(Chat(self.world, state), members, admins, bot)

    def inject(self, shape: str, body: dict[str, object]) -> int | None:
        """Adds an update of any shape, known or not, as it is; returns its id."""
        return self.world.updates.add(shape, body)

    # Failures

    async def down(self, how: Outage = "refused") -> None:
        """Starts an outage: connections are cut and refused, or everything is answered 502."""
        await self.up()
        self._outage = how
        self.world.updates.end_polls()
        if how == "refused" and self._site is not None:
            await self._site.stop()
            self._cut_connections()
            self._reserve()

    async def up(self) -> None:
        """Ends an outage, under the same address."""
        if self._outage == "refused":
            self._unreserve()
            await self._listen()
        self._outage = None

    def refuse_media(self, beginning: str, why: str = "failed to get HTTP URL content") -> None:
        """Lets media from addresses with that beginning fail, with that reason."""
        self.world.files.refused[beginning] = why

    # Observation

    def calls_of(self, method: str) -> list[Call]:
        """Returns the requests of one method, oldest first."""
        return [call for call in self.calls if call.method.lower() == method.lower()]

    def transcript(self, chat: Chat) -> str:
        """Returns the chat as readable text, one line for each message."""
        return transcript(chat.state)

    async def wait_until(
        self, condition: Callable[[], bool], *, within: float = 10.0, what: str = "the condition"
    ) -> None:
        """Waits until the condition holds; it is looked at after every change.

        ``within`` is in real seconds; NothingHappened, with the last requests, is raised then.
        """
        try:
            async with asyncio.timeout(within):
                await self.world.changed.met(condition)
        except TimeoutError:
            raise NothingHappened(
                f"{what} did not come in {within:g} s; last requests: "
                + ", ".join(f"{call.method} ({call.outcome})" for call in self.calls[-10:])
            ) from None

    async def wait_for_call(
        self, method: str, *, count: int = 1, within: float = 10.0
    ) -> list[Call]:
        """Waits until a method was answered ``count`` times in all; returns these requests."""

        def done() -> list[Call]:
            return [call for call in self.calls_of(method) if call.outcome != "running"]

        await self.wait_until(lambda: len(done()) >= count, within=within, what=method)
        return done()

    def _furnish(
        self, chat: Chat, members: Iterable[Person], admins: Iterable[Person], bot: MemberStatus
    ) -> Chat:
        for number, admin in enumerate(admins):
            status: MemberStatus = "administrator" if number else "creator"
            self.world.set_member(chat.state, admin.user, status)
        for member in members:
            if member.id not in chat.state.members:
                self.world.set_member(chat.state, member.user, "member")
        if bot != "left":
            self.world.set_member(chat.state, self.bot_user, bot)
        return chat

    # Serving

    async def _listen(self) -> None:
        if self._runner is None:
            raise BotApiError("the server was not started")
        self._site = web.TCPSite(self._runner, self._host, self._port)
        await self._site.start()
        # Kept, so that the server comes back under the same address after an outage.
        self._port = int(self._runner.addresses[0][1])

    def _reserve(self) -> None:
        """Holds the port during an outage without listening, or somebody else might get it."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self._reserved = socket.socket(family)
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind((self._host, self._port))

    def _unreserve(self) -> None:
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    def _cut_connections(self) -> None:
        server = self._runner.server if self._runner is not None else None
        for connection in server.connections if server is not None else ():
            if connection.transport is not None:
                connection.transport.abort()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self._outage is not None:
            return self._answer_outage(request)
        try:
            if not self._is_authorised(request):
                raise Rejected(401, "Unauthorized")
            params = await read_params(request)
            return success(await self._carry_out(request.match_info["method"], params))
        except Rejected as rejected:
            return failure(rejected)
        except ConnectionDropped:
            return _cut(request)

    async def _carry_out(self, name: str, params: Params) -> object:
        """Does what is asked, unless a fault is in the way; notes the request in the log."""
        handler = METHODS.get(name.lower())
        if handler is None:
            raise Rejected(404, "Not Found: method not found")
        call = Call(
            method=name,
            params={**params.values, **params.uploads},
            chat_id=params.integer("chat_id") or None,
            at=self.clock.monotonic(),
            when=self.clock.now(),
        )
        self.calls.append(call)
        self.world.changed.notify()
        rules = self.faults.taking(call)
        try:
            for rule in rules:
                if rule.effect == "delay":
                    await self.clock.sleep(rule.seconds)
                elif rule.answer is not None:
                    raise rule.answer
                elif rule.effect == "drop":
                    raise ConnectionDropped
            call.result = await handler(self.world, params)
            if any(rule.effect == "lose_answer" for rule in rules):
                raise ConnectionDropped
        except Rejected as rejected:
            call.outcome = rejected.description
            raise
        except ConnectionDropped:
            call.outcome = "dropped"
            raise
        else:
            call.outcome = "ok"
            return call.result
        finally:
            self.world.changed.notify()

    def _is_authorised(self, request: web.Request) -> bool:
        return secrets.compare_digest(request.match_info["token"].encode(), self.token.encode())

    def _answer_outage(self, request: web.Request) -> web.StreamResponse:
        if self._outage == "refused":
            return _cut(request)
        return web.Response(status=502, text="Bad Gateway")

    async def _download(self, request: web.Request) -> web.StreamResponse:
        if self._outage is not None:
            return self._answer_outage(request)
        file = self.world.files.by_id.get(request.match_info["file_id"])
        if not self._is_authorised(request) or file is None or file.data is None:
            return failure(Rejected(404, "Not Found"))
        return web.Response(body=file.data, content_type=file.mime or "application/octet-stream")


async def _not_found(request: web.Request) -> web.StreamResponse:
    return failure(Rejected(404, "Not Found"))


def _cut(request: web.Request) -> web.StreamResponse:
    """Cuts the connection of a request; the response it returns is never sent."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)


def _bot_id(token: str) -> int:
    number, _, _ = token.partition(":")
    if not number.isdecimal():
        raise BotApiError("a bot token looks like 123456:letters-and-digits")
    return int(number)
