"""How fast Telegram lets a bot send. The defaults are what its documentation asks for."""

from dataclasses import dataclass
from datetime import timedelta

ONE_TO_ONE = frozenset({"private"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SendLimits:
    """The time between two messages: overall, to a person, to a group or channel.

    https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
    """

    overall: timedelta = timedelta(seconds=1 / 30)
    person: timedelta = timedelta(seconds=1)
    group: timedelta = timedelta(seconds=3)

    def between(self, kind: str) -> timedelta:
        """The time between two messages to a chat of this kind."""
        return self.person if kind in ONE_TO_ONE else self.group
