"""What the calls take: requests for payments, dry runs of the router, and searches."""

from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeAlias
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue, model_validator

from gateway.api.http.fields import (
    PAGE,
    Amount,
    AnyBank,
    BankCode,
    CardNumber,
    Code,
    Description,
    FeeField,
    Fen,
    HolderName,
    IdNumber,
    Metadata,
    Moment,
    OrderNumber,
    PageSize,
    Phone,
    QueryModel,
    RequestModel,
    ReturnUrl,
    SceneName,
    UserId,
    id_field,
    wrong,
)
from gateway.domain.cards import bank_names
from gateway.domain.ids import CARD, EVENT, PAYMENT
from gateway.domain.payments import Status
from gateway.domain.scenes import CARD_SCENES, Scene
from gateway.limit_fields import given, with_limits
from router.limits import ChannelLimits, RuleLimits

__all__ = [
    "CardFields",
    "ChargeRequest",
    "EventSearch",
    "GivenFacts",
    "GivenLastAttempt",
    "GivenRule",
    "PaymentRequest",
    "PaymentSearch",
    "RouteQuestion",
    "WhatIf",
    "WithholdRequest",
]

MAX_RULES = 1000
MAX_PRIORITY = 2**31 - 1
MIN_EXPIRES_IN_S, MAX_EXPIRES_IN_S = 60, 7 * 86_400

if TYPE_CHECKING:
    CardId: TypeAlias = UUID
    PaymentId: TypeAlias = UUID
    EventId: TypeAlias = UUID
else:
    CardId, PaymentId, EventId = id_field(CARD), id_field(PAYMENT), id_field(EVENT)


class CardFields(RequestModel):
    """The four elements of a card (四要素)."""

    card_no: CardNumber
    holder_name: HolderName
    id_no: IdNumber
    phone: Phone

    def __repr__(self) -> str:
        return "CardFields(…)"

    __str__ = __repr__


class PaymentRequest(RequestModel):
    """What both calls that take a payment have in common. The scene says which of card, card_id and bank it needs."""

    merchant_order_no: OrderNumber
    scene: SceneName
    user_id: UserId
    amount: Amount
    currency: Literal["CNY"]
    card: CardFields | None = None
    card_id: CardId | None = None
    bank: BankCode | None = None
    customer_present: bool | None = None
    description: Description | None = None
    metadata: Metadata = Field(default_factory=dict)
    return_url: ReturnUrl | None = None
    expires_in_s: Annotated[int, Field(ge=MIN_EXPIRES_IN_S, le=MAX_EXPIRES_IN_S)] | None = None

    @model_validator(mode="after")
    def _has_what_the_scene_needs(self) -> Self:
        _check_card_and_bank(self.scene, self.card, self.card_id)
        if self.scene in CARD_SCENES:
            if self.card is None and self.card_id is None:
                raise wrong("missing", f"is needed by scene {self.scene}: give card or card_id", field="card")
        elif self.bank is None:
            raise wrong("missing", f"is needed by scene {self.scene}", field="bank")
        return self


def _example(scene: Scene) -> dict[str, JsonValue]:
    # Well-formed numbers of nobody.
    card: JsonValue = {
        "card_no": "6222020000000001230",
        "holder_name": "张三",
        "id_no": "11010519491231002X",
        "phone": "13800138000",
    }
    example: dict[str, JsonValue] = {"merchant_order_no": "order-0001", "scene": scene.value, "user_id": "user-1"}
    return example | {"amount": 10_000, "currency": "CNY", "card": card}


class WithholdRequest(PaymentRequest):
    """A withhold (代扣). `customer_present` is false unless said otherwise."""

    model_config = ConfigDict(json_schema_extra={"examples": [_example(Scene.WITHHOLD)]})

    scene: Literal[Scene.WITHHOLD, Scene.CUSTODY_WITHHOLD]


class ChargeRequest(PaymentRequest):
    """A charge (充值). `customer_present` is true unless said otherwise."""

    model_config = ConfigDict(json_schema_extra={"examples": [_example(Scene.QUICK_CHARGE)]})

    scene: Literal[Scene.QUICK_CHARGE, Scene.NETBANK_CHARGE, Scene.CUSTODY_QUICK_CHARGE, Scene.CUSTODY_NETBANK_CHARGE]


