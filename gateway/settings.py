"""Settings from the environment (`SLUICE_…`), checked at start; nothing is read from the environment elsewhere."""

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.database_url import one_per_host
from gateway.domain.checkouts import STANDARD_LIMITS

SAMPLE_API_KEY = "sk_test_sluice_demo"
SAMPLE_KEYS = (SAMPLE_API_KEY, f"{SAMPLE_API_KEY}_wallet", "sk_test_sluice_other")
"""The keys of the sample catalogue, which everybody knows: production takes none of them."""
SAMPLE_ADMIN_TOKEN = "admin_test_sluice_demo"  # noqa: S105 -- public on purpose; production refuses it
ADMIN_TOKEN_MIN = 32
"""Characters of an admin token in production: nobody guesses so many, if they are random."""
MAKE_TOKEN = "head -c 32 /dev/urandom | base64 | tr -d '=+/'"  # noqa: S105 -- a command, not a token

MAKE_KEY = "head -c 32 /dev/urandom | base64"

PREFIX = "SLUICE_"
BESIDE_SETTINGS = frozenset(
    {
        "SLUICE_METRICS_PORT",
        "SLUICE_SANDBOX_KEYS",
        "SLUICE_RECEIVER_SECRET",
        "SLUICE_RECEIVER_GATEWAY",
        "SLUICE_RECEIVER_KEY",
        "SLUICE_RECEIVER_INBOX",
    }
)
"""Variables of one command, of the sample catalogue and of the sandbox."""
OF_TOOLS = ("SLUICE_TEST_", "SLUICE_BENCH_", "SLUICE_HUNT_", "SLUICE_WRITE_")
"""How variables of the tests and of the benchmarks begin."""
ALIKE = 0.6
"""How alike two names are (0 to 1, difflib's ratio) when one is taken for a misspelling of the other."""


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
    """Orders in the hands of one process, waiting for the books or for a PSP. One channel has only a part of it."""
    checkout_tries: int = Field(STANDARD_LIMITS.tries, ge=1, le=99)
    """Payments or signings that one checkout may have."""
    checkout_sms: int = Field(STANDARD_LIMITS.codes, ge=1, le=1000)
    """SMS that may be asked for on the pages of one checkout."""
    checkout_cards_per_hour: int = Field(STANDARD_LIMITS.cards_per_hour, ge=1, le=1000)
    """Cards that one user may type for the first time on our pages in an hour."""
    balances_every_s: float = Field(600.0, ge=1, le=86_400)
    """How long between two questions what an account at a PSP has."""
    answer_within_s: float = Field(15.0, gt=0)
    """How long an HTTP answer waits for the PSP before it says `processing`."""

    @model_validator(mode="before")
    @classmethod
    def _no_name_is_misspelt(cls, given: Any) -> Any:
        wrong = [name for name, meant in unknown_variables(os.environ).items() if meant is not None]
        if wrong:
            raise ValueError("\n".join(f"{name}: there is no such setting; is {_meant(name)} meant?" for name in wrong))
        return given

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


def unknown_variables(environ: Iterable[str]) -> dict[str, str | None]:
    """Variables that begin as settings do and are none → the one that is probably meant.

    None: it is like no setting, so it may be a variable of a catalogue file.
    """
    known = _known()
    found = sorted(n for n in environ if n.upper().startswith(PREFIX) and n.upper() not in known)
    return {name: _meant(name) for name in found if not name.upper().startswith(OF_TOOLS)}


def setting_problem(problem: Mapping[str, Any]) -> str:
    """A problem of pydantic's with a setting: the variable, and what it must be."""
    name = "_".join(str(part) for part in problem["loc"]).upper()
    template = _MUST.get(problem["type"])
    if template is None:
        said = problem["msg"].removeprefix("Value error, ")
    else:
        said = template.format_map(problem.get("ctx", {})) + "; docs/operations.md has a table of the settings"
    return f"{PREFIX}{name}: {said}" if name else said


_MUST: Mapping[str, str] = {
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number that is not endless",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
}


def _known() -> frozenset[str]:
    return BESIDE_SETTINGS | {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def _meant(name: str) -> str | None:
    """The known variable that is spelt most alike; where blanks stand does not count."""
    by_letters = {known.removeprefix(PREFIX).replace("_", ""): known for known in sorted(_known())}
    letters = name.upper().removeprefix(PREFIX).replace("_", "")
    alike = get_close_matches(letters, by_letters, n=1, cutoff=ALIKE)
    return by_letters[alike[0]] if alike else None


def _is_web_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, brackets that do not close
        return False
