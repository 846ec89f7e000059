"""Addresses, names and redirects that lead to where the bot must not go."""

from hostile_case import Case, Peer, Refused, page, redirecting

from heraldo_sync.model import Reason

PRIVATE = Refused(Reason.FORBIDDEN_ADDRESS, "inside a private network")
NO_ADDRESS = Refused(Reason.INVALID_URL, "is not a web address")
NOWHERE = Refused(Reason.REDIRECTS, "redirects to something that is not a web address")

# What is not known as an address is taken for a place on the same site.
ABSENT = Refused(Reason.HTTP_STATUS, "no such page (404)")

# Each is a host that stands for this machine, for a cloud's metadata or for a private network.
HOSTS = {
    "127.0.0.1": "the machine itself",
    "localhost": "its name",
    "localhost.": "its name with a dot at the end",
    "LOCALHOST": "its name in capitals",
    "127.0.0.1.": "with a dot at the end",
    "127.1": "in two parts",
    "127.255.255.254": "another of its addresses",
    "0.0.0.0": "any address",
    "0": "any address as a number",
    "2130706433": "as one decimal number",
    "0x7f000001": "as one hexadecimal number",
    "017700000001": "as one octal number",
    "0x7f.1": "hexadecimal and short",
    "0177.0.0.1": "with an octal part",
    "0x7f.0.0.0x1": "with hexadecimal parts",
    "00000177.0.0.1": "with zeros in front",
    "\uff11\uff12\uff17.0.0.1": "in full-width digits",
    "127\u30020\u30020\u30021": "with ideographic full stops",
    "127\uff0e0\uff0e0\uff0e1": "with full-width full stops",
    "\u2460\u2461\u2466.0.0.1": "in circled digits",
    "\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54": "its name in full-width letters",
    "loc\u00adalhost": "its name with a soft hyphen",
    "10.0.0.1": "a private network",
    "172.16.0.1": "a private network",
    "192.168.0.1": "a private network",
    "100.64.0.1": "carrier-grade NAT",
    "169.254.169.254": "a cloud's metadata",
    "0xa9fea9fe": "a cloud's metadata as a number",
    "168.63.129.16": "Azure's metadata",
    "192.0.0.192": "Oracle's metadata",
    "100.100.100.200": "Alibaba's metadata",
    "198.18.0.1": "benchmarking",
    "224.0.0.1": "multicast",
    "255.255.255.255": "broadcast",
    "[::]": "any address",
    "[::1]": "the machine itself",
    "[0:0:0:0:0:0:0:1]": "written out",
    "[::127.0.0.1]": "IPv4-compatible",
    "[::ffff:127.0.0.1]": "IPv4-mapped",
    "[::ffff:a9fe:a9fe]": "IPv4-mapped metadata",
    "[::ffff:0:127.0.0.1]": "IPv4-translated",
    "[64:ff9b::7f00:1]": "NAT64",
    "[64:ff9b:1::7f00:1]": "local NAT64",
    "[2002:7f00:1::]": "6to4",
    "[2001:0:7f00:1::]": "Teredo",
    "[2001:db8::1]": "documentation",
    "[100::1]": "discarded",
    "[fd00:ec2::254]": "Amazon's metadata",
    "[fe80::1]": "link-local",
    "[fec0::1]": "site-local",
    "[ff02::1]": "multicast",
    "user:hunter2@127.0.0.1": "behind a user and a password",
    "example.org@127.0.0.1": "behind what looks like a host",
    "example.org%40127.0.0.1@127.0.0.1": "behind an escaped at sign",
}
WRONG = {
    "a host with an IPv6 zone": "http://[fe80::1%25eth0]:{trap}/",
    "a mapped host with a zone": "http://[::ffff:127.0.0.1%25lo]:{trap}/",
    "a host in escapes": "http://%31%32%37.0.0.1:{trap}/",
    "an escaped slash in the host": "http://127.0.0.1%2f@example.org:{trap}%2f/",
    "a number too large for an address": "http://0x100000000:{trap}/",
    "an address of five parts": "http://127.0.0.1.1:{trap}/",
    "an octal part with a nine": "http://0199.0.0.1:{trap}/",
    "port 0": "http://127.0.0.1:0/",
    "port 65536": "http://127.0.0.1:65536/",
    "port -1": "http://127.0.0.1:-1/",
    "a port in Arabic digits": "http://127.0.0.1:\u0668\u0660/",
    "two ports": "http://127.0.0.1:{trap}:80/",
    "a line feed and a header in the address": "http://127.0.0.1:{trap}/\r\nX: y",
    "file:": "file:///etc/passwd",
    "gopher:": "gopher://127.0.0.1:{trap}/_GET",
    "javascript:": "javascript:alert(1)",
    "data:": "data:text/xml,<rss/>",
}
NAMES = {
    "a name of a cloud's metadata": ("metadata.test", ["169.254.169.254"]),
    "a name of a mapped address": ("mapped.test", ["::ffff:127.0.0.1"]),
    "a name of a NAT64 address": ("nat64.test", ["64:ff9b::7f00:1"]),
    "a name of an address with a zone": ("zone.test", ["fe80::1%1"]),
    "a name of nonsense": ("nonsense.test", ["not an address"]),
}


