"""Writes docs/colmillo/reference/ from the docstrings: ``make reference``.

Which names are shown on which page is in ``reference.toml``.
``--check`` writes nothing and fails when a page is not what it would write.
"""

import argparse
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent

import griffe

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "queue" / "src"
TARGET = ROOT / "docs" / "colmillo" / "reference"
WIDTH = 92
# Classes that users are given and do not make, and methods that are not for them.
GIVEN = {"Context", "Declared", "Task", "ThreadContext"}
HIDDEN = {"Task.call"}
DECORATORS = ("asynccontextmanager", "classmethod", "contextmanager", "staticmethod")
# Stores have all methods of the protocol: what only says so is left out.
REFERRING = re.compile(r"[^.]*\b[Ss]ee `Store\.\w+`\.[^.\n]*\.?")
COMMON = {
    "--dsn": "`--dsn postgresql://user@host/database`; libpq's PG… variables when left out",
    "--schema": "`--schema NAME`: where the tables live (colmillo)",
}
STARS: dict[griffe.ParameterKind | None, str] = {
    griffe.ParameterKind.var_positional: "*",
    griffe.ParameterKind.var_keyword: "**",
}
NOTE = "<!-- Made from the docstrings by `make reference`; do not edit. -->"


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its title, what it is about, and modules with the names it shows of them."""

    title: str
    about: str
    names: Mapping[str, str]


PAGES = {
    name: Page(**table)
    for name, table in tomllib.loads(
        Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    ).items()
}


@dataclass(frozen=True, slots=True)
class Linker:
    """Makes the names in the texts of one class or function links."""

    links: Mapping[str, str]
    page: str
    name: str

    def text(self, text: str) -> str:
        """The text with the names in single backticks made links where they are known."""
        return re.sub(r"(?<!`)`([A-Za-z_.]+)`(?!`)", self._link, text)

    def _link(self, match: re.Match[str]) -> str:
        name = match[1].removeprefix("colmillo.")
        last = name.rpartition(".")[2]
        candidates = [f"{self.name}.{name}", name, last]
        target = next((self.links[one] for one in candidates if one in self.links), "")
        # A lower-case name means one of the same class or page; others are something else.
        elsewhere = not target.startswith(f"{self.page}.md")
        if not target or name == self.name or (name.islower() and elsewhere):
            return match[0]
        return f"[{match[0]}]({target.removeprefix(f'{self.page}.md')})"


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the pages, or checks them; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when out of date")
    check: bool = parser.parse_args(argv).check
    made = pages()
    there = {path.name: path.read_text(encoding="utf-8") for path in TARGET.glob("*.md")}
    if made == there:
        return 0
    changed = sorted(name for name in made | there if made.get(name) != there.get(name))
    sys.stderr.write(f"reference: {', '.join(changed)}{' out of date' if check else ''}\n")
    if check:
        sys.stderr.write("run: make reference\n")
        return 1
    TARGET.mkdir(exist_ok=True)
    for name in changed:
        if name in made:
            (TARGET / name).write_text(made[name], encoding="utf-8")
        else:
            (TARGET / name).unlink()
    return 0


def pages() -> dict[str, str]:
    """Every page's text by the name of its file."""
    package = griffe.load("colmillo", search_paths=[SOURCES], docstring_parser="google")
    assert isinstance(package, griffe.Module)
    shown = {name: list(objects(package, page)) for name, page in PAGES.items()}
    top = set(package.exports or ())
    missing = top - {found.name for page in shown.values() for found in page}
    if missing:
        raise SystemExit(f"docs/reference.py shows nothing of {sorted(map(str, missing))}")
    links = anchors(shown)
    texts = {
        f"{name}.md": "\n\n".join(
            [
                NOTE,
                f"# {page.title}",
                page.about,
                *(
                    block
                    for found in shown[name]
                    for block in entry(found, Linker(links, name, found.name))
                ),
            ]
        )
        + "\n"
        for name, page in PAGES.items()
    }
    texts["command-line.md"] = command_line()
    texts["index.md"] = index(shown, links)
    return texts


