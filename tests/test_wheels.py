"""The three distributions as somebody installs them who has not the repository."""

import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

# The wheels are built once.
pytestmark = pytest.mark.xdist_group("wheels")

ROOT = Path(__file__).parent.parent
PARTS = ("queue", "sync", "bot")
SCRIPTS = Path(sysconfig.get_path("scripts"))


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Returns what a command prints; a command that fails shows why."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, f"{command[0]} {command[1]}: {done.stdout}{done.stderr}"
    return done.stdout


def build(source: Path, target: str, folder: Path) -> Path:
    """Builds with the backend that is installed here, so no index is asked for it."""
    before = set(folder.iterdir()) if folder.exists() else set()
    run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder, cwd=source)
    (made,) = set(folder.iterdir()) - before
    return made


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("wheels")
    return {part: build(ROOT / part, "wheel", folder) for part in PARTS}


@pytest.fixture(scope="module")
def installed(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the three wheels; what they need is borrowed from this one."""
    folder = tmp_path_factory.mktemp("installed")
    uv = SCRIPTS / "uv"
    run(uv, "venv", "--quiet", "--python", sys.executable, folder / "venv", cwd=folder)
    python = folder / "venv/bin/python"
    run(uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", python,
        *wheels.values(), cwd=folder)  # fmt: skip
    purelib = run(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder
    )
    # A path file is not read again for the folders it adds: the editable installs stay behind.
    Path(purelib.strip(), "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def names(archive: Path) -> set[str]:
    """Returns the files in a wheel or an sdist, the latter without its first folder."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return set(wheel.namelist())
    with tarfile.open(archive) as sdist:
        return {name.partition("/")[2] for name in sdist.getnames()}


def sources(part: str) -> set[str]:
    """Returns what a wheel of this part has to have, as git would have it."""
    root = ROOT / part / "src"
    found = {path for path in root.rglob("*") if path.is_file()}
    if part == "bot":
        linked = root / "heraldo/migrations"
        found |= {linked / path.relative_to(ROOT / "alembic") for path in migrations()}
    return {str(path.relative_to(root)) for path in found if path.suffix != ".pyc"}


def migrations() -> set[Path]:
    return {
        path for path in (ROOT / "alembic").rglob("*") if path.is_file() and path.suffix != ".pyc"
    }


@pytest.mark.parametrize("part", PARTS)
def test_a_wheel_has_every_file_of_the_sources(part: str, wheels: dict[str, Path]) -> None:
    packed = {name for name in names(wheels[part]) if ".dist-info/" not in name}
    assert packed == sources(part)


def test_the_bot_s_wheel_has_the_migrations(wheels: dict[str, Path]) -> None:
    packed = names(wheels["bot"])
    assert "heraldo/migrations/env.py" in packed
    for path in migrations():
        assert f"heraldo/migrations/{path.relative_to(ROOT / 'alembic')}" in packed


@pytest.mark.parametrize("part", PARTS)
def test_a_wheel_made_from_the_sdist_is_the_same(
    part: str, wheels: dict[str, Path], tmp_path: Path
) -> None:
    sdist = build(ROOT / part, "sdist", tmp_path / "sdist")
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    run("tar", "-xzf", sdist, "-C", unpacked, cwd=tmp_path)
    (source,) = unpacked.iterdir()
    assert names(build(source, "wheel", tmp_path / "wheel")) == names(wheels[part])


@pytest.mark.parametrize("package", ["colmillo", "heraldo", "heraldo_sync"])
def test_an_installed_package_is_the_wheel_s(package: str, installed: Path) -> None:
    program = f"import {package}; print({package}.__file__)"
    path = run(installed / "venv/bin/python", "-c", program, cwd=installed)
    assert Path(path.strip()).is_relative_to(installed)


def test_the_command_line_works_without_the_repository(installed: Path, tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "HERALDO_DATA_DIR": str(tmp_path)}
    heraldo = installed / "venv/bin/heraldo"
    assert "migrate" in run(heraldo, "--help", cwd=tmp_path, env=env)
    for _ in ("a new database", "nothing left to do"):
        assert "up to date" in run(heraldo, "migrate", cwd=tmp_path, env=env)
    run(heraldo, "healthcheck", cwd=tmp_path, env=env)
