"""What Telegram refuses is refused, in Telegram's words."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from telegram.error import BadRequest
from telegram.ext import Application

from heraldo.botapi import BotApiServer, Chat

App = Application[Any, Any, Any, Any, Any, Any]
Ask = Callable[..., Awaitable[Any]]


async def refusal(ask: Ask, method: str, **parameters: object) -> str:
    body = await ask(method, **parameters)
    assert not body["ok"]
    return str(body["description"])


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("x" * 4096, True),
        ("x" * 4097, False),
        ("😀" * 2048, True),
        ("😀" * 2048 + "x", False),
        ("<b>" + "x" * 4096 + "</b>", True),
        ("<b>" + "x" * 4097 + "</b>", False),
        ("&lt;" * 4096, True),
        (" \n" + "x" * 4096 + "  \n", True),
    ],
)
async def test_the_length_counts_utf16_after_parsing(
    server: BotApiServer, app: App, text: str, fits: bool
) -> None:
    ana = server.person("Ana")
    if fits:
        await app.bot.send_message(ana.id, text, parse_mode="HTML")
        assert len(ana.private.from_bot) == 1
    else:
        with pytest.raises(BadRequest, match="Message is too long"):
            await app.bot.send_message(ana.id, text, parse_mode="HTML")
        assert ana.private.from_bot == []


@pytest.mark.parametrize(("length", "fits"), [(512, True), (513, False)])
async def test_captions_are_shorter(
    server: BotApiServer, app: App, length: int, fits: bool
) -> None:
    ana = server.person("Ana")
    photo, caption = "https://example.org/a.png", "😀" * length
    if fits:
        await app.bot.send_photo(ana.id, photo, caption=caption)
    else:
        with pytest.raises(BadRequest, match="Message caption is too long"):
            await app.bot.send_photo(ana.id, photo, caption=caption)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"text": ""}, "Message text is empty"),
        ({}, "Message text is empty"),
        ({"text": "  \n"}, "Text must be non-empty"),
        ({"text": "<b> </b>", "parse_mode": "HTML"}, "Text must be non-empty"),
        ({"text": "x", "parse_mode": "MarkdownV2"}, "Unsupported parse_mode"),
        ({"text": "x", "parse_mode": "BBCode"}, "Unsupported parse_mode"),
        (
            {"text": "<p>x</p>", "parse_mode": "html"},
            'Can\'t parse entities: unsupported start tag "p" at byte offset 0',
        ),
        ({"text": "x", "entities": [{"type": "bold", "offset": 5, "length": 1}]}, "Entity begins"),
        ({"text": "x", "entities": [{"type": "bold", "offset": 0, "length": 9}]}, "Entity beginn"),
        ({"text": "x", "entities": [{"type": "blink", "offset": 0, "length": 1}]}, "Unsupported"),
        (
            {"text": "x", "entities": [{"type": "text_link", "offset": 0, "length": 1}]},
            'Can\'t find field "url"',
        ),
        ({"text": "x", "reply_parameters": {"quote": "x"}}, 'Can\'t find field "message_id"'),
        ({"text": "x", "link_preview_options": {"url": "nowhere"}}, "Webpage_url_invalid"),
        ({"text": "x", "reply_markup": "{"}, "Can't parse reply markup JSON object"),
        ({"text": "x", "message_thread_id": 7}, "Message thread not found"),
    ],
)
async def test_wrong_messages(
    server: BotApiServer, ask: Ask, parameters: dict[str, object], reason: str
) -> None:
    ana = server.person("Ana")
    words = await refusal(ask, "sendMessage", chat_id=ana.id, **parameters)
    assert reason.lower() in words.lower()
    assert ana.private.from_bot == []


@pytest.mark.parametrize(
    ("chat_id", "reason"),
    [
        ("", "Bad Request: chat_id is empty"),
        ("0", "Bad Request: chat not found"),
        ("-1", "Bad Request: chat not found"),
        ("@nobody_at_all", "Bad Request: chat not found"),
        ("not a chat", "Bad Request: chat not found"),
    ],
)
async def test_wrong_chats(ask: Ask, chat_id: str, reason: str) -> None:
    assert await refusal(ask, "sendMessage", chat_id=chat_id, text="x") == reason


BUTTON_PROBLEMS: list[tuple[object, str]] = [
    ({"text": "a", "callback_data": "x" * 65}, "Button_data_invalid"),
    ({"text": "a", "callback_data": "é" * 33}, "Button_data_invalid"),
    ({"text": "a", "callback_data": ""}, "Text buttons are unallowed in the inline keyboard"),
    ({"text": "a"}, "Text buttons are unallowed in the inline keyboard"),
    ({"callback_data": "x"}, 'Can\'t find field "text"'),
    ({"text": "", "callback_data": "x"}, "must be non-empty"),
    ({"text": 5, "callback_data": "x"}, 'Field "text" must be of type String'),
    ({"text": "a", "callback_data": "x", "url": "https://example.org"}, "exactly one"),
    ({"text": "a", "url": "nowhere"}, "URL 'nowhere' is invalid: Wrong HTTP URL"),
    ({"text": "a", "url": "http://localhost/"}, "is invalid: Wrong HTTP URL"),
    ({"text": "a", "url": "ftp://example.org"}, "Unsupported URL protocol"),
    ({"text": "a", "web_app": {"url": "http://example.org"}}, "Only HTTPS links are allowed"),
    ({"text": "a", "copy_text": {"text": ""}}, "Button_copy_text_invalid"),
    ({"text": "a", "pay": True}, "Button_type_invalid"),
    ("a", "expected an Object"),
]


@pytest.mark.parametrize(("button", "reason"), BUTTON_PROBLEMS)
async def test_wrong_buttons(server: BotApiServer, ask: Ask, button: object, reason: str) -> None:
    ana = server.person("Ana")
    markup = {"inline_keyboard": [[button]]}
    words = await refusal(ask, "sendMessage", chat_id=ana.id, text="x", reply_markup=markup)
    assert reason.lower() in words.lower()


async def test_keyboards_at_their_limits(server: BotApiServer, ask: Ask) -> None:
    ana = server.person("Ana")
    button = {"text": "a", "callback_data": "x" * 64}
    for rows, fits in (([[button] * 8] * 12 + [[button] * 4], True), ([[button]] * 101, False)):
        parameters = {"chat_id": ana.id, "text": "x", "reply_markup": {"inline_keyboard": rows}}
        if fits:
            await ask("sendMessage", **parameters)
        else:
            assert "too long" in await refusal(ask, "sendMessage", **parameters)
    for own in (
        {"keyboard": [["A"], [{"text": "B"}]], "resize_keyboard": True},
        {"remove_keyboard": True},
        {"force_reply": True, "selective": True},
    ):
        parameters = {"chat_id": ana.id, "text": "y", "reply_markup": own}
        await ask("sendMessage", **parameters)
        assert ana.private.from_bot[-1].keyboard == own
    wrong = {"chat_id": ana.id, "text": "y", "reply_markup": {"force_reply": "yes"}}
    assert await refusal(ask, "sendMessage", **wrong) == (
        'Bad Request: field "force_reply" must be of type Boolean'
    )


async def test_who_may_not_be_written_to(server: BotApiServer, app: App, ask: Ask) -> None:
    ana, stranger = server.person("Ana"), server.person("Eve", started=False)
    robot = server.person("Robot", is_bot=True)
    group = server.group("Team", members=[ana])
    basic = server.group("Old", members=[ana], supergroup=False)

    async def words(chat_id: int) -> str:
        return await refusal(ask, "sendMessage", chat_id=chat_id, text="x")

    assert await words(stranger.id) == ("Forbidden: bot can't initiate conversation with a user")
    assert await words(robot.id) == "Forbidden: bots can't send messages to bots"
    await ana.blocks()
    assert await words(ana.id) == "Forbidden: bot was blocked by the user"
    await ana.unblocks()
    await ana.deletes_account()
    assert await words(ana.id) == "Forbidden: user is deactivated"
    await group.mutes_bot(ana)
    assert (
        await words(group.id) == "Bad Request: not enough rights to send text messages to the chat"
    )
    await group.removes_bot(ana)
    assert await words(group.id) == "Forbidden: bot was kicked from the supergroup chat"
    assert await app.bot.leave_chat(basic.id)
    assert await words(basic.id) == "Forbidden: bot is not a member of the group chat"


async def test_a_group_that_became_a_supergroup(server: BotApiServer, app: App) -> None:
    from telegram.error import ChatMigrated

    ana = server.person("Ana")
    group = server.group("Team", members=[ana], supergroup=False)
    new = await group.migrate()
    with pytest.raises(ChatMigrated) as caught:
        await app.bot.send_message(group.id, "x")
    assert caught.value.new_chat_id == new.id
    await app.bot.send_message(new.id, "x")
    updates = await app.bot.get_updates()
    assert [each.message and each.message.migrate_to_chat_id for each in updates] == [new.id, None]
    assert [each.message and each.message.migrate_from_chat_id for each in updates] == [
        None,
        group.id,
    ]


async def test_a_button_is_answered_once_and_in_time(
    server: BotApiServer, app: App, ask: Ask
) -> None:
    ana = server.person("Ana")
    markup = {"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]}
    sent = {"chat_id": ana.id, "text": "x", "reply_markup": json.dumps(markup)}
    await ask("sendMessage", **sent)
    callback = await ana.presses(ana.private.from_bot[0], "Go")
    assert await app.bot.answer_callback_query(callback.id)
    for number in (callback.id, "4711"):
        with pytest.raises(BadRequest, match="Query is too old and response timeout expired"):
            await app.bot.answer_callback_query(number)


@pytest.mark.parametrize(
    ("text", "reaches"),
    [
        ("hello", False),
        ("/go", True),
        ("/go@heraldo_test_bot now", True),
        ("/go@another_bot", False),
        ("hello @heraldo_test_bot", True),
    ],
)
async def test_privacy_mode_in_groups(
    server: BotApiServer, app: App, text: str, reaches: bool
) -> None:
    ana = server.person("Ana")
    group: Chat = server.group("Team", members=[ana])
    await group.says(ana, text)
    assert bool(await app.bot.get_updates()) == reaches


async def test_replies_and_administrators_pass_privacy_mode(server: BotApiServer, app: App) -> None:
    ana = server.person("Ana")
    group = server.group("Team", members=[ana])
    await app.bot.send_message(group.id, "which feed?")
    await group.says(ana, "that one", reply_to=group.from_bot[0])
    await group.promotes_bot(ana)
    await group.says(ana, "anything")
    texts = [each.message.text for each in await app.bot.get_updates() if each.message]
    assert texts == ["that one", "anything"]
