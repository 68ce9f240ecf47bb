"""Fee rules that a day's statement explains better than those in force. Nothing changes by itself."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Final, Literal, Protocol
from uuid import UUID

from pydantic import Field

from gateway.api.admin.paths import MERCHANT, MERCHANT_ABOUT, TAGS, merchant_of
from gateway.api.admin.reconciling_fields import day_of_path
from gateway.api.http.answers import AnswerModel
from gateway.api.http.problems import not_found
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.catalogue import Catalogue
from gateway.domain.reconciled import ReconciledDay
from gateway.ports import OverloadedError
from reconciliation.fee_proposals import TakenFee, proposed_fees

__all__ = ["ComparedDays", "FeeProposalCalls", "TakenFees"]

MOST_FEES: Final = 50_000
"""Different amounts and fees that are searched, the most frequent ones: about a second of a processor's time, beside
payments. `sluice reconcile` searches more of them, in a process of its own."""
COUNTED_WITHIN_S: Final = 10
AGAIN_AFTER_S: Final = 5
PATH: Final = f"{MERCHANT}/reconciliation/days/{{account}}/{{day}}/fee-proposals"
ABOUT: Final = MERCHANT_ABOUT | {"account": "the account's code", "day": "the payment company's day: 2026-03-05"}
DESCRIPTION: Final = (
    f"Of the orders that both sides have with one amount, the {MOST_FEES:,} most frequent pairs of amount and fee are "
    "looked at. What is proposed explains almost all of them, and clearly more than the rule in force. One such search "
    "runs at a time in a process: 503, try again."
)


class ComparedDays(Protocol):
    """Which days were compared: a `DayStore`."""

    async def day(self, merchant_id: UUID, account: str, day: date) -> ReconciledDay | None: ...


class TakenFees(Protocol):
    """What a day's statement says that orders cost: a `TakenFeeStore`."""

    async def taken(
        self, merchant_id: UUID, account: str, day: date, most: int, within_s: int
    ) -> Sequence[TakenFee]: ...


class FeeProposalAnswer(AnswerModel):
    """A rule for the orders of a channel that have one rule today."""

    channel: str
    of: Annotated[str, Field(description="a scene, or of payouts the type of payee")]
    banks: list[str]
    fee: Annotated[dict[str, Any], Field(description="the rule, as rules of the catalogue have it")]
    explained: Annotated[int, Field(description="orders that cost exactly what the rule says")]
    rows: Annotated[int, Field(description="orders that were looked at")]
    explained_in_force: Annotated[int, Field(description="orders that the rule in force explains")]
    english: str
    chinese: str


class FeeProposals(AnswerModel):
    """What a day's statement proposes; empty: the rules in force explain it, or none does."""

    object: Literal["fee_proposals"]
    account: str
    day: str
    data: list[FeeProposalAnswer]


@dataclass(frozen=True, slots=True)
class FeeProposalCalls:
    """The call of fee proposals."""

    days: ComparedDays
    fees: TakenFees
    catalogue: Callable[[], Catalogue]
    searching: asyncio.Lock = field(default_factory=asyncio.Lock)

    def routes(self) -> list[Route]:
        """The route."""
        return [
            Route("GET", PATH, self.proposals, "fee rules that explain a day's statement better", TAGS,
                  {200: Answer(FeeProposals, "for a person to decide on")}, scope="admin", path_about=ABOUT,
                  description=DESCRIPTION),
        ]  # fmt: skip

    async def proposals(self, call: Call) -> Reply:
        catalogue = self.catalogue()
        merchant_id = merchant_of(catalogue, call).merchant_id
        account, day = call.path["account"], day_of_path(call.path["day"])
        if await self.days.day(merchant_id, account, day) is None:
            raise not_found("day")
        if self.searching.locked():
            raise OverloadedError(AGAIN_AFTER_S)
        async with self.searching:
            taken = await self.fees.taken(merchant_id, account, day, MOST_FEES, COUNTED_WITHIN_S)
            found = await asyncio.to_thread(proposed_fees, taken, catalogue, merchant_id, day)
        told = {"object": "fee_proposals", "account": account, "day": day.isoformat()}
        return Reply(told | {"data": [dict(each.to_json()) for each in found]})
