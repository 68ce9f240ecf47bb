"""Refunds end to end at YeePay, LianLian and JD: parts, lost answers, failures, notices, and one that comes back.

Not here: what is the same at every company (test_refunds, at UnionPay), every word (tests/unit), the books
(tests/storage), the wire (tests/adapters).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest

from gateway.domain.catalogue import AuthenticationMode
from tests.e2e.business import App, Shown
from tests.e2e.on_pages import WAYS, open_page
from tests.e2e.signers import Signer, merchant_with, new_phone
from tests.e2e.signers import paid as paid_by_card
from tests.e2e.waiting import until
from tests.e2e.world import World

MODES: Final[Mapping[str, AuthenticationMode]] = {
    "lianlian": AuthenticationMode.SMS,
    "jd": AuthenticationMode.SMS_EACH_PAYMENT,
}
FAILS: Final[Mapping[str, tuple[str, str]]] = {
    "yeepay": ("18", "3"),
    "lianlian": ("5006", "3"),
    "jd": ("EEB0004", "0000/7"),
}
"""Why one fails at the bank, and the code that is told of it."""
DUE = "UPDATE refunds SET due_at = created_at WHERE merchant_order_no = $1 AND due_at IS NOT NULL RETURNING 1"
SOURCES = """
SELECT o.source FROM observations o JOIN intents i ON i.object_id = o.object_id AND i.verb = o.verb
WHERE i.number = $1 ORDER BY o.observed_at
"""


@dataclass
class At:
    """A company that has refunds, and an app whose payments go there."""

    world: World
    provider: str
    app: App

    async def paid(self, amount: int | None = None) -> Shown:
        """A payment that it took."""
        amount = amount or 20_000 + self.world.number()
        if self.provider == "yeepay":
            visit = await open_page(self.world, self.app, WAYS["netbank"], amount=amount)
            await visit.browser.press(visit.bill, "pay")
            payment = await self.app.final(visit.payment["id"])
        else:
            card = self.world.card() | {"phone": new_phone(self.world)}
            order = self.world.order(amount, scene="quick_charge", card=card, customer_present=True)
            payment = (await paid_by_card(self.world, self.app, order)).payment
        assert payment["status"] == "succeeded", payment["failure"]
        return payment

    async def row(self, refund: Shown) -> Shown:
        """What the company did under the refund's number, once."""
        [row] = await self.world.transactions(self.provider, refund["channel_order_no"])
        return row

    async def fault(self, fault: str, amount: int, **how: Any) -> None:
        await self.world.fault(self.provider, fault, amount, match={"operation": "refund"}, **how)

    async def refund(self, payment: Shown, amount: int, **more: Any) -> Shown:
        answer = await self.app.refund(payment, amount, **more)
        assert answer.status == 201, answer.raw
        return dict(answer.body)


@pytest.fixture(scope="module")
async def lianlian(world: World) -> App:
    return await merchant_with(world, Signer("lianlian", "lianlian", MODES["lianlian"], 10), primary="lianlian")


@pytest.fixture(scope="module")
async def jd(world: World) -> App:
    return await merchant_with(world, Signer("jd", "jd", MODES["jd"], 10))


@pytest.fixture(params=["yeepay", "lianlian", "jd"])
def at(request: pytest.FixtureRequest, world: World, patient: App, lianlian: App, jd: App) -> At:
    return At(world, request.param, {"yeepay": patient, "lianlian": lianlian, "jd": jd}[request.param])


