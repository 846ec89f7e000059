"""What people do, and what the bot gets to know of it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from telegram.ext import Application

from heraldo.botapi import BotApiError, BotApiServer

App = Application[Any, Any, Any, Any, Any, Any]
Ask = Callable[..., Awaitable[Any]]


async def shapes(ask: Ask) -> list[str]:
    updates = (await ask("getUpdates"))["result"]
    return [next(key for key in update if key != "update_id") for update in updates]


async def test_joining_and_leaving(server: BotApiServer, ask: Ask) -> None:
    ana, bob = server.person("Ana"), server.person("Bob")
    group = server.group("Team", members=[ana], bot="administrator")
    await ask("getUpdates", allowed_updates=["message", "chat_member"])
    await bob.joins(group)
    await bob.leaves(group)
    updates = (await ask("getUpdates"))["result"]
    assert [update["chat_member"]["new_chat_member"]["status"] for update in updates[::2]] == [
        "member",
        "left",
    ]
    assert updates[1]["message"]["new_chat_members"][0]["id"] == bob.id
    assert updates[3]["message"]["left_chat_member"]["id"] == bob.id


async def test_chat_member_updates_have_to_be_asked_for(server: BotApiServer, ask: Ask) -> None:
    bob = server.person("Bob")
    group = server.group("Team", bot="administrator")
    await bob.joins(group)
    assert await shapes(ask) == ["message"]


async def test_a_bot_outside_a_group_sees_nothing(server: BotApiServer, ask: Ask) -> None:
    ana = server.person("Ana")
    group = server.group("Team", members=[ana], bot="left")
    await group.says(ana, "/start")
    assert await shapes(ask) == []
    assert (await ask("sendMessage", chat_id=group.id, text="x"))["error_code"] == 403


async def test_a_document_can_be_fetched(server: BotApiServer, app: App) -> None:
    ana = server.person("Ana")
    await ana.private.sends_document(ana, "feeds.opml", b"<opml/>", caption="mine")
    (update,) = await app.bot.get_updates()
    assert update.message is not None
    assert update.message.document is not None
    assert (update.message.document.file_name, update.message.caption) == ("feeds.opml", "mine")
    file = await update.message.document.get_file()
    assert bytes(await file.download_as_bytearray()) == b"<opml/>"


async def test_several_clients_at_once(server: BotApiServer, app: App, other_app: App) -> None:
    ana = server.person("Ana")
    await app.bot.send_message(ana.id, "from one")
    await other_app.bot.send_message(ana.id, "from the other")
    assert [message.message_id for message in ana.private.from_bot] == [1, 2]


async def test_a_basic_group_moves_with_its_members(server: BotApiServer, ask: Ask) -> None:
    ana = server.person("Ana")
    group = server.group("Team", admins=[ana], supergroup=False)
    new = await group.migrate()
    member = await ask("getChatMember", chat_id=new.id, user_id=ana.id)
    assert member["result"]["status"] == "creator"
    with pytest.raises(BotApiError, match="migrates"):
        await new.migrate()


async def test_there_must_be_a_button_to_press(server: BotApiServer, app: App) -> None:
    ana = server.person("Ana")
    await app.bot.send_message(ana.id, "x")
    with pytest.raises(BotApiError, match="no button 'Go'"):
        await ana.clicks(ana.private.from_bot[0], "Go")


async def test_a_reply_in_a_topic_stays_there(server: BotApiServer, app: App) -> None:
    ana = server.person("Ana")
    forum = server.group("Forum", members=[ana], forum=True)
    news = await forum.topic("News")
    question = await forum.says(ana, "/list", topic=news)
    await app.bot.send_message(forum.id, "here", reply_to_message_id=question.message_id)
    assert forum.from_bot[0].topic_id == news.id
    with pytest.raises(BotApiError, match="not a forum"):
        await server.group("Plain", members=[ana]).topic("News")


async def test_captions_and_keyboards_are_edited_alone(
    server: BotApiServer, app: App, ask: Ask
) -> None:
    ana = server.person("Ana")
    photo = await app.bot.send_photo(ana.id, "https://example.org/a.png", caption="one")
    text = await app.bot.send_message(ana.id, "plain")
    await app.bot.edit_message_caption(ana.id, photo.message_id, caption="two")
    markup = {"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]}
    where = {"chat_id": ana.id, "message_id": text.message_id}
    assert (await ask("editMessageReplyMarkup", reply_markup=markup, **where))["ok"]
    refused = await ask("editMessageReplyMarkup", reply_markup=markup, **where)
    assert "message is not modified" in refused["description"]
    assert "no caption" in (await ask("editMessageCaption", caption="x", **where))["description"]
    picture = {"chat_id": ana.id, "message_id": photo.message_id}
    assert "no text" in (await ask("editMessageText", text="x", **picture))["description"]
    assert [message.text for message in ana.private.from_bot] == ["two", "plain"]
    assert ana.private.from_bot[1].buttons[0][0].data == "go"


async def test_a_message_people_deleted_cannot_be_edited_or_answered(
    server: BotApiServer, ask: Ask
) -> None:
    ana = server.person("Ana")
    await ask("sendMessage", chat_id=ana.id, text="x")
    await ana.private.deletes(ana.private.from_bot[0])
    edited = await ask("editMessageText", chat_id=ana.id, message_id=1, text="y")
    assert edited["description"] == "Bad Request: message to edit not found"
    answer = {"message_id": 1, "allow_sending_without_reply": True}
    sent = await ask("sendMessage", chat_id=ana.id, text="z", reply_parameters=answer)
    assert "reply_to_message" not in sent["result"]


async def test_a_demoted_administrator_is_a_member(server: BotApiServer, ask: Ask) -> None:
    ana, bob = server.person("Ana"), server.person("Bob")
    group = server.group("Team", admins=[ana, bob])
    await group.demotes(bob, by=ana)
    member = await ask("getChatMember", chat_id=group.id, user_id=bob.id)
    assert member["result"]["status"] == "member"


@pytest.mark.parametrize(("action", "ok"), [("typing", True), ("dancing", False)])
async def test_chat_actions(server: BotApiServer, ask: Ask, action: str, ok: bool) -> None:
    ana = server.person("Ana")
    assert (await ask("sendChatAction", chat_id=ana.id, action=action))["ok"] == ok


async def test_leaving_the_session_is_accepted(ask: Ask) -> None:
    for method in ("logOut", "close"):
        assert (await ask(method))["result"] is True
