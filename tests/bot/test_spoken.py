"""Messages with and without private headers, taken apart."""

import pytest

from heraldo.spoken import Spoken, taken_apart

URL = "https://example.org/feed"


@pytest.mark.parametrize(
    ("text", "spoken", "secret"),
    [
        (URL, Spoken(address=URL), False),
        (f"Look: {URL}", Spoken(address=URL), False),
        (f"{URL}\nsome words\nand more", Spoken(address=URL), False),
        (f"{URL}\nhttps://other.example/", Spoken(address=URL), False),
        (f"{URL}\n\nA: b\n\nX-B:c\n", Spoken(address=URL, headers=("A: b", "X-B:c")), True),
        ("a.org/x\nCookie: a", Spoken(address="a.org/x", headers=("Cookie: a",)), True),
        (f"a.org\nReferer: {URL}", Spoken(address="a.org", headers=(f"Referer: {URL}",)), True),
        (f"{URL}\nCookie: a\nb", Spoken(address=URL, headers=("Cookie: a", "b")), True),
        ("Cookie: a", Spoken(address="", headers=("Cookie: a",)), True),
        ("https://me:pw@example.org/", Spoken(address="https://me:pw@example.org/"), True),
        ("@me@example.org", Spoken(address="@me@example.org"), False),
        ("r/python", Spoken(address="r/python"), False),
        ("", Spoken(address=""), False),
    ],
)  # fmt: skip
def test_a_command_s_argument(text: str, spoken: Spoken, secret: bool) -> None:
    assert taken_apart(text) == spoken
    assert spoken.secret is secret


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        (f"{URL}\nCookie: a", ("Cookie: a",)),
        (f"{URL}\nPrivate-Token: a\nauthorization: b", ("Private-Token: a", "authorization: b")),
        (f"{URL}\nNote: a good one", ()),
        (f"{URL}\nCookie: a\nNote: a good one", ()),
        (f"A shared page\n{URL}\nCookie: a", ()),
        ("Cookie: a", ()),
    ],
)
def test_a_message_that_nobody_asked_for(text: str, headers: tuple[str, ...]) -> None:
    assert taken_apart(text, asked=False).headers == headers
