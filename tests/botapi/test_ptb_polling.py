import asyncio
from typing import Any

import pytest
from telegram import (
    ChatMemberAdministrator,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaDocument,
    InputMediaPhoto,
    LinkPreviewOptions,
    Update,
)
from telegram.error import BadRequest, NetworkError
from telegram.ext import (
    Application,
    CallbackQueryHandler,
    ChatMemberHandler,
    CommandHandler,
    ContextTypes,
    MessageHandler,
    TypeHandler,
    filters,
)

from heraldo.botapi import BotApiServer

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 32
App = Application[Any, Any, Any, Any, Any, Any]
Context = ContextTypes.DEFAULT_TYPE


async def test_a_command_gets_its_reply(server: BotApiServer, polled: App) -> None:
    async def start(update: Update, context: Context) -> None:
        assert update.effective_message is not None
        await update.effective_message.reply_html(f"<b>Hello</b> {context.args}")

    polled.add_handler(CommandHandler("start", start))
    ana = server.person("Ana")
    await ana.says("/start one two")
    (reply,) = await ana.private.wait_for(1)
    assert reply.text == "Hello ['one', 'two']"
    assert reply.source.startswith("<b>Hello</b>")
    assert [entity.kind for entity in reply.entities] == ["bold"]


async def test_buttons_are_pressed_and_messages_edited(server: BotApiServer, polled: App) -> None:
    async def menu(update: Update, context: Context) -> None:
        assert update.effective_message is not None
        keyboard = InlineKeyboardMarkup(
            [[InlineKeyboardButton("Next", callback_data="page:2")]],
        )
        await update.effective_message.reply_text("page 1", reply_markup=keyboard)

    async def turn(update: Update, context: Context) -> None:
        assert update.callback_query is not None
        await update.callback_query.answer("turned")
        await update.callback_query.edit_message_text("page 2")

    polled.add_handler(CommandHandler("menu", menu))
    polled.add_handler(CallbackQueryHandler(turn, pattern=r"^page:"))
    ana = server.person("Ana")
    await ana.says("/menu")
    (message,) = await ana.private.wait_for(1)
    answer = await ana.clicks(message, "Next")
    await ana.private.wait_for(lambda each: each.text == "page 2")
    assert answer.text == "turned"
    assert message.history == ["page 1"]
    assert message.buttons == ()
    assert message.edited_at is not None


async def test_editing_to_the_same_is_refused(server: BotApiServer, app: App) -> None:
    ana = server.person("Ana")
    message = await app.bot.send_message(ana.id, "same")
    with pytest.raises(BadRequest, match="Message is not modified"):
        await app.bot.edit_message_text("same", ana.id, message.message_id)
    with pytest.raises(BadRequest, match="Message to edit not found"):
        await app.bot.edit_message_text("same", ana.id, 99)
    theirs = await ana.says("mine")
    with pytest.raises(BadRequest, match="Message can't be edited"):
        await app.bot.edit_message_text("same", ana.id, theirs.message_id)
    with pytest.raises(BadRequest, match="Message_too_long"):
        await app.bot.edit_message_text("x" * 4097, ana.id, message.message_id)
    assert message.text == ana.private.from_bot[0].text == "same"


async def test_deleted_messages_are_gone(server: BotApiServer, app: App) -> None:
    ana = server.person("Ana")
    message = await app.bot.send_message(ana.id, "soon gone")
    assert await app.bot.delete_message(ana.id, message.message_id)
    assert ana.private.from_bot == []
    assert [each.text for each in ana.private.deleted] == ["soon gone"]
    with pytest.raises(BadRequest, match="Message to delete not found"):
        await app.bot.delete_message(ana.id, message.message_id)


async def test_topics(server: BotApiServer, app: App) -> None:
    ana = server.person("Ana")
    forum = server.group("Forum", members=[ana], forum=True)
    news = await forum.topic("News")
    sent = await app.bot.send_message(forum.id, "in the topic", message_thread_id=news.id)
    assert (sent.is_topic_message, sent.message_thread_id) == (True, news.id)
    assert [message.text for message in news.messages] == ["in the topic"]
    for wrong in (1, 4711):
        with pytest.raises(BadRequest, match="Message thread not found"):
            await app.bot.send_message(forum.id, "lost", message_thread_id=wrong)
    await news.closes(ana)
    with pytest.raises(BadRequest, match="Topic_closed"):
        await app.bot.send_message(forum.id, "shut", message_thread_id=news.id)
    await news.reopens(ana)
    await app.bot.send_message(forum.id, "open", message_thread_id=news.id)
    await news.is_deleted()
    with pytest.raises(BadRequest, match="Message thread not found"):
        await app.bot.send_message(forum.id, "gone", message_thread_id=news.id)
    await forum.promotes_bot(ana)
    created = await app.bot.create_forum_topic(forum.id, "By the bot")
    assert await app.bot.close_forum_topic(forum.id, created.message_thread_id)
    assert await app.bot.reopen_forum_topic(forum.id, created.message_thread_id)
    assert await app.bot.delete_forum_topic(forum.id, created.message_thread_id)