def objects(package: griffe.Module, page: Page) -> Iterator[griffe.Object]:
    """The page's classes, functions and names, in its order."""
    for path, names in page.names.items():
        module = package[path.removeprefix("colmillo.")]
        wanted = names.split()
        if names == "*":
            wanted = [
                name
                for name, member in module.members.items()
                if not name.startswith("_")
                and not member.is_alias
                and (member.is_class or member.is_function)
            ]
        for name in wanted:
            yield module[name]


def methods(found: griffe.Object) -> list[griffe.Function]:
    """The public methods and properties of a class that have something to say."""
    return [
        member
        for name, member in found.members.items()
        if isinstance(member, griffe.Function)
        and not name.startswith("_")
        and member.docstring is not None
        and not REFERRING.fullmatch(member.docstring.value)
        and f"{found.name}.{name}" not in HIDDEN
    ]


def anchors(shown: Mapping[str, Sequence[griffe.Object]]) -> dict[str, str]:
    """Where each name is shown: page and anchor, as code-hosting sites make them."""
    links: dict[str, str] = {}
    for page, found in shown.items():
        used = Counter[str]()
        for one in found:
            titles = [one.name, *(f"{one.name}.{method.name}" for method in methods(one))]
            for title in titles:
                slug = re.sub(r"[^\w-]", "", title.lower())
                again = f"-{used[slug]}" if used[slug] else ""
                used[slug] += 1
                links.setdefault(title, f"{page}.md#{slug}{again}")
    return links


def exporter(found: griffe.Object) -> str:
    """Where the name is to be imported from: the outermost package that exports it."""
    best = module = found.module
    while isinstance(module.parent, griffe.Module):
        module = module.parent
        if found.name in (module.exports or ()):
            best = module
    return best.path


def entry(found: griffe.Object, links: Linker) -> Iterator[str]:
    """The blocks of one class, function or name."""
    yield f"## {found.name}"
    yield f"`from {exporter(found)} import {found.name}`"
    if isinstance(found, griffe.Attribute):
        yield code(f"{found.name} = {found.value}")
    elif isinstance(found, griffe.Class):
        bases = ", ".join(map(str, found.bases))
        start = found.members.get("__init__")
        made = not is_enum(found) and found.name not in GIVEN
        if isinstance(start, griffe.Function) and made:
            yield code(f"class {signature(start, found.name)}")
        else:
            line = f"class {found.name}({bases})" if bases else f"class {found.name}"
            if len(line) > WIDTH:
                line = line.replace("(", "(\n    ").replace(", ", ",\n    ").replace(")", ",\n)")
            yield code(line)
    elif isinstance(found, griffe.Function):
        yield code(signature(found, found.name))
    yield from described(found, links)
    if isinstance(found, griffe.Class):
        yield from fields(found, links)
        for method in methods(found):
            title = f"{found.name}.{method.name}"
            yield f"### {title}"
            yield from (code(line) for line in calls(method))
            yield from described(method, links)


def is_enum(found: griffe.Class) -> bool:
    """Whether the class is an enumeration."""
    return any(str(base).endswith("Enum") for base in found.bases)


def calls(method: griffe.Function) -> Iterator[str]:
    """How a method is called: its signature, or those of its overloads."""
    if "property" in method.labels:
        yield f"{method.name}: {method.returns}"
    elif method.overloads:
        yield "\n".join(signature(one, method.name) for one in method.overloads)
    else:
        yield signature(method, method.name)


def signature(function: griffe.Function, name: str) -> str:
    """The signature, on several lines when it is long."""
    parts: list[str] = []
    kind = griffe.ParameterKind
    given = [one for one in function.parameters if one.name not in ("self", "cls")]
    starred = False
    for one in given:
        if one.kind is kind.keyword_only and not starred:
            parts.append("*")
        starred = starred or one.kind in (kind.keyword_only, kind.var_positional)
        star = STARS.get(one.kind, "")
        text = f"{star}{one.name}" + (f": {one.annotation}" if one.annotation else "")
        plain = one.default is None or star != ""
        parts.append(text if plain else f"{text} = {one.default}")
    returns = f" -> {function.returns}" if function.returns and function.name != "__init__" else ""
    names = [str(one.value).rpartition(".")[2] for one in function.decorators]
    above = "".join(f"@{name}\n" for name in names if name in DECORATORS)
    start = above + ("async def " if "async" in function.labels else "def ")
    start = "" if function.name == "__init__" else start
    line = f"{start}{name}({', '.join(parts)}){returns}"
    if len(line) - len(above) <= WIDTH:
        return line
    inside = indent(",\n".join(parts), "    ")
    return f"{start}{name}(\n{inside},\n){returns}"


