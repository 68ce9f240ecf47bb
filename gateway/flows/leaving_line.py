"""A withhold leaves the line: what was decided when it was routed is looked at again, by what is known now. Pure."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from gateway.domain.carrying import Ways
from gateway.domain.catalogue import Catalogue, Channel
from gateway.domain.failures import FailureCode
from gateway.domain.payments import Payment
from gateway.flows.first_step import FirstIds, FirstStep, first_step
from gateway.flows.route import Payer, signing_of
from gateway.ports import TermsOf

__all__ = ["leave_line"]

_CANNOT: Final = {
    "needs_signing": FailureCode.CARD_NEEDS_SIGNING,
    "signing_in_progress": FailureCode.SIGNING_IN_PROGRESS,
}


def leave_line(
    payment: Payment,
    channel: Channel,
    ids: FirstIds,
    phone: str,
    catalogue: Catalogue,
    terms_of: TermsOf,
    ways: Ways,
    now: datetime,
    *,
    bound: bool,
    in_flight: UUID | None,
    signing: Collection[str],
) -> FirstStep | FailureCode:
    """What comes before the wire of a withhold that has its place now, or why it fails.

    Meanwhile its agreement may have become void, the primary channel another one, or somebody else be signing its card
    (`signing`: the accounts on which that is done). The rest as of `first_step`.
    """
    payer = Payer((channel.account,) if bound else (), payment.customer_present, signing)
    state = signing_of(catalogue, channel, payment.scene, payment.bank, payer, ways)
    if state != "ready":
        return _CANNOT[state]
    return first_step(payment, channel, ids, phone, catalogue, terms_of, ways, now, bound=bound, in_flight=in_flight)
