"""The shape of a catalogue file: which fields there are, of which types and sizes. Meaning is checked in `checks`."""

import base64
import binascii
import contextlib
import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from gateway.domain.blocks import MAX_REASON, BlockedValue, BlockKind, BlockValueError, blocked_value
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.catalogue_content import MAX_LIVE_SECRETS, WEBHOOK_SECRET_PREFIX
from gateway.domain.failures import Blame
from gateway.domain.identities import IdType
from gateway.domain.payees import PayeeType
from gateway.domain.payout_rules import MAX_WINDOWS, Day, PayoutWindow, PayoutWindowError
from gateway.domain.prices import MAX_PRICES, Price, PriceError, in_order
from gateway.domain.return_urls import host_in_one_form
from gateway.domain.scenes import Scene
from gateway.domain.terms import MAX_ANSWER_TIMEOUT_S, MAX_POLL_GAPS, NEVER, Never, NotFoundRule, Product
from gateway.domain.texts import odd_in_name, odd_in_text
from gateway.domain.transaction_rules import (
    MAX_RULES,
    Distinct,
    RuleKey,
    RuleKind,
    Then,
    TransactionFilter,
    TransactionRule,
    TransactionRuleError,
    in_one_form,
)
from gateway.domain.watch_settings import WatchSettings, WatchSettingsError, watch_from_json
from gateway.domain.windows import Repeats
from gateway.limit_fields import given, with_limits
from router.facts import CountedBy
from router.fees import MAX_FEN, Fee, FeeError, parse_fee
from router.limits import ChannelLimits, RuleLimits

S = TypeVar("S", bound="PriceShape | AmountShape")

MAX_NAME, MAX_NOTE, MAX_URL = 100, 500, 2000
MAX_OF_EACH = 10_000
MAX_SECONDS = 30 * 86_400
MAX_INT32 = 2**31 - 1
MIN_KEY, MAX_KEY = 16, 200
# Standard Webhooks asks for 24 to 64 random bytes.
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64

EventName = Literal[
    "payment.succeeded",
    "payment.failed",
    "payment.requires_action",
    "payment.closed",
    "payment.anomaly",
    "authentication.succeeded",
    "authentication.failed",
    "authentication.requires_action",
    "authentication.closed",
    "refund.succeeded",
    "refund.failed",
    "refund.returned",
    "refund.anomaly",
    "route.anomaly",
    "checkout.succeeded",
    "checkout.expired",
    "checkout.canceled",
    "checkout.anomaly",
    "payout.succeeded",
    "payout.failed",
    "payout.returned",
    "payout.anomaly",
    "channel.degraded",
    "channel.restored",
    "alert.raised",
    "alert.cleared",
    "reconciliation.finished",
    "reconciliation.difference_found",
]
"""Every type of event."""


def _problem(problem: str, path: str = "") -> PydanticCustomError:
    return PydanticCustomError("catalogue", "{problem}", {"problem": problem, "path": path})


