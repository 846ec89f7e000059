"""When the bot's own network is down, no feed pays for it."""

import logging
import socket
from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st
from town import Town

from colmillo.testing import FakeClock
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.fetch import Fetcher
from heraldo_sync.model import Failed, Reason
from heraldo_sync.outage import ENOUGH_HOSTS, LONGEST, Network, Silence, after, is_outage

DNS = Failed(reason=Reason.DNS, message="")
REFUSED = Failed(reason=Reason.HTTP_STATUS, message="", status=403)
BUSY = Failed(reason=Reason.HOST_BUSY, message="")


def silence(*checks: tuple[float, str, Failed | None]) -> Silence:
    known = Silence()
    for now, host, failed in checks:
        known = after(known, host, failed, now)
    return known


def failing(count: int, at: float = 0.0) -> list[tuple[float, str, Failed | None]]:
    return [(at, f"{number}.test", DNS) for number in range(count)]


def test_many_hosts_that_fail_together_are_an_outage() -> None:
    assert not is_outage(silence(*failing(ENOUGH_HOSTS - 1)), 0.0)
    assert is_outage(silence(*failing(ENOUGH_HOSTS)), 0.0)
    assert is_outage(silence(*failing(50)), 0.0)


def test_one_host_that_fails_often_is_not() -> None:
    assert not is_outage(silence(*[(0.0, "a.test", DNS)] * 50), 0.0)


@pytest.mark.parametrize("answer", [None, REFUSED])
def test_any_answer_ends_it(answer: Failed | None) -> None:
    assert not is_outage(silence(*failing(9), (1.0, "a.test", answer)), 1.0)


def test_what_was_not_asked_says_nothing() -> None:
    assert is_outage(silence(*failing(9), (1.0, "a.test", BUSY)), 1.0)


def test_failures_far_apart_are_the_hosts_own() -> None:
    spread = [(30.0 * number, f"{number}.test", DNS) for number in range(9)]
    assert not is_outage(silence(*spread), 270.0)


def test_a_silence_that_does_not_end_is_the_feeds_own() -> None:
    late = LONGEST.total_seconds() + 1
    assert not is_outage(silence(*failing(5), *failing(5, late)), late)


@given(st.lists(st.tuples(st.floats(0, 1e5), st.sampled_from("abcdefgh"), st.just(DNS))))
def test_what_is_remembered_is_bounded(checks: list[tuple[float, str, Failed]]) -> None:
    assert len(silence(*checks).hosts) <= ENOUGH_HOSTS


class NoNetwork(AbstractResolver):
    """No name can be looked up."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise socket.gaierror(socket.EAI_AGAIN, "no network")

    async def close(self) -> None:
        pass


async def test_feeds_that_fail_in_an_outage_are_asked_again_soon_and_not_blamed(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    feed_ids = [
        await town.pool.fetchval(
            "INSERT INTO feeds (url, succeeded_at) VALUES ($1, now()) RETURNING id",
            f"http://{number}.test/",
        )
        for number in range(9)
    ]
    async with Fetcher(AddressPolicy.parse("127.0.0.1"), resolver=NoNetwork()) as fetcher:
        services = town.services
        town.services = replace(services, fetcher=fetcher, network=Network(clock=FakeClock()))
        for _ in range(3):
            for feed_id in feed_ids:
                await town.check(feed_id)
    rows = await town.pool.fetch("SELECT failures FROM feeds ORDER BY id")
    assert [row["failures"] for row in rows] == [1, 1, 1, 1, 0, 0, 0, 0, 0]
    assert max([await town.next_check(feed) for feed in feed_ids]) <= timedelta(minutes=2)
    assert [record.message for record in caplog.records].count("the network is down") == 1
    town.services = replace(town.services, fetcher=services.fetcher)
    town.feeds.add("blog")
    feed_id = await town.follow(await town.chat(1), town.feeds.url("blog"))
    await town.check(feed_id)
    assert caplog.records[-1].message == "the network is up again"
