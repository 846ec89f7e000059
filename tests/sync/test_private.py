"""What a private feed is asked with: read from what people write, and locked away."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldo_sync.errors import InvalidHeader, InvalidUrl
from heraldo_sync.private import MAX_HEADERS, Private, has_login, is_header, private_address, read
from heraldo_sync.vault import Vault, new_key

CANARY = "c4n4ry-s3cr3t"
URL = "https://example.org/feed"


def test_a_login_leaves_the_address() -> None:
    address, private = private_address("HTTPS://me:p%40ss@Example.org:443/feed#x")
    assert address == URL
    assert private == Private(
        origin="https://example.org:443", headers=(("Authorization", "Basic bWU6cEBzcw=="),)
    )


def test_headers_below_an_address() -> None:
    lines = ["Cookie:  a=b; c=d ", "X-Api-Key:123", "user-agent: Mine/1.0 (me)"]
    address, private = private_address("example.org:8443/feed", lines)
    assert address == "https://example.org:8443/feed"
    assert private is not None
    assert private.origin == "https://example.org:8443"
    assert private.headers == (
        ("Cookie", "a=b; c=d"),
        ("X-Api-Key", "123"),
        ("user-agent", "Mine/1.0 (me)"),
    )
    assert private_address(URL) == (URL, None)


@pytest.mark.parametrize(
    "name",
    [
        "Host", "content-length", "Content-Type", "Connection", "Keep-Alive", "TE", "Trailer",
        "Transfer-Encoding", "Upgrade", "Expect", "Accept-Encoding", "Proxy-Authorization",
        "Proxy-Connection", "Range", "If-None-Match", "If-Modified-Since", "HTTP2-Settings", "Via",
    ],
)  # fmt: skip
def test_headers_that_are_ours_to_send(name: str) -> None:
    with pytest.raises(InvalidHeader, match="cannot be set") as caught:
        private_address(URL, [f"{name}: {CANARY}"])
    assert name in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "lines",
    [
        [CANARY],
        [f"Cookie {CANARY}"],
        [f"Cookie: “{CANARY}”"],
        [f"Cookie: a\r\nX: {CANARY}"],
        [f"Cookie: a\n{CANARY}"],
        [f"Cookie: a\x00{CANARY}"],
        [f"Cookie: a\x7f{CANARY}"],
        [f"Co okie: {CANARY}"],
        [f"Çookie: {CANARY}"],
        ["Cookie:"],
        [f"Cookie: {CANARY}", f"cookie: {CANARY}"],
        [f"X-{n}: {CANARY}" for n in range(MAX_HEADERS + 1)],
        [f"Cookie: {CANARY * 1000}"],
    ],
)
def test_what_is_no_header_is_refused_without_repeating_it(lines: list[str]) -> None:
    with pytest.raises(InvalidHeader) as caught:
        private_address(URL, lines)
    assert CANARY not in str(caught.value)


def test_two_logins() -> None:
    with pytest.raises(InvalidHeader, match="two logins"):
        private_address("https://me:pw@example.org/", ["authorization: Bearer x"])


def test_a_wrong_address_is_refused_as_ever() -> None:
    with pytest.raises(InvalidUrl) as caught:
        private_address(f"https://me:{CANARY}@a..b/")
    assert CANARY not in str(caught.value)


def test_nothing_of_it_is_shown() -> None:
    _, private = private_address(f"https://me:{CANARY}@example.org/", [f"Cookie: {CANARY}"])
    assert CANARY not in f"{private!r} {private}"
    assert "Cookie" not in repr(private)


@pytest.mark.parametrize(
    ("line", "header"),
    [
        ("Cookie: a", True),
        (" X-Key:b ", True),
        ("https://example.org/", False),
        ("HTTP://example.org/", False),
        ("some words: and more", False),
        ("Cookie:", False),
        ("no colon", False),
    ],
)
def test_what_looks_like_a_header(line: str, header: bool) -> None:
    assert is_header(line) is header


@pytest.mark.parametrize(
    ("text", "login"),
    [
        ("https://me:pw@example.org/", True),
        ("https://token@example.org/", True),
        ("https://me:pw@exa mple.org/", True),
        ("ftp://me:pw@example.org/", True),
        ("https://example.org/@me", False),
        ("@me@example.org", False),
        ("what is this: a @ sign?", False),
    ],
)
def test_whether_a_text_holds_a_login(text: str, login: bool) -> None:
    assert has_login(text) is login


names = st.from_regex(r"X-[A-Za-z0-9-]{1,20}", fullmatch=True)
values = st.from_regex(r"[\x21-\x7e]([\x20-\x7e]{0,30}[\x21-\x7e])?", fullmatch=True)


@given(st.dictionaries(names, values, min_size=1, max_size=5))
def test_what_is_locked_away_comes_back_as_it_was(headers: dict[str, str]) -> None:
    unlike = {name.lower(): name for name in headers}
    private = Private(
        origin="https://example.org:443", headers=tuple((n, headers[n]) for n in unlike.values())
    )
    assert read(private.text()) == private
    lines = [f"{name}: {value}" for name, value in private.headers]
    assert private_address(URL, lines) == (URL, private)
    vault = Vault([new_key()])
    sealed = vault.seal(private)
    assert vault.open(sealed) == private
    assert sealed != vault.seal(private)


@pytest.mark.parametrize("text", ["", "[]", "{}", '["x"]', '["x",[["Host","a"]]]', '["x",[["a"]]]'])
def test_what_was_not_written_by_us_is_not_read(text: str) -> None:
    with pytest.raises(InvalidHeader):
        read(text)


def login(password: str, *, host: str = "example.org", name: str = "Cookie") -> Private:
    private = private_address(f"https://{host}/", [f"{name}: {password}", "X-Other: 1"])[1]
    assert private is not None
    return private


def test_fingerprints_tell_headers_origins_and_keys_apart() -> None:
    vault = Vault([new_key()])
    one = vault.fingerprints(login("a"))
    assert one == vault.fingerprints(login("a", name="cookie"))
    swapped = Private(origin=login("a").origin, headers=login("a").headers[::-1])
    assert one == vault.fingerprints(swapped)
    others = [
        vault.fingerprints(login("b")),
        vault.fingerprints(login("a", host="www.example.org")),
        vault.fingerprints(login("a", name="Cookie2")),
        Vault([new_key()]).fingerprints(login("a")),
    ]
    assert all(other != one for other in others)


def test_an_older_key_still_opens_and_a_stranger_s_does_not() -> None:
    old, new = new_key(), new_key()
    sealed = Vault([old]).seal(login("a"))
    both = Vault([new, old])
    assert both.open(sealed) == login("a")
    assert both.fingerprints(login("a")) == [
        *Vault([new]).fingerprints(login("a")),
        *Vault([old]).fingerprints(login("a")),
    ]
    assert Vault([new]).open(sealed) is None
    assert Vault([old]).open(sealed[:-2] + "AA") is None
    assert Vault([old]).open("ü") is None


@pytest.mark.parametrize("keys", [[], [""], ["short"], ["x" * 44], [new_key()[:-2]], ["ü" * 44]])
def test_what_is_no_key(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="no key") as caught:
        Vault(keys)
    assert "xxx" not in str(caught.value)
