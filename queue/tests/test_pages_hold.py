"""The queue's pages: tests and pages they name exist."""

import re
from pathlib import Path

import pytest
from pages import DOCS

import colmillo.testing.suite

PAGES = sorted(DOCS.rglob("*.md"))


def test_the_tests_that_stand_for_a_guarantee_exist() -> None:
    page = (DOCS / "guarantees.md").read_text(encoding="utf-8")
    named = re.findall(r"\| `(test_\w+)` \|", page)
    suite = Path(colmillo.testing.suite.__file__).parent
    files = [*Path(__file__).parent.rglob("test_*.py"), *suite.glob("*.py")]
    source = "".join(path.read_text(encoding="utf-8") for path in files)
    assert len(named) > 30
    assert [name for name in named if f"def {name}(" not in source] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    astray = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            astray.append(link)
    assert astray == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code-hosting sites make them."""
    found: set[str] = set()
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        again = sum(1 for one in found if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", one))
        found.add(f"{slug}-{again}" if again else slug)
    return found
