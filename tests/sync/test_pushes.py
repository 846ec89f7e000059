"""What a hub pushes, and what else comes to a callback: a look at the feed, or nothing at all."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from feed_server import rss
from hub import TOPIC
from hub_scene import Scene, scenery
from town import Town

from colmillo import PostgresStore
from colmillo.testing import run_one
from heraldo_sync.hub_tasks import PUSH_QUEUE, look_at_pushed
from heraldo_sync.tasks import SYNC_QUEUE, sync_feed

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def scene(town: Town, store: PostgresStore) -> AsyncIterator[Scene]:
    async with scenery(town, store) as scene:
        yield scene


async def test_what_is_pushed_is_fetched_at_once(scene: Scene) -> None:
    feed_id, asked = await scene.subscribed()
    assert (asked.mode, asked.topic) == ("subscribe", TOPIC)
    assert asked.form["hub.lease_seconds"] == "864000"
    assert 40 <= len(asked.secret) < 200
    assert scene.hub.verdicts == [
        ("subscribe", 200, b"c-h-a-l-l-e-n-g-e", "application/octet-stream")
    ]
    row = await scene.row(feed_id)
    assert timedelta(days=9.9) < row["lease"] <= timedelta(days=10)
    assert timedelta(days=7) < row["wait"] <= timedelta(days=8)
    number = scene.town.feeds.publish("blog")
    assert await scene.hub.push(asked, b"whatever") == 202
    [wait] = await scene.looks()
    assert wait <= timedelta()
    await scene.work(PUSH_QUEUE)
    assert (await scene.town.sent_to(await scene.town.chat(1)))[-1] == f"blog post {number}"
    assert await scene.looks() == []
    # Only the new item was read; the hub is named all the same.
    assert (await scene.row(feed_id))["announced"]


async def test_a_path_in_the_public_address(town: Town, store: PostgresStore) -> None:
    async with scenery(town, store, "/bot") as scene:
        _, asked = await scene.subscribed()
        assert "/bot/websub/" in asked.callback
        assert await scene.hub.push(asked) == 202
        stripped = replace(asked, callback=asked.callback.replace("/bot/", "/"))
        assert await scene.hub.push(stripped) == 202


@pytest.mark.parametrize("method", ["sha1", "sha256", "sha384", "sha512"])
async def test_every_method_of_signing(scene: Scene, method: str) -> None:
    _, asked = await scene.subscribed()
    assert await scene.hub.push(asked, b"body", method=method) == 202


async def test_what_the_hub_has_not_signed_is_refused(scene: Scene) -> None:
    first_id, first = await scene.subscribed("first", topic="https://example.org/1")
    _, second = await scene.subscribed("second", topic="https://example.org/2")
    hub = scene.hub
    assert first.secret != second.secret
    for feed in ("first", "second"):
        scene.town.feeds.publish(feed)
    elsewhere = replace(first, secret=second.secret)
    assert await hub.push(elsewhere) == 403  # another feed's body with its signature
    assert await hub.push(first, signature="") == 403
    assert await hub.push(first, signature="sha256=" + "0" * 64) == 403
    assert await hub.push(first, signature="md5=" + "0" * 32) == 403
    assert await hub.push(first, secret="") == 403
    unknown = replace(first, callback=first.callback[:-3] + "AAA")
    assert await hub.push(unknown) == 410
    assert await hub.push(replace(first, callback=first.callback + "/x")) == 404
    assert await hub.push(first, b"x" * 100_001) == 413
    assert await scene.looks() == []
    assert (await scene.row(first_id))["pushed_at"] is None


async def test_a_replay_costs_a_look_and_sends_nothing(scene: Scene) -> None:
    feed_id, asked = await scene.subscribed()
    old, _ = rss("blog", [1, 2, 3])
    other, _ = rss("somebody else", [7, 8, 9])
    for body in (old, other):
        assert await scene.hub.push(asked, body) == 202
    await scene.work(PUSH_QUEUE)
    assert await scene.entries(feed_id) == 3
    assert await scene.town.sent_to(await scene.town.chat(1)) == ["blog post 3"]


async def test_a_flood_is_one_look(scene: Scene) -> None:
    feed_id, asked = await scene.subscribed()
    asked_before = scene.town.feeds.requests["blog"]
    statuses = await asyncio.gather(*(scene.hub.push(asked, b"%d" % n) for n in range(60)))
    assert set(statuses) == {202}
    assert len(await scene.looks()) == 1
    await scene.time()
    await scene.work(PUSH_QUEUE)
    assert scene.town.feeds.requests["blog"] == asked_before + 1
    await scene.town.pool.execute("DELETE FROM colmillo.tasks")
    await asyncio.gather(*(scene.hub.push(asked, b"%d" % n) for n in range(20)))
    [wait] = await scene.looks()
    assert timedelta(seconds=5) < wait <= timedelta(seconds=10)
    assert (await scene.row(feed_id))["fruitless"] == 1


async def test_a_push_during_a_look_gets_a_look_of_its_own(scene: Scene) -> None:
    _, asked = await scene.subscribed()
    assert await scene.hub.push(asked) == 202
    async with scene.town.feeds.stalled("blog"):
        looking = asyncio.create_task(scene.work(PUSH_QUEUE))
        await scene.town.feeds.reached("blog")
        assert await scene.hub.push(asked) == 202
        waiting = await scene.town.pool.fetchval(
            "SELECT count(*) FROM colmillo.tasks WHERE name = 'look_at_pushed'"
        )
        assert waiting == 2  # one runs
    await looking
    assert len(await scene.looks()) == 1


async def test_a_look_that_sees_an_old_copy_is_repeated_a_few_times(scene: Scene) -> None:
    feed_id, asked = await scene.subscribed()
    await scene.time()
    waits = []
    for _ in range(4):
        await scene.town.pool.execute("DELETE FROM colmillo.tasks")
        look = look_at_pushed.new(feed_id=feed_id)
        await run_one(look_at_pushed, look, store=scene.store, resources=scene.services)
        waits.append([round(wait.total_seconds(), -1) for wait in await scene.looks()])
    assert waits == [[10], [50], [], []]
    await scene.town.pool.execute("DELETE FROM colmillo.tasks")
    await scene.time()
    scene.town.feeds.publish("blog")
    assert await scene.hub.push(asked) == 202
    await scene.work(PUSH_QUEUE)
    assert await scene.looks() == []
    assert (await scene.row(feed_id))["fruitless"] == 0


async def test_a_hub_that_delivers_is_relied_on_until_it_misses_a_post(scene: Scene) -> None:
    feed_id, asked = await scene.subscribed()
    town = scene.town
    await scene.time()
    assert not (await scene.row(feed_id))["trusted"]
    town.feeds.publish("blog")
    await scene.hub.push(asked)
    await scene.work(PUSH_QUEUE)
    assert (await scene.row(feed_id))["trusted"]
    await town.check(feed_id)
    assert 59 * MINUTE < await town.next_check(feed_id) <= 66 * MINUTE
    silent = replace(scene.services, public_url=None)
    assert (await Town(silent, town.feeds).check(feed_id)) == 0
    assert await town.next_check(feed_id) <= 5 * MINUTE
    await scene.time()
    town.feeds.publish("blog")
    await scene.services.queue.enqueue(sync_feed.new(feed_id=feed_id))
    await scene.work(SYNC_QUEUE)
    assert not (await scene.row(feed_id))["trusted"]
    await town.check(feed_id)
    assert await town.next_check(feed_id) <= MINUTE


async def test_a_poll_just_before_the_push_is_no_miss(scene: Scene) -> None:
    feed_id, asked = await scene.subscribed()
    await scene.time()
    scene.town.feeds.publish("blog")
    await scene.services.queue.enqueue(sync_feed.new(feed_id=feed_id))
    await scene.work(SYNC_QUEUE)
    await scene.hub.push(asked)
    await scene.work(PUSH_QUEUE)
    row = await scene.row(feed_id)
    assert (row["trusted"], row["fruitless"]) == (True, 0)
    assert await scene.looks() == []


async def test_an_expired_lease_is_not_relied_on(scene: Scene) -> None:
    feed_id, _ = await scene.subscribed()
    await scene.town.pool.execute(
        "UPDATE websub SET trusted = true, expires_at = now() - interval '1 second'"
    )
    await scene.town.check(feed_id)
    assert await scene.town.next_check(feed_id) <= MINUTE


async def test_a_push_for_nobody_wakes_no_feed(scene: Scene) -> None:
    feed_id, asked = await scene.subscribed()
    assert await scene.hub.push(asked) == 202
    target = await scene.town.chat(1)
    [view] = (await scene.town.subscriptions.page(target, offset=0, limit=10)).items
    await scene.town.subscriptions.remove(target, view.id)
    before = scene.town.feeds.requests["blog"]
    await scene.work(PUSH_QUEUE)
    assert scene.town.feeds.requests["blog"] == before
    rests = "SELECT next_check_at = 'infinity' FROM feeds WHERE id = $1"
    assert await scene.town.pool.fetchval(rests, feed_id)


async def test_no_log_line_holds_what_only_the_hub_may_know(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    feed_id, asked = await scene.subscribed()
    await scene.hub.push(asked, signature="sha256=" + "0" * 64)
    await scene.hub.push(asked)
    await scene.work(PUSH_QUEUE)
    await scene.hub.verify(asked, mode="denied")
    scene.hub.status = 400
    await scene.time()
    await scene.ask()
    row = await scene.row(feed_id)
    said = "".join(f"{vars(record)}" for record in caplog.records if "heraldo" in record.name)
    assert "hub will push" in said
    assert "push without the hub's signature" in said
    assert "hub will not push" in said
    assert "hub not reached or not willing" in said
    assert row["key"] not in said
    assert row["secret"] not in said
