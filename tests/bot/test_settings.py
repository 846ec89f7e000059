"""Settings: read once, every bad one named with its reason, no secret shown."""

from pathlib import Path

import pytest

from heraldo.errors import BadSettings
from heraldo.settings import Settings

TOKEN = "123456:" + "A" * 35
NAMES = [name.upper() for name in Settings.model_fields]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine, no .env of the folder the tests run in."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    monkeypatch.chdir(tmp_path)


def test_nothing_has_to_be_set() -> None:
    settings = Settings.read()
    assert settings.telegram_bot_token is None
    assert settings.database_url is None
    assert settings.sync_interval_seconds == 60
    assert settings.telegram_api_url == "https://api.telegram.org"
    assert settings.heraldo_data_dir.name == "heraldo"


def test_every_bad_setting_is_named_at_once_and_secrets_are_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad = {
        "TELEGRAM_BOT_TOKEN": "not-a-token-but-secret",
        "DATABASE_URL": "mysql://user:hunter2@host/db",
        "SYNC_INTERVAL_SECONDS": "0",
        "ALLOW_PRIVATE_ADDRESSES": "10.0.0.0/8,:::",
        "OWNER_TELEGRAM_ID": "me",
        "TELEGRAM_API_URL": "api.telegram.org",
        "LOG_LEVEL": "loud",
    }
    for name, value in bad.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings) as caught:
        Settings.read()
    message = str(caught.value)
    for name in bad:
        assert f"{name}: " in message
    assert "hunter2" not in message
    assert "secret" not in message


def test_a_file_named_env_counts_and_the_environment_goes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(
        f"TELEGRAM_BOT_TOKEN={TOKEN}\nSYNC_INTERVAL_SECONDS=30\nSOMETHING_ELSE=x\n"
    )
    monkeypatch.setenv("SYNC_INTERVAL_SECONDS", "5")
    settings = Settings.read()
    assert settings.telegram_bot_token is not None
    assert settings.telegram_bot_token.get_secret_value() == TOKEN
    assert settings.sync_interval_seconds == 5


def test_secrets_may_come_as_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN_FILE", str(tmp_path / "token"))
    settings = Settings.read()
    assert settings.telegram_bot_token is not None
    assert settings.telegram_bot_token.get_secret_value() == TOKEN
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "absent"))
    with pytest.raises(BadSettings, match="DATABASE_URL_FILE: No such file"):
        Settings.read()


def test_an_empty_value_means_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TELEGRAM_BOT_TOKEN", "DATABASE_URL", "OWNER_TELEGRAM_ID"):
        monkeypatch.setenv(name, "")
    settings = Settings.read()
    assert (settings.telegram_bot_token, settings.database_url) == (None, None)
    assert settings.owner_telegram_id is None


def test_the_operator_may_open_private_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOW_PRIVATE_ADDRESSES", "127.0.0.1,rsshub.lan,10.0.0.0/8")
    Settings.read()


def test_a_proxy_is_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FEED_PROXY", "http://me:hunter2@proxy.lan:3128")
    monkeypatch.setenv("FEED_PROXY_BYPASS", "*.lan")
    settings = Settings.read()
    assert settings.proxy is not None
    assert settings.proxy.url == "http://me:hunter2@proxy.lan:3128"
    assert not settings.proxy.serves("rsshub.lan")
    assert "hunter2" not in f"{settings!r} {settings} {settings.proxy!r}"
    monkeypatch.setenv("FEED_PROXY", "socks5://me:hunter2@proxy.lan:1080")
    with pytest.raises(BadSettings) as caught:
        Settings.read()
    assert "FEED_PROXY: is no HTTP proxy" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.read().listen is None
    monkeypatch.setenv("PUBLIC_URL", "https://example.org:8443/bot/")
    monkeypatch.setenv("LISTEN_PORT", "9000")
    listen = Settings.read().listen
    assert listen is not None
    assert (listen.host, listen.port) == ("127.0.0.1", 9000)
    assert listen.public_url == "https://example.org:8443/bot"
    for wrong in ("example.org", "https://me:pw@x.org", "https://x.org/?a", "https://x.org/{key}"):
        monkeypatch.setenv("PUBLIC_URL", wrong)
        with pytest.raises(BadSettings, match="PUBLIC_URL: is no web address"):
            Settings.read()


def test_an_rsshub_s_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSSHUB_BASE_URL", "http://rsshub.lan:1200/base/")
    assert Settings.read().rsshub_base_url == "http://rsshub.lan:1200/base"
    for wrong in ("rsshub.lan", "https://me:pw@rsshub.lan", "https://rsshub.lan/?key=x"):
        monkeypatch.setenv("RSSHUB_BASE_URL", wrong)
        with pytest.raises(BadSettings, match="RSSHUB_BASE_URL: is no web address"):
            Settings.read()
    monkeypatch.setenv("RSSHUB_BASE_URL", " ")
    assert Settings.read().rsshub_base_url is None
