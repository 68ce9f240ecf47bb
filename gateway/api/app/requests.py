"""What requests that name a payer have in common: their card, and the payment that they ask for."""

from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeAlias
from uuid import UUID

from pydantic import Field, model_validator

from gateway.api.http.card_fields import CardFields
from gateway.api.http.fields import (
    Amount,
    BankCode,
    CustodyUserNo,
    Description,
    Metadata,
    OrderNumber,
    RequestModel,
    ReturnUrl,
    SceneName,
    UserId,
    id_field,
    wrong,
)
from gateway.domain.ids import CARD
from gateway.domain.scenes import CARD_SCENES, CUSTODY_SCENES, Scene

__all__ = ["CardFields", "CardId", "PaymentRequest", "check_card_and_bank", "check_custody_user_no"]

MIN_EXPIRES_IN_S, MAX_EXPIRES_IN_S = 60, 7 * 86_400

if TYPE_CHECKING:
    CardId: TypeAlias = UUID
else:
    CardId = id_field(CARD)


class PaymentRequest(RequestModel):
    """What both calls that open a payment have in common. The scene says which of card, card_id and bank it needs."""

    merchant_order_no: OrderNumber
    scene: SceneName
    user_id: UserId
    amount: Amount
    currency: Literal["CNY"]
    card: CardFields | None = None
    card_id: CardId | None = None
    bank: BankCode | None = None
    custody_user_no: Annotated[
        CustodyUserNo | None, Field(description="custody scenes: the payer's number at the bank; absent: user_id")
    ] = None
    customer_present: bool | None = None
    description: Description | None = None
    metadata: Metadata = Field(default_factory=dict)
    return_url: ReturnUrl | None = None
    expires_in_s: Annotated[int, Field(ge=MIN_EXPIRES_IN_S, le=MAX_EXPIRES_IN_S)] | None = None

    @model_validator(mode="after")
    def _has_what_the_scene_needs(self) -> Self:
        check_card_and_bank(self.scene, self.card, self.card_id)
        if self.scene in CARD_SCENES:
            if self.card is None and self.card_id is None:
                raise wrong("missing", f"is needed by scene {self.scene}: give card or card_id", field="card")
        elif self.bank is None and self.scene is not Scene.CUSTODY_NETBANK_CHARGE:
            raise wrong("missing", f"is needed by scene {self.scene}", field="bank")
        check_custody_user_no(self.scene, self.custody_user_no)
        return self


def check_custody_user_no(scene: Scene, given: str | None) -> None:
    """Only custody banks have numbers of their own for payers. Raises the refusal of a field."""
    if given is not None and scene not in CUSTODY_SCENES:
        raise wrong("unwanted", f"is not for scene {scene}", field="custody_user_no")


def check_card_and_bank(scene: Scene, card: CardFields | None, card_id: UUID | None) -> None:
    """What every scene asks of the card. Raises the refusal of a field."""
    if card is not None and card_id is not None:
        raise wrong("exclusive", "stands beside card: give one of them", field="card_id")
    if scene not in CARD_SCENES and (card is not None or card_id is not None):
        raise wrong("unwanted", f"is not for scene {scene}: give bank only", field="card" if card else "card_id")
