"""What an operator can set, read once: from the environment, or from a file named ``.env``."""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Self

from platformdirs import user_data_path
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from heraldo.errors import BadSettings
from heraldo.limits import SendLimits
from heraldo.web.server import Listen
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.limits import Limits
from heraldo_sync.proxy import Proxy
from heraldo_sync.vault import Vault

TOKEN = re.compile(r"\d+:[A-Za-z0-9_-]{20,}")
SECRETS = ("TELEGRAM_BOT_TOKEN", "DATABASE_URL", "FEED_PROXY", "SECRET_KEY")


def _blank_is_unset(value: Any) -> Any:
    """An empty line in a compose file means "not set", not an empty value."""
    return None if isinstance(value, str) and not value.strip() else value


Unset = BeforeValidator(_blank_is_unset)


class Settings(BaseSettings):
    """Every setting under the name it has in the environment, in lower case."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    telegram_bot_token: Annotated[SecretStr | None, Unset] = Field(
        default=None, description="From @BotFather. Without it `heraldo run` opens a chat here."
    )
    telegram_api_url: str = Field(
        default="https://api.telegram.org", description="A Bot API server's base address."
    )
    owner_telegram_id: Annotated[int | None, Unset] = Field(
        default=None, description="The one person who may command the bot."
    )
    database_url: Annotated[SecretStr | None, Unset] = Field(
        default=None, description="A Postgres database. Unset: the embedded one."
    )
    heraldo_data_dir: Path = Field(
        default_factory=lambda: user_data_path("heraldo"),
        description="Where the embedded database lives.",
    )
    secret_key: Annotated[SecretStr | None, Unset] = Field(
        default=None,
        description="Locks private feeds' passwords away; from `heraldo new-key`. "
        "Several, with commas between: the first locks, all open.",
    )
    sync_interval_seconds: float = Field(
        default=60, ge=1, le=86400, description="How often a lively feed is checked."
    )
    sync_max_interval_seconds: float = Field(
        default=86400, ge=1, le=86400, description="The same for a feed that is silent for long."
    )
    host_requests_per_second: float = Field(
        default=10, gt=0, le=1000, description="How often one host is asked for its feeds."
    )
    retention_days: float = Field(
        default=30,
        ge=1,
        le=36500,
        description="How long to keep the text of posts that are sent and that no feed shows.",
    )
    allow_private_addresses: Annotated[AddressPolicy, NoDecode] = Field(
        default_factory=lambda: AddressPolicy.parse(""),
        description="Private hosts, addresses or networks the bot may open, with commas between.",
    )
    rsshub_base_url: Annotated[str | None, Unset] = Field(
        default=None, description="An RSSHub, for Telegram channels and other sites without feeds."
    )
    feed_proxy: Annotated[SecretStr | None, Unset] = Field(
        default=None, description="An HTTP or SOCKS5 proxy that feeds are fetched through."
    )
    feed_proxy_bypass: Annotated[AddressPolicy, NoDecode] = Field(
        default_factory=lambda: AddressPolicy.parse(""),
        description="Hosts, addresses or networks to fetch from without the proxy.",
    )
    public_url: Annotated[str | None, Unset] = Field(
        default=None,
        description="Where the internet reaches this bot; hubs then tell it of new posts at once.",
    )
    listen_host: str = Field(
        default="127.0.0.1", description="The address to serve PUBLIC_URL at, if that is set."
    )
    listen_port: int = Field(default=8080, ge=1, le=65535, description="The same for the port.")
    telegram_messages_per_second: float = Field(
        default=30, gt=0, le=1000, description="The limit of the Bot API server you use."
    )
    telegram_chat_messages_per_second: float = Field(
        default=1, gt=0, le=1000, description="The same for one private chat."
    )
    telegram_group_messages_per_minute: float = Field(
        default=20, gt=0, le=60000, description="The same for one group or channel."
    )
    worker_lease_seconds: float = Field(
        default=20,
        ge=1,
        le=3600,
        description="A worker that was silent for so long has lost its tasks to the others.",
    )
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    @classmethod
    def read(cls) -> Self:
        """Reads them all.

        Raises:
            BadSettings: some are wrong; the message names every one with its reason.
        """
        problems: list[str] = []
        given = _secrets_from_files(problems)
        try:
            settings = cls(**given)
        except ValidationError as error:
            problems += [_line(dict(problem)) for problem in error.errors()]
        else:
            if not problems:
                return settings
        raise BadSettings("\n".join(problems))

    @field_validator("telegram_bot_token")
    @classmethod
    def _is_a_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not TOKEN.fullmatch(value.get_secret_value()):
            raise ValueError("is no bot token; it looks like 123456:ABC… and comes from @BotFather")
        return value

    @field_validator("telegram_api_url")
    @classmethod
    def _is_a_base(cls, value: str) -> str:
        if not re.match(r"https?://[^/\s]", value):
            raise ValueError("is no web address; it looks like https://api.telegram.org")
        return value.rstrip("/")

    @field_validator("rsshub_base_url")
    @classmethod
    def _is_an_rsshub(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^/\s@?#]+(/[^\s?#]*)?", value):
            raise ValueError(
                "is no web address without a password; it looks like https://rsshub.example.org"
            )
        return value.rstrip("/") if value else None

    @field_validator("public_url")
    @classmethod
    def _is_public(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[\w.:\[\]-]+(/[\w./~-]*)?", value):
            raise ValueError(
                "is no web address with a plain path; it looks like https://bot.example.org"
            )
        return value.rstrip("/") if value else None

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.match(r"postgres(ql)?://", value.get_secret_value()):
            raise ValueError("must begin with postgresql://, as in postgresql://user@host/database")
        return value

    @field_validator("feed_proxy")
    @classmethod
    def _is_a_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            Proxy(url=value.get_secret_value())
        return value

    @field_validator("secret_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            Vault(_keys(value))
        return value

    @field_validator("allow_private_addresses", "feed_proxy_bypass", mode="before")
    @classmethod
    def _is_a_policy(cls, value: object) -> object:
        return AddressPolicy.parse(value) if isinstance(value, str) else value

    @property
    def interval(self) -> timedelta:
        """How often each feed is checked."""
        return timedelta(seconds=self.sync_interval_seconds)

    @property
    def retention(self) -> timedelta:
        """How long what nobody needs any more is kept."""
        return timedelta(days=self.retention_days)

    @property
    def longest_interval(self) -> timedelta:
        """How often a feed is checked at least while it works."""
        return timedelta(seconds=self.sync_max_interval_seconds)

    @property
    def fetch_limits(self) -> Limits:
        """What one fetch may take."""
        return Limits(between=timedelta(seconds=1 / self.host_requests_per_second))

    @property
    def proxy(self) -> Proxy | None:
        """The way to feeds, if it is not the direct one."""
        if self.feed_proxy is None:
            return None
        return Proxy(url=self.feed_proxy.get_secret_value(), bypass=self.feed_proxy_bypass)

    @property
    def listen(self) -> Listen | None:
        """Where to listen, if anybody is to reach us."""
        if self.public_url is None:
            return None
        return Listen(host=self.listen_host, port=self.listen_port, public_url=self.public_url)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys for private feeds, the current one first; none if they are not set."""
        return _keys(self.secret_key) if self.secret_key is not None else ()

    @property
    def limits(self) -> SendLimits:
        """How fast messages may go out."""
        return SendLimits(
            overall=timedelta(seconds=1 / self.telegram_messages_per_second),
            person=timedelta(seconds=1 / self.telegram_chat_messages_per_second),
            group=timedelta(seconds=60 / self.telegram_group_messages_per_minute),
        )


def _secrets_from_files(problems: list[str]) -> dict[str, Any]:
    """The values of X_FILE variables: secrets that a container gets as files."""
    given: dict[str, Any] = {}
    for name in SECRETS:
        path = os.environ.get(f"{name}_FILE")  # noqa: TID251 - settings are read here
        if not path:
            continue
        try:
            given[name.lower()] = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            problems.append(f"{name}_FILE: {error.strerror}")
    return given


def _keys(value: SecretStr) -> tuple[str, ...]:
    return tuple(re.split(r"[\s,]+", value.get_secret_value().strip(", \t\r\n")))


def _line(problem: dict[str, Any]) -> str:
    name = ".".join(str(part) for part in problem["loc"]).upper()
    reason = str(problem["msg"]).removeprefix("Value error, ")
    return f"{name}: {reason}"
