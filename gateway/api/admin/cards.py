"""A user's cards as operators see them: where each is signed, where it was, and whether it was given up."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol
from uuid import UUID

from pydantic import BaseModel, Field

from gateway.api.admin.paths import MERCHANT, MERCHANT_ABOUT, TAGS, merchant_of
from gateway.api.http.answers import Time, shown_id
from gateway.api.http.fields import QueryModel, UserId
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.catalogue import Catalogue
from gateway.domain.ids import CARD, show
from gateway.objects.times import timestamp
from gateway.ports import AgreementView, CardView

__all__ = ["OperatorCardCalls", "OperatorCards"]

ABOUT = "The newest 200. Numbers of agreements and elements of cards are shown to nobody."


class OperatorCards(Protocol):
    """Where they are looked up: an `OperatorSearch`."""

    async def cards_of(self, merchant_id: UUID, user_id: str) -> list[CardView]:
        """A user's cards with all their agreements, the newest first."""
        ...


class CardsOfUser(QueryModel):
    """Whose cards."""

    user_id: UserId


class AgreementAnswer(BaseModel):
    """What an account knows of a card."""

    account: str
    status: Annotated[
        Literal["active", "unbinding", "void"],
        Field(description="unbinding: the user gave it up, and the PSP is told until it says so"),
    ]
    verified_at: Time
    voided_at: Time | None


class OperatorCardAnswer(BaseModel):
    """A card of a user, with every agreement that it has or had."""

    object: Literal["card"]
    id: Annotated[str, shown_id(CARD)]
    masked: str
    bank: str
    created_at: Time
    given_up_at: Annotated[Time | None, Field(description="when the user gave it up last")]
    erased_at: Time | None
    agreements: list[AgreementAnswer]


class OperatorCardList(BaseModel):
    """Cards, newest first."""

    data: list[OperatorCardAnswer]


@dataclass(frozen=True, slots=True)
class OperatorCardCalls:
    """The operators' look at cards. `catalogue`: the one in force."""

    cards: OperatorCards
    catalogue: Callable[[], Catalogue]

    def routes(self) -> list[Route]:
        """The route."""
        found = {200: Answer(OperatorCardList, "the user's cards")}
        return [
            Route("GET", f"{MERCHANT}/cards", self.of_user, "a user's cards, and where they are signed", TAGS, found,
                  scope="admin", query=CardsOfUser, path_about=MERCHANT_ABOUT, description=ABOUT)
        ]  # fmt: skip

    async def of_user(self, call: Call) -> Reply:
        merchant, asked = merchant_of(self.catalogue(), call), call.query
        found = await self.cards.cards_of(merchant.merchant_id, asked.user_id)
        return Reply({"data": [_card(card) for card in found]})


def _card(card: CardView) -> dict[str, object]:
    return {
        "object": "card",
        "id": show(CARD, card.card_id),
        "masked": card.masked,
        "bank": card.bank,
        "created_at": timestamp(card.created_at),
        "given_up_at": timestamp(card.hidden_at),
        "erased_at": timestamp(card.erased_at),
        "agreements": [_agreement(each) for each in card.agreements],
    }


def _agreement(agreement: AgreementView) -> dict[str, object]:
    return {
        "account": agreement.account,
        "status": agreement.status,
        "verified_at": timestamp(agreement.verified_at),
        "voided_at": timestamp(agreement.voided_at),
    }
