"""How fast the bot sent, in the server's clock, and Telegram's limits on it."""

import math
from dataclasses import dataclass, field

from colmillo.clock import Clock
from heraldo.botapi.errors import too_many_requests
from heraldo.botapi.state import ChatState


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most ``count`` messages in any stretch of ``seconds``."""

    count: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """The limits of https://core.telegram.org/bots/faq#broadcasting-to-users."""

    per_chat: Limit = Limit(count=1, seconds=1.0)
    per_group: Limit = Limit(count=20, seconds=60.0)
    overall: Limit = Limit(count=30, seconds=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One message that was accepted."""

    chat_id: int
    at: float
    """Seconds on the server's monotonic clock."""


@dataclass(slots=True, eq=False)
class Rates:
    """Every accepted message with its time; refuses the ones too many when told to."""

    clock: Clock
    limits: RateLimits | None = None
    sent: list[Sent] = field(default_factory=list)

    def enforce(self, limits: RateLimits | None = None) -> None:
        """Answers 429 from now on to what is above the limits (Telegram's by default)."""
        self.limits = limits or RateLimits()

    def release(self) -> None:
        """Lets everything through again; times are still recorded."""
        self.limits = None

    def count(self, chat: ChatState, messages: int = 1) -> None:
        """Records messages about to be accepted; raises Rejected (429) when they are too many."""
        if self.limits is not None and (wait := self._wait(chat, self.limits)) > 0:
            raise too_many_requests(max(1, math.ceil(wait)))
        now = self.clock.monotonic()
        self.sent += [Sent(chat_id=chat.id, at=now)] * messages

    def peak(self, seconds: float, *, chat_id: int | None = None) -> int:
        """Returns the most messages accepted in any stretch that is shorter than ``seconds``."""
        times = [sent.at for sent in self.sent if chat_id in (None, sent.chat_id)]
        most = first = 0
        for last, at in enumerate(times):
            while at - times[first] >= seconds:
                first += 1
            most = max(most, last - first + 1)
        return most

    def exceeded(self, limits: RateLimits | None = None) -> list[str]:
        """Returns, in words, every limit that the accepted messages were ever above."""
        limits = limits or RateLimits()
        found = [self._above(limits.overall, None)]
        for chat_id in sorted({sent.chat_id for sent in self.sent}):
            found.append(self._above(limits.per_chat, chat_id))
            if chat_id < 0:
                found.append(self._above(limits.per_group, chat_id))
        return [words for words in found if words]

    def _above(self, limit: Limit, chat_id: int | None) -> str:
        peak = self.peak(limit.seconds, chat_id=chat_id)
        if peak <= limit.count:
            return ""
        where = "in all" if chat_id is None else f"in chat {chat_id}"
        return f"{peak} messages in {limit.seconds:g} s {where}, {limit.count} are allowed"

    def _wait(self, chat: ChatState, limits: RateLimits) -> float:
        """Returns the seconds until one more message is within all limits."""
        waits = [
            self._until_free(limits.overall, None),
            self._until_free(limits.per_chat, chat.id),
        ]
        if not chat.is_private:
            waits.append(self._until_free(limits.per_group, chat.id))
        return max(waits)

    def _until_free(self, limit: Limit, chat_id: int | None) -> float:
        now = self.clock.monotonic()
        recent = [
            sent.at
            for sent in self.sent
            if chat_id in (None, sent.chat_id) and now - sent.at < limit.seconds
        ]
        if len(recent) < limit.count:
            return 0.0
        return recent[-limit.count] + limit.seconds - now
