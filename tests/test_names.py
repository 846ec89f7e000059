"""The folders queue/ and alembic/ bear the names of modules and must never be taken for them."""

import importlib.util
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "folder", ["alembic", "alembic/versions", "bot", "queue", "queue/tests", "sync", "tests"]
)
def test_a_folder_is_no_package(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()


def test_queue_is_the_standard_library_s() -> None:
    spec = importlib.util.find_spec("queue")
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(sysconfig.get_path("stdlib"))


def test_alembic_is_the_installed_library() -> None:
    spec = importlib.util.find_spec("alembic")
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(sysconfig.get_path("purelib"))
