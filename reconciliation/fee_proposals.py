"""Fee rules that a day's statement explains better than those in force: by channel, by what they are for, and by the
banks that have one rule. Pure.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from gateway.domain.catalogue import Catalogue
from gateway.domain.payees import PayeeType
from gateway.domain.scenes import Scene
from reconciliation.fee_rules import FeeProposal, FeeRow, propose
from router.fees import Fee

__all__ = ["ProposedFee", "TakenFee", "proposed_fees"]


class TakenFee(NamedTuple):
    """So many orders of one amount that both sides have, and what the PSP took for each. Amounts in fen."""

    channel: str
    scene: str | None
    """Of payments."""
    payee: str | None
    """Of payouts: the type of the account that they went to."""
    bank: str
    amount: int
    fee: int
    orders: int


@dataclass(frozen=True, slots=True)
class ProposedFee:
    """A rule for the orders of one channel that have one rule today. `of`: a scene, or a type of payees."""

    channel: str
    of: str
    banks: tuple[str, ...]
    proposal: FeeProposal

    @property
    def place(self) -> str:
        """Which rules of the catalogue it is about, in words."""
        return f"channel {self.channel}, {self.of} ({', '.join(self.banks)})"

    def to_json(self) -> Mapping[str, Any]:
        """For programs: the rule as catalogue files write it, and the sentences for people."""
        return {
            "channel": self.channel,
            "of": self.of,
            "banks": list(self.banks),
            "fee": self.proposal.json,
            "explained": self.proposal.explained,
            "rows": self.proposal.rows,
            "explained_in_force": self.proposal.in_force,
            "english": self.proposal.english,
            "chinese": self.proposal.chinese,
        }


def proposed_fees(taken: Iterable[TakenFee], catalogue: Catalogue, merchant_id: UUID, day: date) -> list[ProposedFee]:
    """Proposals for a merchant's rules, at their prices of that day; what has no rule any more is left out."""
    groups: defaultdict[tuple[str, str, Fee], list[TakenFee]] = defaultdict(list)
    for row in taken:
        fee = _in_force(row, catalogue, merchant_id, day)
        if fee is not None:
            groups[row.channel, row.scene or row.payee or "", fee].append(row)
    found = []
    for (channel, of, fee), rows in groups.items():
        proposal = propose((FeeRow(row.amount, row.fee, row.orders) for row in rows), fee)
        if proposal is not None:
            banks = tuple(sorted({row.bank for row in rows}))
            found.append(ProposedFee(channel, of, banks, proposal))
    return sorted(found, key=lambda each: (each.channel, each.of, each.banks))


def _in_force(row: TakenFee, catalogue: Catalogue, merchant_id: UUID, day: date) -> Fee | None:
    if row.scene is not None:
        rules = catalogue.rules_for(merchant_id, Scene(row.scene), row.bank)
        return next((rule.fee_on(day) for rule in rules if rule.channel == row.channel), None)
    assert row.payee is not None
    rule = catalogue.payout_rule(merchant_id, row.channel, PayeeType(row.payee), row.bank)
    return None if rule is None else rule.fee_on(day)