async def test_pictures_by_address_and_by_upload(server: BotApiServer, app: App) -> None:
    ana = server.person("Ana")
    by_url = await app.bot.send_photo(
        ana.id, "https://example.org/a.png", caption="<i>one</i>", parse_mode="HTML"
    )
    assert by_url.caption == "one"
    uploaded = await app.bot.send_photo(ana.id, PNG, caption="two")
    file = await uploaded.photo[-1].get_file()
    assert bytes(await file.download_as_bytearray()) == PNG
    again = await app.bot.send_photo(ana.id, uploaded.photo[-1].file_id)
    assert again.photo[-1].file_id == uploaded.photo[-1].file_id
    server.refuse_media("https://dead.example/")
    with pytest.raises(BadRequest, match="Failed to get http url content"):
        await app.bot.send_photo(ana.id, "https://dead.example/a.png")
    with pytest.raises(BadRequest, match="Image_process_failed"):
        await app.bot.send_photo(ana.id, b"<html>")
    with pytest.raises(BadRequest, match="Message caption is too long"):
        await app.bot.send_photo(ana.id, "https://example.org/a.png", caption="x" * 1025)
    for send in (app.bot.send_video, app.bot.send_audio, app.bot.send_animation):
        assert (await send(ana.id, "https://example.org/file")).message_id
    document = await app.bot.send_document(ana.id, b"<opml/>", filename="feeds.opml")
    assert document.document is not None
    assert document.document.file_name == "feeds.opml"


async def test_albums(server: BotApiServer, app: App) -> None:
    ana = server.person("Ana")
    urls = [f"https://example.org/{number}.png" for number in range(10)]
    sent = await app.bot.send_media_group(
        ana.id,
        [InputMediaPhoto(urls[0], caption="<b>first</b>", parse_mode="HTML"), InputMediaPhoto(PNG)],
    )
    assert len({message.media_group_id for message in sent}) == 1
    assert [message.caption for message in sent] == ["first", None]
    too_many = [InputMediaPhoto(url) for url in [*urls, *urls]]
    with pytest.raises(BadRequest, match="Too many messages to send as an album"):
        await app.bot.send_media_group(ana.id, too_many)
    with pytest.raises(BadRequest, match="2-10"):
        await app.bot.send_media_group(ana.id, too_many[:1])
    mixed = [InputMediaPhoto(urls[0]), InputMediaDocument(urls[1])]
    with pytest.raises(BadRequest, match="can't be mixed"):
        await app.bot.send_media_group(ana.id, mixed)
    server.refuse_media(urls[1])
    with pytest.raises(BadRequest, match="Failed to get http url content"):
        await app.bot.send_media_group(ana.id, [InputMediaPhoto(url) for url in urls[:2]])
    assert len(ana.private.from_bot) == 2


async def test_members_and_administrators(server: BotApiServer, app: App) -> None:
    ana, bob, eve = (server.person(name) for name in ("Ana", "Bob", "Eve"))
    group = server.group("Team", members=[ana, bob, eve], admins=[ana])
    assert (await app.bot.get_chat_member(group.id, ana.id)).status == "creator"
    assert (await app.bot.get_chat_member(group.id, bob.id)).status == "member"
    await group.promotes(bob)
    member = await app.bot.get_chat_member(group.id, bob.id)
    assert isinstance(member, ChatMemberAdministrator)
    await eve.leaves(group)
    assert (await app.bot.get_chat_member(group.id, eve.id)).status == "left"
    admins = await app.bot.get_chat_administrators(group.id)
    assert {admin.user.id for admin in admins} == {ana.id, bob.id}
    assert await app.bot.get_chat_member_count(group.id) == 3
    with pytest.raises(BadRequest, match="User not found"):
        await app.bot.get_chat_member(group.id, 5)
    chat = await app.bot.get_chat(group.id)
    assert (chat.type, chat.title) == ("supergroup", "Team")
    with pytest.raises(BadRequest, match="There are no administrators in the private chat"):
        await app.bot.get_chat_administrators(ana.id)


async def test_channels(server: BotApiServer, polled: App) -> None:
    seen: list[str] = []

    async def post(update: Update, context: Context) -> None:
        assert update.channel_post is not None
        seen.append(update.channel_post.text or "")
        await context.bot.send_message(update.channel_post.chat_id, "noted")

    polled.add_handler(MessageHandler(filters.UpdateType.CHANNEL_POST, post))
    ana = server.person("Ana")
    channel = server.channel("News", admins=[ana])
    await channel.posts("first")
    (reply,) = await channel.wait_for(1)
    await channel.demotes_bot(ana)
    with pytest.raises(BadRequest, match="Need administrator rights in the channel chat"):
        await polled.bot.send_message(channel.id, "no")
    assert (seen, reply.text, reply.sender) == (["first"], "noted", None)


