"""RSS dates in other languages than the specification's: ``Seg, 24 Set 2018 19:42:40 -0300``."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone, tzinfo

_DATE = re.compile(
    r"(?:[^\W\d]{2,20}\.?,?\s{1,3})?(\d{1,2})\.?\s{1,3}(?:de\s)?([^\W\d]{3,12})\.?\s{1,3}(?:de\s)?"
    r"(\d{4}),?\s{1,3}(\d{1,2}):(\d{2})(?::(\d{2}))?\s{0,3}(?:([+-])(\d{2}):?(\d{2})|UTC?|GMT|Z)?"
)
# The months' beginnings, accents left out, in Portuguese, Spanish, French, German, Italian,
# Dutch, Polish, Russian and Ukrainian; "jui" alone is June or July and so neither.
_MONTHS = """
    jan ene gen janv sty янв січ
    feb fev fevr lut фев лют
    mar mars maer mrt marz мар бер
    apr abr avr kwi апр кві
    may mai mei mag maj май мая тра
    jun juin giu cze июн чер
    jul juil lug lip июл лип
    aug ago aou aout sie авг сер
    sep set sept wrz сен вер
    oct okt out ott paz окт жов
    nov lis ноя лис
    dec dez dic dek gru дек гру
"""  # noqa: RUF001 - months, not look-alikes
_BY_NAME = {
    name: number
    for number, names in enumerate(_MONTHS.strip().splitlines(), 1)
    for name in names.split()
}


def foreign_date(text: str) -> datetime | None:
    """Returns an aware date, in UTC where no zone is told; None for what is not understood."""
    found = _DATE.fullmatch(" ".join(text[:80].split()))
    month = _month(found[2]) if found else None
    if found is None or month is None:
        return None
    zone: tzinfo = UTC
    try:
        if found[7]:
            shift = timedelta(hours=int(found[8]), minutes=int(found[9]))
            zone = timezone(-shift if found[7] == "-" else shift)
        return datetime(
            *(int(found[3]), month, int(found[1]), int(found[4]), int(found[5])),
            int(found[6] or 0),
            tzinfo=zone,
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _month(name: str) -> int | None:
    """By the longest beginning that is known."""
    plain = "".join(
        letter
        for letter in unicodedata.normalize("NFD", name.lower())
        if not unicodedata.combining(letter) or letter == "\u0306"
    )
    plain = unicodedata.normalize("NFC", plain)
    beginnings = (plain[:length] for length in range(len(plain), 2, -1))
    return next((_BY_NAME[start] for start in beginnings if start in _BY_NAME), None)
