"""Failures on demand, and the pace of sending."""

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from telegram.error import BadRequest, ChatMigrated, Forbidden, NetworkError, RetryAfter
from telegram.ext import Application

from colmillo.testing import FakeClock
from heraldo.botapi import BotApiServer, Limit, NothingHappened, RateLimits

App = Application[Any, Any, Any, Any, Any, Any]

# python-telegram-bot warns that RetryAfter.retry_after will be a timedelta one day.
pytestmark = pytest.mark.filterwarnings("ignore:.*retry_after:DeprecationWarning")


@pytest_asyncio.fixture
async def clock() -> FakeClock:
    return FakeClock()


@pytest_asyncio.fixture
async def server(clock: FakeClock) -> AsyncIterator[BotApiServer]:
    async with BotApiServer(clock=clock) as running:
        yield running


async def test_too_many_requests_once(server: BotApiServer, app: App) -> None:
    ana = server.person("Ana")
    server.faults.retry_after(7, method="sendMessage")
    with pytest.raises(RetryAfter) as caught:
        await app.bot.send_message(ana.id, "x")
    assert "7" in str(caught.value)
    await app.bot.send_message(ana.id, "x")
    assert len(ana.private.from_bot) == 1


async def test_a_rule_is_for_its_chat_and_condition(server: BotApiServer, app: App) -> None:
    ana, bob = server.person("Ana"), server.person("Bob")
    rule = server.faults.reject(403, "Forbidden: bot was blocked by the user", chat=ana, times=None)
    picky = server.faults.reject(
        400, "Bad Request: no cats", when=lambda call: "cat" in str(call.params.get("text"))
    )
    await app.bot.send_message(bob.id, "dog")
    for _ in range(2):
        with pytest.raises(Forbidden, match="bot was blocked by the user"):
            await app.bot.send_message(ana.id, "dog")
    with pytest.raises(BadRequest, match="No cats"):
        await app.bot.send_message(bob.id, "cat")
    await app.bot.send_message(bob.id, "cat")
    assert (rule.hits, picky.hits) == (2, 1)
    rule.cancel()
    await app.bot.send_message(ana.id, "dog")


async def test_a_migration_and_a_server_error_on_demand(server: BotApiServer, app: App) -> None:
    ana = server.person("Ana")
    server.faults.reject(
        400,
        "Bad Request: group chat was upgraded to a supergroup chat",
        migrate_to_chat_id=-1001,
    )
    with pytest.raises(ChatMigrated):
        await app.bot.send_message(ana.id, "x")
    server.faults.reject(502, "Bad Gateway", times=None)
    with pytest.raises(NetworkError, match="Bad Gateway"):
        await app.bot.send_message(ana.id, "x")
    server.faults.clear()
    await app.bot.send_message(ana.id, "x")


async def test_a_cut_connection_sends_nothing(server: BotApiServer, app: App) -> None:
    ana = server.person("Ana")
    server.faults.drop(method="sendMessage")
    with pytest.raises(NetworkError):
        await app.bot.send_message(ana.id, "x")
    assert ana.private.from_bot == []
    assert [call.outcome for call in server.calls_of("sendMessage")] == ["dropped"]


async def test_a_lost_answer_leaves_the_message_sent(server: BotApiServer, app: App) -> None:
    ana = server.person("Ana")
    server.faults.lose_answer(method="sendMessage")
    with pytest.raises(NetworkError):
        await app.bot.send_message(ana.id, "x")
    assert [message.text for message in ana.private.from_bot] == ["x"]


async def test_a_delay_is_on_the_clock(server: BotApiServer, app: App, clock: FakeClock) -> None:
    ana = server.person("Ana")
    server.faults.delay(5, method="sendMessage")
    sending = asyncio.create_task(app.bot.send_message(ana.id, "x"))
    await server.wait_until(lambda: bool(server.calls_of("sendMessage")))
    await clock.advance(4.9)
    assert ana.private.from_bot == []
    await clock.advance(0.1)
    await sending
    assert len(ana.private.from_bot) == 1


