"""Posting updates to the bot's webhook, with the standard library's streams."""

import asyncio
import json
from urllib.parse import urlsplit

from colmillo.clock import Clock
from heraldo.botapi.updates import Update, UpdateQueue, Webhook

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
_ANSWER_WITHIN = 30.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0


class WebhookPoster:
    """Posts pending updates one after the other, each until it is answered with 2xx."""

    def __init__(self, updates: UpdateQueue, clock: Clock) -> None:
        self._updates = updates
        self._clock = clock

    async def run(self) -> None:
        """Posts while there is a webhook; returns only when cancelled."""
        pause = _FIRST_PAUSE
        while True:
            await self._updates.changed.met(
                lambda: bool(self._updates.webhook.url and self._updates.pending)
            )
            delivered = await self._deliver(self._updates.webhook, pause)
            pause = _FIRST_PAUSE if delivered else min(pause * 2, _LONGEST_PAUSE)

    async def _deliver(self, webhook: Webhook, pause: float) -> bool:
        """Posts the oldest update; after a failure notes it and waits, or for a new webhook."""
        update = self._updates.pending[0]
        problem = await _post(webhook, update)
        if problem is None:
            self._updates.hand_out([update])
            self._updates.acknowledge(update.id + 1)
            return True
        webhook.last_error_date = int(self._clock.now().timestamp())
        webhook.last_error_message = problem
        self._updates.changed.notify()
        await self._updates.changed.met_within(
            lambda: self._updates.webhook is not webhook, clock=self._clock, seconds=pause
        )
        return False


async def _post(webhook: Webhook, update: Update) -> str | None:
    """Posts one update; returns what went wrong, None when it was answered with 2xx."""
    try:
        async with asyncio.timeout(_ANSWER_WITHIN):
            status, reason = await _exchange(webhook, json.dumps(update.to_json()).encode())
    except TimeoutError:
        return "Read timeout expired"
    except (OSError, EOFError, ValueError) as error:
        return f"Connection failed: {type(error).__name__}"
    return None if status.startswith("2") else f"Wrong response from the webhook: {status} {reason}"


async def _exchange(webhook: Webhook, body: bytes) -> tuple[str, str]:
    """Sends the POST; returns the status code and its phrase."""
    parts = urlsplit(webhook.url)
    encrypted = parts.scheme == "https"
    host = parts.hostname or ""
    port = parts.port or (443 if encrypted else 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = [
        f"POST {target} HTTP/1.1",
        f"Host: {parts.netloc.rpartition('@')[2]}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if webhook.secret:
        headers.append(f"{SECRET_HEADER}: {webhook.secret}")
    reader, writer = await asyncio.open_connection(host, port, ssl=encrypted or None)
    try:
        writer.write("\r\n".join([*headers, "", ""]).encode("latin-1") + body)
        await writer.drain()
        status_line = (await reader.readuntil(b"\r\n")).decode("latin-1").strip()
    finally:
        writer.transport.abort()
    _, _, answer = status_line.partition(" ")
    status, _, reason = answer.partition(" ")
    return status, reason
