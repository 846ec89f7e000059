"""Lists with buttons: pages, cards, removals, choices, and presses that come too late."""

import re
from typing import Any

import pytest
from telegram import Bot

from heraldo import keyboards, texts
from heraldo_sync.model import FeedLink
from heraldo_sync.notices import Notice, NoticeKind

URL = "https://example.org/feed.xml"


def labels(message: Any) -> list[str]:
    return [button.text for row in message.buttons for button in row]


async def many(scene: Any, count: int) -> None:
    for number in range(1, count + 1):
        await scene.follow(scene.owner.private, f"https://e.org/{number}", f"Feed {number:02}")


async def test_pages_are_turned_in_place(scene: Any) -> None:
    await many(scene, 17)
    message = await scene.ask("/list_subscriptions")
    assert "Subscriptions: 17 · page 1 of 3" in message.text
    assert re.findall(r"Feed \d\d", message.text) == [f"Feed {n:02}" for n in range(1, 9)]
    assert labels(message)[-2:] == ["Next \u203a", "Close"]
    await scene.owner.clicks(message, "Next \u203a")
    assert "page 2 of 3" in message.text
    assert labels(message)[8:] == ["\u2039 Previous", "Next \u203a", "Close"]
    await scene.owner.clicks(message, "Next \u203a")
    assert message.text.count("Feed") == 1
    assert "17. Feed 17" in message.text
    await scene.owner.clicks(message, "\u2039 Previous")
    assert "9. Feed 09" in message.text
    assert len(scene.owner.private.from_bot) == 1


async def test_card_and_removal(scene: Any) -> None:
    await many(scene, 9)
    message = await scene.ask("/list_subscriptions")
    await scene.owner.clicks(message, "Next \u203a")
    await scene.owner.clicks(message, "9. Feed 09")
    assert message.text.startswith("Feed 09\nhttps://e.org/9\n\nNot checked yet.\n\nFollowed since")
    assert labels(message) == ["Unsubscribe", "\u2039 Back", "Close"]
    await scene.owner.clicks(message, "Unsubscribe")
    assert message.text == "Stop following Feed 09?\nhttps://e.org/9"
    await scene.owner.clicks(message, "No, keep it")
    await scene.owner.clicks(message, "Unsubscribe")
    await scene.owner.clicks(message, "Yes, unsubscribe")
    assert message.text == "Done. This chat no longer follows Feed 09\nhttps://e.org/9"
    await scene.owner.clicks(message, "\u2039 Back to the list")
    assert "Subscriptions: 8" in message.text
    assert len(await scene.followed(scene.owner.private)) == 8


async def test_card_of_a_failing_feed(scene: Any) -> None:
    await scene.follow(scene.owner.private, URL, "Feed", error="It <stalled>.")
    message = await scene.ask("/list_subscriptions")
    await scene.owner.clicks(message, "1. ⚠️ Feed")
    assert "⚠️ Failing since 3 Nov 2026, 08:00 UTC: It <stalled>." in message.text
    assert "I keep trying, next at" in message.text


async def test_unsubscribe_with_buttons(scene: Any) -> None:
    await many(scene, 2)
    message = await scene.ask("/unsubscribe")
    assert message.text.startswith("Which one should I stop following?")
    await scene.owner.clicks(message, "2. Feed 02")
    await scene.owner.clicks(message, "Yes, unsubscribe")
    assert await scene.followed(scene.owner.private) == ["Feed 01"]


async def test_close_deletes_the_list(scene: Any) -> None:
    await many(scene, 1)
    message = await scene.ask("/list_subscriptions")
    await scene.owner.clicks(message, "Close")
    assert scene.owner.private.from_bot == []


async def test_close_of_what_cannot_be_deleted(scene: Any) -> None:
    await many(scene, 1)
    message = await scene.ask("/list_subscriptions")
    scene.api.faults.reject(
        400, "Bad Request: message can't be deleted for everyone", method="deleteMessage"
    )
    await scene.owner.clicks(message, "Close")
    assert message.text == texts.CLOSED
    assert not message.buttons


async def test_buttons_of_what_is_gone(scene: Any) -> None:
    await many(scene, 2)
    message = await scene.ask("/list_subscriptions")
    await scene.owner.clicks(message, "1. Feed 01")
    await scene.ask("/unsubscribe 1")
    answer = await scene.owner.clicks(message, "Unsubscribe")
    assert answer.text == texts.ALREADY_GONE
    assert answer.show_alert
    assert "Subscriptions: 1" in message.text


async def test_the_same_press_twice(scene: Any) -> None:
    await many(scene, 9)
    message = await scene.ask("/list_subscriptions")
    first = await scene.owner.presses(message, "Next \u203a")
    second = await scene.owner.presses(message, "Next \u203a")
    await scene.api.wait_until(lambda: bool(first.answer and second.answer))
    assert first.answer is not None
    assert first.answer.text == ""
    assert "9. Feed 09" in message.text


