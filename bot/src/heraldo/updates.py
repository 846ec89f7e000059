"""How updates come in: none of them can make the bot deaf, and each chat keeps its order."""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

from telegram import Update
from telegram.ext import BaseUpdateProcessor
from telegram.request import HTTPXRequest

logger = logging.getLogger(__name__)


class SiftingRequest(HTTPXRequest):
    """For getUpdates: empties updates that the library cannot read.

    One such update would otherwise fail the whole batch, again and again.
    """

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """Returns the answer with only readable updates in it."""
        return sift(HTTPXRequest.parse_json_payload(payload))


def sift(answer: dict[str, Any]) -> dict[str, Any]:
    """Returns an answer to getUpdates in which unreadable updates hold nothing but their id.

    The id stays, because it tells Telegram that the update was seen.
    """
    updates = answer.get("result")
    if not isinstance(updates, list):
        return answer
    sifted = [update if _is_readable(update) else _emptied(update) for update in updates]
    return {**answer, "result": [update for update in sifted if update is not None]}


def _is_readable(update: Any) -> bool:
    try:
        Update.de_json(update, None)
    except Exception as error:  # whatever the library stumbles over
        # Only the kind of error: its text may hold the message.
        logger.warning("update not understood", extra={"error": type(error).__name__})
        return False
    return True


def _emptied(update: Any) -> dict[str, int] | None:
    number = update.get("update_id") if isinstance(update, dict) else None
    return {"update_id": number} if isinstance(number, int) else None


@dataclass(slots=True)
class _Turn:
    """A chat's turn; ``users`` have it or wait for it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class PerChat(BaseUpdateProcessor):
    """Handles updates of different chats at the same time, those of one chat in order."""

    def __init__(self, at_once: int) -> None:
        super().__init__(at_once)
        self._turns: dict[int, _Turn] = {}

    async def initialize(self) -> None:
        """Needs nothing."""

    async def shutdown(self) -> None:
        """Leaves nothing."""

    async def do_process_update(self, update: object, coroutine: Awaitable[Any]) -> None:
        """Waits for the chat's turn; an update of no chat waits for nobody."""
        chat = update.effective_chat if isinstance(update, Update) else None
        if chat is None:
            await coroutine
            return
        turn = self._turns.setdefault(chat.id, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                await coroutine
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[chat.id]
