"""What the admin calls take and answer. Amounts are in fen; times are UTC."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from gateway.api.http.fee_field import FeeField
from gateway.api.http.fields import Code, Fen, Moment, QueryModel, RequestModel, SceneName, wrong
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.scenes import Scene
from gateway.domain.terms import Never, Product
from gateway.limit_fields import given, shown, with_limits
from router.limits import ChannelLimits, RuleLimits

__all__ = [
    "CatalogueAnswer",
    "ChannelAnswer",
    "ChannelChanges",
    "ChannelList",
    "MerchantList",
    "NewWindow",
    "RemovedAnswer",
    "RuleAnswer",
    "RuleFields",
    "RuleList",
    "RuleSearch",
    "WindowAnswer",
    "WindowList",
]

MAX_NAME, MAX_NOTE = 100, 500
MAX_INT32 = 2**31 - 1
MAX_BANKS = 1000

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Mode = Annotated[AuthenticationMode, Field(strict=False)]


@with_limits(ChannelLimits, Field(ge=1))
class ChannelChanges(RequestModel):
    """What to change of a channel. What is absent stays as it is; null removes a limit."""

    on: bool | None = None
    name: Name | None = None
    authentication: Annotated[dict[str, Mode], Field(min_length=1, max_length=MAX_BANKS)] | None = Field(
        None, description="bank code, or * for every other bank → how its cards are authenticated"
    )
    authentication_fee: Fen | None = None

    @property
    def limits(self) -> dict[str, int | None]:
        """The limits that are named."""
        named = self.model_fields_set
        return {name: limit for name, limit in shown(given(ChannelLimits, self)).items() if name in named}


class NewWindow(RequestModel):
    """A time in which a channel takes nothing: from `starts_at` until before `ends_at`."""

    starts_at: Moment
    ends_at: Moment
    note: Annotated[str, Field(max_length=MAX_NOTE)] = ""

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.starts_at >= self.ends_at:
            raise wrong("order", "must be after starts_at", field="ends_at")
        return self


@with_limits(RuleLimits, Field(ge=1))
class RuleFields(RequestModel):
    """A rule, whole: what is absent is no limit, priority 0, and enabled."""

    fee: FeeField
    enabled: bool = True
    priority: Annotated[int, Field(ge=-MAX_INT32, le=MAX_INT32)] = 0

    @property
    def limits(self) -> RuleLimits:
        return given(RuleLimits, self)


class RuleSearch(QueryModel):
    """Which rules of a channel."""

    scene: SceneName | None = None
    bank: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,20}$")] | None = None


# --- answers ---


@with_limits(RuleLimits, None)
class RuleAnswer(BaseModel):
    """One row (channel, scene, bank)."""

    object: Literal["rule"]
    channel: Code
    scene: Scene
    bank: str
    enabled: bool
    fee: dict[str, Any]
    priority: int


class WindowAnswer(BaseModel):
    """A maintenance window."""

    object: Literal["maintenance_window"]
    id: str
    channel: Code
    starts_at: str
    ends_at: str
    note: str


@with_limits(ChannelLimits, None)
class ChannelAnswer(BaseModel):
    """A channel. `in_maintenance`: a window is open now."""

    object: Literal["channel"]
    merchant: Code
    code: Code
    account: Code
    provider: str
    name: str
    on: bool
    in_maintenance: bool
    authentication: dict[str, AuthenticationMode]
    authentication_fee: int


class MerchantAnswer(BaseModel):
    """A merchant."""

    object: Literal["merchant"]
    code: Code
    name: str
    last_attempt_max_age_s: int | None


class MerchantList(BaseModel):
    """Every merchant."""

    data: list[MerchantAnswer]


class ChannelList(BaseModel):
    """Every channel of a merchant."""

    data: list[ChannelAnswer]


class WindowList(BaseModel):
    """Every maintenance window of a channel."""

    data: list[WindowAnswer]


class RuleList(BaseModel):
    """Rules of a channel."""

    data: list[RuleAnswer]


class RemovedAnswer(BaseModel):
    """Something was removed."""

    object: Literal["maintenance_window", "rule"]
    removed: Literal[True]


class KeyAnswer(BaseModel):
    """A live API key; its text is known to nobody."""

    id: str
    label: str


class AppAnswer(BaseModel):
    """A business system."""

    code: Code
    name: str
    keys: list[KeyAnswer]


class EndpointAnswer(BaseModel):
    """Where notifications go."""

    id: str
    app: Code | None
    url: str
    event_types: list[str] | None
    allow_private: bool
    stopped: bool
    secrets: int
    """How many are live."""


class NotFoundAnswer(BaseModel):
    """So many "no such order" answers over so long prove that the PSP never had it."""

    answers: int
    over_s: float


class TermsAnswer(BaseModel):
    """What the contract says otherwise about one product; what is absent is the provider's own."""

    poll_gaps_s: list[float] | None = None
    not_found: NotFoundAnswer | Never | None = None
    answer_timeout_s: float | None = None


class AccountAnswer(BaseModel):
    """A contract with a provider; of its secrets only their names. The terms beside `terms` are those of payments."""

    code: Code
    provider: str
    settings: dict[str, Any]
    secrets: list[str]
    poll_gaps_s: list[float] | None
    not_found_answers: int | None
    not_found_over_s: float | None
    answer_timeout_s: float | None
    terms: dict[Product, TermsAnswer]


class WholeMerchantAnswer(MerchantAnswer):
    """A merchant with everything that is configured for it."""

    apps: list[AppAnswer]
    endpoints: list[EndpointAnswer]
    accounts: list[AccountAnswer]
    channels: list[ChannelAnswer]
    maintenance_windows: list[WindowAnswer]
    rules: list[RuleAnswer]


class ChangeAnswer(BaseModel):
    """One change of the catalogue."""

    version: int
    changed_at: str
    changed_by: str
    note: str


class CatalogueAnswer(BaseModel):
    """Everything that is configured, without secrets, and the newest changes."""

    object: Literal["catalogue"]
    version: int
    merchants: list[WholeMerchantAnswer]
    history: list[ChangeAnswer]