async def test_being_added_removed_and_blocked_is_told(server: BotApiServer, polled: App) -> None:
    changes: asyncio.Queue[tuple[int, str, str]] = asyncio.Queue()

    async def changed(update: Update, context: Context) -> None:
        assert update.my_chat_member is not None
        change = update.my_chat_member
        changes.put_nowait(
            (change.chat.id, change.old_chat_member.status, change.new_chat_member.status)
        )

    polled.add_handler(ChatMemberHandler(changed, ChatMemberHandler.MY_CHAT_MEMBER))
    ana = server.person("Ana")
    group = server.group("Team", members=[ana], bot="left")
    await group.adds_bot(ana)
    await group.promotes_bot(ana)
    await group.removes_bot(ana)
    await ana.blocks()
    await ana.unblocks()
    assert [await changes.get() for _ in range(5)] == [
        (group.id, "left", "member"),
        (group.id, "member", "administrator"),
        (group.id, "administrator", "kicked"),
        (ana.id, "member", "kicked"),
        (ana.id, "kicked", "member"),
    ]


async def test_edits_of_people_and_unknown_shapes_do_not_stop_the_bot(
    server: BotApiServer,
    polled: App,
) -> None:
    shapes: asyncio.Queue[str] = asyncio.Queue()

    async def any_update(update: Update, context: Context) -> None:
        shapes.put_nowait("edited" if update.edited_message else "other")

    polled.add_handler(TypeHandler(Update, any_update))
    ana = server.person("Ana")
    message = await ana.says("frist")
    await ana.private.edits(message, "first")
    server.inject("something_from_the_future", {"id": 1})
    await ana.says("still there?")
    seen = [await shapes.get() for _ in range(4)]
    assert seen == ["other", "edited", "other", "other"]


async def test_commands_are_kept_by_scope_and_language(server: BotApiServer, app: App) -> None:
    from telegram import BotCommandScopeAllGroupChats, BotCommandScopeChat

    ana = server.person("Ana")
    await app.bot.set_my_commands([("start", "Start")])
    await app.bot.set_my_commands([("start", "Empezar")], language_code="es")
    await app.bot.set_my_commands([("list", "List")], scope=BotCommandScopeAllGroupChats())
    await app.bot.set_my_commands([("own", "Own")], scope=BotCommandScopeChat(ana.id))
    assert [each.description for each in await app.bot.get_my_commands()] == ["Start"]
    spanish = await app.bot.get_my_commands(language_code="es")
    assert [each.description for each in spanish] == ["Empezar"]
    own = await app.bot.get_my_commands(scope=BotCommandScopeChat(ana.id))
    assert [each.command for each in own] == ["own"]
    await app.bot.delete_my_commands(language_code="es")
    assert await app.bot.get_my_commands(language_code="es") == ()
    with pytest.raises(BadRequest, match="Bot_command_invalid"):
        await app.bot.set_my_commands([("Not Good", "x")])


async def test_preview_reply_silence_and_protection_are_kept(
    server: BotApiServer, app: App
) -> None:
    ana = server.person("Ana")
    question = await ana.says("what?")
    await app.bot.send_message(
        ana.id,
        "that",
        link_preview_options=LinkPreviewOptions(is_disabled=True),
        reply_to_message_id=question.message_id,
        disable_notification=True,
        protect_content=True,
    )
    (answer,) = ana.private.from_bot
    assert answer.link_preview == {"is_disabled": True}
    assert answer.reply_to is question
    assert (answer.silent, answer.protected) == (True, True)
    with pytest.raises(BadRequest, match="Message to be replied not found"):
        await app.bot.send_message(ana.id, "that", reply_to_message_id=99)


@pytest.mark.parametrize("how", ["refused", "bad gateway"])
async def test_polling_survives_an_outage(server: BotApiServer, polled: App, how: Any) -> None:
    async def echo(update: Update, context: Context) -> None:
        assert update.effective_message is not None
        await update.effective_message.reply_text("here")

    polled.add_handler(MessageHandler(filters.TEXT, echo))
    ana = server.person("Ana")
    await server.wait_until(lambda: server.world.updates.is_polled)
    await server.down(how)
    with pytest.raises(NetworkError):
        await polled.bot.send_message(ana.id, "not now")
    await ana.says("anybody?")
    await server.up()
    await ana.private.wait_for(1)
    assert [message.text for message in ana.private.from_bot] == ["here"]


async def test_a_second_poller_takes_over(server: BotApiServer, app: App, other_app: App) -> None:
    from telegram.error import Conflict

    first = asyncio.create_task(app.bot.get_updates(timeout=30))
    await server.wait_until(lambda: server.world.updates.is_polled)
    second = asyncio.create_task(other_app.bot.get_updates(timeout=30))
    with pytest.raises(Conflict, match="terminated by other getUpdates request"):
        await first
    await server.person("Ana").says("hi")
    assert [update.update_id for update in await second] == [1]
