import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldo_sync.errors import InvalidUrl, SyncError
from heraldo_sync.urls import display, normalise, resolve, without_credentials

CANONICAL = {
    "example.org": "https://example.org/",
    "  https://example.org/feed.xml\n": "https://example.org/feed.xml",
    "<https://example.org/x>": "https://example.org/x",
    "«“https://example.org/x”»": "https://example.org/x",
    "\u200b\u2066https://example.org/x".replace("\u2066", "\u202a"): "https://example.org/x",
    "HTTP://EXAMPLE.org:80/A?B=c#part": "http://example.org/A?B=c",
    "https://example.org:443": "https://example.org/",
    "https://example.org:80/": "https://example.org:80/",
    "https://example.org?x=1": "https://example.org/?x=1",
    "https://example.org./x": "https://example.org/x",
    "//example.org/x": "https://example.org/x",
    "localhost:8000/feed": "https://localhost:8000/feed",
    "http://rsshub:1200/x": "http://rsshub:1200/x",
    "feed://example.org/x": "http://example.org/x",
    "feed:https://example.org/x": "https://example.org/x",
    "http://пример.рф/ñ?q=é%20%zz": "http://xn--e1afmkfd.xn--p1ai/%C3%B1?q=%C3%A9%20%zz",
    "http://straße.example/": "http://xn--strae-oqa.example/",
    "http://my_blog.tumblr.com/rss": "http://my_blog.tumblr.com/rss",
    "https://user:p%40ss@example.org/x": "https://user:p%40ss@example.org/x",
    "https://example.org/a//b/../c;d=1?&&x": "https://example.org/a//b/../c;d=1?&&x",
    "https://example.org\\@127.0.0.1/": "https://example.org/%5C@127.0.0.1/",
    "http://2130706433/": "http://127.0.0.1/",
    "http://0x7f.1/": "http://127.0.0.1/",
    "http://0177.0.0.1./": "http://127.0.0.1/",
    "http://\uff11\uff12\uff17.0.0.1/": "http://127.0.0.1/",
    "http://127\u30020\u30020\u30021/": "http://127.0.0.1/",
    "http://[0:0:0:0:0:0:0:1]/": "http://[::1]/",
    "http://[::ffff:127.0.0.1]:8080/": "http://[::ffff:7f00:1]:8080/",
}


@pytest.mark.parametrize(("text", "canonical"), CANONICAL.items())
def test_canonical_form(text: str, canonical: str) -> None:
    assert normalise(text) == canonical
    assert normalise(canonical) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "foo bar",
        "foo",
        "https://",
        "https:///x",
        "ftp://example.org/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "mailto:me@example.org",
        "https://a..b/",
        "https://-a.example/",
        "https://exa mple.org/",
        "https://example.org/a b",
        "https://example.org/\x00",
        "https://example.org/\r\nHost: evil",
        "https://example.org:99999/",
        "https://example.org:x/",
        "https://1.2.3.4.5/",
        "https://256.0.0.1/",
        "https://1.2.3.foo.4/",
        "http://[::1/",
        "http://[::g]/",
        "http://[fe80::1%25eth0]/",
        "http://%31%32%37.0.0.1/",
        "https://example.org/" + "x" * 2048,
        "https://example.org/" + "ñ" * 1000,
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 127 + "example/",
        "https://\ud800.example/",
    ],
)
def test_refused_with_a_message(text: str) -> None:
    with pytest.raises(InvalidUrl) as refused:
        normalise(text)
    assert isinstance(refused.value, SyncError)
    assert str(refused.value).endswith((".", "feed.xml"))
    assert len(str(refused.value)) < 300


def test_the_message_quotes_what_was_sent() -> None:
    with pytest.raises(InvalidUrl) as refused:
        normalise("foo bar")
    assert str(refused.value) == (
        "\u2018foo bar\u2019 is not a web address. Send something like https://example.org/feed.xml"
    )


@pytest.mark.parametrize(
    "text",
    [
        "https://user:hunter2@exa mple.org/",
        "https://user:hun ter2@example.org:x/",
        "user:hunter2@example.org",
        "https://example.org:x/?token=hunter2",
    ],
)
def test_the_message_holds_no_secret(text: str) -> None:
    with pytest.raises(InvalidUrl) as refused:
        normalise(text)
    assert "ter2" not in str(refused.value)


@given(st.text(max_size=80) | st.from_regex(r"(https?://)?[a-z0-9.:@\[\]%/?#&=_-]{1,60}"))
def test_any_text_is_refused_or_stays_as_it_is_made(text: str) -> None:
    try:
        made = normalise(text)
    except InvalidUrl:
        return
    assert normalise(made) == made
    assert made.isascii()
    assert made.startswith(("http://", "https://"))
    assert not set(made) & set(' \r\n\t\\"<>#')


@given(
    st.text("ab/.;=%&?+~", max_size=12).filter(lambda text: not text.startswith("//")),
    st.text("ab/.;=%&?+~", max_size=12),
)
def test_two_addresses_are_never_merged(one: str, other: str) -> None:
    first, second = (normalise(f"https://example.org/{path}") for path in (one, other))
    assert (first == second) == (one == other)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pw@example.org/x", "https://example.org/x"),
        ("https://pw@example.org/x", "https://example.org/x"),
        ("https://e.org/?token=s3cret&page=2", "https://e.org/?token=…&page=2"),
        ("https://e.org/?api_key=s3cret", "https://e.org/?api_key=…"),
        ("https://e.org/?X-Amz-Signature=s3cret", "https://e.org/?X-Amz-Signature=…"),
        ("https://e.org/?feed=" + "0a" * 20 + "&user=me", "https://e.org/?feed=…&user=me"),
        ("https://e.org/@user/feed?a=b", "https://e.org/@user/feed?a=b"),
        ("https://y.org/?channel_id=UCabcdefghijklmnopqrstuv", None),
    ],
)
def test_display_hides_secrets(url: str, shown: str | None) -> None:
    assert display(url) == (shown or url)


@pytest.mark.parametrize(
    ("reference", "absolute"),
    [
        ("b", "https://u:p@example.org/dir/b"),
        ("/b c", "https://u:p@example.org/b%20c"),
        (" https://other.example/My File.mp3\n", "https://other.example/My%20File.mp3"),
        ("//cdn.example/x", "https://cdn.example/x"),
        ("?q", "https://u:p@example.org/dir/feed?q"),
        ("https://other.example/x?", "https://other.example/x?"),
    ],
)
def test_resolve(reference: str, absolute: str) -> None:
    assert resolve("https://u:p@example.org/dir/feed", reference) == absolute


@pytest.mark.parametrize("reference", ["javascript:x", "mailto:a@b.example", "http://[", "data:,x"])
def test_resolve_refuses_what_is_no_page(reference: str) -> None:
    with pytest.raises(InvalidUrl):
        resolve("https://example.org/", reference)


def test_without_credentials() -> None:
    assert without_credentials("https://u:p@e.org/@me") == "https://e.org/@me"
    for none in ("https://e.org/@me", "https://e.org//me@here", "https://e.org/http://me@e.org/"):
        assert without_credentials(none) == none


def test_what_an_address_ends_in_is_part_of_it() -> None:
    """An id may end in any of these; cut off, it is another one's."""
    for end in ("-", "--", "_", ".", ",", "!", "*", "'", "~", "+", "="):
        url = f"https://example.org/feed?id=a{end}"
        assert normalise(url) == url
    assert normalise("\u202ahttps://example.org/a-\u202e \ufeff") == "https://example.org/a-"
