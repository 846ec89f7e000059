"""Feed HTML into Telegram's: what is kept, what goes, and that nothing breaks it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldo.botapi.htmlmode import parse_html
from heraldo.cleaning import clean, safe_link
from heraldo.telegram_html import MAX_TEXT, Media, from_html

BASE = "https://example.org/posts/1"

PIECES = st.sampled_from(
    [
        "<p>", "</p>", "<b>", "</b>", "<i>", "</i>", "<a href='/x?a=1&amp;b=\"'>", "</a>", "<ul>",
        "</ul>", "<ol start=3>", "</ol>", "<li>", "</li>", "<pre>", "</pre>", "<code>", "</code>",
        "<blockquote>", "</blockquote>", "<table>", "<tr>", "<td>", "</td>", "</tr>", "</table>",
        "<br>", "<h2>", "</h2>", "<script>x</script>", "<!-- c -->", "&lt;b&gt;", "&#0;", "&nbsp;",
        "<sup>2</sup>", "<q>", "</q>", "<dd>", "<tg-spoiler>", "\n", " ", "word", "\u202e", "\0",
        "\ud800", "👩\u200d👧", "<svg><b>", "<", "&", "<details><summary>", "<img src=a.png>",
    ]
)  # fmt: skip


@given(st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=40).map("".join))
def test_any_input_makes_valid_html(html: str) -> None:
    body = from_html(html, BASE)
    text, entities = parse_html(body.text.to_html())
    assert text == body.text.text == text.strip()
    assert "\n\n\n" not in text or "<pre" in html
    assert all(entity.length for entity in entities)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("a  \n b", "a b"),
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("<p> a </p>\n<p> b </p>", "a\n\nb"),
        ("a<br>b<br/><br><br>c", "a\nb\n\nc"),
        ("<div>a<div>b</div></div>c", "a\nb\nc"),
        ("<p>x <b>y</b> z</p>", "x <b>y</b> z"),
        ("<b>x </b>y", "<b>x</b> y"),
        ("<strong><em>x</em></strong>", "<b><i>x</i></b>"),
        ("<b>a<i>b</b>c</i>", "<b>a<i>b</i></b><i>c</i>"),
        ("<del>a</del><ins>b</ins>", "<s>a</s><u>b</u>"),
        ("t<h2>Head</h2>u", "t\n\n<b>Head</b>\n\nu"),
        ("<ul><li>a</li><li>b</li></ul>c", "• a\n• b\n\nc"),
        ("a<ul><li>b", "a\n\n• b"),
        ("<ol start=9><li>a<li>b<li value=20>c</ol>", "9. a\n10. b\n20. c"),
        ("<ul><li>a<ol><li>b</ol></li><li>c</ul>", "• a\n    1. b\n• c"),
        ("<ul><li><p>a</p><p>b</p></li></ul>", "• a\n    b"),
        ("<ul><li></li><li>a</li></ul>", "• a"),
        ("<li>stray</li><p>a</p>", "• stray\n\na"),
        ("<dl><dt>a<dd>b</dl>", "a\n    b"),
        ("x<pre> a\n  b\n</pre>c", "x\n\n<pre> a\n  b</pre>\n\nc"),
        (
            '<pre><code class="x language-c++">a&lt;b</code></pre>',
            '<pre><code class="language-c++">a&lt;b</code></pre>',
        ),
        ("<code>a <b>b</b></code>", "<code>a b</code>"),
        ("<b>x <code>y</code></b>", "<b>x</b> <code>y</code>"),
        ("<blockquote>a<p>b</blockquote>c", "<blockquote>a\n\nb</blockquote>\n\nc"),
        (
            "<blockquote>a</blockquote><blockquote>b</blockquote>",
            "<blockquote>a</blockquote>\n\n<blockquote>b</blockquote>",
        ),
        (
            "<table><tr><th>a<th>b<tr><td>1<td>2</table>",
            "a | b\n1 | 2",
        ),
        ("<table><tr><td><img src=a><td>only</table>", "only"),
        ("<table><tr><td><p>a</p><td><p>b</p></table>", "a\n\nb"),
        ("10<sup>6</sup> 4<sup>th</sup> H<sub>2</sub>O", "10⁶ 4th H₂O"),
        ("<q>a</q>", "“a”"),
        ("a<script>b</script><style>c</style><title>d</title>e", "ae"),
        ("a<svg><text>b</text></svg><textarea>c</textarea>d", "ad"),
        ("<iframe src=x>a</iframe>b", "b"),
        ("<custom-tag onclick=x>a</custom-tag>", "a"),
        ("&amp;lt; &lt;b&gt; &copy; &#x1F600;", "&amp;lt; &lt;b&gt; © 😀"),
        ('"q" <i title=\'"\'>x</i>', "&quot;q&quot; <i>x</i>"),
        ("a\u200bb\u202ec\u00add\ufeff\x07e\x00", "abcde"),
        ("a\u00a0\u00a0b", "a\u00a0\u00a0b"),
        ("<span class='spoiler'>x</span>", "<tg-spoiler>x</tg-spoiler>"),
        ("", ""),
        ("<p></p><br> \n", ""),
    ],
)  # fmt: skip
def test_layout(html: str, expected: str) -> None:
    written = from_html(html, BASE).text.to_html()
    assert written == expected
    parse_html(written)


@pytest.mark.parametrize(
    ("href", "link"),
    [
        ("/a?utm_source=x&b=1#c", "https://example.org/a?utm_source=x&b=1#c"),
        ("next", "https://example.org/posts/next"),
        ("//cdn.example/x", "https://cdn.example/x"),
        ("#note", "https://example.org/posts/1#note"),
        ("HTTP://Example.ORG/", "http://Example.ORG/"),
        (" https://e.org/a b\n ", "https://e.org/a%20b"),
        ("https://me:pw@e.org/", "https://e.org/"),
        ("https://me:p@w@e.org:8/", "https://e.org:8/"),
        ("tg://resolve?domain=x", "tg://resolve?domain=x"),
        ("mailto:a@b.org", "mailto:a@b.org"),
        ("https://münchen.example/ü", "https://münchen.example/ü"),
        ('https://e.org/"><b>', "https://e.org/%22%3E%3Cb%3E"),
        ("javascript:alert(1)", None),
        ("java\nscript:alert(1)", None),
        ("data:text/html,x", None),
        ("ftp://e.org/", None),
        ("http://[::1", None),
        ("mailto:", None),
        ("", None),
        (None, None),
        ("https://e.org/" + "a" * 3000, None),
    ],
)
def test_links(href: str | None, link: str | None) -> None:
    assert safe_link(href, BASE) == link


def test_a_link_without_a_base_is_text() -> None:
    assert from_html("<a href='/x'>y</a>").text.to_html() == "y"


def test_media_are_kept_aside() -> None:
    html = """<img src=/a.png><img src=pixel.gif width=1 height=1><img src="data:image/png;x">
    <video><source src=v.mp4></video><iframe src="https://tube.example/e"></iframe>"""
    assert from_html(html, BASE).media == (
        Media(kind="picture", url="https://example.org/a.png"),
        Media(kind="video", url="https://example.org/posts/v.mp4"),
        Media(kind="embed", url="https://tube.example/e"),
    )


@pytest.mark.parametrize(
    ("dirty", "tidy"),
    [
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("a\u200db\u200c", "ab"),
        ("\u2066a\u2069\u202db", "ab"),
        ("🏴\U000e0067\U000e0062\U000e007f", "🏴\U000e0067\U000e0062\U000e007f"),
        ("x\U000e0061\U000e0062", "x"),
        ("a\ud83db\ufffe", "ab"),
    ],
)
def test_clean(dirty: str, tidy: str) -> None:
    assert clean(dirty) == tidy


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 300_000 + "x",
        "<b id=%d>" * 100_000,
        "<a>" * 200_000,
        "<a " + "b " * 500_000,
        "<table><tr><td>" * 100_000,
        "&" * 1_000_000,
        "<ul><li>" * 100_000 + "x",
        "<!--" * 300_000,
        "<p></b>" * 200_000,
        "a" * 3_000_000,
    ],
    ids=lambda html: html[:12],
)
def test_hostile_size_and_depth_are_bounded(html: str) -> None:
    body = from_html(html, BASE)
    assert body.shortened
    assert len(body.text.text) <= MAX_TEXT
    parse_html(body.text.to_html())


def test_a_picture_in_the_page_does_not_use_up_the_limit() -> None:
    html = f'<p><img src="data:image/png;base64,{"A" * 900_000}"></p><p>The text.</p>'
    assert from_html(html).text.text == "The text."