def fields(found: griffe.Class, links: Linker) -> Iterator[str]:
    """The attributes of a class that are documented, and the members of an enumeration."""
    lines = []
    for attribute in found.members.values():
        if not isinstance(attribute, griffe.Attribute) or attribute.name.startswith("_"):
            continue
        text = attribute.docstring.value if attribute.docstring else ""
        if not text and not is_enum(found):
            continue
        value = f" = {attribute.value}" if is_enum(found) else ""
        said = f": {links.text(' '.join(text.split()))}" if text else ""
        lines.append(f"- `{attribute.name}{value}`{said}")
    if lines:
        yield "\n".join(lines)


def described(found: griffe.Object, links: Linker) -> Iterator[str]:
    """The docstring: text, arguments, errors."""
    if found.docstring is None:
        return
    for section in found.docstring.parsed:
        match section:
            case griffe.DocstringSectionText():
                yield links.text(dedent(section.value))
            case griffe.DocstringSectionParameters():
                yield "Arguments:"
                given = ((f"`{one.name}`", one.description) for one in section.value)
                yield listed(given, links)
            case griffe.DocstringSectionRaises():
                yield "Raises:"
                errors = (
                    (links.text(f"`{one.annotation}`"), one.description) for one in section.value
                )
                yield listed(errors, links)
            case _:
                raise SystemExit(f"{found.path}: docs/reference.py knows no {section.kind}")


def listed(pairs: Iterable[tuple[str, str]], links: Linker) -> str:
    """A list of names with what is said of them."""
    return "\n".join(f"- {name}: {links.text(' '.join(text.split()))}" for name, text in pairs)


def code(text: str) -> str:
    """A block of Python, with the quotes of the sources."""
    text = text if '"' in text else text.replace("'", '"')
    return f"```python\n{text}\n```"


def command_line() -> str:
    """The page of the command line, from its parsers."""
    sys.path.insert(0, str(SOURCES))
    from colmillo.cli import parser

    blocks = [
        NOTE,
        "# The command line",
        "Status 0: done; 1: it failed, and one line says why; 2: wrong usage. Every command takes",
        "\n".join(f"- {COMMON[name]}" for name in COMMON),
    ]
    for path, command in commands(parser(), ("colmillo",)):
        blocks.append(f"## {' '.join(path)}")
        blocks.append(f"{command.description or path[-1]}")
        rows = []
        for action in command._actions:
            if isinstance(action, argparse._HelpAction) or COMMON.keys() & {*action.option_strings}:
                continue
            names = ", ".join(action.option_strings) or action.dest
            values = action.metavar or ("|".join(action.choices) if action.choices else "")
            shown = f"{names} {values}".strip() if action.option_strings else names
            rows.append(f"- `{shown}`" + (f": {action.help}" if action.help else ""))
        if rows:
            blocks.append("\n".join(rows))
    return "\n\n".join(blocks) + "\n"


def commands(
    parser: argparse.ArgumentParser, path: tuple[str, ...], about: str = ""
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Every command that does something, with its full name."""
    groups = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not groups:
        parser.description = sentence(parser.description or about)
        yield path, parser
    for group in groups:
        abouts = {choice.dest: choice.help or "" for choice in group._choices_actions}
        for name, command in group.choices.items():
            yield from commands(command, (*path, name), abouts.get(name, ""))


def sentence(text: str) -> str:
    """The text with a capital in front and a full stop behind."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."


def index(shown: Mapping[str, Sequence[griffe.Object]], links: Mapping[str, str]) -> str:
    """The list of the pages."""
    blocks = [NOTE, "# Reference"]
    lines = []
    for name, page in PAGES.items():
        names = ", ".join(f"[`{one.name}`]({links[one.name]})" for one in shown[name])
        lines.append(f"- [{page.title}]({name}.md): {names}")
    lines.append("- [The command line](command-line.md)")
    return "\n\n".join([*blocks, "\n".join(lines)]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