def _code(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", value):
        raise _problem("must be 1 to 40 lower-case letters, digits, - and _, a letter first")
    return value


def _one_line(value: str) -> str:
    return _without(odd_in_text(value), value)


def _lines(value: str) -> str:
    return _without(odd_in_text(value, lines=True), value)


def _without(odd: str | None, value: str) -> str:
    if odd is not None:
        raise _problem(f"has a hidden or look-alike character (U+{ord(odd):04X}): leave it out")
    return value


def _return_host(value: str) -> str:
    try:
        return host_in_one_form(value)
    except ValueError:
        raise _problem("must be a host, such as shop.example or shop.example:8443") from None


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        right = parts.scheme in {"http", "https"} and parts.port != 0 and (parts.hostname or "").encode("idna")
    except ValueError:
        right = False
    bad = not right or parts.username is not None or "#" in value or re.search(r"[\s\x00-\x20\x7f]", value)
    if bad or odd_in_name(value):
        raise _problem("must be an http(s) address without user name and fragment")
    return value


def _webhook_secret(value: str) -> str:
    encoded = value.removeprefix(WEBHOOK_SECRET_PREFIX)
    try:
        size = len(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not value.startswith(WEBHOOK_SECRET_PREFIX) or not MIN_SECRET_BYTES <= size <= MAX_SECRET_BYTES:
        raise _problem(
            f"must be {WEBHOOK_SECRET_PREFIX} and the base64 of {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes"
        )
    return value


def _key(value: str) -> str:
    if not re.fullmatch(rf"sk_[A-Za-z0-9_\-]{{{MIN_KEY - 3},{MAX_KEY - 3}}}", value):
        raise _problem(f"must be sk_ and letters, digits, - and _, {MIN_KEY} to {MAX_KEY} characters in all")
    return value


def _day(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        with contextlib.suppress(ValueError):
            return date.fromisoformat(value)
    raise _problem("must be a day: 2026-04-01")


BusinessDay = Annotated[date, BeforeValidator(_day)]


def _fee(value: object) -> Fee:
    try:
        return parse_fee(value, "")
    except FeeError as error:
        raise _problem(error.problem, error.path) from None


def _watch(value: object) -> WatchSettings:
    try:
        return watch_from_json(value)
    except WatchSettingsError as error:
        raise _problem(error.problem, error.field) from None


def _json(value: object) -> object:
    """Settings are kept as JSON: dates and endless numbers are not."""
    if isinstance(value, dict):
        return {key: _json(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_json(part) for part in value]
    endless = isinstance(value, float) and value - value != 0
    if value is not None and (endless or not isinstance(value, (str, int, float, bool))):
        raise _problem("must hold texts, numbers, true or false, lists and tables only")
    return float(value) if isinstance(value, float) else value


# Named types of the fields below.
Code = Annotated[str, AfterValidator(_code)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_one_line)]
Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS, allow_inf_nan=False)]
Fen = Annotated[int, Field(ge=0, le=MAX_FEN)]
PositiveFen = Annotated[int, Field(gt=0, le=MAX_FEN)]
Count = Annotated[int, Field(gt=0, le=MAX_INT32)]
# TOML and YAML have no enumerations: their texts are read, and everything else about types stays strict.
SceneName = Annotated[Scene, Field(strict=False)]
ModeName = Annotated[AuthenticationMode, Field(strict=False)]
ProductName = Annotated[Product, Field(strict=False)]
PayeeName = Annotated[PayeeType, Field(strict=False)]
DayName = Annotated[Day, Field(strict=False)]


class Shape(BaseModel):
    """Strict, and closed: an unknown field is a mistake."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class KeyShape(Shape):
    """`[[merchants.apps.keys]]`: the text, the variable that holds it, or its SHA-256."""

    label: Name
    key: Annotated[str, AfterValidator(_key)] | None = Field(None, repr=False)
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_environment(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, dict) or "key_env" not in value or "key" in value:
            return value
        key = info.context.get(value["key_env"]) if info.context and isinstance(value["key_env"], str) else None
        if not key:
            raise _problem("must name an environment variable that is set", "key_env")
        return {name: part for name, part in value.items() if name != "key_env"} | {"key": key}

    @model_validator(mode="after")
    def _one_of_them(self) -> "KeyShape":
        if (self.key is None) == (self.sha256 is None):
            raise _problem("must have exactly one of key, key_env and sha256")
        return self


class AppShape(Shape):
    """`[[merchants.apps]]`."""

    code: Code
    name: Name
    return_hosts: list[Annotated[str, AfterValidator(_return_host)]] = Field(default=[], max_length=MAX_OF_EACH)
    keys: list[KeyShape] = Field(default=[], max_length=MAX_OF_EACH)


class EndpointShape(Shape):
    """`[[merchants.endpoints]]`."""

    code: Code
    app: Code | None = None
    url: Annotated[str, Field(max_length=MAX_URL), AfterValidator(_url)]
    event_types: Annotated[list[EventName], Field(min_length=1)] | None = None
    allow_private: bool = False
    secrets: list[Annotated[str, AfterValidator(_webhook_secret)]] = Field(
        min_length=1, max_length=MAX_LIVE_SECRETS, repr=False
    )


class NotFoundShape(Shape):
    """When "not found" means "never received"."""

    answers: Count
    over_s: Seconds


def _or_never(value: object, read: ValidatorFunctionWrapHandler) -> object:
    if isinstance(value, str):
        if value != NEVER:
            raise _problem(f'must be {{answers, over_s}} or "{NEVER}"')
        return value
    return read(value)


if TYPE_CHECKING:
    NotFound: TypeAlias = NotFoundShape | Never
else:
    # Not a union: the problems of one would be told once for each of its parts.
    NotFound = Annotated[NotFoundShape, WrapValidator(_or_never)]


class TermsShape(Shape):
    """How a PSP is asked about what was sent."""

    poll_gaps_s: Annotated[list[Seconds], Field(min_length=1, max_length=MAX_POLL_GAPS)] | None = None
    not_found: NotFound | None = None
    answer_timeout_s: Annotated[float, Field(gt=0, le=MAX_ANSWER_TIMEOUT_S, allow_inf_nan=False)] | None = None

    def said(self) -> dict[str, Any]:
        """What is said here, as the fields of `OwnTerms`."""
        told: dict[str, Any] = {}
        if self.poll_gaps_s is not None:
            told["poll_gaps_s"] = tuple(map(float, self.poll_gaps_s))
        if self.not_found is not None:
            rule = self.not_found
            told["not_found"] = NEVER if rule == NEVER else NotFoundRule(rule.answers, float(rule.over_s))
        if self.answer_timeout_s is not None:
            told["answer_timeout_s"] = float(self.answer_timeout_s)
        return told


class ProductTermsShape(TermsShape):
    """The terms of one product: `[merchants.accounts.terms.<product>]`. Only payments on a page have a grace."""

    grace_s: Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)] | None = None

    def said(self) -> dict[str, Any]:
        return super().said() | ({} if self.grace_s is None else {"grace_s": float(self.grace_s)})


class AccountShape(TermsShape):
    """`[[merchants.accounts]]`. What settings and secrets must hold is the adapter's to say.

    Terms that stand here, and not in `terms`, are those of payments; `answer_timeout_s` is that of every product.
    """

    code: Code
    provider: str
    settings: Annotated[dict[str, Any], AfterValidator(_json)] = {}
    secrets: dict[str, str] = Field(default={}, repr=False)
    terms: dict[ProductName, ProductTermsShape] = {}
    balance_alert_below: PositiveFen | None = None


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _clock(value: object) -> object:
    if not isinstance(value, str):
        raise _problem('must be a time of day in quotes: "08:30"')
    return value


Clock = Annotated[str, BeforeValidator(_clock)]


class PayoutWindowShape(Shape):
    """A time in which payouts may be sent; absent days are every day."""

    opens: Clock
    closes: Clock
    days: Annotated[list[DayName], BeforeValidator(_listed), Field(min_length=1)] = list(Day)

    @model_validator(mode="after")
    def _can_be(self) -> "PayoutWindowShape":
        self.window  # noqa: B018 -- read here, so that what is wrong with it is told at its place
        return self

    @property
    def window(self) -> PayoutWindow:
        for number, day in enumerate(self.days):
            if day in self.days[:number]:
                raise _problem(f"{day} is given twice", f"days[{number}]")
        try:
            return PayoutWindow(self.opens, self.closes, tuple(day for day in Day if day in self.days))
        except PayoutWindowError as error:
            raise _problem(error.problem, error.field) from None


class PriceShape(Shape):
    """`{effective_from, fee}`: a rule's fee from a later business day on."""

    effective_from: BusinessDay
    fee: Annotated[Any, AfterValidator(_fee)]


class AmountShape(Shape):
    """`{effective_from, fee}`: what an authentication costs from a later business day on, in fen."""

    effective_from: BusinessDay
    fee: Fen


def _prices(shapes: Iterable[PriceShape | AmountShape]) -> tuple[Price[Any], ...]:
    return in_order(Price(shape.effective_from, shape.fee) for shape in shapes)


def _days_apart(shapes: list[S]) -> list[S]:
    try:
        _prices(shapes)
    except PriceError as error:
        raise _problem(str(error)) from None
    return shapes


Prices = Annotated[list[PriceShape], Field(max_length=MAX_PRICES), AfterValidator(_days_apart)]
Amounts = Annotated[list[AmountShape], Field(max_length=MAX_PRICES), AfterValidator(_days_apart)]


class PayoutShape(Shape):
    """`[[merchants.channels.payouts]]`: one row for every type of payee and bank that it names."""

    payees: Annotated[
        list[PayeeName],
        BeforeValidator(_listed),
        Field(min_length=1, validation_alias=AliasChoices("payees", "payee")),
    ]
    banks: Annotated[
        list[str],
        BeforeValidator(_listed),
        Field(min_length=1, max_length=MAX_OF_EACH, validation_alias=AliasChoices("banks", "bank")),
    ]
    enabled: bool = True
    fee: Annotated[Any, AfterValidator(_fee)]
    single_limit: PositiveFen | None = None
    daily_limit: PositiveFen | None = None
    windows: Annotated[list[PayoutWindowShape], Field(min_length=1, max_length=MAX_WINDOWS)] | None = None
    fees: Prices = []

    @property
    def later_fees(self) -> tuple[Price[Fee], ...]:
        return _prices(self.fees)


@with_limits(ChannelLimits, Field(gt=0))
class ChannelShape(Shape):
    """`[[merchants.channels]]`."""

    code: Code
    account: Code
    name: Name
    on: bool = True
    authentication: dict[str, ModeName] = Field(min_length=1)
    authentication_fee: Fen = 0
    psp_code: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,32}$")] | None = None
    """Custody: the payment company that the bank is to charge through, as the bank calls it."""
    payouts: list[PayoutShape] = Field(default=[], max_length=MAX_OF_EACH)
    authentication_fees: Amounts = []

    @property
    def later_authentication_fees(self) -> tuple[Price[int], ...]:
        return _prices(self.authentication_fees)

    @property
    def limits(self) -> ChannelLimits:
        return given(ChannelLimits, self)


