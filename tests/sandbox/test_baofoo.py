"""Baofoo's mock over a socket: bindings by SMS, payments, refusals, notices, magic, and what a restart leaves.

Does not test the faults that all providers share (test_faults.py) nor that the real Baofoo behaves so: that is what
the protocol notes say.
"""

from pathlib import Path

import pytest

from sandbox import sms
from tests.sandbox.baofoo_merchant import PHONE, BaofooMerchant, said
from tests.sandbox.conftest import Start
from tests.sandbox.merchants import CARD, Mailbox, Sandbox

OK = ("S", "0000")


@pytest.fixture
def merchant(sandbox: Sandbox, keys: Path) -> BaofooMerchant:
    return BaofooMerchant(sandbox, keys)


# Binding


async def test_a_card_is_bound_by_the_sms_that_was_sent(merchant: BaofooMerchant) -> None:
    asked = await merchant.pre_bind()
    assert said(asked) == OK
    sent = await merchant.sms()
    assert (sent["phone"], sent["purpose"]) == (PHONE, "sign")
    wrong = f"{(int(sent['code']) + 1) % 10**6:06d}"
    refused = await merchant.send("02", {"unique_code": f"{asked['unique_code']}|{wrong}"})
    assert said(refused) == ("F", "BF00105")
    bound = await merchant.send("02", {"unique_code": f"{asked['unique_code']}|{sent['code']}"})
    assert said(bound) == OK
    assert said(await merchant.send("02", {"unique_code": f"{asked['unique_code']}|{sent['code']}"})) == (
        "F",
        "BF00186",
    )
    listed = await merchant.send("03", {"acc_no": CARD})
    assert listed["protocols"] == f"{bound['protocol_no']}|u1|{CARD}|ICBC|工商银行"
    _, shown = await merchant.sandbox.control("GET", "baofoo/transactions")
    [order] = shown["transactions"]
    assert (order["kind"], order["card"], order["state"]) == ("open_card", "622202******7890", "succeeded")


