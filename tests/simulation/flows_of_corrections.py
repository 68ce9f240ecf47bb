"""The flows of corrections: who was charged for a payment that failed gets it back, or it is taken as paid."""

import asyncio
from typing import Any, Final

from tests.e2e.business import Shown
from tests.simulation.asked import Asked
from tests.simulation.play import Play
from tests.simulation.script import Script

__all__ = ["SCRIPTS_OF_CORRECTIONS"]

CHARGED: Final = "failed"


async def _charged(play: Play) -> Shown:
    """A payment that was proved lost, and that its PSP calls paid later."""
    await play.fault("unionpay", "reset_after", match={"operation": "pay"})
    await play.fault("unionpay", "not_found", times=None, match={"operation": "query"}, seconds=1)
    payment = await play.pay(play.order())
    await play.rest()
    await play.call_back("unionpay", payment["amount"])
    await play.stage.control("DELETE", "unionpay/faults")
    await play.rest()
    return payment


async def _resolves(play: Play, payment: Shown, **how: Any) -> None:
    """An operator says what becomes of its anomaly, until there is an answer."""
    [anomaly] = [row for row in await play.anomalies() if row["payment"] == payment["id"]]
    await play.resolve(anomaly, {"by": "ops", "note": "a letter"} | how)


async def _is_given_back(play: Play, payment: Shown) -> None:
    number, amount = f"{payment['merchant_order_no']}~r", payment["amount"] - 1
    play.asked[number] = Asked(
        number, "refund", amount, payment["user_id"], payment["merchant_order_no"], by_operator=True
    )
    await _resolves(play, payment, resolution="refunded", amount=amount)


async def _is_taken_as_paid(play: Play, payment: Shown) -> None:
    await _resolves(play, payment, resolution="taken_as_paid")


async def _both_at_once(play: Play, payment: Shown) -> None:
    await asyncio.gather(_is_given_back(play, payment), _is_taken_as_paid(play, payment))


SCRIPTS_OF_CORRECTIONS: Final = (
    Script("a late success that is given back", _is_given_back, _charged, ends=(CHARGED, "succeeded"), lies=True),
    Script("a late success that is taken as paid", _is_taken_as_paid, _charged, ends=(CHARGED,), lies=True),
    Script(
        "a late success that is given back and taken as paid at once", _both_at_once, _charged, races=True, lies=True
    ),
)
