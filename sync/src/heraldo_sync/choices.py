"""The feeds a page offered, kept for the buttons under the message that lists them."""

import json
from dataclasses import dataclass

from heraldo_sync.database import Pool
from heraldo_sync.model import FeedLink
from heraldo_sync.statements import statement
from heraldo_sync.urls import without_credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A feed that was chosen; ``sealed`` are the private headers of the page that offered it."""

    url: str
    sealed: str | None


class ChoiceStore:
    """Offers by chat and message."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def offer(
        self,
        *,
        chat_id: int,
        message_id: int,
        target_id: int,
        links: tuple[FeedLink, ...],
        sealed: str | None = None,
    ) -> None:
        """Keeps what a message offers, and the private headers (sealed) that led to it."""
        body = json.dumps(
            [{"url": without_credentials(link.url), "title": link.title} for link in links]
        )
        await self._pool.execute(
            statement("offer_choices"), chat_id, message_id, target_id, body, sealed
        )

    async def chosen(
        self, *, chat_id: int, message_id: int, target_id: int, index: int
    ) -> Chosen | None:
        """The offer of this number under this message; None if it is not (or no more) there."""
        row = await self._pool.fetchrow(statement("choices"), chat_id, message_id)
        if row is None or row["target_id"] != target_id:
            return None
        links = json.loads(row["links"])
        if not 0 <= index < len(links):
            return None
        return Chosen(url=links[index]["url"], sealed=row["sealed"])
