"""Private feeds in conversations: what is read, deleted, locked away, and never shown."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from application import make_services
from private_site import PrivateSite

from colmillo import PostgresStore, Worker
from colmillo.testing.working import working
from heraldo import texts
from heraldo.botapi import BotApiServer, Person
from heraldo.requests import REQUEST_QUEUE, QueuedRequests, subscribe_request
from heraldo.sender import Sent, TargetAddress
from heraldo.services import Services
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.database import Pool
from heraldo_sync.errors import quoted
from heraldo_sync.fetch import Fetcher
from heraldo_sync.private import private_address
from heraldo_sync.vault import Vault, new_key

CANARY = "c4n4ry-s3cr3t"
URL = "https://example.org/feed"


async def test_a_message_with_headers_is_deleted_before_anything_else(scene: Any) -> None:
    answer = await scene.ask(f"/subscribe {URL}\nCookie: a={CANARY}\nUser-Agent: Mine")
    assert answer.text == f"Looking at {URL} …"
    await scene.api.wait_until(lambda: bool(scene.requests.asked))
    (asked,) = scene.requests.asked
    assert asked["url"] == URL
    assert asked["private"].headers == (("Cookie", f"a={CANARY}"), ("User-Agent", "Mine"))
    [gone] = scene.owner.private.deleted
    assert CANARY in gone.text
    calls = [call.method for call in scene.api.calls if call.method.endswith("Message")]
    assert calls == ["deleteMessage", "sendMessage"]


async def test_a_password_in_the_address(scene: Any) -> None:
    await scene.ask(f"/subscribe https://me:{CANARY}@example.org/feed")
    await scene.api.wait_until(lambda: bool(scene.requests.asked))
    (asked,) = scene.requests.asked
    assert (asked["url"], asked["private"].origin) == (URL, "https://example.org:443")
    assert len(scene.owner.private.deleted) == 1


async def test_headers_may_be_the_answer_to_the_question(scene: Any) -> None:
    await scene.ask("/subscribe")
    wrong = await scene.ask(f"example.org/feed\nCookie: a\nHost: {CANARY}")
    assert f"{quoted('Host')} cannot be set" in wrong.text
    assert CANARY not in wrong.text
    await scene.ask("example.org/feed\nAuthorization: Bearer x")
    await scene.api.wait_until(lambda: bool(scene.requests.asked))
    assert scene.requests.asked[0]["private"].headers == (("Authorization", "Bearer x"),)
    assert len(scene.owner.private.deleted) == 2


@pytest.mark.parametrize(
    "said",
    [
        f"/subscribe Cookie: {CANARY}",
        f"/subscribe https://me:{CANARY}@a..b/",
        f"/subscribe {URL}\nCookie: a\n{CANARY}",
        f"/unsubscribe https://me:{CANARY}@example.org/feed",
        f"https://me:{CANARY}@example.org:99999/",
    ],
)
async def test_what_goes_wrong_is_deleted_all_the_same(
    scene: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="heraldo")
    answer = await scene.ask(said)
    assert CANARY not in answer.text
    assert len(scene.owner.private.deleted) == 1
    assert scene.requests.asked == []
    assert CANARY not in caplog.text


async def test_a_message_that_cannot_be_deleted_is_pointed_out(scene: Any) -> None:
    group = scene.api.group("Group", members=[scene.owner])
    await group.says(scene.owner, f"/subscribe {URL}\nCookie: {CANARY}")
    warning, looking = await group.wait_for(2)
    assert warning.text == texts.NOT_DELETED
    assert looking.text == f"Looking at {URL} …"


async def test_an_ordinary_message_is_left_alone(scene: Any) -> None:
    await scene.ask(f"{URL}\nNote: a good one")
    await scene.api.wait_until(lambda: bool(scene.requests.asked))
    assert scene.requests.asked[0]["private"] is None
    assert scene.owner.private.deleted == []


async def test_without_a_key_nothing_is_kept(scene: Any) -> None:
    scene.requests.keeps_secrets = False
    answer = await scene.ask(f"/subscribe {URL}\nCookie: {CANARY}")
    assert "SECRET_KEY" in answer.text
    assert scene.requests.asked == []
    assert len(scene.owner.private.deleted) == 1


async def test_new_headers_for_a_feed_that_is_followed(scene: Any) -> None:
    await scene.follow(scene.owner.private, URL, "News")
    assert "already follows" in (await scene.ask(f"/subscribe {URL}")).text
    assert "Looking at" in (await scene.ask(f"/subscribe {URL}\nCookie: new")).text


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A worker's side of the conversation, on a private site."""

    server: BotApiServer
    services: Services
    store: PostgresStore
    site: PrivateSite
    owner: Person
    target_id: int

    @property
    def requests(self) -> QueuedRequests:
        services = self.services
        return QueuedRequests(services.queue, services.choices, services.outbox, services.vault)

    async def say(self, text: str) -> int:
        sent = await self.services.sender.send(TargetAddress(chat_id=self.owner.private.id), text)
        assert isinstance(sent, Sent)
        return sent.message_id

    async def work(self) -> str:
        """Carries out what was asked for; returns the answer."""
        worker = Worker(
            self.store,
            tasks=[subscribe_request],
            queues={REQUEST_QUEUE: 1},
            resources=self.services,
            lease=timedelta(seconds=5),
            poll=timedelta(milliseconds=50),
        )
        async with working(worker):
            while any(queue == REQUEST_QUEUE for queue, _ in await self.store.counts()):
                pass  # asking takes a round trip, so this is no busy loop
        return self.owner.private.from_bot[-1].text

    async def subscribe(self, path: str, cookie: str) -> str:
        url, private = private_address(self.site.url(path), [f"Cookie: {cookie}"])
        await self.requests.request(
            target_id=self.target_id,
            chat_id=self.owner.private.id,
            topic_id=0,
            url=url,
            reply_message_id=await self.say("Looking"),
            private=private,
        )
        return await self.work()

    async def stored(self) -> str:
        """All that the queue and the application keep of it."""
        tables = ("colmillo.tasks", "feeds", "choices", "deliveries", "prompts", "entries")
        query = "SELECT string_agg(t::text, ' ') FROM {} t"
        rows = [await self.services.pool.fetchval(query.format(table)) for table in tables]
        return " ".join(filter(None, rows))


