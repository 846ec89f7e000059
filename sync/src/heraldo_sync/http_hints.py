"""What response headers say about time: when to come back, how long an answer is good.

Every function takes any text a server may send and returns None for what it cannot use.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from heraldo_sync.model import Validators

MAX_RETRY_AFTER = timedelta(days=1)
MAX_FRESH = timedelta(hours=6)
_MAX_VALIDATOR = 1024
# Larger numbers of seconds are since 1970, not from now.
_A_MOMENT = 1_000_000_000
_STORABLE = re.compile(r"[\x20-\x7e\xa1-\ud7ff\ue000-\ufffd]+")


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Retry-After in seconds or as a date, at most a day (RFC 9110 §10.2.3)."""
    value = headers.get("Retry-After", "").strip()
    if _is_number(value):
        return min(timedelta(seconds=int(value[:9])), MAX_RETRY_AFTER)
    moment = _date(value)
    if moment is None:
        return None
    return min(max(moment - _sent_at(headers, now), timedelta()), MAX_RETRY_AFTER)


def rate_limit_reset(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """When a host counts our requests anew, at most a day: in seconds, or as a moment in them.

    Not standardised; Reddit and others answer 429 with it and without Retry-After.
    """
    value = headers.get("X-RateLimit-Reset", "").strip().partition(".")[0]
    if not _is_number(value):
        return None
    seconds = int(value[:12])
    if seconds > _A_MOMENT:
        seconds -= int(_sent_at(headers, now).timestamp())
    return min(timedelta(seconds=max(seconds, 0)), MAX_RETRY_AFTER)


def fresh_for(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How long the answer is good (RFC 9111 §4.2), at most six hours; None for no promise."""
    cache = headers.get("Cache-Control", "").lower()
    if re.search(r"\bno-(?:cache|store)\b", cache):
        return None
    found = re.search(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,9})", cache)
    if found:
        age = headers.get("Age", "").strip()
        left = timedelta(seconds=int(found[1]) - (int(age[:9]) if _is_number(age) else 0))
    else:
        moment = _date(headers.get("Expires", ""))
        if moment is None:
            return None
        left = moment - _sent_at(headers, now)
    return min(left, MAX_FRESH) if left > timedelta() else None


def validators(headers: Mapping[str, str]) -> Validators:
    """ETag and Last-Modified, verbatim; one that could not be stored and sent back is None."""
    return Validators(
        etag=_storable(headers.get("ETag")), last_modified=_storable(headers.get("Last-Modified"))
    )


def content_type(headers: Mapping[str, str]) -> str | None:
    """Content-Type, None if absent or not text."""
    return _storable(headers.get("Content-Type"))


def _storable(value: str | None) -> str | None:
    if value and len(value) <= _MAX_VALIDATOR and _STORABLE.fullmatch(value):
        return value
    return None


def _sent_at(headers: Mapping[str, str], now: datetime) -> datetime:
    """By the server's own clock where it tells it, so that a wrong one does no harm."""
    return _date(headers.get("Date", "")) or now


def _date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit()
