from hypothesis import given
from hypothesis import strategies as st

from heraldo_sync.discover import discover
from heraldo_sync.model import FeedLink

PAGE = "https://www.example.org/dir/page"


def urls(body: str, url: str = PAGE) -> list[str]:
    return [link.url for link in discover(body.encode(), url)]


def test_declared_feeds() -> None:
    body = b"""<!DOCTYPE html><html><head>
    <link rel="stylesheet" href="feed.css">
    <LINK REL='Alternate Home' TYPE='application/rss+xml; charset=utf-8'
          TITLE='All &amp; more' HREF='/feed'>
    <link href="https://cdn.example/atom?a=1&amp;b=2" type=application/atom+xml rel=alternate />
    <link rel="alternate" type="application/feed+json" href="feed.json#x">
    <link rel="alternate" type="application/rdf+xml" href="//example.org/rdf">
    <link rel="alternate" type="application/rss+xml" href="/feed" title="Again">
    <link rel="alternate" type="application/json" href="/wp-json/wp/v2/posts/1">
    <link rel="alternate" type="text/xml+oembed" href="/oembed">
    <link rel="alternate" hreflang="de" href="/de/feed/">
    <link rel="alternate" type="application/rss+xml" href="javascript:alert(1)">
    <link rel="alternate" type="application/rss+xml" href="">
    </head><body><a href="/other/feed">not needed</a></body></html>"""
    assert discover(body, PAGE) == (
        FeedLink(
            url="https://www.example.org/feed", title="All & more", mime="application/rss+xml"
        ),
        FeedLink(url="https://cdn.example/atom?a=1&b=2", mime="application/atom+xml"),
        FeedLink(url="https://www.example.org/dir/feed.json", mime="application/feed+json"),
        FeedLink(url="https://example.org/rdf", mime="application/rdf+xml"),
    )


def test_links_that_look_like_feeds() -> None:
    body = b"""<body>
    <a href="/feed/">Our <b>feed</b> &amp; more</a>
    <a href="rss.xml" title="RSS">x</a> <a href='/?feed=rss2'>y</a> <a href=/index.xml>z</a>
    <a href="https://example.org/blog.atom">same host</a>
    <a href="https://elsewhere.example/feed">another host</a>
    <a href="/feedback">no</a> <a href="/brass">no</a> <a href="/atomic/x">no</a>
    <a>rss</a> <a href="mailto:rss@example.org">no</a> <a href="#feed">no</a>"""
    assert [(link.url, link.title) for link in discover(body, PAGE)] == [
        ("https://www.example.org/feed/", "Our feed & more"),
        ("https://www.example.org/dir/rss.xml", "RSS"),
        ("https://www.example.org/?feed=rss2", "y"),
        ("https://www.example.org/index.xml", "z"),
        ("https://example.org/blog.atom", "same host"),
    ]


def test_the_base() -> None:
    link = '<link rel=alternate type=application/rss+xml href="feed">'
    assert urls(f'<base href="/blog/">{link}') == ["https://www.example.org/blog/feed"]
    assert urls(f'{link}<base href="https://other.example">') == ["https://other.example/feed"]
    assert urls(f'<base href="javascript:x">{link}') == ["https://www.example.org/dir/feed"]


def test_what_is_no_markup() -> None:
    link = '<link rel="alternate" type="application/rss+xml" href="/no">'
    body = (
        f"<!-- {link} --><script>'{link}'</script><style>{link}</style><textarea>{link}</textarea>"
    )
    assert urls(body) == []
    assert urls(body + link) == ["https://www.example.org/no"]
    assert urls(f"<script>{link}") == []


def test_at_most_ten() -> None:
    body = "".join(f'<a href="/{n}/feed">{n}</a>' for n in range(50))
    assert len(urls(body)) == 10


def test_no_password_of_the_page() -> None:
    body = '<link rel=alternate type=application/rss+xml href="/feed">'
    assert urls(body, "https://me:hunter2@example.org/") == ["https://example.org/feed"]


def test_encodings() -> None:
    head = "<link rel=alternate type=application/rss+xml href=/f title=Новости>"
    koi8 = head.encode("koi8-r")
    for body, content_type in (
        (head.encode(), None),
        (head.encode("utf-16"), None),
        (koi8, "text/html; charset=koi8-r"),
        (b'<meta charset="koi8-r">' + koi8, None),
        (b"<meta content='text/html; charset=koi8-r'>" + koi8, "text/html; charset=nonsense"),
    ):
        assert [link.title for link in discover(body, PAGE, content_type)] == ["Новости"]


def test_hostile_pages_cost_linear_time() -> None:
    """A tree of the first of these pages took an HTML parser four minutes."""
    for body in (
        b"<div>" * 1_000_000,
        b"<a href=/feed>" * 200_000,
        b"<!--" * 250_000,
        b"<script>" * 150_000,
        b'<a "feed' * 120_000,
        b"<link alternate " + b"a=1 " * 300_000 + b">",
        b"<" * 1_000_000,
    ):
        assert len(discover(body, PAGE)) <= 1


@given(st.lists(st.sampled_from(
    ["<a ", "<link ", "<base ", "href=", "'", '"', ">", "/feed", "rel=alternate ", "<!--", "-->",
     "type=application/rss+xml ", "\x00", "&amp;", "</a>", "http://", "[", "ñ", "\ud800"]
), max_size=25))  # fmt: skip
def test_any_page_gives_good_links_or_none(parts: list[str]) -> None:
    for link in discover("".join(parts).encode("utf-8", "surrogatepass"), PAGE):
        assert link.url.startswith(("http://", "https://"))
        assert len(link.title) <= 200
