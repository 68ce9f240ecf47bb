"""What a payer is told whom nobody brings anywhere any more. Their looks and policies: tests/pages, tests/e2e."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.api.app.redirects import RedirectCalls
from gateway.domain.payments import Payment
from gateway.domain.statuses import Status
from tests.unit.domain.samples import ZONE, attempt, payment


class Ended:
    """Leads nobody anywhere: the app named no address."""

    def __init__(self, ended: Payment) -> None:
        self.ended = ended

    async def of_token(self, _: str) -> Payment:
        return self.ended

    def may_go(self, _: Payment) -> bool:
        return False

    def merchant_name(self, _: Payment) -> str:
        return "Acme"

    async def way_back(self, _: Payment) -> None:
        return None


@pytest.mark.parametrize("status", [Status.CLOSED, Status.FAILED])
@pytest.mark.parametrize(("late", "charged_nothing"), [(False, True), (True, False)])
async def test_nobody_is_told_that_nothing_was_charged_once_money_has_moved_after_all(
    status: Status, late: bool, charged_nothing: bool
) -> None:
    ended = payment(status, attempt=replace(attempt(), late_success=late))
    call = cast("Any", SimpleNamespace(path={"token": "t"}, language="en"))
    page = await RedirectCalls(cast("Any", Ended(ended)), cast("Any", None), ZONE).page(call)
    assert isinstance(page.body, bytes)
    assert (b"Nothing was charged" in page.body) is charged_nothing
