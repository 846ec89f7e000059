"""Every answer of Telegram becomes a value, over real HTTP."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from telegram import Bot
from telegram.error import InvalidToken, NetworkError

from heraldo.botapi import BotApiServer, Person
from heraldo.sender import (
    ChatGone,
    Migrated,
    Rejected,
    RetryAfter,
    Sender,
    Sent,
    TargetAddress,
    TopicGone,
    Unavailable,
    outcome_of,
)


@pytest.fixture
async def sender(api: BotApiServer) -> AsyncIterator[Sender]:
    bot = Bot(api.token, base_url=f"{api.base_url}/bot")
    async with bot:
        yield Sender(bot)


@pytest.fixture
def person(api: BotApiServer) -> Person:
    return api.person("Olga")


def to(person: Person) -> TargetAddress:
    return TargetAddress(chat_id=person.id)


async def test_sent(api: BotApiServer, sender: Sender, person: Person) -> None:
    answer = await sender.send(to(person), "<b>a &amp; b</b>", silent=True, preview=False)
    (message,) = person.private.from_bot
    assert answer == Sent(message_id=message.message_id)
    assert message.text == "a & b"
    assert message.silent
    assert message.link_preview == {"is_disabled": True}


async def test_sent_to_a_topic(api: BotApiServer, sender: Sender, person: Person) -> None:
    forum = api.group("Forum", members=[person], forum=True)
    topic = await forum.topic("News", by=person)
    await sender.send(TargetAddress(chat_id=forum.id, topic_id=topic.id), "x")
    assert [message.text for message in topic.messages] == ["x"]


@pytest.mark.parametrize("html", ["<b>x", "x" * 4097, "", "<p>x</p>"])
async def test_rejected(sender: Sender, person: Person, html: str) -> None:
    assert isinstance(await sender.send(to(person), html), Rejected)
    assert person.private.from_bot == []


async def test_retry_after(api: BotApiServer, sender: Sender, person: Person) -> None:
    api.faults.retry_after(17)
    assert await sender.send(to(person), "x") == RetryAfter(delay=timedelta(seconds=17))


@pytest.mark.parametrize(
    ("code", "description"),
    [
        (403, "Forbidden: bot was blocked by the user"),
        (403, "Forbidden: bot was kicked from the supergroup chat"),
        (403, "Forbidden: user is deactivated"),
        (403, "Forbidden: bot can't initiate conversation with a user"),
        (400, "Bad Request: chat not found"),
        (400, "Bad Request: not enough rights to send text messages to the chat"),
        (400, "Bad Request: have no rights to send a message"),
        (400, "Bad Request: need administrator rights in the channel chat"),
        (400, "Bad Request: CHAT_WRITE_FORBIDDEN"),
        (400, "Bad Request: PEER_ID_INVALID"),
    ],
)
async def test_chat_gone(
    api: BotApiServer, sender: Sender, person: Person, code: int, description: str
) -> None:
    api.faults.reject(code, description)
    answer = await sender.send(to(person), "x")
    assert isinstance(answer, ChatGone)
    assert answer.reason.lower() in description.lower()


async def test_the_servers_own_refusals(api: BotApiServer, sender: Sender, person: Person) -> None:
    await person.blocks()
    assert isinstance(await sender.send(to(person), "x"), ChatGone)
    assert isinstance(await sender.send(TargetAddress(chat_id=-1), "x"), ChatGone)
    channel = api.channel("Blog", admins=[person], bot="member")
    assert isinstance(await sender.send(TargetAddress(chat_id=channel.id), "x"), ChatGone)
    forum = api.group("Forum", members=[person], forum=True)
    topic = await forum.topic("News", by=person)
    address = TargetAddress(chat_id=forum.id, topic_id=topic.id)
    await topic.closes(person)
    assert isinstance(await sender.send(address, "x"), TopicGone)
    await topic.is_deleted()
    assert isinstance(await sender.send(address, "x"), TopicGone)


async def test_migrated(api: BotApiServer, sender: Sender, person: Person) -> None:
    group = api.group("Club", members=[person], supergroup=False)
    new = await group.migrate()
    assert await sender.send(TargetAddress(chat_id=group.id), "x") == Migrated(new_chat_id=new.id)


async def test_unavailable(api: BotApiServer, sender: Sender, person: Person) -> None:
    await api.down("bad gateway")
    assert isinstance(await sender.send(to(person), "x"), Unavailable)
    await api.down("refused")
    assert isinstance(await sender.send(to(person), "x"), Unavailable)
    await api.up()
    assert isinstance(await sender.send(to(person), "x"), Sent)


async def test_a_lost_answer_is_ambiguous(
    api: BotApiServer, sender: Sender, person: Person
) -> None:
    api.faults.lose_answer(method="sendMessage")
    assert isinstance(await sender.send(to(person), "x"), Unavailable)
    assert [message.text for message in person.private.from_bot] == ["x"]


async def test_a_wrong_token_is_not_shown(api: BotApiServer, person: Person) -> None:
    secret = "123456789:" + "A" * 35
    bot = Bot(secret, base_url=f"{api.base_url}/bot")
    async with bot._request[1]:
        answer = await Sender(bot).send(to(person), "x")
    assert isinstance(answer, Unavailable)
    assert secret not in answer.reason


def test_tokens_in_error_texts_are_masked() -> None:
    token = "123456789:" + "B" * 35
    for error in (
        InvalidToken(f"The token `{token}` was rejected by the server."),
        NetworkError(f"httpx.ConnectError: https://api.telegram.org/bot{token}/sendMessage"),
    ):
        answer = outcome_of(error)
        assert isinstance(answer, Unavailable)
        assert token not in answer.reason


def test_too_large_for_http_is_no_outage() -> None:
    answer = outcome_of(NetworkError("Request Entity Too Large (413)"))
    assert isinstance(answer, Rejected)