@pytest.mark.parametrize("how", ["refused", "bad gateway"])
async def test_an_outage_begins_and_ends(server: BotApiServer, app: App, how: Any) -> None:
    ana = server.person("Ana")
    before = server.base_url
    await server.down(how)
    with pytest.raises(NetworkError):
        await app.bot.send_message(ana.id, "x")
    await server.up()
    await app.bot.send_message(ana.id, "x")
    assert (len(ana.private.from_bot), server.base_url) == (1, before)


async def test_limits_per_chat_are_enforced(
    server: BotApiServer, app: App, clock: FakeClock
) -> None:
    ana = server.person("Ana")
    server.rates.enforce()
    await app.bot.send_message(ana.id, "1")
    with pytest.raises(RetryAfter):
        await app.bot.send_message(ana.id, "2")
    await clock.advance(1)
    await app.bot.send_message(ana.id, "2")
    server.rates.release()
    await app.bot.send_message(ana.id, "3")
    assert server.rates.peak(1.0, chat_id=ana.id) == 2
    assert server.rates.exceeded() == [
        f"2 messages in 1 s in chat {ana.id}, 1 are allowed",
    ]


async def test_a_group_takes_twenty_a_minute(
    server: BotApiServer, app: App, clock: FakeClock
) -> None:
    group = server.group("Team", members=[server.person("Ana")])
    server.rates.enforce()
    for number in range(20):
        await app.bot.send_message(group.id, str(number))
        await clock.advance(1)
    with pytest.raises(RetryAfter) as caught:
        await app.bot.send_message(group.id, "20")
    assert caught.value.retry_after == timedelta(seconds=40)
    await clock.advance(40)
    await app.bot.send_message(group.id, "20")
    assert server.rates.exceeded() == []


async def test_the_limit_over_all_chats(server: BotApiServer, app: App) -> None:
    people = [server.person(f"Person {number}") for number in range(4)]
    server.rates.enforce(RateLimits(overall=Limit(count=3, seconds=1.0)))
    for person in people[:3]:
        await app.bot.send_message(person.id, "x")
    with pytest.raises(RetryAfter):
        await app.bot.send_message(people[3].id, "x")


async def test_nobody_else_gets_the_port_during_an_outage(server: BotApiServer) -> None:
    port = int(server.base_url.rpartition(":")[2])
    await server.down("refused")
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
    await server.up()
    assert server.base_url.endswith(f":{port}")


async def test_waiting_in_vain_says_what_did_happen(server: BotApiServer, app: App) -> None:
    ana = server.person("Ana")
    await app.bot.send_message(ana.id, "only this")
    with pytest.raises(NothingHappened, match="only this"):
        await ana.private.wait_for(2, within=0)
    with pytest.raises(NothingHappened, match="sendMessage"):
        await server.wait_for_call("sendPhoto", within=0)
    assert len(await server.wait_for_call("sendmessage")) == 1


async def test_a_pressed_button_is_too_old_after_a_minute(
    server: BotApiServer, app: App, clock: FakeClock
) -> None:
    from telegram import InlineKeyboardButton, InlineKeyboardMarkup

    ana = server.person("Ana")
    button = InlineKeyboardButton("Go", callback_data="go")
    await app.bot.send_message(ana.id, "x", reply_markup=InlineKeyboardMarkup([[button]]))
    callback = await ana.presses(ana.private.from_bot[0], "go")
    await clock.advance(61)
    with pytest.raises(BadRequest, match="Query is too old"):
        await app.bot.answer_callback_query(callback.id)


async def test_own_messages_can_be_deleted_for_two_days(
    server: BotApiServer, app: App, clock: FakeClock
) -> None:
    ana = server.person("Ana")
    old = await app.bot.send_message(ana.id, "old")
    await clock.advance(48 * 3600)
    new = await app.bot.send_message(ana.id, "new")
    with pytest.raises(BadRequest, match="Message can't be deleted for everyone"):
        await app.bot.delete_message(ana.id, old.message_id)
    await app.bot.delete_messages(ana.id, [old.message_id, new.message_id, 99])
    assert [message.text for message in ana.private.from_bot] == ["old"]
