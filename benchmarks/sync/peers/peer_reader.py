"""`reader`, a feed library with storage, as its documentation has it: update_feeds(workers=N).

Runs in an environment of its own; the standard library and reader only. Commands are lines of
JSON on the standard input, each answered with one.
"""

import json
import socket
import sys
import time
from importlib.metadata import version
from pathlib import Path

import requests
from reader import make_reader

WORKERS = 20
DOMAIN = ".bench.test"

_look_up = socket.getaddrinfo
_make_session = requests.Session.__init__


def here(host: str, *arguments: object, **named: object) -> object:
    """Looks up as always; our names lead to this machine."""
    if isinstance(host, str) and host.endswith(DOMAIN):
        host = "127.0.0.1"
    return _look_up(host, *arguments, **named)


def trusting(session: requests.Session, *arguments: object) -> None:
    """Makes a session that trusts the benchmark's root, named on the command line."""
    _make_session(session, *arguments)
    session.verify = sys.argv[1]


def main() -> None:
    """Serves commands until the input ends."""
    socket.getaddrinfo = here
    requests.Session.__init__ = trusting
    reader = make_reader(str(Path("reader.sqlite").absolute()))
    packages = ("reader", "feedparser", "requests", "urllib3")
    say({"versions": {name: version(name) for name in packages}, "workers": WORKERS})
    for line in sys.stdin:
        request = json.loads(line)
        match request["do"]:
            case "add":
                for url in request["urls"]:
                    reader.add_feed(url, exist_ok=True)
                say({})
            case "update":
                began = time.monotonic()
                reader.update_feeds(workers=WORKERS, scheduled=False)
                say({"seconds": time.monotonic() - began})
            case _:
                counts = reader.get_entry_counts()
                broken = list(reader.get_feeds(broken=True))
                why = [one.last_exception.value_str for one in broken[:1] if one.last_exception]
                say({"entries": counts.total, "failed": len(broken), "why": why})


def say(answer: dict[str, object]) -> None:
    """Answers."""
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
