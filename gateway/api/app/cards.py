"""A user's cards: which there are, and giving one up (解绑)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import Field

from gateway.api.http.answers import AnswerModel, Time, shown_id
from gateway.api.http.fields import QueryModel, UserId
from gateway.api.http.needs import GivesUpCards, ShownCards
from gateway.api.http.problems import conflict, not_found
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.catalogue import Catalogue
from gateway.domain.ids import CARD, IdError, read, show
from gateway.objects.times import timestamp
from gateway.ports import CardInUseError, ShownCard

__all__ = ["CardCalls"]

TAGS = ("cards",)
MOST: Final = 200
"""Cards of one user: the newest. Nobody has so many."""


class CardSearch(QueryModel):
    """Whose cards."""

    user_id: UserId


class KnownCardAnswer(AnswerModel):
    """A card of a user: with a live agreement, or one that a payment succeeded with."""

    id: Annotated[str, shown_id(CARD)]
    object: Literal["card"]
    user_id: str
    masked: Annotated[str, Field(examples=["622202******1234"])]
    bank: str
    signed_on: Annotated[list[str], Field(description="channels that have a live agreement with it")]
    created_at: Time


class CardList(AnswerModel):
    """Cards, newest first."""

    data: list[KnownCardAnswer]


class GivenUpAnswer(AnswerModel):
    """A card that was given up."""

    id: Annotated[str, shown_id(CARD)]
    object: Literal["card"]
    deleted: Literal[True]


@dataclass(frozen=True, slots=True)
class CardCalls:
    """The calls of cards."""

    cards: ShownCards
    unbinding: GivesUpCards
    catalogue: Callable[[], Catalogue]
    clock: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """The routes of cards."""
        about = {"id": "the card's id, card_…"}
        unbinds = (
            "The card is hidden at once. Payment companies that have a call for it are told, until they say so. "
            "Not while a payment or an authentication of the card is open."
        )
        return [
            Route("GET", "/v1/cards", self.of_user, "A user's cards", TAGS, {200: Answer(CardList, "All of them.")},
                  query=CardSearch),
            Route("GET", "/v1/cards/{id}", self.one, "Read a card", TAGS, {200: Answer(KnownCardAnswer, "The card.")},
                  path_about=about),
            Route("DELETE", "/v1/cards/{id}", self.give_up, "Unbind a card (解绑)", TAGS,
                  {200: Answer(GivenUpAnswer, "It is given up.")}, problems=(409, 503), path_about=about,
                  description=unbinds),
        ]  # fmt: skip

    async def of_user(self, call: Call) -> Reply:
        asked: CardSearch = call.query
        found = await self.cards.of_user(call.caller.merchant_id, asked.user_id, MOST)
        return Reply({"data": [self._shown(call, card) for card in found]})

    async def one(self, call: Call) -> Reply:
        found = await self.cards.one(call.caller.merchant_id, _id_of(call))
        if found is None:
            raise not_found("card")
        return Reply(self._shown(call, found))

    async def give_up(self, call: Call) -> Reply:
        card_id, merchant_id = _id_of(call), call.caller.merchant_id
        if await self.cards.one(merchant_id, card_id) is None:
            raise not_found("card")
        try:
            known = await self.unbinding.give_up(merchant_id, card_id, self.clock())
        except CardInUseError:
            detail = "A payment or an authentication of this card is open. Unbind it when that has ended."
            raise conflict("card_in_use", detail) from None
        if not known:
            raise not_found("card")
        return Reply({"id": show(CARD, card_id), "object": "card", "deleted": True})

    def _shown(self, call: Call, card: ShownCard) -> dict[str, Any]:
        channels = self.catalogue().channels.values()
        mine = [each for each in channels if each.merchant_id == call.caller.merchant_id]
        return {
            "id": show(CARD, card.card_id),
            "object": "card",
            "user_id": card.user_id,
            "masked": card.masked,
            "bank": card.bank,
            "signed_on": sorted(channel.code for channel in mine if channel.account in card.accounts),
            "created_at": timestamp(card.created_at),
        }


def _id_of(call: Call) -> UUID:
    try:
        return read(CARD, call.path["id"])
    except IdError:
        raise not_found("card") from None