@with_limits(RuleLimits, Field(ge=0))
@with_limits(ChannelLimits, Field(ge=0), prefix="channel_")
class GivenRule(RequestModel):
    """A route rule to decide by. Absent limits are no limits; rules of another scene or bank take no part."""

    channel: Code
    scene: SceneName
    bank: AnyBank
    fee: FeeField
    enabled: bool = True
    in_maintenance: bool = False
    priority: Annotated[int, Field(ge=-MAX_PRIORITY, le=MAX_PRIORITY)] = 0
    channel_on: bool = True
    signing: Literal["ready", "needs_signing", "signing_in_progress"] = "ready"

    @property
    def limits(self) -> RuleLimits:
        return given(RuleLimits, self)

    @property
    def channel_limits(self) -> ChannelLimits:
        return given(ChannelLimits, self, prefix="channel_")


class GivenLastAttempt(RequestModel):
    """How the user's latest attempt on a channel ended."""

    status: Literal["succeeded", "failed"]
    blame: Literal["payer", "channel", "platform"] | None = None
    finished_at: Moment | None = None


class GivenFacts(RequestModel):
    """What the user did on one channel."""

    used_today: Fen = 0
    insufficient_today: Annotated[int, Field(ge=0, le=MAX_PRIORITY)] = 0
    last_attempt: GivenLastAttempt | None = None
    channel_used_today: Fen = 0
    card_used_today: Fen = 0


class WhatIf(RequestModel):
    """Decide on these rules and facts and no others. Banks and channels need not exist."""

    now: Moment | None = None
    rules: Annotated[list[GivenRule], Field(max_length=MAX_RULES)] = Field(default_factory=list)
    facts: dict[Code, GivenFacts] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_each_rule_once(self) -> Self:
        seen = set()
        for number, rule in enumerate(self.rules):
            key = (rule.channel, rule.scene, rule.bank)
            if key in seen:
                raise wrong("repeated", "has two rules for the same channel, scene and bank", field=f"rules.{number}")
            seen.add(key)
        return self


class RouteQuestion(RequestModel):
    """A payment as the router sees it. The merchant is that of the key; nothing is recorded."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user_id": "user-1", "scene": "withhold", "amount": 10_000, "bank": "ICBC"}]}
    )

    user_id: UserId
    scene: SceneName
    amount: Amount
    currency: Literal["CNY"] = "CNY"
    bank: AnyBank | None = None
    card: CardFields | None = None
    card_id: CardId | None = None
    customer_present: bool | None = None
    what_if: WhatIf | None = None

    @model_validator(mode="after")
    def _has_a_bank(self) -> Self:
        _check_card_and_bank(self.scene, self.card, self.card_id)
        if self.bank is None and self.card is None and self.card_id is None:
            raise wrong("missing", "is needed where no card is given", field="bank")
        if self.bank is not None and self.what_if is None and self.bank not in bank_names():
            raise wrong("bank", "is not a bank code known here, such as ICBC, ABC, BOC, CCB, CMB", field="bank")
        return self


class PaymentSearch(QueryModel):
    """A search of payments, newest first. `after` is the `next` of the page before."""

    merchant_order_no: OrderNumber | None = None
    user_id: UserId | None = None
    status: Status | None = None
    channel: Code | None = None
    created_from: Moment | None = None
    created_until: Moment | None = None
    limit: PageSize = PAGE
    after: PaymentId | None = None


class EventSearch(QueryModel):
    """A search of events, newest first. `after` is the `next` of the page before."""

    object_id: Annotated[str, Field(pattern=r"^[a-z]{2,10}_[0-9a-z]{26}$")] | None = None
    type: Annotated[str, Field(pattern=r"^[a-z_]{1,40}\.[a-z_]{1,40}$")] | None = None
    limit: PageSize = PAGE
    after: EventId | None = None


def _check_card_and_bank(scene: Scene, card: CardFields | None, card_id: UUID | None) -> None:
    if card is not None and card_id is not None:
        raise wrong("exclusive", "stands beside card: give one of them", field="card_id")
    if scene not in CARD_SCENES and (card is not None or card_id is not None):
        raise wrong("unwanted", f"is not for scene {scene}: give bank only", field="card" if card else "card_id")