class WindowShape(Shape):
    """`[[merchants.windows]]`."""

    channel: Code
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    note: Annotated[str, Field(max_length=MAX_NOTE), AfterValidator(_lines)] = ""
    repeats: Annotated[Repeats, Field(strict=False)] | None = None
    banks: Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)] | None = None
    scenes: Annotated[list[SceneName], BeforeValidator(_listed), Field(min_length=1)] | None = None


@with_limits(RuleLimits, Field(gt=0))
class RuleShape(Shape):
    """`[[merchants.rules]]`: one row for every scene and bank that it names."""

    channel: Code
    scenes: Annotated[
        list[SceneName],
        BeforeValidator(_listed),
        Field(min_length=1, validation_alias=AliasChoices("scenes", "scene")),
    ]
    banks: Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]
    enabled: bool = True
    fee: Annotated[Any, AfterValidator(_fee)]
    priority: Annotated[int, Field(ge=-MAX_INT32, le=MAX_INT32)] = 0
    daily_insufficient_by: CountedBy = "user"
    fees: Prices = []

    @property
    def later_fees(self) -> tuple[Price[Fee], ...]:
        return _prices(self.fees)

    @property
    def limits(self) -> RuleLimits:
        return given(RuleLimits, self)


class BlockShape(Shape):
    """`[[merchants.blocks]]`: a value, or the print of one that is in force."""

    kind: Annotated[BlockKind, Field(strict=False)]
    value: str | None = Field(None, repr=False)
    print: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    id_type: Annotated[IdType, Field(strict=False)] | None = None
    reason: Annotated[str, Field(min_length=1, max_length=MAX_REASON), AfterValidator(_lines)]
    expires_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "BlockShape":
        if (self.value is None) == (self.print is None):
            raise _problem("must have exactly one of value and print")
        self.blocked  # noqa: B018 -- read here, so that what is wrong with it is told at its place
        return self

    @property
    def blocked(self) -> BlockedValue | None:
        """The value in its one form."""
        if self.value is None:
            return None
        try:
            return blocked_value(self.kind, self.value, self.id_type)
        except BlockValueError as error:
            raise _problem(str(error), "value") from None


