"""Mark-up against what Telegram answers to it."""

import pytest

from heraldo.botapi.entities import finish
from heraldo.botapi.htmlmode import BadMarkup, parse_html

Spans = list[tuple[str, int, int]]

ACCEPTED: list[tuple[str, str, Spans]] = [
    ("", "", []),
    ("plain", "plain", []),
    ("a > b", "a > b", []),
    ("<b>x</b>", "x", [("bold", 0, 1)]),
    ("<strong>x</strong>", "x", [("bold", 0, 1)]),
    ("<i>x</i>", "x", [("italic", 0, 1)]),
    ("<em>x</em>", "x", [("italic", 0, 1)]),
    ("<u>x</u>", "x", [("underline", 0, 1)]),
    ("<ins>x</ins>", "x", [("underline", 0, 1)]),
    ("<s>x</s>", "x", [("strikethrough", 0, 1)]),
    ("<strike>x</strike>", "x", [("strikethrough", 0, 1)]),
    ("<del>x</del>", "x", [("strikethrough", 0, 1)]),
    ("<B>x</b>", "x", [("bold", 0, 1)]),
    ("<b>x</>", "x", [("bold", 0, 1)]),
    ("<b >x</b  >", "x", [("bold", 0, 1)]),
    ("<b\n>x</b>", "x", [("bold", 0, 1)]),
    ("<b></b>x", "x", []),
    ('<span class="tg-spoiler">x</span>', "x", [("spoiler", 0, 1)]),
    ("<span class=tg-spoiler>x</span>", "x", [("spoiler", 0, 1)]),
    ("<tg-spoiler>x</tg-spoiler>", "x", [("spoiler", 0, 1)]),
    ("<blockquote>x</blockquote>", "x", [("blockquote", 0, 1)]),
    ("<blockquote expandable>x</blockquote>", "x", [("expandable_blockquote", 0, 1)]),
    ('<blockquote cite="" more>x</blockquote>', "x", [("blockquote", 0, 1)]),
    ("<code>x</code>", "x", [("code", 0, 1)]),
    ("<pre>x</pre>", "x", [("pre", 0, 1)]),
    ('<tg-emoji emoji-id="123">x</tg-emoji>', "x", [("custom_emoji", 0, 1)]),
    ("<b><i>x</i>y</b>", "xy", [("italic", 0, 1), ("bold", 0, 2)]),
    ("🏟<b>🏟</b>", "🏟🏟", [("bold", 2, 2)]),
    ("é<b>é</b>", "éé", [("bold", 1, 1)]),
    ("<b title='a>b' x = y>x</b>", "x", [("bold", 0, 1)]),
    ('<b title="&lt;&quot;&gt;">x</b>', "x", [("bold", 0, 1)]),
    ("&lt;&gt;&amp;&quot;", '<>&"', []),
    ("&lt&gt&amp", "<>&", []),
    ("&amp;lt;", "&lt;", []),
    ("&#65;&#x42;&#x1F600;", "AB😀", []),
    ("&#65", "A", []),
    ("&nbsp;&apos;&laquo;&ltfoo;", "&nbsp;&apos;&laquo;&ltfoo;", []),
    ("&#0;&#12345678;&#x110000;&#;&;&", "&#0;&#12345678;&#x110000;&#;&;&", []),
    ('<a href="https://example.org/?a=1&amp;b=2">x</a>', "x", [("text_link", 0, 1)]),
    ("<a href='example.org'>x</a>", "x", [("text_link", 0, 1)]),
    ("<a href=example.org>x</a>", "x", [("text_link", 0, 1)]),
    ("<a>example.org</a>", "example.org", [("text_link", 0, 11)]),
    ('<a href="tg://user?id=42">x</a>', "x", [("text_mention", 0, 1)]),
    ("<a>no address</a>", "no address", []),
    ('<a href="">x</a>', "x", []),
    ('<a href="/relative">x</a>', "x", []),
    ('<a href="#top">x</a>', "x", []),
    # Telegram takes the scheme for a user name.
    ('<a href="mailto:a@example.org">x</a>', "x", [("text_link", 0, 1)]),
    ('<a href="javascript:alert(1)">x</a>', "x", []),
    ('<a href="ftp://example.org/">x</a>', "x", []),
    ('<a href="http://localhost/">x</a>', "x", []),
    ('<a href="http://[::1]/">x</a>', "x", []),
    ('<a href="http://example.org:99999/">x</a>', "x", []),
]