@pytest.fixture
async def work(pool: Pool, store: PostgresStore) -> AsyncIterator[Work]:
    async with (
        BotApiServer() as server,
        PrivateSite() as site,
        Fetcher(AddressPolicy.parse("127.0.0.1")) as fetcher,
        make_services(pool, server, fetcher) as services,
    ):
        owner = server.person("Olga")
        await owner.says("hello")
        target_id = await services.subscriptions.target(
            chat_id=owner.private.id, kind="private", title="Olga"
        )
        site.join("Cookie", CANARY, "ana")
        yield Work(
            server=server,
            services=replace(services, vault=Vault([new_key()])),
            store=store,
            site=site,
            owner=owner,
            target_id=target_id,
        )


async def test_a_private_feed_is_subscribed_to_and_nothing_shows(work: Work) -> None:
    url, private = private_address(work.site.url(), [f"Cookie: {CANARY}"])
    await work.requests.request(
        target_id=work.target_id,
        chat_id=work.owner.private.id,
        topic_id=0,
        url=url,
        reply_message_id=await work.say("Looking"),
        private=private,
    )
    assert url in await work.stored()
    assert CANARY not in await work.stored()
    answer = await work.work()
    assert answer.startswith("Done! This chat now follows ana")
    assert "🔒" in answer
    page = await work.services.subscriptions.page(work.target_id, offset=0, limit=1)
    for shown in (answer, texts.card(page.items[0]), texts.listing(page), await work.stored()):
        assert CANARY not in shown
    assert "🔒" in texts.card(page.items[0])


async def test_a_private_page_s_choices_are_followed_with_its_headers(work: Work) -> None:
    work.site.pages["/"] = "".join(
        f"<link rel=alternate type=application/rss+xml href=/{name}>" for name in "ab"
    )
    assert "offers several feeds" in await work.subscribe("/", CANARY)
    assert CANARY not in await work.stored()
    message = work.owner.private.from_bot[-1]
    assert await work.requests.choose(
        target_id=work.target_id,
        chat_id=work.owner.private.id,
        message_id=message.message_id,
        index=1,
    )
    assert (await work.work()).startswith("Done!")
    assert await work.services.pool.fetchval("SELECT url FROM feeds") == work.site.url("/b")
    assert CANARY not in await work.stored()


async def test_wrong_headers_are_named_as_the_cause(work: Work) -> None:
    answer = await work.subscribe("/feed", f"{CANARY}-wrong")
    assert "have expired" in answer
    assert CANARY not in answer


async def test_a_request_whose_key_is_gone_says_so(work: Work) -> None:
    other = replace(work, services=replace(work.services, vault=Vault([new_key()])))
    url, private = private_address(work.site.url(), [f"Cookie: {CANARY}"])
    await other.requests.request(
        target_id=work.target_id,
        chat_id=work.owner.private.id,
        topic_id=0,
        url=url,
        reply_message_id=await work.say("Looking"),
        private=private,
    )
    assert "SECRET_KEY" in await work.work()
    assert work.site.asked == []


async def test_new_headers_take_over(work: Work) -> None:
    await work.subscribe("/feed", CANARY)
    work.site.join("Cookie", f"{CANARY}-new", "ana")
    answer = await work.subscribe("/feed", f"{CANARY}-new")
    assert "with the new headers from now on" in answer
    assert "already follows" in await work.subscribe("/feed", f"{CANARY}-new")


async def test_a_feed_that_says_it_is_elsewhere(work: Work) -> None:
    async with PrivateSite(open_to_all=True) as abroad:
        work.site.moved["/old"] = 301, abroad.url()
        answer = await work.subscribe("/old", CANARY)
        assert abroad.url() in answer
        assert "Your headers are not sent there" in answer
        assert CANARY not in str(abroad.asked)
