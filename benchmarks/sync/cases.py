"""What a round serves."""

import random
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One kind of round. Shares are of the feeds that are due; the rest answers 304.

    ``changed`` have one new item; ``plain`` send their unchanged body again; ``dated`` send a
    body of which only the date in the head is new. Feeds share ``hosts`` hosts, or have one each.
    ``close``: the server keeps no connection open. ``delay``: ms before each answer.
    """

    name: str
    about: str
    changed: float = 0.0
    plain: float = 0.0
    dated: float = 0.0
    hosts: int | None = None
    keys: str = "p256"
    close: bool = False
    delay: int = 0

    @property
    def place(self) -> tuple[int | None, str]:
        """What the feeds' addresses follow from."""
        return self.hosts, self.keys


CASES = {
    case.name: case
    for case in (
        Case(name="quiet", about="all 304"),
        Case(name="five", about="5 % with one new item, else 304", changed=0.05),
        Case(
            name="mixed",
            about="5 % with one new item, 30 % the same body, 10 % a new date only, else 304",
            changed=0.05,
            plain=0.30,
            dated=0.10,
        ),
        Case(name="all", about="all with one new item", changed=1.0),
        Case(name="five-rsa", about="as five, RSA 2048 instead of P-256", changed=0.05, keys="rsa"),
        Case(
            name="five-kept",
            about="as five, 50 hosts: most requests on connections that are open",
            changed=0.05,
            hosts=50,
        ),
        Case(
            name="five-resumed",
            about="as five, 400 hosts that close: most handshakes resume a session",
            changed=0.05,
            hosts=400,
            close=True,
        ),
        Case(
            name="five-far",
            about="as five, each answer after 300 ms",
            changed=0.05,
            delay=300,
        ),
    )
}


def request(case: Case, due: int, seed: int) -> dict[str, Any]:
    """What to tell the feed server for one round over the feeds 1 … ``due``."""
    numbers = list(range(1, due + 1))
    random.Random(seed).shuffle(numbers)
    told: dict[str, Any] = {"close": case.close, "delay": case.delay}
    for kind, share in (("changed", case.changed), ("plain", case.plain), ("dated", case.dated)):
        some = round(share * due)
        told[kind], numbers = numbers[:some], numbers[some:]
    return told


def host(case: Case, number: int) -> str:
    """The first label of the host that a feed is on."""
    return f"f{number}" if case.hosts is None else f"h{number % case.hosts}"
