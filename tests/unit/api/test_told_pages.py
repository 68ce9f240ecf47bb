"""What our pages tell payers: on their way, and when nobody brings them anywhere any more.

Not tested here: how they look and what they may load and post to (tests/pages, tests/e2e).
"""

from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway.api.app.redirects import RedirectCalls
from gateway.api.http.routing import Reply
from gateway.domain.codes import Asked, Purpose
from gateway.domain.payments import Payment
from gateway.domain.redirects import Form
from gateway.domain.statuses import Status
from tests.unit.domain.samples import ZONE, attempt, payment

REQUEST = make_mocked_request("GET", "/pay/t")


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
    call = cast("Any", SimpleNamespace(path={"token": "t"}, language="en", request=REQUEST))
    page = await RedirectCalls(cast("Any", Ended(ended)), cast("Any", None), ZONE).page(call)
    assert isinstance(page.body, bytes)
    assert (b"Nothing was charged" in page.body) is charged_nothing


class Waiting(Ended):
    """Still brings its payer to the PSP, for a minute and a half."""

    def may_go(self, _: Payment) -> bool:
        return True

    def seconds_left(self, _: Payment) -> int:
        return 90

    async def form(self, _: Payment) -> Form:
        return Form("https://bank.example/pay", {"number": "1"})


async def page_of(minutes: int) -> Reply:
    """Opened at ten in the evening, there, with this time to pay."""
    opened = datetime(2026, 11, 26, 22, tzinfo=ZONE)
    asked = Asked(Purpose.REDIRECT, "", "1", opened)
    waiting = replace(payment(asked=asked), created_at=opened, expires_in_s=minutes * 60)
    call = cast("Any", SimpleNamespace(path={"token": "t"}, language="en", request=REQUEST))
    return await RedirectCalls(cast("Any", Waiting(waiting)), cast("Any", None), ZONE).page(call)


async def test_a_form_that_is_left_on_the_screen_is_gone_when_its_time_is_over() -> None:
    assert (await page_of(15)).headers["Refresh"] == "90"


@pytest.mark.parametrize(("minutes", "until"), [(15, "22:15"), (180, "Nov 27 01:00"), (1440, "Nov 27 22:00")])
async def test_a_payer_reads_the_day_too_where_it_is_another_one(minutes: int, until: str) -> None:
    page = await page_of(minutes)
    assert isinstance(page.body, bytes)
    assert f"Please pay before {until}." in page.body.decode()