def _also(plural: str, singular: str) -> Any:
    """Its field may be written by either name."""
    return Field(default=None, min_length=1, max_length=MAX_OF_EACH, validation_alias=AliasChoices(plural, singular))


class TransactionFilterShape(Shape):
    """Which rows a transaction rule counts; what is absent is no condition."""

    kinds: Annotated[list[Annotated[RuleKind, Field(strict=False)]] | None, BeforeValidator(_listed)] = _also(
        "kinds", "kind"
    )
    scenes: Annotated[list[SceneName] | None, BeforeValidator(_listed)] = _also("scenes", "scene")
    channels: Annotated[list[Code] | None, BeforeValidator(_listed)] = _also("channels", "channel")
    banks: Annotated[list[str] | None, BeforeValidator(_listed)] = _also("banks", "bank")
    apps: Annotated[list[Code] | None, BeforeValidator(_listed)] = _also("apps", "app")
    statuses: Annotated[list[str] | None, BeforeValidator(_listed)] = _also("statuses", "status")
    failure_blames: Annotated[list[Annotated[Blame, Field(strict=False)]] | None, BeforeValidator(_listed)] = _also(
        "failure_blames", "failure_blame"
    )
    payee_types: Annotated[list[PayeeName] | None, BeforeValidator(_listed)] = _also("payee_types", "payee_type")
    amount_from: int | None = None
    amount_to: int | None = None
    share_of_single_limit: int | None = None

    @property
    def wanted(self) -> TransactionFilter:
        """In one form."""
        said: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in said.items()
        }
        return in_one_form(TransactionFilter(**{name: value for name, value in given.items() if value is not None}))


