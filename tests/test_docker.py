"""The files in docker/ name commands and settings; both must exist."""

import re
from pathlib import Path

from heraldo.cli import main
from heraldo.settings import Settings

DOCKER = Path(__file__).parent.parent / "docker"


def read(name: str) -> str:
    return (DOCKER / name).read_text(encoding="utf-8")


def test_every_command_exists() -> None:
    named = re.findall(r'^\s*command: \["([\w-]+)"', read("compose.yaml"), re.MULTILINE)
    named += re.findall(r'^CMD \["([\w-]+)"\]', read("Dockerfile"), re.MULTILINE)
    named += re.findall(r'HEALTHCHECK .*CMD \["heraldo", "([\w-]+)"\]', read("Dockerfile"))
    assert set(named) == {"migrate", "bot", "scheduler", "worker", "run", "healthcheck"}
    assert set(named) <= set(main.commands)


def test_every_setting_exists() -> None:
    offered = re.findall(r"^#?([A-Z_]+)=", read(".env.example"), re.MULTILINE)
    assert {"TELEGRAM_BOT_TOKEN", "OWNER_TELEGRAM_ID"} <= set(offered)
    known = {name.upper() for name in Settings.model_fields}
    assert set(offered) - {"POSTGRES_PASSWORD"} <= known


def test_two_values_have_to_be_filled_in() -> None:
    empty = re.findall(r"^([A-Z_]+)=$", read(".env.example"), re.MULTILINE)
    required = re.findall(r"\$\{([A-Z_]+):\?", read("compose.yaml"))
    assert empty == required == ["TELEGRAM_BOT_TOKEN", "OWNER_TELEGRAM_ID"]
