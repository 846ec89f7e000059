"""Conversations with the bot, as people have them."""

from typing import Any

import pytest
from telegram import Bot, BotCommandScopeAllPrivateChats

from heraldo import texts
from heraldo.application import set_commands
from heraldo_sync.errors import quoted

URL = "https://example.org/feed.xml"


async def test_start_and_help(scene: Any) -> None:
    assert "I follow RSS" in (await scene.ask("/start")).text
    assert "/list_subscriptions" in (await scene.ask("/help")).text


@pytest.mark.parametrize(
    "said",
    [
        f"/subscribe {URL}",
        f"/subscribe@heraldo_test_bot {URL}",
        f"/SUBSCRIBE   {URL}\n",
        "/subscribe example.org/feed.xml",
        f"/subscribe Look at this: {URL}",
        URL,
        "example.org/feed.xml",
        f"A shared page {URL}",
    ],
)
async def test_subscribe_in_one_go(scene: Any, said: str) -> None:
    answer = await scene.ask(said)
    assert answer.text == f"Looking at {URL} …"
    await scene.api.wait_until(lambda: bool(scene.requests.asked))
    (asked,) = scene.requests.asked
    assert asked["url"] == URL
    assert asked["chat_id"] == scene.owner.id
    assert asked["topic_id"] == 0
    assert asked["reply_message_id"] == answer.message_id


async def test_subscribe_asks_for_the_address(scene: Any) -> None:
    assert (await scene.ask("/subscribe")).text.startswith("Which feed?")
    assert (await scene.ask("example.org")).text == "Looking at https://example.org/ …"


async def test_a_wrong_answer_may_be_corrected(scene: Any) -> None:
    await scene.ask("/subscribe")
    answer = await scene.ask("ftp://example.org/x")
    assert "is not a web address" in answer.text
    assert answer.text.endswith(texts.TRY_AGAIN)
    assert (await scene.ask("example.org")).text == "Looking at https://example.org/ …"


async def test_another_command_cancels_the_question(scene: Any) -> None:
    await scene.ask("/subscribe")
    await scene.ask("/help")
    assert (await scene.ask("hello")).text.startswith("I follow feeds")
    assert (await scene.ask("/cancel")).text == texts.NOTHING_TO_CANCEL


async def test_cancel(scene: Any) -> None:
    await scene.ask("/subscribe")
    assert (await scene.ask("/cancel")).text == texts.CANCELLED
    assert (await scene.ask("/cancel")).text == texts.NOTHING_TO_CANCEL


async def test_a_wrong_address_is_explained(scene: Any) -> None:
    answer = await scene.ask("/subscribe <b>no</b> & such")
    assert f"{quoted('<b>no</b> & such')} is not a web address" in answer.text
    assert scene.requests.asked == []


async def test_credentials_are_not_shown(scene: Any) -> None:
    answer = await scene.ask("/subscribe https://me:s3cret@example.org/feed?token=abc&x=1")
    assert answer.text == "Looking at https://example.org/feed?token=…&x=1 …"
    await scene.api.wait_until(lambda: bool(scene.requests.asked))
    assert scene.requests.urls == ["https://example.org/feed?token=abc&x=1"]


async def test_subscribing_twice_says_so(scene: Any) -> None:
    await scene.follow(scene.owner.private, URL, "<i>News</i> & more")
    answer = await scene.ask(f"/subscribe {URL}")
    assert answer.text == f"This chat already follows <i>News</i> & more\n{URL}"


async def test_folding_is_switched_on_and_off(scene: Any) -> None:
    assert "Folding is off" in (await scene.ask("/fold")).text
    assert "Folding is on" in (await scene.ask("/fold ON")).text
    assert "Folding is on" in (await scene.ask("/fold")).text
    assert (await scene.ask("/fold maybe")).text == "Write /fold on or /fold off."
    assert "Folding is off" in (await scene.ask("/fold off")).text