async def test_a_press_on_a_message_that_is_gone(scene: Any) -> None:
    await many(scene, 9)
    message = await scene.ask("/list_subscriptions")
    scene.api.faults.reject(400, "Bad Request: message to edit not found", method="editMessageText")
    answer = await scene.owner.clicks(message, "Next \u203a")
    assert answer.text == texts.STALE


async def test_presses_that_are_none_of_ours(scene: Any) -> None:
    await many(scene, 1)
    message = await scene.ask("/list_subscriptions")
    for number, data in enumerate(("/unsubscribe 7", "card:x", "fly:1", "remove:99999999999")):
        scene.api.inject(
            "callback_query",
            {
                "id": str(number),
                "from": scene.owner.user.to_json(),
                "message": message.to_json(),
                "chat_instance": "1",
                "data": data,
            },
        )
    await scene.api.wait_for_call("answerCallbackQuery", count=4)
    assert "Subscriptions: 1" in message.text


async def test_an_inaccessible_message(scene: Any) -> None:
    scene.api.inject(
        "callback_query",
        {
            "id": "5",
            "from": scene.owner.user.to_json(),
            "message": {"chat": scene.owner.private.state.to_json(), "message_id": 5, "date": 0},
            "chat_instance": "1",
            "data": "list:0",
        },
    )
    (call,) = await scene.api.wait_for_call("answerCallbackQuery")
    assert call.params["text"] == texts.STALE


async def test_strangers_cannot_press(scene: Any) -> None:
    stranger = scene.api.person("Sam")
    group = scene.api.group("Club", members=[scene.owner, stranger])
    await scene.follow(group, URL, "Feed")
    await group.says(scene.owner, "/unsubscribe")
    (message,) = await group.wait_for(1)
    answer = await stranger.clicks(message, "1. Feed")
    assert answer.text == texts.STRANGER_BUTTON
    assert "Which one" in message.text
    await scene.owner.clicks(message, "1. Feed")
    await stranger.clicks(message, "Yes, unsubscribe")
    assert await scene.followed(group) == ["Feed"]


async def test_another_chats_subscription_is_out_of_reach(scene: Any) -> None:
    group = scene.api.group("Club", members=[scene.owner])
    foreign = await scene.follow(group, URL, "Theirs")
    await many(scene, 1)
    message = await scene.ask("/list_subscriptions")
    scene.api.inject(
        "callback_query",
        {
            "id": "7",
            "from": scene.owner.user.to_json(),
            "message": message.to_json(),
            "chat_instance": "1",
            "data": f"remove:{foreign}:0",
        },
    )
    (call,) = await scene.api.wait_for_call("answerCallbackQuery")
    assert call.params["text"] == texts.ALREADY_GONE
    assert await scene.followed(group) == ["Theirs"]


async def offered(scene: Any) -> Any:
    """A message with choices, as the worker leaves it."""
    links = [FeedLink(url="https://e.org/a", title="<Posts>"), FeedLink(url="https://e.org/b")]
    message = await scene.ask("/subscribe e.org")
    message.text = texts.choices("https://e.org/", links)
    message.markup = keyboards.choices(links).to_dict()
    return message


async def test_a_choice_is_handed_on(scene: Any) -> None:
    message = await offered(scene)
    assert labels(message) == ["1. <Posts>", "2. https://e.org/b", "None of them"]
    answer = await scene.owner.clicks(message, "2. https://e.org/b")
    assert answer.text == ""
    assert message.text == texts.LOOKING_AT_CHOICE
    assert not message.buttons
    assert scene.requests.chosen == [
        {"chat_id": scene.owner.id, "message_id": message.message_id, "index": 1}
    ]


async def test_a_choice_that_has_expired(scene: Any) -> None:
    scene.requests.offered = 0
    message = await offered(scene)
    await scene.owner.clicks(message, "1. <Posts>")
    assert message.text == texts.STALE_CHOICE


async def test_failures_behind_a_button_are_told(scene: Any) -> None:
    await many(scene, 9)
    message = await scene.ask("/list_subscriptions")
    scene.api.faults.reject(400, "Bad Request: something odd", method="editMessageText")
    answer = await scene.owner.clicks(message, "Next \u203a")
    assert answer.text == texts.OUR_FAULT


async def test_a_failing_feed_can_be_checked_at_once(scene: Any) -> None:
    chat = scene.owner.private
    added = await scene.follow(chat, URL, "Blog", error="The server has a problem (503).")
    message = await scene.ask("/list_subscriptions")
    for button in ("1. ⚠️ Blog", "Check now"):
        press = await scene.owner.presses(message, button)
        await scene.api.wait_until(lambda press=press: bool(press.answer))
    assert message.text == texts.CHECKING
    assert scene.requests.checked == [{"chat_id": chat.id, "subscription_id": added}]


