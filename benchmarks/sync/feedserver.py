"""The feed server of the benchmark: HTTPS as cheap as Python can do it, in a process of its own.

    python feedserver.py --certificates FOLDER --feeds 5000 --size 50000

One thread, epoll, OpenSSL on the sockets themselves. Whatever is served was made and compressed
before the round begins. It takes commands on its standard input, one JSON object per line, and
answers each with one:

round    {changed, plain, dated, close, delay}  numbers of feeds: which get a new item, which do
                                                not know 304, which get a new date in their head;
                                                close: no keep-alive; delay: ms before an answer
progress {}                                     how many different feeds were asked this round
told     {}                                     what was served in this round, and when
versions {}                                     of every feed: how many items, the newest's number
"""

import argparse
import heapq
import json
import os
import re
import resource
import select
import socket
import ssl
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from made import Feed, feed, prose, sizes

BACKLOG = 4096
CHUNK = 65536
END = b"\r\n\r\n"
ASKED = re.compile(rb"GET /(\d+) ")
MATCH = re.compile(rb"if-none-match: *([^\r]+)", re.IGNORECASE)


class Connection:
    """One client's connection: handshake, then requests one after the other."""

    __slots__ = ("greeted", "heard", "left", "socket")

    def __init__(self, tls: ssl.SSLSocket) -> None:
        self.socket = tls
        self.greeted = False
        self.heard = b""
        self.left = b""


