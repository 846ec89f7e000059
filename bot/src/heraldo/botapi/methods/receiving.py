"""What comes in: updates, webhooks, pressed buttons and files."""

import re

from heraldo.botapi.errors import bad_request
from heraldo.botapi.links import WrongLink, checked_link
from heraldo.botapi.methods.registry import method
from heraldo.botapi.params import Params
from heraldo.botapi.updates import MAX_LIMIT, Webhook
from heraldo.botapi.world import CallbackAnswer, World

CALLBACK_LIFETIME = 60.0
MAX_CALLBACK_TEXT = 200
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_TOO_OLD = "query is too old and response timeout expired or query ID is invalid"


@method("getUpdates")
async def get_updates(world: World, params: Params) -> object:
    """Returns updates, waiting for one when asked to (a long poll)."""
    _set_allowed(world, params)
    updates = await world.updates.fetch(
        offset=params.integer("offset"),
        limit=params.integer("limit", MAX_LIMIT),
        wait=params.integer("timeout"),
    )
    return [update.to_json() for update in updates]


@method("setWebhook")
async def set_webhook(world: World, params: Params) -> object:
    """Posts updates to an address from now on; plain http is fine, as on a local server."""
    url = (params.text("url") or "").strip()
    secret = params.text("secret_token")
    if secret and not _SECRET.fullmatch(secret):
        raise bad_request("secret token contains unallowed characters")
    if url:
        try:
            checked_link(url)
        except WrongLink as error:
            raise bad_request(f"bad webhook: {error}") from None
    _set_allowed(world, params)
    if params.boolean("drop_pending_updates"):
        world.updates.clear()
    world.updates.set_webhook(
        Webhook(url=url, secret=secret, max_connections=params.integer("max_connections", 40))
    )
    return True


@method("deleteWebhook")
async def delete_webhook(world: World, params: Params) -> object:
    """Goes back to long polling."""
    if params.boolean("drop_pending_updates"):
        world.updates.clear()
    if world.updates.webhook.url:
        world.updates.set_webhook(Webhook(url=""))
    return True


@method("getWebhookInfo")
async def get_webhook_info(world: World, params: Params) -> object:
    """Returns how the webhook does."""
    info = world.updates.webhook.to_json()
    info["pending_update_count"] = len(world.updates.pending)
    if world.updates.allowed:
        info["allowed_updates"] = sorted(world.updates.allowed)
    return info


@method("answerCallbackQuery")
async def answer_callback_query(world: World, params: Params) -> object:
    """Answers a pressed button, once and within a minute."""
    callback = world.callbacks.get(params.text("callback_query_id") or "")
    text = params.text("text") or ""
    if len(text) > MAX_CALLBACK_TEXT:
        raise bad_request("MESSAGE_TOO_LONG")
    if (
        callback is None
        or callback.answer is not None
        or world.clock.monotonic() - callback.pressed_at > CALLBACK_LIFETIME
    ):
        raise bad_request(_TOO_OLD)
    callback.answer = CallbackAnswer(
        text=text, show_alert=params.boolean("show_alert"), url=params.text("url")
    )
    world.changed.notify()
    return True


@method("getFile")
async def get_file(world: World, params: Params) -> object:
    """Returns where an uploaded file can be fetched."""
    file = world.files.by_id.get(params.text("file_id") or "")
    if file is None:
        raise bad_request("invalid file_id")
    if file.data is None:
        raise bad_request("file is temporarily unavailable")
    return file.to_json() | {"file_path": f"files/{file.file_id}"}


def _set_allowed(world: World, params: Params) -> None:
    shapes = params.array("allowed_updates")
    if shapes is not None:
        world.updates.set_allowed({str(shape) for shape in shapes})
