"""Refunds at Allinpay's mock over a socket (REFUND): answered as payments are, found by 200004, bounded by the rest.

Does not test that the real Allinpay behaves so: which code stands beside a refusal is not public.
"""

import pytest

from tests.sandbox.merchants import Sandbox, codes


async def test_a_refund_is_done_at_once_and_found_by_its_own_number(sandbox: Sandbox) -> None:
    merchant = sandbox.allinpay
    paid, number = merchant.number(), merchant.number()
    await merchant.collect(paid, 1000)
    assert await merchant.refund(number, paid, 400) == ["0000", "0000"]
    text = await merchant.query_text(number)
    assert codes(text) == ["0000", "0000"]
    assert "<AMOUNT>400</AMOUNT>" in text
    shown = await sandbox.final("allinpay", number)
    told = (shown["kind"], shown["state"], shown["amount"], shown["original"], shown["card"])
    assert told == ("refund", "succeeded", 400, paid, "622202******7890")


async def test_parts_never_exceed_the_payment_and_a_failed_one_leaves_its_sum(sandbox: Sandbox) -> None:
    merchant = sandbox.allinpay
    paid, failing = merchant.number(), merchant.number()
    await merchant.collect(paid, 1000)
    told = [(await merchant.refund(merchant.number(), paid, amount))[-1] for amount in (600, 401)]
    assert told == ["0000", "3999"]
    match = {"operation": "refund", "order_no": failing}
    await sandbox.fault("allinpay", "decline", code="3008", when="final", match=match)
    assert await merchant.refund(failing, paid, 400) == ["2000"]
    assert (await sandbox.final("allinpay", failing))["state"] == "failed"
    assert await merchant.query(failing) == ["0000", "3008"]
    told = [(await merchant.refund(merchant.number(), paid, amount))[-1] for amount in (400, 1)]
    assert told == ["0000", "3999"]


async def test_a_refund_sent_twice_is_worked_once(sandbox: Sandbox) -> None:
    merchant = sandbox.allinpay
    paid, number = merchant.number(), merchant.number()
    await merchant.collect(paid, 1000)
    assert [await merchant.refund(number, paid, 300) for _ in range(2)] == [["0000", "0000"], ["3051"]]
    assert (await sandbox.final("allinpay", number))["submissions"] == 2


async def test_a_refund_may_take_its_time_and_be_invisible_at_first(sandbox: Sandbox) -> None:
    merchant = sandbox.allinpay
    paid, number = merchant.number(), merchant.number()
    await merchant.collect(paid, 1000)
    match = {"operation": "refund", "order_no": number}
    await sandbox.fault("allinpay", "late_final", seconds=3600, match=match)
    assert await merchant.refund(number, paid, 300) == ["2000"]
    assert await merchant.query(number) == ["2000"]
    hidden = merchant.number()
    await sandbox.fault("allinpay", "not_found", seconds=3600, match={"operation": "refund", "order_no": hidden})
    assert await merchant.refund(hidden, paid, 300) == ["0000", "0000"]
    assert await merchant.query(hidden) == ["1002"]


async def test_a_magic_amount_chooses_the_code_of_a_refund(sandbox: Sandbox) -> None:
    merchant = sandbox.allinpay
    paid, refused, late = merchant.number(), merchant.number(), merchant.number()
    await merchant.collect(paid, 5_000_000)
    assert await merchant.refund(refused, paid, 993_008) == ["0000", "3008"]
    assert await merchant.query(refused) == ["0000", "3008"]
    assert await merchant.refund(late, paid, 980_001) == ["2000"]
    assert (await sandbox.final("allinpay", late))["state"] == "succeeded"


@pytest.mark.parametrize("kind", ["none", "failed", "a refund"])
async def test_only_a_payment_that_succeeded_is_given_back(sandbox: Sandbox, kind: str) -> None:
    merchant = sandbox.allinpay
    original = merchant.number()
    if kind == "failed":
        await merchant.collect(original, 993_013)
    if kind == "a refund":
        paid = merchant.number()
        await merchant.collect(paid, 1000)
        await merchant.refund(original, paid, 500)
    number = merchant.number()
    assert await merchant.refund(number, original, 100) == ["0000", "3999"]
    assert await sandbox.order("allinpay", number) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<AMOUNT>100<", "<AMOUNT>0<"),
        ("<ORGBATCHSN>0<", "<ORGBATCHSN>1<"),
        ("<BUSINESS_CODE>09200<", "<BUSINESS_CODE><"),
    ],
)
async def test_a_refund_that_is_not_written_well_is_refused(sandbox: Sandbox, old: str, new: str) -> None:
    merchant = sandbox.allinpay
    written = merchant.refunding(merchant.number(), merchant.number(), 100)
    assert codes(await merchant.send(written.replace(old.encode(), new.encode()))) == ["1000"]
