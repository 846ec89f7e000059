"""Which links lead to the same post, and which to no post's own page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldo_sync.post_links import is_own, link_key

POST = "https://site.example/2026/a-post"


@pytest.mark.parametrize(
    "link",
    [
        "http://site.example/2026/a-post",
        "https://www.site.example/2026/a-post/",
        "HTTPS://Site.Example:443/2026/a-post",
        f" {POST}\n",
        f"{POST}?utm_source=rss&utm_medium=feed&UTM_Campaign=x",
        f"{POST}?fbclid=IwAR0&gclid=&mc_cid=1&xtor=RSS-3208",
        f"{POST}?source=rss&ref=rss_feed&at_medium=RSS",
        f"{POST}?",
        f"{POST}#",
        f"{POST}#xtor=RSS-1",
        f"{POST}#utm_source=rss",
        f"{POST}#:~:text=some%20words",
    ],
)
def test_the_same_post(link: str) -> None:
    assert link_key(link) == link_key(POST)


@pytest.mark.parametrize(
    "link",
    [
        "https://site.example/2026/A-Post",
        "https://other.example/2026/a-post",
        "https://blog.site.example/2026/a-post",
        "https://site.example:8443/2026/a-post",
        f"{POST}?id=7",
        f"{POST}?utm=7&reference=rss",
        f"{POST}?source=rssa-news.example",
        f"{POST}#comment-7",
        f"{POST}/2",
    ],
)
def test_another_post(link: str) -> None:
    assert link_key(link) is not None
    assert link_key(link) != link_key(POST)


def test_escapes_and_the_order_of_parameters_make_no_difference() -> None:
    assert link_key("https://e.org/ñ?b=2&a=1") == link_key("https://e.org/%c3%b1?a=1&b=2")
    assert link_key("https://e.org/a%2fb") != link_key("https://e.org/a/b")


@pytest.mark.parametrize(
    "link",
    [
        None,
        "",
        " ",
        "#",
        "https://",
        "https://site.example",
        "https://www.site.example/",
        "http://site.example/?utm_source=rss",
        "https://site.example/#utm_source=rss",
        "https://site.example/blog/",
        "mailto:jo@site.example",
        "javascript:alert(1)",
        "/2026/a-post",
        "site.example/2026/a-post",
        "https://site.example/" + "x" * 9000,
        "https://[::1/x",
    ],
)
def test_what_is_no_posts_own_page(link: str | None) -> None:
    assert link_key(link, home="http://site.example/blog") is None


def test_a_root_with_a_parameter_or_a_fragment_may_be_a_post() -> None:
    keys = {
        link_key(f"https://site.example/{end}", home="https://site.example/")
        for end in ("?p=1", "?p=2", "#day-1", "#day-2")
    }
    assert len(keys) == 4
    assert None not in keys


def test_a_link_that_several_posts_of_a_feed_have_is_none_of_theirs() -> None:
    key = link_key(POST)
    assert key is not None
    assert is_own(key, [])
    assert is_own(key, [(1, POST), (2, f"{POST}?utm_source=x"), (2, f"{POST}/2"), (2, "")])
    assert not is_own(key, [(1, POST), (2, POST), (2, f"{POST}?utm_source=x")])


TRACKERS = st.sampled_from(["utm_id=3", "fbclid=x", "gclid=", "xtor=R-1", "pk_kwd=%20", "src=rss"])
MEANINGS = st.sampled_from(["id=1", "p=2", "a", "q=utm_source", "page=rss"])


@given(
    st.sampled_from(["http://e.org", "https://www.e.org", "https://e.org:443"]),
    st.sampled_from(["/a", "/a/b/", "/%C3%A9"]),
    st.lists(MEANINGS, max_size=4),
    st.lists(st.tuples(st.integers(0, 4), TRACKERS), max_size=4),
)
def test_nothing_that_counts_visitors_makes_a_difference(
    site: str, path: str, meaning: list[str], trackers: list[tuple[int, str]]
) -> None:
    parts = list(meaning)
    for place, tracker in trackers:
        parts.insert(place, tracker)
    plain = link_key(f"https://e.org{path}?{'&'.join(meaning)}")
    assert plain is not None
    assert link_key(f"{site}{path}?{'&'.join(parts)}") == plain


@given(st.text(max_size=60) | st.text(max_size=40).map("https://e.org/".__add__))
def test_any_text_has_a_key_or_none(link: str) -> None:
    key = link_key(link, home=link[:20])
    assert key is None or len(key) == 32
