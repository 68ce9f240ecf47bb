"""Every fault, over a socket: what the merchant sees, and whether the work was done all the same.

Does not test the protocols where nothing goes wrong: test_unionpay.py, test_allinpay.py.
"""

import time
from typing import Any

import aiohttp
import pytest
from cryptography.exceptions import InvalidSignature

from tests.sandbox.conftest import Start
from tests.sandbox.merchants import Mailbox, Sandbox, codes, read_answer


async def withhold(sandbox: Sandbox, amount: int = 1000, back_url: str = "") -> str:
    """An accepted withhold of an opened card: its order number."""
    merchant = sandbox.unionpay
    order_no = merchant.number()
    answer = await merchant.send(merchant.withholding(order_no, amount, back_url=back_url))
    assert answer["respCode"] == "00", answer["respMsg"]
    return order_no


@pytest.fixture
async def opened(sandbox: Sandbox) -> Sandbox:
    await sandbox.unionpay.open()
    return sandbox


@pytest.mark.parametrize(("fault", "amount"), [("reset_after", 1000), (None, 980002)])
async def test_the_connection_is_reset_after_the_work(opened: Sandbox, fault: str | None, amount: int) -> None:
    if fault is not None:
        await opened.fault("unionpay", fault, times=1)
    order_no = opened.unionpay.number()
    fields = opened.unionpay.signed(opened.unionpay.withholding(order_no, amount))
    with pytest.raises(aiohttp.ClientOSError, match="reset"):
        await opened.unionpay.post("backTransReq.do", fields)
    shown = await opened.final("unionpay", order_no)
    assert (shown["state"], shown["submissions"]) == ("succeeded", 1)


async def test_the_connection_is_reset_before_the_work(sandbox: Sandbox) -> None:
    await sandbox.fault("allinpay", "reset_before", times=1)
    merchant = sandbox.allinpay
    order_no = merchant.number()
    raw = merchant.signed(merchant.collecting(order_no))
    with pytest.raises(aiohttp.ClientOSError, match="reset"):
        await merchant.post(raw)
    assert await sandbox.order("allinpay", order_no) is None
    assert codes(merchant.believe((await merchant.post(raw))[1])) == ["0000", "0000"]


@pytest.mark.parametrize(("fault", "worked"), [("error_before", False), ("error_after", True)])
async def test_an_http_error_comes_before_or_after_the_work(sandbox: Sandbox, fault: str, worked: bool) -> None:
    await sandbox.fault("allinpay", fault, status=503)
    merchant = sandbox.allinpay
    order_no = merchant.number()
    status, _ = await merchant.post(merchant.signed(merchant.collecting(order_no)))
    assert status == 503
    assert (await sandbox.order("allinpay", order_no) is not None) is worked


@pytest.mark.parametrize("body", ["html", "truncated", "empty", "wrong_charset"])
@pytest.mark.parametrize("provider", ["unionpay", "allinpay"])
async def test_an_answer_is_garbage_and_the_work_is_done(opened: Sandbox, provider: str, body: str) -> None:
    await opened.fault(provider, "garbage", body=body)
    status, answer, order_no = await _submit(opened, provider)
    assert status == 200
    assert not _is_believable(opened, provider, answer)
    assert await opened.order(provider, order_no) is not None


def _is_believable(sandbox: Sandbox, provider: str, answer: bytes) -> bool:
    try:
        if provider == "unionpay":
            sandbox.unionpay.believe(read_answer(answer.decode()))
        else:
            sandbox.allinpay.believe(answer)
    except (KeyError, ValueError, InvalidSignature, AssertionError):
        return False
    return True


async def _submit(sandbox: Sandbox, provider: str) -> tuple[int, bytes, str]:
    if provider == "unionpay":
        order_no = sandbox.unionpay.number()
        fields = sandbox.unionpay.signed(sandbox.unionpay.withholding(order_no))
        return *await sandbox.unionpay.post("backTransReq.do", fields), order_no
    order_no = sandbox.allinpay.number()
    package = sandbox.allinpay.signed(sandbox.allinpay.collecting(order_no))
    return *await sandbox.allinpay.post(package), order_no


@pytest.mark.parametrize("provider", ["unionpay", "allinpay"])
async def test_an_answer_is_signed_wrongly(opened: Sandbox, provider: str) -> None:
    await opened.fault(provider, "wrong_signature", times=1)
    assert not _is_believable(opened, provider, (await _submit(opened, provider))[1])
    assert _is_believable(opened, provider, (await _submit(opened, provider))[1])


async def test_an_answer_is_delayed(sandbox: Sandbox) -> None:
    await sandbox.fault("allinpay", "delay", seconds=0.1)
    started = time.monotonic()
    await sandbox.allinpay.collect(sandbox.allinpay.number())
    assert time.monotonic() - started >= 0.1