async def test_strangers_and_members_cannot_switch_folding(scene: Any) -> None:
    stranger = scene.api.person("Sam")
    await stranger.says("/fold on")
    (answer,) = await stranger.private.wait_for(1)
    assert "This bot is private" in answer.text
    group = scene.api.group("Club", members=[scene.owner, stranger])
    await group.says(stranger, "/fold on")
    await group.says(scene.owner, "/fold")
    (answer,) = await group.wait_for(1)
    assert "Folding is off" in answer.text


async def test_what_was_folded_is_told(scene: Any) -> None:
    added = await scene.follow(scene.owner.private, URL, "News")
    await scene.pool.execute(
        "WITH e AS (INSERT INTO entries (feed_id, key, content, title, html)"
        " SELECT s.feed_id, sha256(n::text::bytea), sha256(''), '', ''"
        " FROM subscriptions s, generate_series(1, 4) n WHERE s.id = $1 RETURNING id)"
        " INSERT INTO deliveries (subscription_id, target_id, entry_id, status)"
        " SELECT s.id, s.target_id, e.id, 'folded' FROM subscriptions s, e WHERE s.id = $1",
        added,
    )
    assert "So far: 4 posts folded." in (await scene.ask("/fold")).text
    listed = await scene.ask("/list_subscriptions")
    await scene.owner.clicks(listed, "1. News")
    assert "Not sent, because another feed had brought them: 4 posts." in listed.text


async def test_a_feed_that_has_ended_is_shown_so_and_can_be_begun_anew(scene: Any) -> None:
    await scene.follow(scene.owner.private, URL, "News", error="gone (410)")
    await scene.pool.execute("UPDATE feeds SET ended_at = now(), next_check_at = 'infinity'")
    listed = await scene.ask("/list_subscriptions")
    assert "Gone for good" in listed.text
    press = await scene.owner.presses(listed, "1. ⚠️ News")
    await scene.api.wait_until(lambda: bool(press.answer))
    assert "I do not check it any more" in listed.text
    await scene.ask(f"/subscribe {URL}")
    await scene.api.wait_until(lambda: bool(scene.requests.urls))
    assert scene.requests.urls == [URL]


async def test_unknown_commands_and_talk(scene: Any) -> None:
    assert (await scene.ask("/subscribeXYZ http://x.org")).text == texts.UNKNOWN_COMMAND
    assert (await scene.ask("how are you?")).text.startswith("I follow feeds")


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("192.0.2.7:8000/feed", True),
        ("sub.example.co.uk", True),
        ("bücher.example?a=1", True),
        ("3.14", False),
        ("me@example.org", False),
        ("well... yes", False),
        ("and/or", False),
    ],
)
async def test_what_counts_as_a_bare_address(scene: Any, said: str, address: bool) -> None:
    answer = await scene.ask(said)
    assert answer.text.startswith("Looking at https://" if address else "I follow feeds")


async def test_the_menu_of_commands(scene: Any, caplog: pytest.LogCaptureFixture) -> None:
    bot = Bot(scene.api.token, base_url=f"{scene.api.base_url}/bot")
    scene.api.faults.reject(400, "Bad Request: no", method="setMyCommands")
    async with bot:
        await set_commands(bot)
        assert "command menu not set" in caplog.text
        await set_commands(bot)
        menu = await bot.get_my_commands(scope=BotCommandScopeAllPrivateChats())
    assert [command.command for command in menu] == [name for name, _ in texts.COMMANDS]


async def test_commands_for_other_bots_are_ignored(scene: Any) -> None:
    await scene.owner.says(f"/subscribe@other_bot {URL}")
    assert (await scene.ask("/cancel")).text == texts.NOTHING_TO_CANCEL
    assert len(scene.owner.private.from_bot) == 1
    assert scene.requests.asked == []


async def test_an_edited_command_is_not_run_again(scene: Any) -> None:
    said = await scene.owner.says("/help")
    await scene.owner.private.wait_for(1)
    await scene.owner.private.edits(said, "/start")
    assert (await scene.ask("/cancel")).text == texts.NOTHING_TO_CANCEL
    assert len(scene.owner.private.from_bot) == 2


