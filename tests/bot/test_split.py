"""Splitting and cutting: whatever the text, every part is a message Telegram takes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldo.botapi.htmlmode import parse_html
from heraldo.richtext import MAX_ENTITIES, Kind, Rich, Style, escape, joined, nest, units
from heraldo.split import border, cut, joins, split

TEXTS = st.text(
    alphabet=st.one_of(
        st.sampled_from(list("ab .,!?\n\t<>&\"'é👩\u200d👧🏽🇪🇸\u0301\U0001f3f4한")),
        st.characters(exclude_categories=["Cs", "Cc"]),
    ),
    max_size=60,
)
STYLES = st.lists(
    st.builds(Style, st.sampled_from(list(Kind)), st.sampled_from(["", 'http://x/?a=1&b="<'])),
    max_size=4,
)
RICHES = st.lists(st.builds(lambda text, styles: Rich.of(text, *styles), TEXTS, STYLES)).map(
    lambda parts: sum(parts, Rich())
)


def without_spaces(text: str) -> str:
    return re.sub(r"\s", "", text)


def shown(rich: Rich) -> str:
    """What Telegram reads out of the HTML, by the strict parser of the test server."""
    text, entities = parse_html(rich.to_html())
    assert len(entities) <= MAX_ENTITIES
    return text


@given(RICHES)
def test_html_reads_back_as_the_text(rich: Rich) -> None:
    text, entities = parse_html(rich.to_html())
    assert text == rich.text
    assert all(entity.length > 0 for entity in entities)


@given(RICHES, st.integers(min_value=2, max_value=120))
def test_parts_fit_and_lose_nothing_but_white_space(rich: Rich, limit: int) -> None:
    parts = split(rich, limit=limit)
    for part in parts:
        assert 0 < units(part.text) <= limit
        assert part.text == part.text.strip()
        assert shown(part) == part.text
    assert without_spaces("".join(part.text for part in parts)) == without_spaces(rich.text)


@given(RICHES, st.integers(min_value=2, max_value=120))
def test_each_character_keeps_its_styles(rich: Rich, limit: int) -> None:
    def styled(riches: tuple[Rich, ...]) -> list[tuple[str, tuple[Style, ...]]]:
        runs = [run for rich in riches for run in rich.runs]
        return [(char, run.styles) for run in runs for char in run.text if not char.isspace()]

    assert styled(split(rich, limit=limit)) == styled((rich,))


@given(RICHES, st.integers(min_value=4, max_value=120))
def test_cut_is_a_beginning_that_fits(rich: Rich, limit: int) -> None:
    short = cut(rich, limit)
    assert units(short.text) <= limit
    shown(short)
    if short != rich.strip():
        assert short.text.endswith("…")
        assert rich.text.strip().startswith(short.text.removesuffix("…").rstrip())


def test_more_than_a_hundred_entities_make_two_messages() -> None:
    rich = joined(" ", [Rich.of(f"w{n}", Style(Kind.BOLD)) for n in range(150)])
    first, second = split(rich)
    assert shown(first).split()[-1] == "w99"
    assert shown(second).split()[0] == "w100"


def test_a_long_link_goes_on_in_the_next_part() -> None:
    link = Style(Kind.LINK, "https://example.org/?a=1&b=2")
    parts = split(Rich.of("word " * 2000, link))
    assert len(parts) == 3
    for part in parts:
        assert part.to_html().startswith('<a href="https://example.org/?a=1&amp;b=2">word')
        assert part.to_html().endswith("</a>")


@pytest.mark.parametrize(
    ("text", "limit", "first"),
    [
        ("One two.\n\nThree four five six", 20, "One two."),
        ("One two three\nfour five six", 20, "One two three"),
        ("One two. Three four five", 14, "One two."),
        ("一二三。四五六七八", 6, "一二三。"),
        ("One twothreefour", 8, "One"),
        ("abcdefgh", 3, "abc"),
        ("👍👍👍", 3, "👍"),
        ("aa👩\u200d👩\u200d👧x", 9, "aa"),
        ("abe\u0301f", 3, "ab"),
        ("🇪🇸🇫🇷", 6, "🇪🇸"),
        ("ab👍🏽", 5, "ab"),
    ],
)
def test_borders(text: str, limit: int, first: str) -> None:
    assert split(Rich.of(text), limit=limit)[0].text == first


def test_a_sign_too_long_for_any_message_is_cut_anyway() -> None:
    zalgo = "a" + "\u0301" * 9000
    parts = split(Rich.of(zalgo))
    assert "".join(part.text for part in parts) == zalgo
    assert [units(part.text) for part in parts] == [4096, 4096, 809]


@given(TEXTS.filter(lambda text: len(text) > 1), st.data())
def test_border_moves_forward_and_stays_in_reach(text: str, data: st.DataObject) -> None:
    end = data.draw(st.integers(min_value=1, max_value=len(text) - 1))
    assert 0 < border(text, end) <= end


def test_joins_knows_what_belongs_together() -> None:
    family = "👩\u200d👧"
    assert [joins(family, at) for at in range(4)] == [False, True, True, False]
    assert not joins("ab", 1)
    assert joins("\u1112\u1161\u11ab", 1)


def test_ellipsis_stays_out_of_code_and_quotes() -> None:
    code = Rich.of("line\n" * 20, Style(Kind.PRE, "sh"))
    assert cut(code, 30).to_html().endswith("line</code></pre>\n…")


def test_nesting_rules() -> None:
    bold, code, pre = Style(Kind.BOLD), Style(Kind.CODE), Style(Kind.PRE)
    link, quote = Style(Kind.LINK, "https://example.org/"), Style(Kind.QUOTE)
    assert nest([bold, code]) == (code,)
    assert nest([code, link, bold]) == (link, bold)
    assert nest([link, quote, bold, pre]) == (quote, pre)


@given(st.text())
def test_escape_reads_back(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    assert parse_html(escape(text))[0] == text