async def _further(peer: Peer) -> None:
    await redirecting(f"{peer.target}/x")(peer)


def _cases() -> list[Case]:
    cases = [
        Case(
            name=f"host {host.encode('unicode_escape').decode()}, {what}",
            expect=PRIVATE,
            url=f"http://{host}:{{trap}}/",
            permits="",
        )
        for host, what in HOSTS.items()
    ]
    cases += [
        Case(name=name, expect=NO_ADDRESS, url=url, permits="") for name, url in WRONG.items()
    ]
    cases += [
        Case(
            name=name,
            expect=PRIVATE,
            url=f"http://{host}:{{trap}}/",
            permits="",
            names={host: answers},
        )
        for name, (host, answers) in NAMES.items()
    ]
    return cases


CASES = (
    *_cases(),
    Case(
        name="a backslash before another host",
        expect=PRIVATE,
        url="http://127.0.0.1:{trap}\\@example.org/",
        permits="",
    ),
    Case(
        name="a fragment before another host",
        expect=PRIVATE,
        url="http://127.0.0.1:{trap}#@example.org/",
        permits="",
    ),
    Case(
        name="a name without an address",
        expect=Refused(Reason.DNS, "no host of this name"),
        url="http://none.test:{trap}/",
        names={"none.test": []},
    ),
    Case(
        name="a name that changes its answer between two look-ups",
        expect=PRIVATE,
        talk=redirecting("http://rebind.test:{trap}/"),
        url="http://rebind.test:{plain}/{path}",
        names={"rebind.test": ["127.0.0.1", "127.0.0.2"]},
    ),
    Case(
        name="a redirect to a cloud's metadata",
        expect=PRIVATE,
        talk=redirecting("http://169.254.169.254/latest/meta-data/"),
    ),
    Case(
        name="a permanent redirect to a mapped address",
        expect=PRIVATE,
        talk=redirecting("http://[::ffff:127.0.0.2]:{trap}/", 308),
    ),
    Case(
        name="a redirect without a scheme to a short address",
        expect=PRIVATE,
        talk=redirecting("//0x7f.2:{trap}/"),
    ),
    Case(
        name="a redirect to a private name",
        expect=PRIVATE,
        talk=redirecting("http://inside.test:{trap}/"),
        names={"inside.test": ["10.0.0.1"]},
    ),
    Case(
        name="a redirect with a tab in its scheme",
        expect=ABSENT,
        talk=redirecting("ht\ttp://127.0.0.2:{trap}/"),
    ),
    Case(name="a redirect to a file", expect=NOWHERE, talk=redirecting("file:///etc/passwd")),
    Case(name="a redirect to a script", expect=NOWHERE, talk=redirecting("javascript:alert(1)")),
    Case(name="a redirect to nothing", expect=NOWHERE, talk=redirecting("")),
    Case(
        name="a redirect to bytes that are no text",
        expect=ABSENT,
        talk=redirecting("\udcff\udcfe://"),
    ),
    Case(
        name="a redirect of 6,000 characters",
        expect=NOWHERE,
        talk=redirecting("/" + "x" * 6_000),
    ),
    Case(
        name="a circle of redirects",
        expect=Refused(Reason.REDIRECTS, "more than 5 times"),
        talk=redirecting("?"),
    ),
    Case(
        name="a chain of redirects that never ends",
        expect=Refused(Reason.REDIRECTS, "more than 5 times"),
        talk=_further,
    ),
    Case(
        name="a page whose only feed is in a private network",
        expect=PRIVATE,
        talk=page(
            lambda: (
                b"<html><link rel=alternate type=application/rss+xml "
                b"href=http://127.0.0.2:{trap}/feed>"
            ),
            "text/html",
        ),
    ),
    Case(
        name="a host that is nobody's",
        expect=Refused(Reason.CONNECT, "cannot be reached"),
        url="http://127.0.0.1:1/",
    ),
)