async def test_a_decline_is_told_at_once_or_in_the_end(opened: Sandbox) -> None:
    await opened.fault("unionpay", "decline", code="63", times=1, match={"amount": 4321})
    merchant = opened.unionpay
    at_once = await merchant.send(merchant.withholding(merchant.number(), 4321))
    assert at_once["respCode"] == "63"
    await opened.fault("unionpay", "decline", code="33", when="final", match={"card_tail": "7890"})
    order_no = await withhold(opened)
    assert (await opened.final("unionpay", order_no))["code"] == "33"


@pytest.mark.parametrize(
    ("code", "when", "answer", "later"),
    [
        ("3017", "sync", ["0000", "3017"], ["0000", "3017"]),
        ("3017", "final", ["2000"], ["0000", "3017"]),
        ("2008", "sync", ["2008"], ["0000", "0000"]),
    ],
)
async def test_allinpay_declines_on_the_level_that_the_code_belongs_to(
    sandbox: Sandbox, code: str, when: str, answer: list[str], later: list[str]
) -> None:
    await sandbox.fault("allinpay", "decline", code=code, when=when, times=1)
    merchant = sandbox.allinpay
    order_no = merchant.number()
    assert await merchant.collect(order_no) == answer
    await sandbox.final("allinpay", order_no)
    assert await merchant.query(order_no) == later


async def test_a_refusal_of_the_request_leaves_no_order(sandbox: Sandbox) -> None:
    await sandbox.fault("allinpay", "decline", code="1000")
    order_no = sandbox.allinpay.number()
    assert await sandbox.allinpay.collect(order_no) == ["1000"]
    assert await sandbox.order("allinpay", order_no) is None


async def test_an_authentication_is_declined_only_when_it_is_meant(sandbox: Sandbox) -> None:
    await sandbox.fault("unionpay", "decline", code="66", match={"operation": "authenticate"})
    merchant = sandbox.unionpay
    assert (await merchant.send(merchant.opening(merchant.number())))["respCode"] == "66"


async def test_queries_can_be_punished_for_coming_too_often(opened: Sandbox) -> None:
    await opened.fault("unionpay", "decline", code="37", match={"operation": "query"}, times=1)
    order_no = await withhold(opened)
    assert (await opened.unionpay.query(order_no))["respCode"] == "37"
    assert (await opened.unionpay.query(order_no))["respCode"] == "00"


@pytest.mark.parametrize(("provider", "empty"), [("unionpay", "34"), ("allinpay", "1002")])
async def test_an_order_is_not_found_for_a_while(opened: Sandbox, provider: str, empty: str) -> None:
    await opened.fault(provider, "not_found", seconds=3600, times=1)
    if provider == "unionpay":
        assert (await opened.unionpay.query(await withhold(opened)))["respCode"] == empty
        assert (await opened.unionpay.query(await withhold(opened)))["respCode"] == "00"
    else:
        order_no = opened.allinpay.number()
        await opened.allinpay.collect(order_no)
        assert await opened.allinpay.query(order_no) == [empty]


@pytest.mark.parametrize("provider", ["unionpay", "allinpay"])
async def test_the_final_state_comes_late(opened: Sandbox, provider: str) -> None:
    await opened.fault(provider, "late_final", seconds=3600)
    if provider == "unionpay":
        assert (await opened.unionpay.query(await withhold(opened)))["origRespCode"] == "05"
    else:
        order_no = opened.allinpay.number()
        assert await opened.allinpay.collect(order_no) == ["2000"]
        assert await opened.allinpay.query(order_no) == ["2000"]


async def test_maintenance_refuses_everything_until_it_ends(opened: Sandbox) -> None:
    fault = await opened.fault("unionpay", "maintenance")
    merchant = opened.unionpay
    order_no = merchant.number()
    assert (await merchant.send(merchant.withholding(order_no)))["respCode"] == "02"
    assert (await merchant.query(order_no))["respCode"] == "02"
    assert await opened.order("unionpay", order_no) is None
    assert (await opened.control("DELETE", f"unionpay/faults/{fault}"))[0] == 204
    await opened.fault("unionpay", "maintenance", seconds=0)
    await withhold(opened)
    await opened.fault("allinpay", "maintenance")
    assert await opened.allinpay.collect(opened.allinpay.number()) == ["3028"]


async def test_an_opening_wants_an_sms_code(sandbox: Sandbox) -> None:
    await sandbox.fault("unionpay", "sms_needed", times=1)
    merchant = sandbox.unionpay
    order_no = merchant.number()
    assert (await merchant.send(merchant.opening(order_no)))["respCode"] == "71"
    assert await sandbox.order("unionpay", order_no) is None


