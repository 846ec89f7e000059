"""What this package raises."""

from typing import TypeAlias

JsonObject: TypeAlias = dict[str, object]


class BotApiError(Exception):
    """Base of everything this package raises."""


class Rejected(BotApiError):
    """A request is answered with an error, in the Bot API's own form."""

    def __init__(
        self,
        code: int,
        description: str,
        *,
        retry_after: int | None = None,
        migrate_to_chat_id: int | None = None,
    ) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.retry_after = retry_after
        self.migrate_to_chat_id = migrate_to_chat_id

    def body(self) -> JsonObject:
        """Returns the answer as the Bot API writes it."""
        answer: JsonObject = {
            "ok": False,
            "error_code": self.code,
            "description": self.description,
        }
        parameters = {
            name: value
            for name, value in (
                ("retry_after", self.retry_after),
                ("migrate_to_chat_id", self.migrate_to_chat_id),
            )
            if value is not None
        }
        if parameters:
            answer["parameters"] = parameters
        return answer


class ConnectionDropped(BotApiError):
    """The connection is to be cut instead of answered."""


class NothingHappened(BotApiError):
    """What a test waited for did not come; the message says what did."""


def bad_request(what: str) -> Rejected:
    """Returns the 400 answer with Telegram's prefix."""
    return Rejected(400, f"Bad Request: {what}")


def forbidden(what: str) -> Rejected:
    """Returns the 403 answer with Telegram's prefix."""
    return Rejected(403, f"Forbidden: {what}")


def conflict(what: str) -> Rejected:
    """Returns the 409 answer with Telegram's prefix."""
    return Rejected(409, f"Conflict: {what}")


def too_many_requests(seconds: int) -> Rejected:
    """Returns the 429 answer; ``seconds`` is also in its parameters."""
    return Rejected(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
