"""Groups, topics, channels, and who may command there."""

import logging
from typing import Any

import pytest

from heraldo import texts

URL = "https://example.org/feed.xml"


async def test_a_stranger_is_turned_away_politely(scene: Any) -> None:
    stranger = scene.api.person("Sam")
    await stranger.says(f"/subscribe {URL}")
    (answer,) = await stranger.private.wait_for(1)
    assert answer.text == (
        f"This bot is private. Your Telegram id is {stranger.id}; if the bot is yours, "
        f"set OWNER_TELEGRAM_ID={stranger.id} and start it again."
    )
    assert scene.requests.asked == []


async def test_strangers_in_a_group_are_ignored(scene: Any) -> None:
    stranger = scene.api.person("Sam")
    group = scene.api.group("Club", members=[scene.owner, stranger])
    await group.says(stranger, f"/subscribe {URL}")
    await group.says(scene.owner, "/help")
    (answer,) = await group.wait_for(1)
    assert answer.text.startswith("What I can do")
    assert scene.requests.asked == []


async def test_the_owner_subscribes_a_group(scene: Any) -> None:
    group = scene.api.group("Club", members=[scene.owner])
    await group.says(scene.owner, f"/subscribe@heraldo_test_bot {URL}")
    await scene.api.wait_until(lambda: bool(scene.requests.asked))
    assert scene.requests.asked[0]["chat_id"] == group.id


async def test_a_group_is_asked_with_a_forced_reply(scene: Any) -> None:
    group = scene.api.group("Club", members=[scene.owner])
    said = await group.says(scene.owner, "/subscribe")
    (question,) = await group.wait_for(1)
    assert question.reply_to is said
    assert question.keyboard is not None
    assert question.keyboard["force_reply"] is True
    await group.says(scene.owner, "example.org", reply_to=question)
    await scene.api.wait_until(lambda: bool(scene.requests.asked))
    assert scene.requests.urls == ["https://example.org/"]


async def test_a_strangers_reply_answers_nobodys_question(scene: Any) -> None:
    stranger = scene.api.person("Sam")
    group = scene.api.group("Club", members=[scene.owner, stranger])
    await group.says(scene.owner, "/subscribe")
    (question,) = await group.wait_for(1)
    await group.says(stranger, "evil.org", reply_to=question)
    await group.says(scene.owner, "example.org", reply_to=question)
    await scene.api.wait_until(lambda: bool(scene.requests.asked))
    assert scene.requests.urls == ["https://example.org/"]


async def test_talk_in_a_group_is_none_of_our_business(scene: Any) -> None:
    group = scene.api.group("Club", members=[scene.owner], bot="administrator")
    await group.says(scene.owner, f"look: {URL}")
    await group.says(scene.owner, "/unheard_of")
    await group.says(scene.owner, "/help")
    (answer,) = await group.wait_for(1)
    assert answer.text.startswith("What I can do")
    assert scene.requests.asked == []


async def test_a_topic_is_a_target_of_its_own(scene: Any) -> None:
    forum = scene.api.group("Forum", members=[scene.owner], forum=True)
    topic = await forum.topic("News", by=scene.owner)
    await scene.follow(forum, "https://a.org/", "In general")
    await scene.follow(forum, "https://b.org/", "In the topic", topic_id=topic.id)
    await forum.says(scene.owner, "/list_subscriptions", topic=topic)
    (answer,) = await forum.wait_for(1)
    assert answer.topic_id == topic.id
    assert "In the topic" in answer.text
    assert "In general" not in answer.text
    await forum.says(scene.owner, f"/subscribe {URL}", topic=topic)
    await scene.api.wait_until(lambda: bool(scene.requests.asked))
    assert scene.requests.asked[0]["topic_id"] == topic.id


async def test_a_reply_in_an_ordinary_group_makes_no_topic(scene: Any) -> None:
    group = scene.api.group("Club", members=[scene.owner])
    said = await group.says(scene.owner, "/help")
    scene.api.inject(
        "message",
        {
            "message_id": 90,
            "date": 1,
            "chat": group.state.to_json(),
            "from": scene.owner.user.to_json(),
            "message_thread_id": said.message_id,
            "text": f"/subscribe {URL}",
            "entities": [{"type": "bot_command", "offset": 0, "length": 10}],
        },
    )
    await scene.api.wait_until(lambda: bool(scene.requests.asked))
    assert scene.requests.asked[0]["topic_id"] == 0


async def test_a_channel_of_the_owner(scene: Any) -> None:
    channel = scene.api.channel("Blog", admins=[scene.owner])
    await channel.posts(f"/subscribe {URL}")
    await scene.api.wait_until(lambda: bool(scene.requests.asked))
    assert scene.requests.asked[0]["chat_id"] == channel.id
    await channel.posts("/subscribe")
    answers = await channel.wait_for(2)
    assert answers[1].text.startswith("Write the address behind the command")
    await channel.posts("example.net")
    await channel.posts("/list_subscriptions")
    await channel.wait_for(3)
    assert scene.requests.urls == [URL]