REFUSED: list[tuple[str, str]] = [
    ("<p>x</p>", 'Unsupported start tag "p" at byte offset 0'),
    ("é<br>", 'Unsupported start tag "br" at byte offset 2'),
    ("a <br/>", 'Unsupported start tag "br/" at byte offset 2'),
    ("a < b >", 'Unsupported start tag "" at byte offset 2'),
    ("<!-- x -->", 'Unsupported start tag "!--" at byte offset 0'),
    ("<img src='x'>", 'Unsupported start tag "img" at byte offset 0'),
    ("<h1>x</h1>", 'Unsupported start tag "h1" at byte offset 0'),
    ("1 <2", "Unclosed start tag at byte offset 2"),
    ("<b", "Unclosed start tag at byte offset 0"),
    ("<a href", 'Unclosed start tag "a" at byte offset 0'),
    ("<a href=", 'Unclosed start tag "a" at byte offset 0'),
    ('<a href="x>y</a>', "Unclosed start tag at byte offset 0"),
    ('<a href="x"', "Unclosed start tag at byte offset 0"),
    ("<a href=x", "Unclosed start tag at byte offset 0"),
    ('<a href="a"b">x</a>', 'Empty attribute name in the tag "a" at byte offset 0'),
    ('<a ="x">y</a>', 'Empty attribute name in the tag "a" at byte offset 0'),
    ("<a href=http://x.org/>y</a>", "Unexpected end of name token at byte offset 8"),
    ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
    ("<b><i>x</i>", 'Can\'t find end tag corresponding to start tag "b"'),
    ("x</b>", "Unexpected end tag at byte offset 1"),
    ("<b>x</b></b>", "Unexpected end tag at byte offset 8"),
    ("<b>x</b", "Unclosed end tag at byte offset 4"),
    ("<b>x</b y>", "Unclosed end tag at byte offset 4"),
    ("<b>x</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
    (
        "<b><i>test</b></i>",
        'Unmatched end tag at byte offset 10, expected "</i>", found "</b>"',
    ),
    ("<strong>x</b>", 'Unmatched end tag at byte offset 9, expected "</strong>", found "</b>"'),
    ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    (
        '<span class="red">x</span>',
        'Tag "span" must have class "tg-spoiler" at byte offset 0',
    ),
    ('<tg-emoji emoji-id="x">y</tg-emoji>', "Invalid custom emoji identifier specified"),
    (
        f'<tg-emoji emoji-id="{"9" * 5000}">y</tg-emoji>',
        "Invalid custom emoji identifier specified",
    ),
    (
        "&#xD800;",
        "Text contains invalid Unicode characters after decoding HTML entities, "
        "check for unmatched surrogate code units",
    ),
]

FINISHED: list[tuple[str, str, Spans]] = [
    ("  <b>x</b>  ", "x", [("bold", 0, 1)]),
    ("<b>  x  </b>", "x", [("bold", 0, 1)]),
    ("a <b> b </b> c", "a  b  c", [("bold", 3, 2)]),
    ("a<b> </b>b", "a b", []),
    ("\n\nx\r\ny\n", "x\ny", []),
    ("a\tb\0c", "a b c", []),
    ("a\u202eb", "ab", []),
    ("<b>a</b><b>b</b>", "ab", [("bold", 0, 2)]),
    ("<b>a<b>b</b></b>", "ab", [("bold", 0, 2)]),
    ("<b>a<code>b</code>c</b>", "abc", [("bold", 0, 1), ("code", 1, 1), ("bold", 2, 1)]),
    ("<code><b>a</b></code>", "a", [("code", 0, 1)]),
    (
        "<blockquote>a<blockquote>b</blockquote></blockquote>",
        "ab",
        [("blockquote", 0, 2)],
    ),
    (
        '<a href="https://example.org/">a<code>b</code></a>',
        "ab",
        [("text_link", 0, 2)],
    ),
    (
        '<blockquote>a<a href="https://example.org/">b</a></blockquote>',
        "ab",
        [("blockquote", 0, 2), ("text_link", 1, 1)],
    ),
    ("see https://example.org/x, now", "see https://example.org/x, now", [("url", 4, 21)]),
    ("<code>/start</code> /go", "/start /go", [("code", 0, 6), ("bot_command", 7, 3)]),
    ('<tg-emoji emoji-id="5">x</tg-emoji>', "x", []),
]


@pytest.mark.parametrize(("markup", "text", "spans"), ACCEPTED)
def test_accepted(markup: str, text: str, spans: Spans) -> None:
    parsed, entities = parse_html(markup)
    assert parsed == text
    assert [(entity.kind, entity.offset, entity.length) for entity in entities] == spans


@pytest.mark.parametrize(("markup", "reason"), REFUSED)
def test_refused(markup: str, reason: str) -> None:
    with pytest.raises(BadMarkup) as caught:
        parse_html(markup)
    assert str(caught.value) == reason


@pytest.mark.parametrize(("markup", "text", "spans"), FINISHED)
def test_stored(markup: str, text: str, spans: Spans) -> None:
    stored, entities = finish(*parse_html(markup))
    assert stored == text
    assert [(entity.kind, entity.offset, entity.length) for entity in entities] == spans


@pytest.mark.parametrize(
    "markup",
    [
        '<pre><code class="language-python">x</code></pre>',
        '<code class="language-python"><pre>x</pre></code>',
    ],
)
def test_a_language_needs_code_to_be_all_of_pre(markup: str) -> None:
    _, (entity,) = parse_html(markup)
    assert (entity.kind, entity.language) == ("pre", "python")


def test_code_beside_other_text_in_pre_has_no_language() -> None:
    _, entities = parse_html('<pre>a<code class="language-python">x</code></pre>')
    assert [(entity.kind, entity.language) for entity in entities] == [
        ("code", None),
        ("pre", None),
    ]


@pytest.mark.parametrize(
    ("href", "stored"),
    [
        ("example.org", "http://example.org/"),
        ("HTTPS://Example.ORG/Path?Q=1#F", "https://example.org/Path?Q=1#F"),
        ("https://example.org?q", "https://example.org/?q"),
        ("https://me:pw@example.org:08080/", "https://me:pw@example.org:8080/"),
        ("https://example.org/a b", "https://example.org/a%20b"),
        ("https://ñandú.example/", "https://ñandú.example/"),
        ("tg://resolve?domain=x", "tg://resolve?domain=x"),
    ],
)
def test_addresses_are_stored_in_one_form(href: str, stored: str) -> None:
    _, (entity,) = parse_html(f'<a href="{href}">x</a>')
    assert entity.url == stored


def test_at_most_a_hundred_entities_stay() -> None:
    _, entities = finish(*parse_html("<b>x</b> " * 150))
    assert len(entities) == 100