async def test_a_document_in_private_gets_a_hint(scene: Any) -> None:
    await scene.owner.private.sends_document(scene.owner, "a.txt", b"x")
    (answer,) = await scene.owner.private.wait_for(1)
    assert answer.text.startswith("I follow feeds")


async def test_list_is_empty_at_first(scene: Any) -> None:
    answer = await scene.ask("/list_subscriptions")
    assert answer.text.startswith("This chat follows nothing yet.")
    assert not answer.buttons


async def test_list_shows_titles_and_states(scene: Any) -> None:
    chat = scene.owner.private
    await scene.follow(chat, URL, "A <b>bold</b> & hostile title")
    await scene.follow(chat, "https://b.org/", "Broken", error="The server said <404> & left.")
    answer = await scene.ask("/list_subscriptions")
    assert answer.text == (
        "Subscriptions: 2\n\n"
        "1. A <b>bold</b> & hostile title\nNot checked yet\n\n"
        "2. Broken\n⚠️ Failing since 3 Nov 2026, 08:00 UTC: The server said <404> & left."
    )
    labels = [button.text for row in answer.buttons for button in row]
    assert labels == ["1. A <b>bold</b> & hostile title", "2. ⚠️ Broken", "Close"]
    assert answer.link_preview == {"is_disabled": True}


@pytest.mark.parametrize("argument", ["2", "#2", "https://b.org/", "b.org"])
async def test_unsubscribe_by_number_or_address(scene: Any, argument: str) -> None:
    for letter in "abc":
        await scene.follow(scene.owner.private, f"https://{letter}.org/", f"Feed {letter}")
    answer = await scene.ask(f"/unsubscribe {argument}")
    assert answer.text == "Done. This chat no longer follows Feed b\nhttps://b.org/"
    assert await scene.followed(scene.owner.private) == ["Feed a", "Feed c"]


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("0", "There is no number 0: the list goes from 1 to 1."),
        ("2", "There is no number 2: the list goes from 1 to 1."),
        ("other.org", "This chat does not follow https://other.org/"),
        ("no such thing", f"{quoted('no such thing')} is not a web address."),
    ],
)
async def test_unsubscribe_from_what_is_not_there(scene: Any, argument: str, reply: str) -> None:
    await scene.follow(scene.owner.private, URL, "Feed")
    assert (await scene.ask(f"/unsubscribe {argument}")).text.startswith(reply)
    assert await scene.followed(scene.owner.private) == ["Feed"]


async def test_failures_on_our_side_are_owned_up_to(
    scene: Any, caplog: pytest.LogCaptureFixture
) -> None:
    scene.requests.failure = RuntimeError("the database is away")
    await scene.owner.says(f"/subscribe {URL}")
    messages = await scene.owner.private.wait_for(2)
    assert messages[1].text == texts.OUR_FAULT
    record = next(record for record in caplog.records if record.message == "update failed")
    assert vars(record)["chat_id"] == scene.owner.id
    assert URL not in record.getMessage()
    scene.requests.failure = None
    await scene.ask(f"/subscribe {URL}")


async def test_a_flooded_chat_gets_no_apology(scene: Any) -> None:
    scene.api.faults.retry_after(30, method="sendMessage")
    await scene.owner.says("/help")
    await scene.api.wait_for_call("sendMessage")
    assert "I follow RSS" in (await scene.ask("/start")).text
    assert len(scene.owner.private.from_bot) == 1


async def test_unknown_updates_do_not_make_the_bot_deaf(scene: Any) -> None:
    scene.api.inject("message", {"message_id": "seven", "chat": 3})
    scene.api.inject("message", {"date": 1})
    scene.api.inject("telepathy", {"from": "the future"})
    scene.api.inject("message", {"message_id": 1, "date": 1, "chat": {"id": 5, "type": "hive"}})
    assert "I follow RSS" in (await scene.ask("/start")).text
