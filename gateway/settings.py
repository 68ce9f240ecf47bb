"""Settings from the environment (`SLUICE_…`), checked at start; nothing is read from the environment elsewhere."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.database_url import one_per_host

SAMPLE_API_KEY = "sk_test_sluice_demo"
SAMPLE_KEYS = (SAMPLE_API_KEY, f"{SAMPLE_API_KEY}_wallet", "sk_test_sluice_other")
"""The keys of the sample catalogue, which everybody knows: production takes none of them."""
SAMPLE_ADMIN_TOKEN = "admin_test_sluice_demo"  # noqa: S105 -- public on purpose; production refuses it
ADMIN_TOKEN_MIN = 32
"""Characters of an admin token in production: nobody guesses so many, if they are random."""
MAKE_TOKEN = "head -c 32 /dev/urandom | base64 | tr -d '=+/'"  # noqa: S105 -- a command, not a token

MAKE_KEY = "head -c 32 /dev/urandom | base64"


class Settings(BaseSettings):
    """Everything that differs between places. `sluice run` and `sluice demo` fill in the samples."""

    model_config = SettingsConfigDict(env_prefix="SLUICE_", extra="ignore")

    env: Literal["development", "production"] = "development"
    database_url: str | None = None
    """A PostgreSQL server (15 or newer); without it the program starts its own in `data_dir`."""
    data_dir: Path = Path(".sluice")
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    sandbox_port: int = Field(8090, ge=0, le=65535)
    receiver_port: int = Field(8070, ge=0, le=65535)
    public_url: str | None = None
    """Where PSPs reach this gateway for callbacks; without it, http://host:port."""
    admin_token: SecretStr | None = None
    card_keys: SecretStr | None = None
    """The key ring: `1:base64,2:base64` (32 bytes each); one of them encrypts, all of them decrypt."""
    card_primary: int | None = None
    """The number of the key that encrypts; without it the lowest."""
    order_key: SecretStr | None = None
    """Base64 of 32 bytes, never changed: by it repeated orders and known cards are recognized."""
    business_timezone: str = "Asia/Shanghai"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "console", "json"] = "auto"
    """`auto`: readable lines on a terminal, else JSON."""
    pool_size: int = Field(8, ge=2, le=200)
    max_waiting: int = Field(2000, ge=1)
    """Orders in the hands of one process, waiting for the books or for a PSP. The next one is answered 503."""
    answer_within_s: float = Field(15.0, gt=0)
    """How long an HTTP answer waits for the PSP before it says `processing`."""

    @field_validator("card_primary", mode="before")
    @classmethod
    def _empty_is_absent(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("business_timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):  # no such zone, a path that leaves the zones, a folder of zones
            raise ValueError(f"there is no time zone {value}; use a name such as Asia/Shanghai") from None
        return value

    @field_validator("database_url")
    @classmethod
    def _postgresql_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not value.startswith(("postgresql://", "postgresql+asyncpg://")):
            raise ValueError("must begin with postgresql://")
        one_per_host(value)
        return value

    @field_validator("public_url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value is not None and not _is_web_address(value):
            raise ValueError("must be an http or https URL such as https://pay.example.com")
        return value

    @model_validator(mode="after")
    def _production_has_its_own_secrets(self) -> "Settings":
        if self.env != "production":
            return self
        token = self.admin_token.get_secret_value() if self.admin_token else ""
        if len(token) < ADMIN_TOKEN_MIN or token == SAMPLE_ADMIN_TOKEN:
            raise ValueError(
                "SLUICE_ADMIN_TOKEN: production needs an admin token of its own, "
                f"of at least {ADMIN_TOKEN_MIN} characters; make one with: {MAKE_TOKEN}"
            )
        if self.card_keys is None:
            raise ValueError("SLUICE_CARD_KEYS: production needs a key ring of its own, such as 1:BASE64_OF_32_BYTES")
        if self.order_key is None:
            raise ValueError(
                "SLUICE_ORDER_KEY: production needs an order key of its own, which then never changes; "
                f"make one with: {MAKE_KEY}"
            )
        return self

    @property
    def callback_base(self) -> str:
        """The address before `/callbacks/...`, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


def _is_web_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, brackets that do not close
        return False