class TransactionRuleShape(Shape):
    """`[[merchants.transaction_rules]]`."""

    code: Code
    name: Name
    key: Annotated[RuleKey, Field(strict=False)]
    window_s: int
    at_least: int | None = None
    sum_at_least: int | None = None
    distinct: Annotated[Distinct, Field(strict=False)] | None = None
    then: Annotated[Then, Field(strict=False)] = Then.ALERT
    enabled: bool = True
    filter: TransactionFilterShape = TransactionFilterShape()

    @model_validator(mode="after")
    def _can_be(self) -> "TransactionRuleShape":
        self.rule  # noqa: B018 -- read here, so that what is wrong with it is told at its place
        return self

    @property
    def rule(self) -> TransactionRule:
        said = {name: getattr(self, name) for name in TransactionRuleShape.model_fields if name != "filter"}
        try:
            return TransactionRule(**said, filter=self.filter.wanted)
        except TransactionRuleError as error:
            raise _problem(error.problem, error.field) from None


class MerchantShape(Shape):
    """`[[merchants]]`."""

    code: Code
    name: Name
    last_attempt_max_age_s: Count | None = None
    unresolved_counts_after_s: Count | None = None
    authentication_spread: Count | None = None
    primary_signer: Code | None = None
    primary_signers: dict[str, Code] = Field(default={}, max_length=MAX_OF_EACH)
    sms_per_phone_and_day: Count | None = None
    watch: Annotated[Any, AfterValidator(_watch)] | None = None
    apps: list[AppShape] = Field(default=[], max_length=MAX_OF_EACH)
    endpoints: list[EndpointShape] = Field(default=[], max_length=MAX_OF_EACH)
    accounts: list[AccountShape] = Field(default=[], max_length=MAX_OF_EACH)
    channels: list[ChannelShape] = Field(default=[], max_length=MAX_OF_EACH)
    windows: list[WindowShape] = Field(default=[], max_length=MAX_OF_EACH)
    rules: list[RuleShape] = Field(default=[], max_length=MAX_OF_EACH)
    blocks: list[BlockShape] = Field(default=[], max_length=MAX_OF_EACH)
    transaction_rules: list[TransactionRuleShape] = Field(default=[], max_length=MAX_RULES)


class FileShape(Shape):
    """The whole file."""

    merchants: list[MerchantShape] = Field(min_length=1)
