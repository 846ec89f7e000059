"""TLS that goes on where it left off: a session per origin is kept and used once more.

A handshake is most of what a poll over https costs. asyncio asks the context for the TLS object
of every connection (``wrap_bio``), which is where a kept session comes in; it is taken from the
first bytes that are read, because TLS 1.3 sends its tickets after the handshake.
"""

import ssl
from collections import OrderedDict
from contextvars import ContextVar
from typing import Any

from colmillo.clock import Clock, SystemClock

MAX_SESSIONS = 500
"""How many origins' sessions are kept; each takes up to 50 KB, mostly the server's certificates."""

PLACE_SECONDS = 3600.0
"""How long an origin keeps its place among them when it gives no new session."""

port_of_connection: ContextVar[int] = ContextVar("port_of_connection", default=443)
"""The port of the connection that is being made: the context is told only the host's name."""

Origin = tuple[str, int]


class SessionContext(ssl.SSLContext):
    """What `ssl.create_default_context` makes for clients, and a memory of sessions.

    A session is only ever offered to the host and port that gave it: the certificate is not
    checked again when it is resumed. It is taken out when it is offered, and a new one is kept
    when the server has answered, so a session that a server chokes on is not offered again.

    Origins keep their places: who asks 5,000 hosts in turn would meet none of the last 500 again,
    but does meet the first 500. And what is not kept need not be taken, which costs a fifth of a
    handshake: Python copies a session by writing and reading it, certificates included.
    """

    # When it was kept last, and the session unless it is being used.
    _places: OrderedDict[Origin, tuple[float, ssl.SSLSession | None]]
    _limit: int
    _clock: Clock

    @classmethod
    def for_clients(
        cls,
        *,
        limit: int = MAX_SESSIONS,
        cafile: str | None = None,
        clock: Clock | None = None,
    ) -> "SessionContext":
        """Trusts what the system trusts, or only the certificates in ``cafile`` (PEM)."""
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        usual = ssl.create_default_context(cafile=cafile)
        context.verify_flags = usual.verify_flags
        context.options = usual.options
        if cafile is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cafile)
        context.set_alpn_protocols(["http/1.1"])
        context._places = OrderedDict()
        context._limit = limit
        context._clock = clock or SystemClock()
        return context

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Makes the TLS object of a new connection, with the session of its origin if there is."""
        origin = (str(server_hostname), port_of_connection.get())
        if session is None and server_hostname is not None:
            session = self.offered_to(*origin)
        made = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        if isinstance(made, _Resumable) and server_hostname is not None:
            made.belong(self, origin)
        return made

    def offered_to(self, host: str, port: int) -> ssl.SSLSession | None:
        """Takes out the session that this origin gave last; its place stays its own."""
        since, session = self._places.get((host, port), (0.0, None))
        if session is not None:
            self._places[host, port] = since, None
        return session

    def has_room(self, origin: Origin) -> bool:
        """Whether a session of this origin would be kept."""
        if origin in self._places or len(self._places) < self._limit:
            return True
        since, _ = next(iter(self._places.values()), (0.0, None))
        return self._clock.monotonic() - since > PLACE_SECONDS

    def keep(self, origin: Origin, session: ssl.SSLSession | None) -> None:
        """Keeps an origin's session if there is room."""
        if session is None or not self.has_room(origin):
            return
        self._places[origin] = self._clock.monotonic(), session
        self._places.move_to_end(origin)
        while len(self._places) > self._limit:
            self._places.popitem(last=False)

    @property
    def kept(self) -> int:
        """How many sessions are kept."""
        return sum(session is not None for _, session in self._places.values())


class _Resumable(ssl.SSLObject):
    """Gives its session to the context once, when the server's first bytes were read."""

    _owner: tuple[SessionContext, Origin] | None = None

    def belong(self, context: SessionContext, origin: Origin) -> None:
        self._owner = context, origin

    def getpeercert(self, binary_form: bool = False) -> Any:
        # asyncio has every certificate spelt out after its handshake, for nobody here to read.
        return super().getpeercert(binary_form=True) if binary_form else {}

    def read(self, *arguments: Any, **named: Any) -> Any:
        # asyncio reads into a buffer of its own, other loops may not; either is handed through.
        data = super().read(*arguments, **named)
        if data and self._owner is not None:
            context, origin = self._owner
            self._owner = None
            if context.has_room(origin):
                context.keep(origin, self.session)
        return data


SessionContext.sslobject_class = _Resumable