async def test_parts_go_back_until_nothing_is_left_each_sent_and_told_once(at: At) -> None:
    payment = await at.paid()
    told_before = [event["type"] for event in await at.app.events(payment["id"])]
    first = 5_000
    for amount in (first, payment["amount"] - first):
        done = await at.app.refunded((await at.refund(payment, amount, reason="多收"))["id"])
        assert (done["status"], done["amount"], done["channel"]) == ("succeeded", amount, payment["channel"])
        assert done["fee_returned"] == ((amount + 250) // 500 if at.provider == "yeepay" else None)
        row = await at.row(done)
        assert (row["kind"], row["amount"], row["state"], row["submissions"]) == ("refund", amount, "succeeded", 1)
        assert row["original"] == payment["channel_order_no"]
        [event] = await at.app.told(done["id"])
        assert (event["type"], event["sequence"], event["body"]["data"]) == ("refund.succeeded", 1, done)
    over = await at.app.refund(payment, 1)
    assert (over.status, over.body["code"], over.body["left"]) == (409, "amount_exceeds_rest", 0)
    assert await at.app.payment(payment["id"]) == payment | {"refunded": payment["amount"]}
    assert [event["type"] for event in await at.app.events(payment["id"])] == told_before


async def test_a_refund_whose_answer_is_lost_stays_taken_and_is_found_by_asking_sent_once(at: At) -> None:
    payment, amount = await at.paid(), 1_000 + at.world.number()
    await at.fault("reset_after", amount)
    await at.world.fault(at.provider, "lose_callback", amount)
    await at.fault("late_final", amount, seconds=1)
    taken = await at.refund(payment, amount)
    assert (taken["status"], taken["channel_transaction_no"]) == ("processing", None)
    again = await at.app.refund(payment, amount, merchant_order_no=taken["merchant_order_no"])
    assert (again.status, again.body["id"]) == (200, taken["id"])
    over = await at.app.refund(payment, payment["amount"] - amount + 1)
    assert (over.status, over.body["left"]) == (409, payment["amount"] - amount)
    done = await at.app.refunded(taken["id"])
    assert done["status"] == "succeeded"
    row = await at.row(done)
    assert (row["amount"], row["submissions"]) == (amount, 1)
    numbers = {"yeepay": payment["channel_transaction_no"], "lianlian": row["transaction_no"], "jd": None}
    assert done["channel_transaction_no"] == numbers[at.provider]
    assert len(await at.app.told(done["id"])) == 1


async def test_one_that_never_arrived_keeps_its_sum_until_that_is_proved(at: At) -> None:
    payment, amount = await at.paid(), 2_000 + at.world.number()
    await at.fault("reset_before", amount)
    taken = await at.refund(payment, amount)
    assert taken["status"] == "processing"
    assert (await at.app.refund(payment, payment["amount"])).status == 409
    failed = await at.app.refunded(taken["id"])
    assert (failed["status"], failed["failure"]["code"]) == ("failed", "channel_unavailable")
    [asked] = await at.world.sql("SELECT not_found FROM intents WHERE number = $1", taken["channel_order_no"])
    assert asked["not_found"] >= 3  # by the rule of this account; no protocol here has one of its own
    assert await at.world.transactions(at.provider, taken["channel_order_no"]) == []
    assert (await at.app.payment(payment["id"]))["refunded"] == 0


async def test_one_that_fails_at_the_bank_frees_its_sum_for_the_next(at: At) -> None:
    payment = await at.paid()
    reason, told = FAILS[at.provider]
    await at.fault("decline", payment["amount"], code=reason, when="final", times=1)
    taken = await at.refund(payment, payment["amount"])
    failed = await at.app.refunded(taken["id"])
    assert (failed["status"], failed["failure"]["channel_code"]) == ("failed", told)
    assert failed["fee_returned"] is None
    assert [event["type"] for event in await at.app.told(failed["id"])] == ["refund.failed"]
    assert (await at.app.payment(payment["id"]))["refunded"] == 0
    again = await at.app.refunded((await at.refund(payment, payment["amount"]))["id"])
    assert again["status"] == "succeeded"


async def test_one_that_was_paid_out_comes_back_days_later_and_the_same_sum_goes_again(
    world: World, patient: App
) -> None:
    at = At(world, "yeepay", patient)
    payment = await at.paid()
    whole = payment["amount"]
    done = await at.app.refunded((await at.refund(payment, whole))["id"])
    assert (done["status"], done["returned"]) == ("succeeded", None)
    assert (await at.app.refund(payment, 1)).status == 409
    assert await world.sql(DUE, done["merchant_order_no"])  # instead of waiting for days: nothing new
    [asked] = await until(lambda: looked(world, done), "a question after its success")
    assert asked["due_at"] is not None
    await world.control("POST", "yeepay/returns", {"order_no": done["channel_order_no"]})
    assert await world.sql(DUE, done["merchant_order_no"])
    back = await at.app.refunded(done["id"], "returned")
    assert back == done | {"status": "returned", "returned": "bank_rejected"}
    events = await at.app.told(back["id"], 2)
    assert [(event["type"], event["sequence"]) for event in events] == [
        ("refund.succeeded", 1), ("refund.returned", 2),
    ]  # fmt: skip
    assert events[-1]["body"]["data"] == back
    assert (await at.app.payment(payment["id"]))["refunded"] == 0
    again = await at.app.refunded((await at.refund(payment, whole))["id"])
    assert again["status"] == "succeeded"
    # It is asked about no more.
    assert await world.sql(DUE, done["merchant_order_no"]) == []
    assert (await at.app.get(f"/v1/refunds/{done['id']}")) == back
    assert len(await at.app.events(back["id"])) == 2


async def looked(world: World, refund: Shown) -> list[Any] | None:
    rows = await world.sql(
        "SELECT r.due_at FROM refunds r JOIN intents i ON i.object_id = r.refund_id AND i.looks > 0"
        " WHERE i.number = $1 AND r.lease_until IS NULL", refund["channel_order_no"],
    )  # fmt: skip
    return rows or None


@pytest.mark.parametrize("provider", ["lianlian", "jd"])
async def test_a_refunds_notice_ends_the_refund_and_leaves_the_payment_alone(
    world: World, lianlian: App, jd: App, provider: str
) -> None:
    at = At(world, provider, {"lianlian": lianlian, "jd": jd}[provider])
    payment, amount = await at.paid(), 3_000 + world.number()
    # No question finds it before the notice: they fail.
    code = {"lianlian": "9999", "jd": "EEE0001"}[provider]
    await world.fault(provider, "decline", amount, code=code, match={"operation": "query"})
    taken = await at.refund(payment, amount)
    done = await at.app.refunded(taken["id"])
    assert done["status"] == "succeeded"
    assert "callback" in [row["source"] for row in await world.sql(SOURCES, done["channel_order_no"])]
    assert await at.app.payment(payment["id"]) == payment | {"refunded": amount}
    # It comes again: it says nothing new.
    sent = await world.control("POST", f"{provider}/callbacks", {"order_no": done["channel_order_no"]})
    assert sent["statuses"] == [200]
    assert len(await at.app.events(done["id"])) == 1


async def test_custody_banks_give_nothing_back(world: World, patient: App) -> None:
    visit = await open_page(world, patient, WAYS["custody netbank"])
    await visit.browser.press(visit.bill, "pay")
    payment = await patient.final(visit.payment["id"])
    assert payment["status"] == "succeeded"
    answer = await patient.refund(payment, 1)
    assert (answer.status, [error["code"] for error in answer.body["errors"]]) == (422, ["refunds_not_supported"])
