"""Refunds at UnionPay's mock over a socket (04/00): taken, settled, notified, bounded by what is left.

Does not test that the real UnionPay behaves so: which respCode stands beside a refusal is not public.
"""

import pytest

from tests.sandbox.merchants import Mailbox, Sandbox


async def test_a_refund_is_accepted_settled_and_notified_as_a_refund(sandbox: Sandbox, mailbox: Mailbox) -> None:
    merchant = sandbox.unionpay
    paid, number = await merchant.paid(sandbox), merchant.number()
    answer = await merchant.send(merchant.refunding(number, paid["queryId"], 400, back_url=mailbox.url))
    assert (answer["respCode"], answer["txnType"], answer["origQryId"]) == ("00", "04", paid["queryId"])
    assert answer["queryId"] != paid["queryId"]
    [notice] = await mailbox.wait_for(1)
    merchant.believe(notice)
    assert (notice["txnType"], notice["orderId"], notice["txnAmt"], notice["respCode"]) == ("04", number, "400", "00")
    shown = await sandbox.final("unionpay", number)
    assert (shown["kind"], shown["state"], shown["amount"]) == ("refund", "succeeded", 400)
    assert (shown["original"], shown["card"]) == (paid["orderId"], "622202******7890")


async def test_a_refund_is_queried_by_its_own_number(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    paid, number = await merchant.paid(sandbox), merchant.number()
    await merchant.send(merchant.refunding(number, paid["queryId"], 400))
    await sandbox.final("unionpay", number)
    asked = await merchant.query(number)
    assert (asked["respCode"], asked["origRespCode"], asked["txnAmt"]) == ("00", "00", "400")
    assert (asked["settleAmt"], asked["origQryId"]) == ("400", paid["queryId"])


async def test_parts_never_exceed_the_payment(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    paid = await merchant.paid(sandbox, 1000)
    told = [
        (await merchant.send(merchant.refunding(merchant.number(), paid["queryId"], amount)))["respCode"]
        for amount in (600, 401, 400, 1)
    ]
    assert told == ["00", "36", "00", "45"]


async def test_a_refund_that_fails_leaves_its_sum_to_the_next(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    paid, number = await merchant.paid(sandbox, 1000), merchant.number()
    match = {"operation": "refund", "order_no": number}
    await sandbox.fault("unionpay", "decline", code="60", when="final", match=match)
    assert (await merchant.send(merchant.refunding(number, paid["queryId"], 1000)))["respCode"] == "00"
    assert (await sandbox.final("unionpay", number))["state"] == "failed"
    again = await merchant.send(merchant.refunding(merchant.number(), paid["queryId"], 1000))
    assert again["respCode"] == "00"


async def test_a_refund_sent_twice_is_worked_once(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    paid, number = await merchant.paid(sandbox, 1000), merchant.number()
    told = [(await merchant.send(merchant.refunding(number, paid["queryId"], 300)))["respCode"] for _ in range(2)]
    assert told == ["00", "12"]
    assert (await sandbox.final("unionpay", number))["submissions"] == 2


@pytest.mark.parametrize(("changes", "code"), [({"origQryId": "1" * 21}, "35"), ({"bizType": "000902"}, "36")])
async def test_a_refund_names_a_payment_that_succeeded_as_it_was_made(
    sandbox: Sandbox, changes: dict[str, str], code: str
) -> None:
    merchant = sandbox.unionpay
    paid = await merchant.paid(sandbox)
    fields = merchant.refunding(merchant.number(), paid["queryId"]) | changes
    assert (await merchant.send(fields))["respCode"] == code


async def test_a_refund_cannot_be_refunded(sandbox: Sandbox) -> None:
    merchant = sandbox.unionpay
    paid, number = await merchant.paid(sandbox), merchant.number()
    refund = await merchant.send(merchant.refunding(number, paid["queryId"]))
    await sandbox.final("unionpay", number)
    again = await merchant.send(merchant.refunding(merchant.number(), refund["queryId"]))
    assert again["respCode"] == "35"