class Round:
    """What is served now, and what came of it."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.plain = frozenset(request.get("plain", ()))
        self.close = bool(request.get("close"))
        self.delay = float(request.get("delay", 0)) / 1000
        self.counts = Counter[str]()
        self.first: dict[int, float] = {}


class FeedServer:
    """Serves ``/<number>``."""

    def __init__(self, feeds: list[Feed], text: str) -> None:
        self.feeds = feeds
        self._text = text
        self._round = Round({})
        self._epoll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._listeners: dict[int, tuple[socket.socket, ssl.SSLContext]] = {}
        # Answers that wait: when, a number that tells them apart, which connection.
        self._later: list[tuple[float, int, Connection]] = []
        self._made = 0

    def listen(self, certificate: Path, key: Path) -> int:
        """Opens a port with this certificate and returns it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.set_alpn_protocols(["http/1.1"])
        listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        listener.setblocking(False)
        self._listeners[listener.fileno()] = listener, context
        self._epoll.register(listener.fileno(), select.EPOLLIN)
        return int(listener.getsockname()[1])

    def serve(self) -> None:
        """Serves until the standard input ends."""
        commands = sys.stdin.fileno()
        self._epoll.register(commands, select.EPOLLIN)
        while True:
            wait = max(0.0, self._later[0][0] - time.monotonic()) if self._later else -1
            for ready, event in self._epoll.poll(wait):
                if ready == commands:
                    line = sys.stdin.buffer.readline()
                    if not line:
                        return
                    self._obey(json.loads(line))
                elif ready in self._listeners:
                    self._accept(*self._listeners[ready])
                elif ready in self._connections:
                    self._go_on(self._connections[ready], event)
            while self._later and self._later[0][0] <= time.monotonic():
                connection = heapq.heappop(self._later)[2]
                if connection.socket.fileno() in self._connections:
                    self._guarded(self._send, connection)

    def _obey(self, request: dict[str, Any]) -> None:
        answer: Any
        match request["do"]:
            case "round":
                answer = self._begin(request)
            case "progress":
                answer = {"asked": len(self._round.first)}
            case "told":
                answer = {"counts": self._round.counts, "first": self._round.first}
            case _:
                answer = {"feeds": [(one.number, one.items, one.last) for one in self.feeds]}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()

    def _begin(self, request: dict[str, Any]) -> dict[str, Any]:
        self._round = Round(request)
        changed, dated = set(request.get("changed", ())), set(request.get("dated", ()))
        for number in changed | dated:
            one = self.feeds[number - 1]
            one.last += number in changed
            one.dated += 1
            one.make(self._text)
        return {"bytes": sum(one.size for one in self.feeds)}

    def _accept(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except BlockingIOError:
                return
            plain.setblocking(False)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tls = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
            connection = Connection(tls)
            self._connections[tls.fileno()] = connection
            self._epoll.register(tls.fileno(), select.EPOLLIN)

    def _go_on(self, connection: Connection, event: int) -> None:
        if event & select.EPOLLOUT:
            self._guarded(self._send, connection)
        elif event & select.EPOLLIN:
            self._guarded(self._receive, connection)
        else:
            self._end(connection)

    def _guarded(self, act: Any, connection: Connection) -> None:
        try:
            act(connection)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLWantWriteError:
            self._epoll.modify(connection.socket.fileno(), select.EPOLLOUT)
        except (OSError, ssl.SSLError):
            self._end(connection)

    def _receive(self, connection: Connection) -> None:
        if not connection.greeted:
            connection.socket.do_handshake()
            connection.greeted = True
            self._round.counts["handshakes"] += 1
            self._round.counts["resumed"] += bool(connection.socket.session_reused)
        while True:
            data = connection.socket.recv(CHUNK)
            if not data:
                self._end(connection)
                return
            connection.heard += data
            if connection.heard.endswith(END):
                self._answer(connection)
                if connection.socket.fileno() < 0:
                    return

    def _answer(self, connection: Connection) -> None:
        now = time.monotonic()
        head, connection.heard = connection.heard, b""
        asked = ASKED.match(head)
        served = self._round
        served.counts["requests"] += 1
        if asked is None or not 0 < (number := int(asked[1])) <= len(self.feeds):
            self._end(connection)
            return
        served.first.setdefault(number, now)
        connection.left = self._response(self.feeds[number - 1], MATCH.search(head))
        if served.delay:
            self._made += 1
            heapq.heappush(self._later, (now + served.delay, self._made, connection))
        else:
            self._send(connection)

    def _response(self, one: Feed, match: re.Match[bytes] | None) -> bytes:
        served = self._round
        kept = b"close" if served.close else b"keep-alive"
        tag = one.etag
        if match is not None and match[1] == tag and one.number not in served.plain:
            served.counts["304"] += 1
            return b"HTTP/1.1 304 Not Modified\r\nETag: %b\r\nConnection: %b%b" % (tag, kept, END)
        served.counts["200"] += 1
        served.counts["bytes"] += len(one.body)
        return (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/rss+xml; charset=utf-8\r\n"
            b"Content-Encoding: gzip\r\nETag: %b\r\nContent-Length: %d\r\nConnection: %b%b%b"
            % (tag, len(one.body), kept, END, one.body)
        )

    def _send(self, connection: Connection) -> None:
        while connection.left:
            connection.left = connection.left[connection.socket.send(connection.left) :]
        if self._round.close:
            self._end(connection)
        else:
            self._epoll.modify(connection.socket.fileno(), select.EPOLLIN)

    def _end(self, connection: Connection) -> None:
        if (fileno := connection.socket.fileno()) < 0:
            return
        self._epoll.unregister(fileno)
        del self._connections[fileno]
        connection.socket.close()


def main() -> None:
    """Makes the feeds, says which ports it listens on, serves."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--certificates", type=Path, required=True)
    parser.add_argument("--feeds", type=int, required=True)
    parser.add_argument("--size", type=int, help="bytes of every feed; without it as out there")
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    text = prose()
    feeds = [feed(n, size) for n, size in enumerate(sizes(given.feeds, given.size), 1)]
    for one in feeds:
        one.make(text)
    server = FeedServer(feeds, text)
    kinds = sorted(path.stem for path in given.certificates.glob("*.key"))
    ports = {
        kind: server.listen(given.certificates / f"{kind}.pem", given.certificates / f"{kind}.key")
        for kind in kinds
        if (given.certificates / f"{kind}-leaf.pem").exists()
    }
    print(json.dumps({"ports": ports, "bytes": sum(one.size for one in feeds)}), flush=True)
    server.serve()
    os._exit(0)


if __name__ == "__main__":
    main()
