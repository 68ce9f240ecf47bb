"""Payouts that come back: by the control API, by a fault, by a magic amount; after a restart too.

The same at every provider, so one is enough here. Does not test what each provider says of a payout: the adapters'
test_payouts_on_sandbox.py.
"""

import asyncio
from pathlib import Path

from tests.sandbox.conftest import Start
from tests.sandbox.merchants import PATIENCE_S, AllinpayMerchant, Sandbox, codes

PAID, RETURNED = ["0000", "0000"], ["0000", "3056"]
COMES_BACK = 980007


async def pay_out(merchant: AllinpayMerchant, req_sn: str, amount: int = 1000) -> list[str]:
    package = merchant.collecting(req_sn, amount).replace(b"100011", b"100014").replace(b"10600", b"00600")
    return codes(await merchant.send(package))


async def until_returned(sandbox: Sandbox, order_no: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if (await sandbox.final("allinpay", order_no))["state"] == "returned":
                return
            await asyncio.sleep(0.005)


async def test_a_paid_payout_comes_back_once_and_for_a_reason_of_the_list(sandbox: Sandbox) -> None:
    merchant, order_no = sandbox.allinpay, sandbox.allinpay.number()
    assert await pay_out(merchant, order_no) == PAID
    wrong = {"order_no": order_no, "reason": "because"}
    assert (await sandbox.control("POST", "allinpay/returns", wrong))[0] == 422
    assert (await sandbox.control("POST", "allinpay/returns", {"order_no": "none"}))[0] == 404
    assert await merchant.query(order_no) == PAID

    told = {"order_no": order_no, "reason": "payee_account_invalid"}
    status, order = await sandbox.control("POST", "allinpay/returns", told)
    assert (status, order["state"]) == (200, "returned")
    text = await merchant.query_text(order_no)
    assert codes(text) == RETURNED
    assert "收款账号不存在" in text
    assert (await sandbox.control("POST", "allinpay/returns", told))[0] == 422


async def test_what_was_collected_never_comes_back(sandbox: Sandbox) -> None:
    order_no = sandbox.allinpay.number()
    await sandbox.allinpay.collect(order_no)
    assert (await sandbox.control("POST", "allinpay/returns", {"order_no": order_no}))[0] == 422


async def test_the_fault_waits_for_a_payout(sandbox: Sandbox) -> None:
    merchant, collected, paid = sandbox.allinpay, sandbox.allinpay.number(), sandbox.allinpay.number()
    await sandbox.fault("allinpay", "return_payout", reason="bank_rejected", seconds=0)
    await merchant.collect(collected)
    assert await pay_out(merchant, paid) == PAID
    await until_returned(sandbox, paid)
    assert "收款行拒绝入账" in await merchant.query_text(paid)
    assert await merchant.query(collected) == PAID


async def test_what_the_merchant_has_is_known_after_a_restart_and_forgotten_by_a_reset(
    start: Start, tmp_path: Path
) -> None:
    before = await start(data_dir=tmp_path)
    for provider in ("allinpay", "baofoo", "cpcn", "lianlian"):
        assert (await before.control("POST", f"{provider}/balance", {"for_payouts": 1_500}))[0] == 200
    assert await pay_out(before.allinpay, before.allinpay.number(), 1_000) == PAID
    await before.stop()

    after = await start(data_dir=tmp_path)
    assert (await after.control("GET", "allinpay/balance"))[1]["for_payouts"] == 500
    assert (await after.control("GET", "lianlian/balance"))[1]["for_payouts"] == 1_500
    assert await pay_out(after.allinpay, after.allinpay.number(), 501) == ["0000", "3008"]
    await after.control("POST", "reset")
    assert await pay_out(after.allinpay, after.allinpay.number(), 501) == PAID


async def test_a_provider_without_payouts_refuses_the_fault(sandbox: Sandbox) -> None:
    status, answer = await sandbox.control("POST", "jd/faults", {"fault": "return_payout"})
    assert status == 422
    assert "return_payout" in answer["error"]


async def test_what_will_come_back_does_so_after_a_restart(start: Start, tmp_path: Path) -> None:
    before = await start(data_dir=tmp_path, late_s=0.3)
    order_no = before.allinpay.number()
    assert await pay_out(before.allinpay, order_no, COMES_BACK) == PAID
    await before.stop()

    after = await start(data_dir=tmp_path)
    assert await after.allinpay.query(order_no) in (PAID, RETURNED)
    await until_returned(after, order_no)
    assert await after.allinpay.query(order_no) == RETURNED


async def test_whether_a_notice_is_that_of_the_success_is_yes_or_no(sandbox: Sandbox) -> None:
    status, answer = await sandbox.control("POST", "allinpay/callbacks", {"order_no": "none", "of_success": "yes"})
    assert status == 422
    assert "of_success" in answer["error"]
