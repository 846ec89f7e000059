"""The bot's updates: kept until acknowledged, handed out by long polling or to a webhook."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from colmillo.clock import Clock
from heraldo.botapi.errors import JsonObject, Rejected, conflict
from heraldo.botapi.signals import Signal

MAX_LIMIT = 100
MAX_TIMEOUT = 50
_OPT_IN = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
_SHAPES = frozenset(
    {
        "message",
        "edited_message",
        "channel_post",
        "edited_channel_post",
        "callback_query",
        "inline_query",
        "my_chat_member",
        "chat_join_request",
        *_OPT_IN,
    }
)


@dataclass(slots=True, kw_only=True)
class Webhook:
    """Where updates are posted instead of being fetched, and how that goes."""

    url: str
    secret: str | None = None
    max_connections: int = 40
    last_error_date: int | None = None
    last_error_message: str | None = None

    def to_json(self) -> JsonObject:
        """Returns the Bot API's WebhookInfo but for the counts."""
        body: JsonObject = {"url": self.url, "has_custom_certificate": False}
        if self.url:
            body["max_connections"] = self.max_connections
        if self.last_error_date is not None:
            body["last_error_date"] = self.last_error_date
            body["last_error_message"] = self.last_error_message or ""
        return body


@dataclass(slots=True, kw_only=True)
class Update:
    """One update; ``shape`` is the field that carries it."""

    id: int
    shape: str
    body: JsonObject
    handed_out: bool = False

    def to_json(self) -> JsonObject:
        """Returns the Bot API's Update."""
        return {"update_id": self.id, self.shape: self.body}


@dataclass(slots=True, eq=False)
class _Poll:
    ended_by: Rejected | None = None


@dataclass(slots=True, eq=False)
class UpdateQueue:
    """Updates in order. ``changed`` fires for every new, fetched or acknowledged one."""

    clock: Clock
    changed: Signal = field(default_factory=Signal)
    webhook: Webhook = field(default_factory=lambda: Webhook(url=""))
    allowed: frozenset[str] = frozenset()
    last_id: int = 0
    _pending: list[Update] = field(default_factory=list)
    _poll: _Poll | None = None

    @property
    def pending(self) -> Sequence[Update]:
        """Those not acknowledged yet, oldest first."""
        return self._pending

    @property
    def is_polled(self) -> bool:
        """Whether a long poll waits for an update."""
        return self._poll is not None

    def add(self, shape: str, body: JsonObject) -> int | None:
        """Adds an update and returns its id; None when the bot did not ask for that shape."""
        unasked = shape not in self.allowed if self.allowed else shape in _OPT_IN
        if unasked and shape in _SHAPES:
            return None
        self.last_id += 1
        self._pending.append(Update(id=self.last_id, shape=shape, body=body))
        self.changed.notify()
        return self.last_id

    def was_handed_out(self, update_id: int) -> bool:
        """Whether the bot was given that update at least once."""
        return all(update.handed_out for update in self._pending if update.id == update_id)

    def acknowledge(self, below: int) -> None:
        """Forgets all updates with a smaller id."""
        self._pending = [update for update in self._pending if update.id >= below]
        self.changed.notify()

    def clear(self) -> None:
        """Forgets all updates."""
        self.acknowledge(self.last_id + 1)

    def set_allowed(self, shapes: Collection[str]) -> None:
        """Sets the shapes the bot wants from now on; none means the usual ones."""
        self.allowed = frozenset(shapes)

    def set_webhook(self, webhook: Webhook) -> None:
        """Posts updates from now on; a running long poll ends with 409."""
        self.webhook = webhook
        self._end_poll(conflict("terminated by setWebhook request"))

    async def fetch(self, *, offset: int, limit: int, wait: float) -> list[Update]:
        """Returns the updates from ``offset`` on, waiting up to ``wait`` seconds for one.

        Acknowledges those before it; a negative offset keeps only the last so many. Raises
        Rejected (409) when a webhook is set, and in the earlier of two polls at once.
        """
        if self.webhook.url:
            raise conflict(
                "can't use getUpdates method while webhook is active; "
                "use deleteWebhook to delete the webhook first"
            )
        self._end_poll(
            conflict(
                "terminated by other getUpdates request; "
                "make sure that only one bot instance is running"
            )
        )
        if offset < 0:
            offset = self._pending[offset:][0].id if self._pending else 0
        if offset > 0:
            self.acknowledge(offset)
        poll = self._poll = _Poll()
        self.changed.notify()
        try:
            await self.changed.met_within(
                lambda: bool(self._pending) or poll.ended_by is not None,
                clock=self.clock,
                seconds=min(wait, MAX_TIMEOUT),
            )
        finally:
            if self._poll is poll:
                self._poll = None
        if poll.ended_by is not None:
            raise poll.ended_by
        given = self._pending[: max(1, min(limit, MAX_LIMIT))]
        self.hand_out(given)
        return given

    def hand_out(self, given: Sequence[Update]) -> None:
        """Notes that the bot was given these."""
        for update in given:
            update.handed_out = True
        if given:
            self.changed.notify()

    def end_polls(self) -> None:
        """Ends a running long poll, as when the server goes away."""
        self._end_poll(Rejected(502, "Bad Gateway"))

    def _end_poll(self, why: Rejected) -> None:
        if self._poll is not None:
            self._poll.ended_by = why
            self._poll = None
            self.changed.notify()
