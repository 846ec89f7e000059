"""reply_markup: what Telegram takes under a message, and its refusals."""

from collections.abc import Mapping
from dataclasses import dataclass

from heraldo.botapi.errors import JsonObject, bad_request
from heraldo.botapi.links import WrongLink, checked_link
from heraldo.botapi.params import Params, as_array, as_flag, as_object, as_text

MAX_BUTTONS = 100
MAX_CALLBACK_DATA_BYTES = 64
MAX_COPIED_TEXT = 256
_ACTIONS = (
    "url",
    "callback_data",
    "web_app",
    "login_url",
    "switch_inline_query",
    "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat",
    "copy_text",
    "callback_game",
    "pay",
)
_WHAT = "inline keyboard button"


@dataclass(frozen=True, slots=True, kw_only=True)
class Markup:
    """What came with a message: an inline keyboard, or a change to the person's own keyboard."""

    inline: JsonObject | None = None
    own: JsonObject | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """One inline button as people see it."""

    text: str
    data: str | None = None
    url: str | None = None


def parse_markup(params: Params) -> Markup:
    """Returns the checked reply_markup; raises Rejected with Telegram's reason."""
    markup = params.mapping("reply_markup")
    if markup is None:
        return Markup()
    if "inline_keyboard" in markup:
        return Markup(inline=_inline_keyboard(markup))
    if "keyboard" in markup:
        for flag in ("resize_keyboard", "one_time_keyboard", "is_persistent", "selective"):
            as_flag(markup, flag)
        for row in as_array(markup["keyboard"], "keyboard"):
            for button in as_array(row, "keyboard"):
                _own_button(button)
        return Markup(own=dict(markup))
    if as_flag(markup, "remove_keyboard") or as_flag(markup, "force_reply"):
        as_flag(markup, "selective")
        return Markup(own=dict(markup))
    if not markup:
        return Markup()
    raise bad_request("object expected as reply markup")


def buttons(markup: JsonObject | None) -> tuple[tuple[Button, ...], ...]:
    """Returns the rows of an inline keyboard that was checked before."""
    if markup is None:
        return ()
    return tuple(
        tuple(
            Button(
                text=str(button["text"]),
                data=as_text(button, "callback_data"),
                url=as_text(button, "url"),
            )
            for button in (as_object(item, "button") for item in as_array(row, "row"))
        )
        for row in as_array(markup["inline_keyboard"], "inline_keyboard")
    )


def _own_button(button: object) -> None:
    if isinstance(button, str):
        return
    if not as_text(as_object(button, "keyboard"), "text", "keyboard button"):
        raise bad_request("can't parse keyboard button: Can't find field \"text\"")


def _inline_keyboard(markup: Mapping[str, object]) -> JsonObject | None:
    """Returns the keyboard without empty rows, None when nothing is left."""
    rows = [
        [_inline_button(button) for button in as_array(row, "inline_keyboard")]
        for row in as_array(markup["inline_keyboard"], "inline_keyboard")
    ]
    if sum(map(len, rows)) > MAX_BUTTONS:
        raise bad_request("reply markup is too long")
    rows = [row for row in rows if row]
    return {"inline_keyboard": rows} if rows else None


def _inline_button(value: object) -> JsonObject:
    if not isinstance(value, dict):
        raise bad_request(f"can't parse {_WHAT}: expected an Object")
    button = as_object(value, "button")
    text = as_text(button, "text", _WHAT)
    if text is None:
        raise bad_request(f"can't parse {_WHAT}: Can't find field \"text\"")
    if not text.strip():
        raise bad_request(f"{_WHAT} text must be non-empty")
    # Telegram takes an empty string for an action that is not there.
    actions = [name for name in _ACTIONS if button.get(name) not in (None, "", False)]
    if "switch_inline_query" in button or "switch_inline_query_current_chat" in button:
        actions = actions or ["switch_inline_query"]
    if not actions:
        raise bad_request(f"can't parse {_WHAT}: Text buttons are unallowed in the inline keyboard")
    if len(actions) > 1:
        raise bad_request(f"can't parse {_WHAT}: exactly one optional field must be used")
    checked = {"text": text, **{key: item for key, item in button.items() if key != "text"}}
    _check_action(actions[0], button, checked)
    return checked


def _check_action(action: str, button: Mapping[str, object], checked: JsonObject) -> None:
    match action:
        case "callback_data":
            data = as_text(button, "callback_data", _WHAT) or ""
            if len(data.encode("utf-8", "surrogatepass")) > MAX_CALLBACK_DATA_BYTES:
                raise bad_request("BUTTON_DATA_INVALID")
        case "url":
            url = as_text(button, "url", _WHAT) or ""
            try:
                checked["url"] = checked_link(url)
            except WrongLink as error:
                raise bad_request(f"{_WHAT} URL '{url}' is invalid: {error}") from None
        case "web_app" | "login_url":
            url = as_text(as_object(button[action], action), "url", _WHAT) or ""
            if not url.startswith("https://"):
                kind = "Web App URL" if action == "web_app" else "login URL"
                raise bad_request(
                    f"{_WHAT} {kind} '{url}' is invalid: Only HTTPS links are allowed"
                )
        case "copy_text":
            copied = as_text(as_object(button[action], action), "text", _WHAT) or ""
            if not 0 < len(copied) <= MAX_COPIED_TEXT:
                raise bad_request("BUTTON_COPY_TEXT_INVALID")
        case "callback_game" | "pay":
            raise bad_request("BUTTON_TYPE_INVALID")
        case _:
            return