async def test_a_second_sms_ends_the_first_and_an_old_one_expires(
    merchant: BaofooMerchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, first_code = await merchant.pre_bind(), (await merchant.sms())["code"]
    monkeypatch.setattr(sms, "SMS_VALID_S", -1.0)
    second, second_code = await merchant.pre_bind(), (await merchant.sms())["code"]
    assert said(await merchant.send("02", {"unique_code": f"{first['unique_code']}|{first_code}"})) == ("F", "BF00106")
    late = await merchant.send("02", {"unique_code": f"{second['unique_code']}|{second_code}"})
    assert said(late) == ("F", "BF00106")


async def test_binding_again_voids_the_agreement_of_before_for_this_user_alone(merchant: BaofooMerchant) -> None:
    others = await merchant.bind(user_id="u2")
    old, new = await merchant.bind(), await merchant.bind()
    assert said(await merchant.pay(old, merchant.number())) == ("F", "BF00134")
    assert said(await merchant.pay(new, merchant.number())) == OK
    assert said(await merchant.pay(others, merchant.number(), user_id="u2")) == OK
    assert said(await merchant.pay(others, merchant.number())) == ("F", "BF00191")
    listed = await merchant.send("03", user_id="u1")
    assert listed["protocols"].startswith(f"{new}|u1|622202******7890|")


async def test_what_was_given_up_pays_nothing_and_is_listed_no_more(merchant: BaofooMerchant) -> None:
    agreement_no = await merchant.bind()
    assert said(await merchant.send("04", {"protocol_no": agreement_no}, user_id="u2")) == ("F", "BF00191")
    assert said(await merchant.send("04", {"protocol_no": agreement_no}, user_id="u1")) == OK
    assert said(await merchant.send("04", {"protocol_no": agreement_no})) == ("F", "BF00134")
    assert said(await merchant.pay(agreement_no, merchant.number())) == ("F", "BF00134")
    assert said(await merchant.send("03", {"acc_no": CARD})) == ("F", "BF00134")


@pytest.mark.parametrize(
    ("card", "more", "code"),
    [
        ("6222021234560345", {}, "BF00345"),
        ("6222021234560343", {}, "BF00343"),
        ("none", {}, "BF00182"),
        (CARD, {"card_type": "102"}, "BF00187"),
        (CARD, {"card_type": "1"}, "BF00121"),
        (CARD, {"id_card_type": "02"}, "BF00121"),
    ],
)
async def test_a_card_that_cannot_be_bound_is_refused_before_an_sms(
    merchant: BaofooMerchant, card: str, more: dict[str, str], code: str
) -> None:
    assert said(await merchant.pre_bind(card, **more)) == ("F", code)
    assert (await merchant.sandbox.control("GET", "baofoo/sms"))[1] == {"sms": []}


# Paying


async def test_a_payment_is_final_at_once_and_found_by_number_and_time(merchant: BaofooMerchant) -> None:
    agreement_no, trans_id = await merchant.bind(), merchant.number()
    paid = await merchant.pay(agreement_no, trans_id, 1234)
    assert (*said(paid), paid["succ_amt"], paid["trans_id"]) == (*OK, "1234", trans_id)
    asked = await merchant.query(trans_id)
    same = ("succ_amt", "succ_time", "order_id", "trans_id")
    assert [asked[name] for name in same] == [paid[name] for name in same]
    assert said(await merchant.query(trans_id, "2026-03-01 12:00:01")) == ("FF", "BF00128")
    assert said(await merchant.query(merchant.number())) == ("FF", "BF00128")


async def test_a_payment_sent_twice_is_worked_once_and_counted_twice(merchant: BaofooMerchant) -> None:
    agreement_no, trans_id = await merchant.bind(), merchant.number()
    await merchant.pay(agreement_no, trans_id)
    again = await merchant.pay(agreement_no, trans_id, 999)
    assert (*said(again), again["succ_amt"]) == ("S", "BF00114", "1000")
    shown = await merchant.sandbox.order("baofoo", trans_id)
    assert shown is not None
    assert (shown["submissions"], shown["amount"], shown["kind"]) == (2, 1000, "collect")


async def test_an_order_under_way_is_a_duplicate_and_one_that_failed_may_be_tried_again(
    merchant: BaofooMerchant,
) -> None:
    agreement_no, under_way, failed = await merchant.bind(), merchant.number(), merchant.number()
    assert said(await merchant.pay(agreement_no, under_way, 980001)) == ("I", "BF00115")
    assert said(await merchant.pay(agreement_no, under_way, 980001)) == ("F", "BF00373")
    await merchant.sandbox.fault("baofoo", "decline", code="BF00103", times=1)
    assert said(await merchant.pay(agreement_no, failed)) == ("F", "BF00103")
    assert said(await merchant.query(failed)) == ("F", "BF00103")
    assert said(await merchant.pay(agreement_no, failed, 1001)) == ("F", "BF00126")
    assert said(await merchant.pay(agreement_no, failed)) == OK
    assert (await merchant.sandbox.final("baofoo", under_way))["state"] == "succeeded"


async def test_a_payment_by_sms_is_unpaid_until_its_code_comes(merchant: BaofooMerchant) -> None:
    agreement_no, trans_id = await merchant.bind(), merchant.number()
    asked = await merchant.send("05", {"protocol_no": agreement_no}, **merchant.order(trans_id))
    assert (*said(asked), asked["trans_id"]) == (*OK, trans_id)
    sent = await merchant.sms()
    assert (sent["phone"], sent["purpose"]) == (PHONE, "pay")
    assert said(await merchant.query(trans_id)) == ("F", "BF00251")
    other = await merchant.send("05", {"protocol_no": agreement_no}, **merchant.order(trans_id, 999))
    assert said(other) == ("F", "BF00126")
    confirming = {"unique_code": f"{asked['unique_code']}|{sent['code']}"}
    for expected in (OK, ("S", "BF00114")):
        paid = await merchant.send("06", confirming)
        assert (*said(paid), paid["trans_id"], paid["succ_amt"]) == (*expected, trans_id, "1000")
    shown = await merchant.sandbox.order("baofoo", trans_id)
    assert shown is not None
    assert (shown["kind"], shown["state"]) == ("consume", "succeeded")
    assert said(await merchant.send("02", confirming)) == ("F", "BF00106")


@pytest.mark.parametrize(
    ("tail", "amount", "answered", "state"),
    [
        ("7890", 995103, ("F", "BF00103"), "failed"),
        ("7890", 995113, ("F", "BF00113"), "succeeded"),
        ("7890", 995126, ("F", "BF00126"), "succeeded"),
        ("7890", 980003, ("I", "BF00115"), "failed"),
        ("0103", 1000, ("F", "BF00103"), "failed"),
        ("0105", 1000, OK, "succeeded"),
        ("0999", 1000, OK, "succeeded"),
    ],
)
async def test_magic_tail_and_amount_choose_the_answer(
    merchant: BaofooMerchant, tail: str, amount: int, answered: tuple[str, str], state: str
) -> None:
    agreement_no, trans_id = await merchant.bind(f"622202123456{tail}"), merchant.number()
    assert said(await merchant.pay(agreement_no, trans_id, amount)) == answered
    assert (await merchant.sandbox.final("baofoo", trans_id))["state"] == state


# Refusals


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"member_id": "1"}, "BF00123"),
        ({"terminal_id": "1"}, "BF00124"),
        ({"version": "5.0"}, "BF00121"),
        ({"msg_id": "x" * 33}, "BF00121"),
        ({"txn_type": "09"}, "BF00125"),
        ({"txn_amt": "0"}, "BF00121"),
        ({"txn_amt": "12.5"}, "BF00121"),
        ({"trans_id": "with-hyphen"}, "BF00121"),
        ({"trans_id": ""}, "BF00120"),
        ({"send_time": ""}, "BF00120"),
        ({"risk_item": "[]"}, "BF00121"),
        ({"return_url": "https://" + "x" * 500}, "BF00121"),
        ({"protocol_no": "00ff"}, "BF00118"),
        ({"dgtl_envlp": "00"}, "BF00118"),
    ],
)
async def test_wrong_content_is_refused_before_any_work(
    merchant: BaofooMerchant, change: dict[str, str], code: str
) -> None:
    agreement_no, trans_id = await merchant.bind(), merchant.number()
    fields = merchant.fields("08", {"protocol_no": agreement_no}, **merchant.order(trans_id)) | change
    assert said(await merchant.post(merchant.signed(fields))) == ("F", code)
    assert await merchant.sandbox.order("baofoo", trans_id) is None


