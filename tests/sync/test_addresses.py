import socket
from ipaddress import ip_address

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from heraldo_sync.addresses import (
    AddressPolicy,
    ForbiddenAddress,
    GuardedResolver,
    SystemResolver,
    is_public,
)

PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "::127.0.0.1",
    "::8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a00:1::1",
    "3fff::1",
    "4000::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "168.63.129.17",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:831::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_not_public(address: str) -> None:
    assert not is_public(ip_address(address))
    assert not AddressPolicy().allows("anything.example", ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert is_public(ip_address(address))
    assert AddressPolicy().allows("anything.example", ip_address(address))


def test_the_allow_list() -> None:
    policy = AddressPolicy.parse(" 127.0.0.1, RSSHub.lan.,*.home.arpa,10.0.0.0/8 ,[::1],fd00::/8,")
    home = ip_address("192.168.1.1")
    assert policy.allows("127.0.0.1", ip_address("127.0.0.1"))
    assert policy.allows("x.example", ip_address("::ffff:127.0.0.1"))
    assert not policy.allows("x.example", ip_address("127.0.0.2"))
    assert policy.allows("x.example", ip_address("10.20.30.40"))
    assert policy.allows("x.example", ip_address("::1"))
    assert policy.allows("x.example", ip_address("fd12::1"))
    assert policy.allows("rsshub.lan", home)
    assert policy.allows("RSSHUB.LAN.", home)
    assert policy.allows("nas.home.arpa", home)
    assert not policy.allows("home.arpa", home)
    assert not policy.allows("evilhome.arpa", home)
    assert not policy.allows("sub.rsshub.lan", home)
    assert not policy.allows("", home)


def test_an_empty_allow_list_permits_nothing_more() -> None:
    assert AddressPolicy.parse("") == AddressPolicy.parse(" , ") == AddressPolicy()


def test_every_bad_item_is_named() -> None:
    with pytest.raises(ValueError, match="not a host, an address or a network") as refused:
        AddressPolicy.parse("ok.lan,http://x/,10.0.0.1/8,300.1.1.1,a b,::zz,1.2.3.4/33")
    for item in ("http://x/", "10.0.0.1/8", "300.1.1.1", "a b", "::zz", "1.2.3.4/33"):
        assert item in str(refused.value)
    assert "ok.lan" not in str(refused.value).partition(";")[0]


class Answers(AbstractResolver):
    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0
            )
            for address in self.addresses
        ]

    async def close(self) -> None:
        self.addresses = ()


async def test_only_permitted_answers_are_used() -> None:
    resolver = GuardedResolver(
        AddressPolicy(), Answers("10.0.0.1", "1.1.1.1", "fe80::1%eth0", "nonsense", "::1")
    )
    assert [found["host"] for found in await resolver.resolve("x.example", 80)] == ["1.1.1.1"]
    await resolver.close()


async def test_no_permitted_answer_is_an_error() -> None:
    with pytest.raises(ForbiddenAddress):
        await GuardedResolver(AddressPolicy(), Answers("127.0.0.1")).resolve("x.example")
    with pytest.raises(OSError, match="no address") as none:
        await GuardedResolver(AddressPolicy(), Answers()).resolve("x.example")
    assert not isinstance(none.value, ForbiddenAddress)


async def test_the_system_knows_localhost() -> None:
    resolver = SystemResolver()
    try:
        found = await resolver.resolve("localhost", 80)
    finally:
        await resolver.close()
    assert {item["host"] for item in found} <= {"127.0.0.1", "::1"}
    assert {item["port"] for item in found} == {80}
