"""What the bot's handlers ask of the rest of the application."""

from typing import Protocol

from heraldo_sync.private import Private


class SubscribeRequests(Protocol):
    """Takes on what needs the network, so that a handler can answer at once.

    Each method returns as soon as the work is written down for a worker, which later edits the
    message that the handler has sent.
    """

    @property
    def keeps_secrets(self) -> bool:
        """Whether private feeds can be followed at all."""
        ...

    async def request(
        self,
        *,
        target_id: int,
        chat_id: int,
        topic_id: int,
        url: str,
        reply_message_id: int,
        private: Private | None = None,
    ) -> None:
        """Asks for a subscription to ``url``, canonical, with these headers if it is private.

        The bot's message ``reply_message_id`` is changed into the result.
        """
        ...

    async def choose(self, *, target_id: int, chat_id: int, message_id: int, index: int) -> bool:
        """Asks for the feed that a message offers under this number; False: it offers none."""
        ...

    async def check(
        self,
        *,
        target_id: int,
        chat_id: int,
        topic_id: int,
        subscription_id: int,
        reply_message_id: int,
    ) -> None:
        """Asks for a check of a subscription's feed; the result replaces the message named."""
        ...