async def test_a_channel_of_somebody_else(scene: Any) -> None:
    other = scene.api.person("Sam")
    channel = scene.api.channel("Not ours", admins=[other], members=[scene.owner])
    await channel.posts(f"/subscribe {URL}")
    assert "I follow RSS" in (await scene.ask("/start")).text
    assert channel.from_bot == []
    assert scene.requests.asked == []


def as_chat(scene: Any, group: Any, text: str, sender: Any, message_id: int) -> None:
    """What Telegram tells of a message written in a chat's name."""
    scene.api.inject(
        "message",
        {
            "message_id": message_id,
            "date": 1,
            "chat": group.state.to_json(),
            "from": {"id": 1087968824, "is_bot": True, "first_name": "Group"},
            "sender_chat": sender.state.to_json(),
            "text": text,
            "entities": [{"type": "bot_command", "offset": 0, "length": text.index(" ")}],
        },
    )


async def test_an_anonymous_admin_where_the_owner_is_admin(scene: Any) -> None:
    group = scene.api.group("Club", admins=[scene.owner])
    as_chat(scene, group, f"/subscribe {URL}", group, 90)
    as_chat(scene, group, f"/subscribe {URL}2", group, 91)
    await scene.api.wait_until(lambda: len(scene.requests.asked) == 2)
    assert len(scene.api.calls_of("getChatMember")) == 1


async def test_an_anonymous_admin_where_the_owner_is_none(scene: Any) -> None:
    other = scene.api.person("Sam")
    group = scene.api.group("Club", admins=[other], members=[scene.owner])
    as_chat(scene, group, f"/subscribe {URL}", group, 90)
    await group.says(scene.owner, "/help")
    await group.wait_for(1)
    assert scene.requests.asked == []


async def test_writing_in_the_name_of_another_chat_gives_no_rights(scene: Any) -> None:
    group = scene.api.group("Club", admins=[scene.owner])
    channel = scene.api.channel("Sam's", admins=[scene.owner])
    as_chat(scene, group, f"/subscribe {URL}", channel, 90)
    await group.says(scene.owner, "/help")
    await group.wait_for(1)
    assert scene.requests.asked == []


async def test_rights_that_cannot_be_asked_for_are_no_rights(scene: Any) -> None:
    group = scene.api.group("Club", admins=[scene.owner])
    scene.api.faults.reject(400, "Bad Request: no", method="getChatMember")
    as_chat(scene, group, f"/subscribe {URL}", group, 90)
    await scene.api.wait_for_call("getChatMember")
    as_chat(scene, group, f"/subscribe {URL}2", group, 91)
    await scene.api.wait_until(lambda: bool(scene.requests.asked))
    assert scene.requests.urls == [f"{URL}2"]


async def test_blocked_and_let_in_again(scene: Any) -> None:
    await scene.follow(scene.owner.private, URL, "Feed")
    await scene.owner.blocks()
    await scene.owner.unblocks()
    (answer,) = await scene.owner.private.wait_for(1)
    assert answer.text == texts.RESUMED
    query = "SELECT count(*) FROM chats WHERE suspended_at IS NOT NULL"
    assert await scene.pool.fetchval(query) == 0
    assert await scene.followed(scene.owner.private) == ["Feed"]


async def test_start_resumes_a_suspended_chat(scene: Any) -> None:
    await scene.follow(scene.owner.private, URL, "Feed")
    await scene.subscriptions.suspend_chat(scene.owner.id, "Forbidden: bot was blocked")
    assert (await scene.ask("/start")).text == texts.RESUMED
    assert "I follow RSS" in (await scene.ask("/start")).text


def reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [vars(record)["reason"] for record in caplog.records if record.msg == "chat suspended"]


async def test_removed_from_a_group(scene: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "heraldo")
    group = scene.api.group("Club", members=[scene.owner])
    await scene.follow(group, URL, "Feed")
    await group.removes_bot(scene.owner)
    await group.adds_bot(scene.owner)
    (answer,) = await group.wait_for(1)
    assert answer.text == texts.RESUMED
    assert reasons(caplog) == ["the bot was blocked or removed"]


async def test_a_channel_without_the_right_to_post(
    scene: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "heraldo")
    channel = scene.api.channel("Blog", admins=[scene.owner])
    await scene.follow(channel, URL, "Feed")
    await channel.demotes_bot(scene.owner)
    await channel.promotes_bot(scene.owner)
    (answer,) = await channel.wait_for(1)
    assert answer.text == texts.RESUMED
    assert reasons(caplog) == ["the bot may not send messages there"]


async def test_a_group_becomes_a_supergroup(scene: Any) -> None:
    group = scene.api.group("Club", members=[scene.owner], supergroup=False)
    await scene.follow(group, URL, "Feed")
    new = await group.migrate()
    await new.says(scene.owner, "/list_subscriptions")
    (answer,) = await new.wait_for(1)
    assert "1. Feed" in answer.text
    assert await scene.pool.fetchval("SELECT count(*) FROM chats") == 1
