"""Where the tests' own server lies."""

import os
import subprocess
import sys
from pathlib import Path

import memory_folder
import pytest


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for /dev/shm; has room."""
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(memory_folder, "_MEMORY", memory)
    monkeypatch.setattr(memory_folder, "_ROOM", 0)
    return memory


def test_a_folder_in_memory_goes_after_the_block(memory: Path, tmp_path: Path) -> None:
    with memory_folder.memory_folder(tmp_path) as folder:
        (folder / "data").write_text("x", encoding="utf-8")
        assert folder.parent == memory
    assert list(memory.iterdir()) == []


def test_without_room_it_is_the_other_folder(
    memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_folder, "_ROOM", 2**80)
    with memory_folder.memory_folder(tmp_path) as folder:
        assert folder == tmp_path
    monkeypatch.setattr(memory_folder, "_MEMORY", tmp_path / "none")
    monkeypatch.setattr(memory_folder, "_ROOM", 0)
    with memory_folder.memory_folder(tmp_path) as folder:
        assert folder == tmp_path


def test_what_killed_runs_left_is_removed_and_nothing_else(memory: Path, tmp_path: Path) -> None:
    over = subprocess.Popen([sys.executable, "-c", ""])
    over.wait()
    for name in (f"colmillo-tests-{over.pid}-a", f"colmillo-tests-{os.getpid()}-b", "other"):
        (memory / name / "data").mkdir(parents=True)
    with memory_folder.memory_folder(tmp_path):
        pass
    left = {path.name for path in memory.iterdir()}
    assert left == {f"colmillo-tests-{os.getpid()}-b", "other"}
