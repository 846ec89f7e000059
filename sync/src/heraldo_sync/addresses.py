"""Which addresses the bot may open: the public internet, and what the operator permits.

The decision is made when a socket is made, on the very address it is then connected to. Names
that resolve to private addresses, names that change their answer between two look-ups, literal
addresses and redirects all end up there, so there is no second way in.
"""

import asyncio
import re
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from heraldo_sync.errors import SyncError, quoted
from heraldo_sync.steady import SteadyConnector
from heraldo_sync.tls import port_of_connection

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Everything that is not global unicast, from IANA's special-purpose registries. Written out,
# because what ipaddress.is_global means changed between patch releases of Python.
_FORBIDDEN_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's metadata service, in public address space
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
# The forms that carry an IPv4 address (Teredo in 2001::/23, 6to4 in 2002::/16) serve no feeds.
_FORBIDDEN_V6 = tuple(
    IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")

_HOST = re.compile(r"(?:\*\.|\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_-]+)*")
_LOOKUP_THREADS = 32

_connecting_to: ContextVar[str] = ContextVar("_connecting_to", default="")


class ForbiddenAddress(SyncError, OSError):
    """The address is not on the public internet, and the operator does not permit it."""


def unwrap(ip: Address) -> Address:
    """Returns the address that is really talked to: the IPv4 one inside ::ffff:0:0/96 or NAT64.

    Other forms that carry an IPv4 address are returned as they are; none of them is permitted.
    """
    if isinstance(ip, IPv6Address) and (ip in _MAPPED or ip in _NAT64):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


def is_public(ip: Address) -> bool:
    """Whether the address is global unicast, seen through the forms that wrap another one."""
    ip = unwrap(ip)
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _FORBIDDEN_V4)
    return ip in _GLOBAL_V6 and not any(ip in network for network in _FORBIDDEN_V6)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPolicy:
    """What may be opened besides the public internet.

    A host name permits whatever it resolves to; ``suffixes`` (``.lan``) stand for every host
    below a domain. The default permits nothing more.
    """

    hosts: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "AddressPolicy":
        """Reads ``127.0.0.1,rsshub.lan,*.home.arpa,10.0.0.0/8``.

        Raises:
            ValueError: names every item that is not a host, an address or a network.
        """
        hosts: set[str] = set()
        suffixes: list[str] = []
        networks: list[Network] = []
        wrong: list[str] = []
        for item in filter(None, (part.strip().lower() for part in text.split(","))):
            try:
                networks.append(ip_network(item.strip("[]")))
                continue
            except ValueError as error:
                if "/" in item or re.fullmatch(r"[\d.]+|.*:.*", item):
                    wrong.append(f"{quoted(item)} ({error})")
                    continue
            name = item.rstrip(".")
            if not _HOST.fullmatch(name):
                wrong.append(quoted(item))
            elif name.startswith(("*.", ".")):
                suffixes.append(name.removeprefix("*"))
            else:
                hosts.add(name)
        if wrong:
            raise ValueError(
                f"not a host, an address or a network: {', '.join(wrong)}; "
                "write for example 127.0.0.1,rsshub.lan,*.lan,10.0.0.0/8"
            )
        return cls(hosts=frozenset(hosts), suffixes=tuple(suffixes), networks=tuple(networks))

    def allows(self, host: str, ip: Address) -> bool:
        """Whether a connection to ``ip`` may be opened on behalf of ``host``."""
        if is_public(ip):
            return True
        name = host.lower().rstrip(".")
        if name in self.hosts or (self.suffixes and name.endswith(self.suffixes)):
            return True
        real = unwrap(ip)
        return any(real in network or ip in network for network in self.networks)


class SystemResolver(AbstractResolver):
    """The system's look-up on threads of its own.

    A stranger's slow name servers can then occupy these threads, not the loop's default pool.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKUP_THREADS, thread_name_prefix="dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Returns the host's addresses. Raises OSError if there are none."""
        infos = await asyncio.get_running_loop().run_in_executor(
            self._threads, _look_up, host, port, family
        )
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=found,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found, _, proto, _, address in infos
        ]

    async def close(self) -> None:
        """Lets the threads end; look-ups that wait are dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class GuardedResolver(AbstractResolver):
    """Leaves out what the policy does not permit, so that a host's other addresses are used.

    Nothing left is `ForbiddenAddress`.
    """

    def __init__(self, policy: AddressPolicy, inner: AbstractResolver) -> None:
        self._policy = policy
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Returns the permitted addresses of the host."""
        found = await self._inner.resolve(host, port, family)
        allowed = [item for item in found if self._permitted(host, item["host"])]
        if not found:
            raise OSError(f"no address for {host}")
        if not allowed:
            raise ForbiddenAddress(f"no permitted address for {host}")
        return allowed

    def _permitted(self, host: str, address: str) -> bool:
        try:
            return self._policy.allows(host, ip_address(address.partition("%")[0]))
        except ValueError:
            return False

    async def close(self) -> None:
        """Closes the resolver that was wrapped."""
        await self._inner.close()


class GuardedConnector(SteadyConnector):
    """Makes sockets only to permitted addresses; aiohttp asks no resolver for literal ones."""

    def __init__(
        self,
        policy: AddressPolicy,
        resolver: AbstractResolver,
        *,
        limit: int = 0,
        keepalive: float = 15.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy
        super().__init__(
            resolver=GuardedResolver(policy, resolver),
            limit=limit,
            ssl=tls or True,
            keepalive_timeout=keepalive,
            socket_factory=self._make_socket,
        )

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        """Connects; the racing attempts to do so inherit whom the sockets are for."""
        token = _connecting_to.set(req.url.raw_host or "")
        port = port_of_connection.set(req.url.port or 0)
        try:
            return await super().connect(req, traces, timeout)
        finally:
            port_of_connection.reset(port)
            _connecting_to.reset(token)

    def _make_socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, proto, _, address = info
        host = str(address[0])
        ip = ip_address(host.partition("%")[0])
        if not self._policy.allows(_connecting_to.get(), ip):
            raise ForbiddenAddress(f"{host} is not permitted")
        return socket.socket(family=family, type=kind, proto=proto)


def _look_up(
    host: str, port: int, family: socket.AddressFamily
) -> list[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str | int | bytes, ...]]]:
    return [
        (found, kind, proto, name, tuple(address))
        for found, kind, proto, name, address in socket.getaddrinfo(
            host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
    ]
