"""Feeds by way of an HTTP or SOCKS5 proxy, and what is left of the address policy then.

Behind a proxy it is the proxy that connects, where our guard cannot look. So each host is looked
up here first, and all of its addresses have to be permitted. Between that and the proxy's own
look-up a name may change its answer: a proxy that can reach private networks should refuse them.
"""

import re
import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp_socks import ProxyConnector

from heraldo_sync.addresses import AddressPolicy, ForbiddenAddress
from heraldo_sync.frugal import FrugalConnector

_PROXY = re.compile(
    r"(?:http|socks5)://(?:[^\s/@]+@)?(?:[\w.-]+|\[[0-9a-fA-F:.]+\]):\d{1,5}/?", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """An HTTP or SOCKS5 proxy for everything but the hosts and addresses of ``bypass``.

    ``url`` may hold a user and a password, so it is not shown.
    """

    url: str = field(repr=False)
    bypass: AddressPolicy = field(default_factory=AddressPolicy)

    def __post_init__(self) -> None:
        """Refuses an address that is no proxy's, with ValueError."""
        if not _PROXY.fullmatch(self.url):
            raise ValueError(
                "is no HTTP or SOCKS5 proxy; it looks like http://user:password@proxy.lan:3128 "
                "or socks5://proxy.lan:1080"
            )

    @property
    def named_by_requests(self) -> str | None:
        """What a request names as its proxy; None where the connector does all of it (SOCKS)."""
        return None if self.url.startswith("socks5:") else self.url

    def connector(self, resolver: AbstractResolver, tls: ssl.SSLContext) -> aiohttp.TCPConnector:
        """Connects by way of the proxy, and only ever to it: there is no guard."""
        if self.named_by_requests is not None:
            return FrugalConnector(resolver=resolver, limit=0, ssl=tls)
        # It is the proxy that looks names up, as with HTTP.
        return ProxyConnector.from_url(self.url, rdns=True, limit=0, ssl=tls)

    def serves(self, host: str) -> bool:
        """Whether requests to this host go through the proxy."""
        if _named(self.bypass, host):
            return False
        try:
            ip = ip_address(host.strip("[]"))
        except ValueError:
            return True
        return not any(ip in network for network in self.bypass.networks)


async def check_target(
    policy: AddressPolicy, resolver: AbstractResolver, host: str, port: int
) -> None:
    """Returns if a proxy may be asked for this host.

    Raises:
        ForbiddenAddress: the policy does not permit one of its addresses.
        OSError: there is no such host.
    """
    bare = host.strip("[]")
    if _named(policy, bare):
        return
    try:
        addresses = [ip_address(bare)]
    except ValueError:
        found = await resolver.resolve(bare, port)
        addresses = [ip_address(item["host"].partition("%")[0]) for item in found]
    if not addresses:
        raise OSError(f"no address for {bare}")
    if not all(policy.allows(bare, ip) for ip in addresses):
        raise ForbiddenAddress(f"not every address of {bare} is permitted")


def _named(policy: AddressPolicy, host: str) -> bool:
    name = host.lower().rstrip(".")
    return name in policy.hosts or bool(policy.suffixes and name.endswith(policy.suffixes))