async def hold(scene: Any, subscription: int) -> None:
    """Four posts of a subscription are held."""
    await scene.pool.execute(
        "WITH e AS (INSERT INTO entries (feed_id, key, content, title, html)"
        " SELECT s.feed_id, sha256(n::text::bytea), sha256(''), 'held', ''"
        " FROM subscriptions s, generate_series(1, 4) n WHERE s.id = $1 RETURNING id)"
        " INSERT INTO deliveries (subscription_id, target_id, entry_id, status)"
        " SELECT s.id, s.target_id, e.id, 'held' FROM subscriptions s, e WHERE s.id = $1",
        subscription,
    )


async def ask_about_held(scene: Any, subscription: int) -> Any:
    """Four posts are held, and the question stands in the chat; returns its message."""
    await hold(scene, subscription)
    notice = Notice(
        kind=NoticeKind.HELD,
        subscription_id=subscription,
        feed_title="Blog",
        feed_url=URL,
        reason="4",
    )
    async with Bot(scene.api.token, base_url=f"{scene.api.base_url}/bot") as bot:
        await bot.send_message(
            scene.owner.private.id,
            texts.notice(notice),
            parse_mode="HTML",
            reply_markup=keyboards.notice(notice),
        )
    return scene.owner.private.from_bot[-1]


@pytest.mark.parametrize(
    ("button", "answer", "status"),
    [("Send them", "On its way: 4 held posts of", "waiting"), ("Skip them", "Skipped", "skipped")],
)
async def test_held_posts_are_sent_or_skipped(
    scene: Any, button: str, answer: str, status: str
) -> None:
    subscription = await scene.follow(scene.owner.private, URL, "Blog")
    message = await ask_about_held(scene, subscription)
    await scene.owner.clicks(message, button)
    assert message.text.startswith(answer)
    assert not message.buttons
    rows = await scene.pool.fetch("SELECT DISTINCT status FROM deliveries")
    assert [row["status"] for row in rows] == [status]


async def status_of(scene: Any, subscription: int) -> str:
    (row,) = await scene.pool.fetch(
        "SELECT DISTINCT status FROM deliveries WHERE subscription_id = $1", subscription
    )
    status: str = row["status"]
    return status


async def test_held_posts_can_be_asked_for_without_the_question(scene: Any) -> None:
    assert (await scene.ask("/held")).text == "Nothing is held back in this chat."
    blog = await scene.follow(scene.owner.private, URL, "Blog")
    news = await scene.follow(scene.owner.private, f"{URL}?n", "News")
    await hold(scene, blog)
    await hold(scene, news)
    message = await scene.ask("/held")
    assert "1. Blog\n" in message.text
    assert "4 posts, skipped" in message.text
    assert labels(message) == ["1. Send", "1. Skip", "2. Send", "2. Skip", "Close"]
    await scene.owner.clicks(message, "2. Skip")
    assert message.text.startswith("Skipped: 4 held posts of\n\nNews")
    assert "1. Blog" in message.text
    assert labels(message) == ["1. Send", "1. Skip", "Close"]
    await scene.owner.clicks(message, "1. Send")
    assert message.text.startswith("On its way: 4 held posts of\n\nBlog")
    assert message.text.endswith("Nothing is held back in this chat.")
    assert not message.buttons
    assert (await status_of(scene, blog), await status_of(scene, news)) == ("waiting", "skipped")


async def test_what_is_held_is_a_matter_of_the_chats_own_managers(scene: Any) -> None:
    member = scene.api.person("Sam")
    group = scene.api.group("Club", members=[scene.owner, member])
    held = await scene.follow(group, URL, "Blog")
    await hold(scene, held)
    assert (await scene.ask("/held")).text == "Nothing is held back in this chat."
    await group.says(member, "/held")
    await group.says(scene.owner, "/held")
    (message,) = await group.wait_for(1)
    answer = await member.clicks(message, "1. Send")
    assert answer.text == texts.STRANGER_BUTTON
    assert await status_of(scene, held) == "held"
    await scene.owner.clicks(message, "1. Skip")
    assert await status_of(scene, held) == "skipped"


async def test_many_feeds_with_held_posts(scene: Any) -> None:
    for number in range(10):
        await hold(scene, await scene.follow(scene.owner.private, f"{URL}?{number}", f"F{number}"))
    message = await scene.ask("/held")
    assert "8. F7" in message.text
    assert "… and 2 more feeds" in message.text
    await scene.owner.clicks(message, "1. Skip")
    assert "8. F8" in message.text
