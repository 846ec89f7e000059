"""A subscription at a hub from the first request to the last, with hubs of every kind."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from hub import TOPIC, Hub, naming
from hub_scene import TASKS, Scene, scenery
from town import Town

from colmillo import PostgresStore
from colmillo.testing import drain
from heraldo_sync.hub_store import adopt_callbacks
from heraldo_sync.hub_tasks import ask_hub, enqueue_hubs
from heraldo_sync.tasks import SYNC_QUEUE

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def scene(town: Town, store: PostgresStore) -> AsyncIterator[Scene]:
    async with scenery(town, store) as scene:
        yield scene


async def test_only_what_we_asked_for_is_confirmed(scene: Scene) -> None:
    scene.hub.verifies = False
    feed_id = await scene.follow()
    [asked] = await scene.ask()
    hub = scene.hub
    key = asked.callback.rpartition("/")[2]
    wrong_key = replace(asked, callback=asked.callback.replace(key, "A" * 43))
    no_key = replace(asked, callback=asked.callback.replace(key, "x%00y"))
    assert await hub.verify(wrong_key) == 404
    assert await hub.verify(no_key) == 404
    assert await hub.verify(asked, topic="https://example.org/other") == 404
    assert await hub.verify(asked, topic="") == 404
    assert await hub.verify(asked, topic=f"{TOPIC}\0") == 404
    assert await hub.verify(asked, mode="unsubscribe") == 404
    assert await hub.verify(asked, mode="publish") == 404
    assert await hub.verify(asked, challenge="") == 404
    assert await hub.verify(asked, challenge="x" * 5000) == 404
    assert (await scene.row(feed_id))["lease"] is None
    assert await hub.verify(asked, challenge="<script>alert(1)</script>") == 200
    _, _, body, kind = hub.verdicts[-1]
    assert (body, kind) == (b"<script>alert(1)</script>", "application/octet-stream")
    async with hub.client.get(asked.callback) as answer:
        assert answer.status == 404


async def test_a_hub_may_ask_again_but_grants_no_more_than_it_did(scene: Scene) -> None:
    feed_id, asked = await scene.subscribed()
    lease = (await scene.row(feed_id))["expires_at"]
    assert await scene.hub.verify(asked, lease_seconds="1") == 200
    assert await scene.hub.verify(asked, mode="unsubscribe") == 404
    row = await scene.row(feed_id)
    assert (row["expires_at"], row["rests"]) == (lease, False)


async def test_a_hub_may_verify_before_it_answers(scene: Scene) -> None:
    scene.hub.hasty = True
    scene.hub.status = 204
    feed_id = await scene.follow()
    [asked] = await scene.ask()
    assert asked.callback in scene.hub.subscribers
    assert (await scene.row(feed_id))["lease"] > timedelta(days=9)


async def test_leases_are_renewed_at_the_same_callback(scene: Scene) -> None:
    feed_id, asked = await scene.subscribed()
    assert await scene.ask() == []
    await scene.time()
    scene.hub.lease = "5000"
    [again] = await scene.ask()
    assert (again.mode, again.callback, again.secret) == ("subscribe", asked.callback, asked.secret)
    await scene.hub.until(lambda: len(scene.hub.verdicts) == 2)
    row = await scene.row(feed_id)
    assert timedelta(seconds=4900) < row["lease"] <= timedelta(seconds=5000)
    assert timedelta(seconds=3500) < row["wait"] <= timedelta(seconds=4000)


async def test_a_hub_in_trouble_is_asked_again_later_and_later(scene: Scene) -> None:
    scene.hub.status = 500
    feed_id = await scene.follow()
    waits: list[timedelta] = []
    for _ in range(3):
        assert len(await scene.ask()) == 1
        assert await scene.ask() == []
        waits.append((await scene.row(feed_id))["wait"])
        await scene.time()
    assert waits == sorted(waits)
    assert waits[0] > 5 * MINUTE
    scene.hub.status, scene.hub.headers = 503, {"Retry-After": "80000"}
    await scene.ask()
    assert (await scene.row(feed_id))["wait"] > timedelta(seconds=79_000)
    await scene.time()
    scene.hub.status = 202
    [asked] = await scene.ask()
    await scene.hub.until(lambda: asked.callback in scene.hub.subscribers)
    assert (await scene.row(feed_id))["tries"] == 0


async def test_a_feed_without_subscribers_is_unsubscribed(scene: Scene) -> None:
    feed_id, asked = await scene.subscribed()
    target = await scene.town.chat(1)
    [view] = (await scene.town.subscriptions.page(target, offset=0, limit=10)).items
    await scene.town.subscriptions.remove(target, view.id)
    [leaving] = await scene.ask()
    assert (leaving.mode, leaving.callback) == ("unsubscribe", asked.callback)
    assert leaving.secret == ""
    await scene.hub.until(lambda: not scene.hub.subscribers)
    assert await scene.hub.push(asked) == 410
    assert (await scene.row(feed_id))["rests"]
    assert await scene.ask() == []
    await scene.time()
    assert await scene.ask() == []
    # Somebody comes back.
    assert await scene.follow() == feed_id
    await scene.time()
    [back] = await scene.ask()
    await scene.hub.until(lambda: back.callback in scene.hub.subscribers)
    assert await scene.hub.push(asked) == 202


async def test_who_comes_back_during_the_farewell_stays_subscribed(scene: Scene) -> None:
    _, asked = await scene.subscribed()
    target = await scene.town.chat(1)
    [view] = (await scene.town.subscriptions.page(target, offset=0, limit=10)).items
    await scene.town.subscriptions.remove(target, view.id)
    scene.hub.verifies = False
    [leaving] = await scene.ask()
    await scene.follow()
    assert await scene.hub.verify(leaving) == 404
    assert await scene.hub.push(asked) == 202


async def test_a_denied_subscription_is_over(scene: Scene) -> None:
    feed_id, asked = await scene.subscribed()
    await scene.town.pool.execute("UPDATE websub SET trusted = true")
    assert await scene.hub.verify(asked, mode="denied", topic="https://example.org/x") == 404
    assert await scene.hub.push(asked) == 202
    assert await scene.hub.verify(asked, mode="denied", reason="no") == 200
    assert await scene.hub.push(asked) == 410
    row = await scene.row(feed_id)
    assert (row["lease"], row["trusted"]) == (None, False)
    assert row["wait"] > timedelta(days=6)
    await scene.town.check(feed_id)
    assert await scene.town.next_check(feed_id) <= MINUTE


async def test_another_hub_is_another_subscription(scene: Scene) -> None:
    feed_id, asked = await scene.subscribed()
    await scene.town.pool.execute("UPDATE websub SET asked_at = now()")
    async with Hub() as other:
        scene.town.feeds.add("blog", posts=4, document=naming(other.url))
        await scene.town.check(feed_id)
        assert await scene.hub.push(asked) == 410
        # Not at once: else a feed could send us to a new server with every check.
        assert await scene.ask() == []
        assert (await scene.row(feed_id))["wait"] > 50 * MINUTE
        await scene.time()
        assert await scene.ask() == []
        [moved] = other.asked
        await other.until(lambda: moved.callback in other.subscribers)
        assert moved.callback != asked.callback
        assert moved.secret != asked.secret
        assert await other.push(moved) == 202


async def test_a_feed_that_names_its_hub_no_more_is_unsubscribed(scene: Scene) -> None:
    feed_id, asked = await scene.subscribed()
    scene.town.feeds.add("blog", posts=4)
    await scene.town.check(feed_id)
    await scene.time()
    [leaving] = await scene.ask()
    assert (leaving.mode, leaving.callback) == ("unsubscribe", asked.callback)
    await scene.hub.until(lambda: not scene.hub.subscribers)
    scene.town.feeds.add("blog", posts=5, document=naming(scene.hub.url))
    await scene.town.check(feed_id)
    await scene.time()
    [back] = await scene.ask()
    assert back.mode == "subscribe"


async def test_another_public_address_means_other_callbacks(scene: Scene) -> None:
    feed_id, asked = await scene.subscribed()
    assert scene.services.public_url is not None
    await adopt_callbacks(scene.town.pool, scene.services.public_url)
    assert await scene.ask() == []
    await adopt_callbacks(scene.town.pool, "https://new.example")
    assert (await scene.row(feed_id))["lease"] is None
    moved = replace(
        scene,
        town=Town(replace(scene.services, public_url="https://new.example"), scene.town.feeds),
    )
    scene.hub.verifies = False
    [again] = await moved.ask()
    assert again.callback == f"https://new.example/websub/{asked.callback.rpartition('/')[2]}"


async def test_nothing_is_asked_without_a_public_address(scene: Scene) -> None:
    await scene.follow()
    silent = replace(scene.services, public_url=None)
    assert await enqueue_hubs(silent) == 0
    await scene.services.queue.enqueue(ask_hub.new(feed_id=1))
    await drain(scene.store, tasks=TASKS, resources=silent, queues=[SYNC_QUEUE])
    assert scene.hub.asked == []


async def test_each_hub_is_asked_once_however_many_ticks_there_are(scene: Scene) -> None:
    scene.hub.verifies = False
    for number in range(5):
        await scene.follow(f"blog{number}", topic=f"https://example.org/{number}")
    counts = await asyncio.gather(*(enqueue_hubs(scene.services, limit=2) for _ in range(5)))
    assert sum(counts) == 5
    await scene.work(SYNC_QUEUE)
    assert len({asked.callback for asked in scene.hub.asked}) == len(scene.hub.asked) == 5
