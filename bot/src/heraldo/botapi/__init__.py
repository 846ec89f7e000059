"""The project's own Bot API server: strict like Telegram's, and it fails on demand."""

from heraldo.botapi.errors import BotApiError, NothingHappened
from heraldo.botapi.faults import Call, Faults, Rule
from heraldo.botapi.people import Chat, Person, Topic
from heraldo.botapi.rates import Limit, RateLimits, Rates
from heraldo.botapi.server import BotApiServer
from heraldo.botapi.state import Message
from heraldo.botapi.world import CallbackAnswer

__all__ = [
    "BotApiError",
    "BotApiServer",
    "Call",
    "CallbackAnswer",
    "Chat",
    "Faults",
    "Limit",
    "Message",
    "NothingHappened",
    "Person",
    "RateLimits",
    "Rates",
    "Rule",
    "Topic",
]
