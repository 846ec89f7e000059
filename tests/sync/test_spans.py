"""Cutting a document into items: what counts as one, and that hostile documents cost no time."""

import time
from itertools import pairwise

import pytest

from heraldo_sync.spans import split

SIZE = 400_000


def items(body: bytes) -> list[bytes] | None:
    found = split(body)
    return None if found is None else [body[start:end] for start, end in found.places]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"<rss><item>a</item><item>b</item></rss>", [b"<item>a</item>", b"<item>b</item>"]),
        (b"<feed><entry a='>'>a</entry ></feed>", [b"<entry a='>'>a</entry >"]),
        (b"<f:feed><f:entry/><f:entry x='/'></f:entry></f:feed>",
         [b"<f:entry/>", b"<f:entry x='/'></f:entry>"]),
        (b"<r><!--<item>--><item><!--</item>--></item></r>", [b"<item><!--</item>--></item>"]),
        (b"<r><item><![CDATA[</item><!--]]></item></r>", [b"<item><![CDATA[</item><!--]]></item>"]),
        (b"<r><?x <item> ?><item>&lt;/item></item></r>", [b"<item>&lt;/item></item>"]),
        (b"<!DOCTYPE rss SYSTEM 'x'><r><item/></r>", [b"<item/>"]),
        (b"<r><items/><itemized/><item-a/><item/></r>", [b"<item/>"]),
        (b"<r><item><m:item/><entry>x</entry></item></r>",
         [b"<item><m:item/><entry>x</entry></item>"]),
        (b"<r><item/> <!-- 2 --> <!-- 3 --> <item/></r>", [b"<item/>", b"<item/>"]),
    ],
)  # fmt: skip
def test_items(body: bytes, expected: list[bytes]) -> None:
    assert items(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<rss><channel/></rss>",
        b"<r><item></r>",
        b"<r></item></r>",
        b"<r><item",
        b"<r><item a='></item></r>",
        b"<r><item/>text<item/></r>",
        b"<r><item/><title>x</title><item/></r>",
        b"<r><item/><!-- <item/></r>",
        b"<r><item><![CDATA[</item></r>",
        b"<!DOCTYPE rss [<!ENTITY a 'b'>]><r><item/></r>",
        b"<r>" + b"<item/>" * 1_001 + b"</r>",
    ],
)
def test_what_has_to_be_read_as_a_whole(body: bytes) -> None:
    assert split(body) is None


def test_some_of_the_items() -> None:
    found = split(b"<r> <item>a</item>\n<item>b</item>\n<item>c</item> </r>")
    assert found is not None
    assert found.only([0, 2]) == b"<r> \n<item>a</item>\n<item>c</item>\n </r>"
    assert found.only([]) == b"<r> \n </r>"


HOSTILE = {
    "comments": b"<!--",
    "closed comments": b"<!---->",
    "cdata": b"<![CDATA[",
    "instructions": b"<?>",
    "brackets": b"<",
    "names": b"<a",
    "prefixes": b"<a:",
    "opened": b"<item>",
    "never ending": b"<item ",
    "closed": b"</item>",
    "quotes": b'<item a="',
    "attributes": b'a="" ',
    "spaces": b" ",
}


@pytest.mark.parametrize("start", [b"", b"<item/>", b"<item ", b"<item/><!-- --> "])
@pytest.mark.parametrize("end", [b"", b"x<item/>", b"x>"])
@pytest.mark.parametrize("name", HOSTILE)
def test_time_grows_with_the_size_alone(name: str, start: bytes, end: bytes) -> None:
    """Eight times the size: a pattern that goes over anything again takes sixty times as long."""
    took: list[float] = []
    for size in (SIZE // 8, SIZE):
        body = start + HOSTILE[name] * (size // len(HOSTILE[name])) + end
        before = time.process_time()
        split(body)
        took.append(time.process_time() - before)
    # At least ten times what it takes.
    assert took[1] < 1.0
    assert all(later < 32 * max(earlier, 0.005) for earlier, later in pairwise(took))