async def test_a_callback_is_lost_and_can_be_sent_by_hand(opened: Sandbox, mailbox: Mailbox) -> None:
    await opened.fault("unionpay", "lose_callback", times=1)
    lost = await withhold(opened, back_url=mailbox.url)
    await opened.final("unionpay", lost)
    told = await withhold(opened, back_url=mailbox.url)
    assert [notice["orderId"] for notice in await mailbox.wait_for(1)] == [told]
    status, sent = await opened.control("POST", "unionpay/callbacks", {"order_no": lost, "count": 2})
    assert (status, sent["statuses"]) == (200, [200, 200])
    assert [notice["orderId"] for notice in mailbox.arrived] == [told, lost, lost]


async def test_a_callback_is_duplicated(opened: Sandbox, mailbox: Mailbox) -> None:
    await opened.fault("unionpay", "duplicate_callback", copies=2)
    await withhold(opened, back_url=mailbox.url)
    first, *copies = await mailbox.wait_for(3)
    assert copies == [first, first]


async def test_a_callback_is_delayed(opened: Sandbox, mailbox: Mailbox) -> None:
    await opened.fault("unionpay", "delay_callback", seconds=0.1)
    order_no = await withhold(opened, back_url=mailbox.url)
    await opened.final("unionpay", order_no)
    finished = time.monotonic()
    assert mailbox.arrived == []
    await mailbox.wait_for(1)
    assert time.monotonic() - finished > 0.05


async def test_a_callback_is_altered_by_one_byte(opened: Sandbox, mailbox: Mailbox) -> None:
    await opened.fault("unionpay", "corrupt_callback")
    await withhold(opened, back_url=mailbox.url)
    [notice] = await mailbox.wait_for(1)
    with pytest.raises(InvalidSignature):
        opened.unionpay.believe(notice)


async def test_a_callback_is_forged_by_a_signer_nobody_pinned(opened: Sandbox, mailbox: Mailbox) -> None:
    await opened.fault("unionpay", "forge_callback")
    await withhold(opened, back_url=mailbox.url)
    [notice] = await mailbox.wait_for(1)
    with pytest.raises((InvalidSignature, ValueError)):
        opened.unionpay.believe(notice)


async def test_a_callback_tells_another_amount_under_a_true_signature(opened: Sandbox, mailbox: Mailbox) -> None:
    await opened.fault("unionpay", "wrong_amount_callback")
    await withhold(opened, back_url=mailbox.url)
    [notice] = await mailbox.wait_for(1)
    opened.unionpay.believe(notice)
    assert notice["txnAmt"] == "1001"


async def test_a_fault_hits_only_what_it_matches_and_only_so_often(opened: Sandbox) -> None:
    meant = opened.unionpay.number()
    fault = await opened.fault("unionpay", "decline", code="61", times=1, match={"order_no": meant})
    merchant = opened.unionpay
    await withhold(opened)
    assert (await merchant.send(merchant.withholding(meant)))["respCode"] == "61"
    _, shown = await opened.control("GET", "unionpay/faults")
    assert [(one["id"], one["times"]) for one in shown["faults"]] == [(fault, 0)]


@pytest.mark.parametrize(
    ("provider", "asked", "said"),
    [
        ("unionpay", {"fault": "explode"}, "fault must be one of"),
        ("unionpay", {"fault": "delay"}, "seconds must be"),
        ("unionpay", {"fault": "delay", "seconds": -1}, "seconds must be"),
        ("unionpay", {"fault": "decline", "code": "00"}, "code must be"),
        ("unionpay", {"fault": "error_after", "status": 404}, "status must be"),
        ("unionpay", {"fault": "reset_after", "times": 0}, "times must be"),
        ("unionpay", {"fault": "reset_after", "match": {"colour": 1}}, "match knows no colour"),
        ("unionpay", {"fault": "reset_after", "match": {"operation": "dance"}}, "operation must be"),
        ("unionpay", {"fault": "reset_after", "loud": True}, "takes no loud"),
        ("allinpay", {"fault": "lose_callback"}, "cannot commit lose_callback"),
        ("allinpay", {"fault": "decline", "code": "64"}, "code must be"),
        ("allinpay", ["delay"], "must be a JSON object"),
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused_with_the_reason(
    sandbox: Sandbox, provider: str, asked: Any, said: str
) -> None:
    status, answer = await sandbox.control("POST", f"{provider}/faults", asked)
    assert status == 422
    assert said in answer["error"]


async def test_reset_forgets_orders_openings_and_faults(start: Start) -> None:
    sandbox = await start()
    await sandbox.unionpay.open()
    order_no = await withhold(sandbox)
    await sandbox.fault("unionpay", "maintenance")
    assert (await sandbox.control("POST", "reset"))[0] == 200
    assert await sandbox.order("unionpay", order_no) is None
    merchant = sandbox.unionpay
    assert (await merchant.send(merchant.withholding(merchant.number())))["respCode"] == "72"
