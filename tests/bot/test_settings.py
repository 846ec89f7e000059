"""Settings: read once, every bad one named with its reason, no secret shown."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from heraldo.errors import BadSettings
from heraldo.keys import KEY_FILE, open_vault
from heraldo.settings import Settings
from heraldo_sync.private import private_address
from heraldo_sync.vault import new_key

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
    monkeypatch.setenv("FEED_PROXY", "socks4://me:hunter2@proxy.lan:1080")
    with pytest.raises(BadSettings) as caught:
        Settings.read()
    assert "FEED_PROXY: is no HTTP or SOCKS5 proxy" in str(caught.value)
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


def test_keys_for_private_feeds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    new, old = new_key(), new_key()
    assert Settings.read().keys == ()
    monkeypatch.setenv("SECRET_KEY", f"{new}, {old}")
    settings = Settings.read()
    assert settings.keys == (new, old)
    assert new not in f"{settings!r} {settings}"
    (tmp_path / "keys").write_text(f"{new}\n{old}\n")
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "keys"))
    assert Settings.read().keys == (new, old)
    monkeypatch.delenv("SECRET_KEY_FILE")
    monkeypatch.setenv("SECRET_KEY", f"{new},{old}x")
    with pytest.raises(BadSettings, match="SECRET_KEY: is no key; `heraldo new-key`") as caught:
        Settings.read()
    assert old not in str(caught.value)


def test_whoever_brings_a_database_brings_a_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HERALDO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DATABASE_URL", "postgresql://me@nowhere/db")
    assert open_vault(Settings.read()) is None
    monkeypatch.setenv("SECRET_KEY", new_key())
    assert open_vault(Settings.read()) is not None
    assert not (tmp_path / "data").exists()


def test_a_key_is_made_beside_the_embedded_database(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HERALDO_DATA_DIR", str(tmp_path / "data"))
    private = private_address("https://example.org/", ["Cookie: a"])[1]
    assert private is not None
    with ThreadPoolExecutor(8) as threads:
        vaults = list(threads.map(lambda _: open_vault(Settings.read()), range(8)))
    prints = {vault.fingerprints(private)[0] for vault in vaults if vault is not None}
    assert len(prints) == 1
    [path] = (tmp_path / "data").iterdir()
    assert path.name == KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("nonsense")
    with pytest.raises(BadSettings, match="is no key") as caught:
        open_vault(Settings.read())
    assert "nonsense" not in str(caught.value).replace(str(path), "")
