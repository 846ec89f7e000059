"""The parameters of one request, whatever encoding they came in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from heraldo.botapi.errors import bad_request

_TRUE = {"true", "yes", "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that came in a multipart body."""

    filename: str
    content_type: str
    data: bytes


class Params:
    """Named values; strings from forms and query strings, anything JSON has from JSON bodies."""

    def __init__(
        self, values: Mapping[str, object], uploads: Mapping[str, Upload] | None = None
    ) -> None:
        self.values = dict(values)
        self.uploads = dict(uploads or {})

    def text(self, name: str) -> str | None:
        """Returns the value as it was sent, never decoded further; None when it is absent."""
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value) if isinstance(value, int | float) else json.dumps(value)

    def integer(self, name: str, default: int = 0) -> int:
        """Returns the number, or the default for what is absent or no number."""
        try:
            return int((self.text(name) or "").strip())
        except ValueError:
            return default

    def boolean(self, name: str) -> bool:
        """Whether the value is true; what is absent is not."""
        return (self.text(name) or "").strip().lower() in _TRUE

    def json(self, name: str) -> object:
        """Returns the decoded value, None when it is absent or empty.

        Raises Rejected when it is not JSON.
        """
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        try:
            decoded: object = json.loads(value)
        except ValueError:
            raise bad_request(f"can't parse {name.replace('_', ' ')} JSON object") from None
        return decoded

    def mapping(self, name: str) -> Mapping[str, object] | None:
        """Returns the decoded JSON object, None when it is absent.

        Raises Rejected when it is something else.
        """
        value = self.json(name)
        return None if value is None else as_object(value, name)

    def array(self, name: str) -> list[object] | None:
        """Returns the decoded JSON array, None when it is absent.

        Raises Rejected when it is something else.
        """
        value = self.json(name)
        return None if value is None else as_array(value, name)


def as_object(value: object, name: str) -> Mapping[str, object]:
    """Returns the value when it is a JSON object; raises Rejected otherwise."""
    if not isinstance(value, dict):
        raise bad_request(f'field "{name}" must be of type Object')
    return {str(key): item for key, item in value.items()}


def as_array(value: object, name: str) -> list[object]:
    """Returns the value when it is a JSON array; raises Rejected otherwise."""
    if not isinstance(value, list):
        raise bad_request(f'field "{name}" must be of type Array')
    return list(value)


def as_text(source: Mapping[str, object], name: str, what: str = "") -> str | None:
    """Returns a string field of a JSON object, None when it is absent.

    Raises Rejected when it is something else; ``what`` says of what object.
    """
    value = source.get(name)
    if value is None or isinstance(value, str):
        return value
    if what:
        raise bad_request(f'can\'t parse {what}: Field "{name}" must be of type String')
    raise bad_request(f'field "{name}" must be of type String')


def as_flag(source: Mapping[str, object], name: str) -> bool:
    """Returns a boolean field of a JSON object, False when it is absent.

    Raises Rejected when it is something else.
    """
    value = source.get(name, False)
    if not isinstance(value, bool):
        raise bad_request(f'field "{name}" must be of type Boolean')
    return value


def as_number(source: Mapping[str, object], name: str) -> int | None:
    """Returns a whole number of a JSON object, also one in a string; None when it is absent."""
    value = source.get(name)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return int(value)
    except ValueError:
        return None