async def test_a_wrong_signature_is_refused_and_leaves_no_trace(merchant: BaofooMerchant) -> None:
    agreement_no, trans_id = await merchant.bind(), merchant.number()
    signed = merchant.signed(merchant.fields("08", {"protocol_no": agreement_no}, **merchant.order(trans_id)))
    assert said(await merchant.post(signed | {"txn_amt": "1001"})) == ("F", "BF00129")
    assert said(await merchant.post(signed | {"signature": "zz"})) == ("F", "BF00129")
    assert await merchant.sandbox.order("baofoo", trans_id) is None


async def test_maintenance_refuses_everything_and_a_question_as_one_that_failed(merchant: BaofooMerchant) -> None:
    agreement_no, trans_id = await merchant.bind(), merchant.number()
    await merchant.sandbox.fault("baofoo", "maintenance")
    assert said(await merchant.pay(agreement_no, trans_id)) == ("F", "BF00325")
    assert said(await merchant.query(trans_id)) == ("FF", "BF00325")
    assert await merchant.sandbox.order("baofoo", trans_id) is None


# Notices


async def test_success_and_failure_are_notified_until_the_body_is_ok(
    merchant: BaofooMerchant, mailbox: Mailbox
) -> None:
    agreement_no = await merchant.bind()
    mailbox.statuses, mailbox.text = [500], "OK"
    await merchant.pay(agreement_no, merchant.number(), return_url=mailbox.url)
    first, second = await mailbox.wait_for(2)
    assert first == second
    merchant.believe(first)
    assert (*said(first), first["succ_amt"]) == (*OK, "1000")
    assert "txn_type" not in first
    mailbox.text = "ok"
    refused = merchant.number()
    await merchant.pay(agreement_no, refused, 995103, return_url=f"{mailbox.url}|https://elsewhere.test/")
    arrived = await mailbox.wait_for(7)
    assert [(notice["trans_id"], *said(notice)) for notice in arrived[2:]] == [(refused, "F", "BF00103")] * 5
    status, answer = await merchant.sandbox.control("POST", "baofoo/callbacks", {"order_no": refused, "count": 2})
    assert (status, answer["sent"]) == (200, 2)


# A restart


async def test_bindings_and_orders_are_found_again_and_their_sms_go_to_the_same_phone(
    start: Start, keys: Path, tmp_path: Path
) -> None:
    before = BaofooMerchant(await start(data_dir=tmp_path), keys)
    void, agreement_no, trans_id = await before.bind(), await before.bind(), before.number()
    await before.pay(agreement_no, trans_id)
    waiting = await before.send("05", {"protocol_no": agreement_no}, **before.order(before.number()))
    await before.sandbox.stop()
    written = (tmp_path / "baofoo.jsonl").read_bytes()
    assert b"622202******7890" in written
    for secret in (CARD, "张三", PHONE, "110101199003070011"):
        assert secret.encode() not in written

    after = BaofooMerchant(await start(data_dir=tmp_path), keys)
    assert said(await after.query(trans_id)) == OK
    assert said(await after.pay(void, after.number())) == ("F", "BF00134")
    assert said(await after.pay(agreement_no, after.number())) == OK
    assert said(await after.send("06", {"unique_code": f"{waiting['unique_code']}|123456"})) == ("F", "BF00106")
    await after.send("05", {"protocol_no": agreement_no}, **after.order(after.number()))
    assert (await after.sms())["purpose"] == "pay"
    await after.sandbox.control("POST", "reset")
    assert said(await after.pay(agreement_no, after.number())) == ("F", "BF00134")
