"""The way to the PSP's page and back: which form, whose payer. Over fakes; with what browsers bring: tests/e2e."""

from typing import Any, cast
from uuid import UUID

import pytest

from gateway.domain.codes import Asked, Purpose
from gateway.domain.redirects import Form
from gateway.flows.redirects import Redirects
from gateway.ports import NoSuchCommandError, Redirect, UnusableAccountError
from tests.unit.domain.samples import MERCHANT_ID, NOW, PAYMENT_ID, REFUND_ID, attempt, payment
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
        lambda *_: "https://pay.example/checkout",
    )  # fmt: skip
    found = await redirects.of_return(OURS, "token", heard_of)
    assert found is not None
    assert found.payment_id == PAYMENT_ID


class NoPages:
    """An account that no longer says what its PSP's pages need."""

    def notify_url(self, *_: object) -> str:
        return "https://pay.example/callbacks/acme.up-1"

    async def form(self, _: UUID, account: str, command: Redirect) -> Form:
        raise NoSuchCommandError(account, "unionpay", type(command))


async def test_a_page_that_the_account_has_no_more_is_told_as_an_account_that_cannot_be_used() -> None:
    """What was opened before must still be read and shown."""
    waiting = payment(attempt=attempt(), asked=Asked(Purpose.REDIRECT, "", "1", NOW))
    fakes = cast("Any", NoPages())
    redirects = Redirects(
        fakes, fakes, cast("Any", OnePayment()), lambda: PLAIN, lambda: NOW, lambda *_: "token", lambda _: None,
        "https://pay.example", lambda *_: "https://pay.example/checkout",
    )  # fmt: skip
    with pytest.raises(UnusableAccountError):
        await redirects.form(waiting)
