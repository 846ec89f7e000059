from datetime import UTC, datetime, timedelta

import pytest

from heraldo_sync.http_hints import fresh_for, retry_after, validators
from heraldo_sync.model import Validators

NOW = datetime(2024, 5, 6, 7, 0, tzinfo=UTC)
SENT = "Mon, 06 May 2024 07:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "minutes"),
    [
        ({}, None),
        ({"Cache-Control": "max-age=600"}, 10),
        ({"Cache-Control": 'Public, MAX-AGE = "600"'}, 10),
        ({"Cache-Control": "s-maxage=60, max-age=600", "Expires": SENT}, 10),
        ({"Cache-Control": "max-age=600", "Age": "300"}, 5),
        ({"Cache-Control": "max-age=600", "Age": "9000"}, None),
        ({"Cache-Control": "max-age=600", "Age": "old"}, 10),
        ({"Cache-Control": "max-age=31536000"}, 360),
        ({"Cache-Control": "max-age=" + "9" * 5000}, 360),
        ({"Cache-Control": "max-age=0"}, None),
        ({"Cache-Control": "max-age=-1"}, None),
        ({"Cache-Control": "no-cache, max-age=600"}, None),
        ({"Cache-Control": "no-store"}, None),
        ({"Cache-Control": "s-maxage=600"}, None),
        ({"Expires": "Mon, 06 May 2024 07:20:00 GMT"}, 20),
        ({"Expires": "Mon, 06 May 2024 07:20:00 GMT", "Date": SENT}, 20),
        ({"Expires": "Mon, 06 May 2024 08:20:00 -0000", "Date": SENT}, 80),
        ({"Expires": "Sat, 04 May 2019 07:20:00 GMT", "Date": SENT}, None),
        ({"Expires": "Sat, 04 May 2019 07:20:00 GMT", "Date": "Sat, 04 May 2019 07:00:00 GMT"}, 20),
        ({"Expires": "0"}, None),
        ({"Expires": "Mon, 06 May 99999999999999999999 07:20:00 GMT"}, None),
        ({"Expires": ", , ,"}, None),
    ],
)
def test_fresh_for(headers: dict[str, str], minutes: int | None) -> None:
    wanted = None if minutes is None else timedelta(minutes=minutes)
    assert fresh_for(headers, NOW) == wanted


def test_a_date_to_retry_after_counts_from_the_servers_own_clock() -> None:
    date = "Mon, 06 May 2024 07:20:00 GMT"
    assert retry_after({"Retry-After": date}, NOW) == timedelta(minutes=20)
    late = {"Retry-After": date, "Date": "Mon, 06 May 2024 07:15:00 GMT"}
    assert retry_after(late, NOW) == timedelta(minutes=5)


def test_validators_are_kept_verbatim_or_not_at_all() -> None:
    kept = {"ETag": ' W/"x" ', "Last-Modified": "not even a date"}
    assert validators(kept) == Validators(etag=' W/"x" ', last_modified="not even a date")
    for bad in ("", "\udcff", "a\x00b", "x" * 1025):
        assert validators({"ETag": bad, "Last-Modified": bad}) == Validators()
