"""Keeps secrets out of logs and replies: bot tokens, callbacks, users and passwords in URLs."""

import logging
import re
import traceback
from typing import Any

_SECRETS = (
    # As the Bot API's addresses hold it, then on its own.
    (re.compile(r"(/bot)\d+:[^/\s\"']+"), r"\1<token>"),
    (re.compile(r"\b\d{3,}:[A-Za-z0-9_-]{20,}"), "<token>"),
    # The part of a callback's address that only its hub knows.
    (re.compile(r"(/websub/)[\w-]{20,}"), r"\1<key>"),
    # Up to the last "@" before the path: a password may hold one.
    (re.compile(r"(?<=://)[^/\s?#\"'<>]+@"), ""),
)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def redact(text: str) -> str:
    """Returns the text with tokens and URL credentials masked."""
    for pattern, mask in _SECRETS:
        text = pattern.sub(mask, text)
    return text


class RedactingFilter(logging.Filter):
    """Masks secrets in a record's message, traceback and extra fields. For handlers.

    The record is changed in place, so what other handlers see of it is masked as well.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets every record pass, redacted."""
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info and record.exc_info[1] is not None:
            lines = traceback.format_exception(record.exc_info[1])
            record.exc_text, record.exc_info = "".join(lines).rstrip("\n"), None
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        for name in vars(record).keys() - _STANDARD:
            setattr(record, name, _redacted(getattr(record, name)))
        return True


def _redacted(value: Any) -> Any:
    if isinstance(value, bool | int | float | None):
        return value
    return redact(str(value))
