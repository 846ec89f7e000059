"""The rules of CONTRIBUTING.md that neither ruff, the type checkers nor import-linter can check."""

import ast
import importlib
import io
import pkgutil
import re
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import colmillo
import heraldo
import heraldo_sync

ROOT = Path(__file__).parent.parent
SOURCES = ("bot/src", "queue/src", "sync/src")
TESTS = ("queue/tests", "tests")
LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock")
LONGEST_FILE = 400
# What the bot's own servers take from aiohttp: the server, and the reader of uploads.
SERVING = re.compile(r"aiohttp\.(web|BodyPartReader)\b")
# The exceptions that everything else a package raises is derived from.
ERROR_BASES = {
    "colmillo": {"ColmilloError"},
    "heraldo": {"HeraldoError", "BotApiError"},
    "heraldo_sync": {"SyncError"},
}


def files(*folders: str, ending: str = "py") -> list[Path]:
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob(f"*.{ending}")
        if "migrations" not in path.relative_to(ROOT / folder).parts
    )


def place(path: Path) -> str:
    return str(path.relative_to(ROOT))


def trees(paths: list[Path]) -> Iterator[tuple[Path, ast.Module]]:
    for path in paths:
        yield path, ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def test_a_file_has_one_role() -> None:
    lengths = {
        place(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in files(*SOURCES, *TESTS, "benchmarks")
    }
    assert lengths
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_nothing_is_left_unfinished_or_kept_from_the_checkers() -> None:
    unwanted = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|type:\s*ignore|pyright:\s*(ignore|basic)")
    found = [
        f"{place(path)}:{token.start[0]}: {token.string}"
        for path in files(*SOURCES, *TESTS, "alembic", "benchmarks")
        for token in tokenize.generate_tokens(
            io.StringIO(path.read_text(encoding="utf-8")).readline
        )
        if token.type == tokenize.COMMENT and unwanted.search(token.string)
    ]
    assert found == []


def test_no_test_sleeps_or_is_switched_off() -> None:
    """A test waits for an event or moves a clock; sleep(0) only lets others run."""
    found = []
    for path, tree in trees(files(*TESTS)):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call | ast.Attribute):
                continue
            text = ast.unparse(node)
            sleeps = text.startswith(("asyncio.sleep(", "time.sleep(")) and not text.endswith("(0)")
            if sleeps or text in {"pytest.mark.skip", "pytest.mark.xfail"}:
                found.append(f"{place(path)}:{node.lineno}: {text}")
    assert found == []


def test_the_bot_serves_with_aiohttp_and_never_fetches_with_it() -> None:
    found = []
    for path, tree in trees(files("bot/src")):
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            found += [
                f"{place(path)}:{node.lineno}: {name}"
                for name in names
                if name.partition(".")[0] == "aiohttp" and not SERVING.match(name)
            ]
    assert found == []


def test_an_sql_file_is_one_statement_with_a_word_on_it() -> None:
    """Only a schema, which nobody prepares, may be a list of them."""
    statements = files(*SOURCES, ending="sql")
    assert statements
    without_header = [
        place(path) for path in statements if not path.read_text(encoding="utf-8").startswith("-- ")
    ]
    assert without_header == []
    several = [
        place(path)
        for path in statements
        if path.name != "schema.sql"
        and ";" in re.sub(r"--.*", "", path.read_text(encoding="utf-8")).strip().removesuffix(";")
    ]
    assert several == []


@pytest.mark.parametrize("package", [colmillo, heraldo, heraldo_sync])
def test_a_package_has_one_base_for_what_it_raises(package: ModuleType) -> None:
    name = package.__name__
    roots = set()
    for info in pkgutil.walk_packages(package.__path__, prefix=f"{name}."):
        if info.name.endswith("__main__"):
            continue
        for value in vars(importlib.import_module(info.name)).values():
            if isinstance(value, type) and issubclass(value, BaseException):
                own = [base for base in value.__mro__ if base.__module__.startswith(f"{name}.")]
                roots |= {own[-1].__name__} if own else set()
    assert roots <= ERROR_BASES[name]


def pins(lock: str) -> dict[str, list[str]]:
    """Returns each pinned name (several versions when markers choose one) of a lock."""
    found: dict[str, list[str]] = {}
    for block in re.split(r"\n(?=\S)", (ROOT / lock).read_text(encoding="utf-8")):
        if block.startswith("#"):
            continue
        pin = Requirement(block.split(" \\", maxsplit=1)[0])
        assert "--hash=sha256:" in block, f"{lock}: {pin.name} has no hash"
        (specifier,) = pin.specifier
        assert specifier.operator == "==", f"{lock}: {pin} is not pinned"
        found.setdefault(canonicalize_name(pin.name), []).append(specifier.version)
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_hashes_and_names_no_host(lock: str) -> None:
    assert pins(lock)
    assert "://" not in (ROOT / lock).read_text(encoding="utf-8")


def test_the_locks_agree_with_each_other_and_with_what_is_asked_for() -> None:
    locked: dict[str, set[str]] = {}
    for lock in LOCKS:
        for name, versions in pins(lock).items():
            locked.setdefault(name, set()).update(versions)
    asked = [Requirement(text) for text in requirements()]
    missing = [
        str(requirement)
        for requirement in asked
        if not any(
            version in requirement.specifier
            for version in locked.get(canonicalize_name(requirement.name), set())
        )
    ]
    assert asked
    assert missing == [], "run: make lock"


def requirements() -> Iterator[str]:
    """Yields what the workspace asks of others."""
    own = {"colmillo", "heraldo", "heraldo-sync"}
    for folder in ("bot", "queue", "sync"):
        project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))
        wanted = list(project["project"]["dependencies"])
        for extra in project["project"].get("optional-dependencies", {}).values():
            wanted += extra
        yield from (text for text in wanted if Requirement(text).name not in own)
    root = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for group in root["dependency-groups"].values():
        yield from group


def test_the_queue_s_core_needs_asyncpg_alone() -> None:
    project = tomllib.loads((ROOT / "queue/pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [Requirement(text).name for text in project["dependencies"]] == ["asyncpg"]
