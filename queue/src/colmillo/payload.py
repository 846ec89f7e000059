"""The text that a task's arguments, and the headers that travel with them, are stored as.

It is one JSON object: the arguments by name, and beside them members that no parameter can be
called, because their names begin with @. The only one so far is `HEADERS`.
"""

import json
from collections.abc import Mapping
from typing import Any

from colmillo.errors import InvalidTask
from colmillo.unique import canonical

PAYLOAD_BYTES = 1_000_000
"""The longest payload, headers included."""

RESERVED = "@"
"""What the names of members begin with that are no arguments."""

HEADERS = "@headers"
_QUOTED = f'"{HEADERS}"'


def payload_text(values: Mapping[str, object]) -> str:
    """The payload of these JSON values. Raises `InvalidTask` above a million bytes."""
    return _bounded(canonical(values), "the arguments take")


def with_headers(payload: str, headers: Mapping[str, str]) -> str:
    """The payload with these headers added; one that is there already gets the new value.

    Raises:
        InvalidTask: a header's name or value is no text, the payload is no JSON object, or
            both together have more than a million bytes.
    """
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidTask(f"a header is text, and so is its name: {name!r}")
    if not headers:
        return payload
    if _QUOTED in payload or not payload.startswith('{"'):
        values = _members(payload)
        values[HEADERS] = {**headers_in(payload), **headers}
        text = canonical(values)
    else:
        # The arguments stay as they are written: cheaper, and nothing about them can change.
        text = f"{{{_QUOTED}:{canonical(headers)},{payload[1:]}"
    return _bounded(text, "the arguments and headers take")


def headers_in(payload: str) -> dict[str, str]:
    """The payload's headers; none when there are none, or none that can be read."""
    if _QUOTED not in payload:
        return {}
    try:
        members: Any = json.loads(payload)
    except ValueError:
        return {}
    found: Any = members.get(HEADERS) if isinstance(members, dict) else None
    if not isinstance(found, dict):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def arguments_in(payload: str) -> str:
    """The payload without its headers, for people."""
    if _QUOTED not in payload:
        return payload
    try:
        members = _members(payload)
    except InvalidTask:
        return payload
    members.pop(HEADERS, None)
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False)


def _members(payload: str) -> dict[str, Any]:
    try:
        members: Any = json.loads(payload)
    except ValueError:
        raise InvalidTask("the payload is no JSON") from None
    if not isinstance(members, dict):
        raise InvalidTask("the payload is no JSON object")
    return members


def _bounded(text: str, what: str) -> str:
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise InvalidTask("a header contains half of a surrogate pair") from None
    if size > PAYLOAD_BYTES:
        raise InvalidTask(f"{what} {size:,} bytes, more than {PAYLOAD_BYTES:,}")
    return text
