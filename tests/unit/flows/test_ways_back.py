"""Whose payer came back. Over fakes; the whole way, with what browsers bring: tests/e2e/test_ways_back."""

from typing import Any, cast
from uuid import UUID

import pytest

from gateway.flows.redirects import Redirects
from tests.unit.domain.samples import MERCHANT_ID, NOW, PAYMENT_ID, REFUND_ID, payment
from tests.unit.flows.ports_in_memory import PLAIN

OURS = f"{PLAIN.code_of(MERCHANT_ID)}.{payment().account}"


class OnePayment:
    """Reads one payment, and no refunds."""

    async def payment(self, merchant_id: UUID, payment_id: UUID) -> Any:
        return payment() if payment_id == PAYMENT_ID else None


@pytest.mark.parametrize("heard_of", [None, (MERCHANT_ID, REFUND_ID), (MERCHANT_ID, PAYMENT_ID)])
async def test_whatever_a_browser_brought_its_token_says_whose_payer_it_is(heard_of: tuple[UUID, UUID] | None) -> None:
    redirects = Redirects(
        cast("Any", None), cast("Any", None), cast("Any", OnePayment()), lambda: PLAIN, lambda: NOW,
        lambda *_: "token", lambda token: (MERCHANT_ID, PAYMENT_ID) if token == "token" else None, "https://pay.example",
    )  # fmt: skip
    found = await redirects.of_return(OURS, "token", heard_of)
    assert found is not None
    assert found.payment_id == PAYMENT_ID
