"""Baofoo's refunds (331/09, 331/10, the notice): what their JSON says, accepted that is not made, and whose word it is.

What they have in common with the refunds of others is in `contract` and `contract_faults`.
"""

import json
from collections.abc import Mapping
from dataclasses import replace

import httpx
import pytest

from adapters.account import AccountError
from adapters.baofoo.codes import DECLINES, REFUND_DECLINES
from gateway.domain.failures import MEANINGS, Blame, FailureCode
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Declined, NotFound, Outcome, Processing, Succeeded, Unknown
from gateway.domain.scenes import Scene
from gateway.domain.terms import Product
from gateway.ports import AskRefund, CallbackRejectedError, Pay, Provider, Refund
from tests.adapters.baofoo_case import (
    MERCHANTS,
    STRANGER,
    BaofooCase,
    a_notice,
    a_refunds_notice,
    fields_of,
    letter,
    notification,
    opened_json,
    refund_notification,
    sealed_json,
)
from tests.adapters.case import (
    AMOUNT,
    NOTIFY_URL,
    NUMBER,
    OTHER_NUMBER,
    Psp,
    Wire,
    a_payment,
    a_refund,
    a_refunds_question,
    callbacks_of,
    do,
    is_unknown,
    meaning_of,
)

CASE = BaofooCase()
QUICK = Scene.QUICK_CHARGE


def an_adapter(psp: Psp, **settings: object) -> tuple[Provider, Wire]:
    account, wire = CASE.account(), Wire(psp)
    return CASE.build(replace(account, settings={**account.settings, **settings}), wire), wire


def in_36(number: str) -> str:
    """Our number as Baofoo's short fields have it."""
    rest, digits = int(number, 16), ""
    while rest:
        rest, digit = divmod(rest, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits.rjust(25, "0")


async def said(refund: Refund, **settings: object) -> Mapping[str, str]:
    """What is written with the merchant's key, and who is said to be asking outside of it."""
    adapter, wire = an_adapter(lambda request: httpx.Response(200), **settings)
    await do(adapter, refund)
    fields = fields_of(wire.sent[0])
    content = opened_json(fields.pop("data_content").encode(), MERCHANTS["first"].public_key())
    assert {name: fields[name] for name in ("member_id", "terminal_id", "txn_sub_type")}.items() <= content.items()
    return dict(content)


async def asked(psp: Psp) -> Outcome:
    return await do(an_adapter(psp)[0], a_refunds_question(QUICK))


def heard(content: bytes) -> Outcome:
    callback = callbacks_of(an_adapter(CASE.processing)[0]).read(refund_notification(content))
    assert (callback.number, callback.verb) == (NUMBER, Verb.REFUND)
    return callback.outcome


@pytest.mark.parametrize("scene", [QUICK, Scene.WITHHOLD])
async def test_a_refund_names_its_payment_by_our_number_and_says_this(scene: Scene) -> None:
    assert await said(replace(a_refund(scene), original_transaction_no=None)) == {
        "terminal_id": "200001173",
        "member_id": "100025773",
        "txn_sub_type": "09",
        "refund_type": "8",
        "trans_id": OTHER_NUMBER,
        "refund_order_no": NUMBER,
        "trans_serial_no": f"{in_36(NUMBER)}091",
        "refund_reason": "退款 March",
        "refund_amt": str(AMOUNT),
        "refund_time": "20260302003015",
        "additional_info": "",
        "req_reserved": "",
        "notice_url": NOTIFY_URL,
    }


async def test_a_refund_always_has_a_reason_and_any_reason_is_sent() -> None:
    for reason, told in (("", "退款"), (" \x00\r\n", "退款"), ("多收\r\n利息", "多收 利息"), ("还" * 999, "还" * 50)):
        assert (await said(replace(a_refund(QUICK), reason=reason)))["refund_reason"] == told
    assert json.dumps(await said(replace(a_refund(QUICK), reason='"}\ud800<&=|%#^-')))


async def test_refunds_may_have_a_terminal_of_their_own_and_answers_are_to_it() -> None:
    assert (await said(a_refund(QUICK), refund_terminal_id="200009999"))["terminal_id"] == "200009999"
    adapter, _ = an_adapter(CASE.processing, refund_terminal_id="200009999")
    with pytest.raises(CallbackRejectedError):
        callbacks_of(adapter).read(refund_notification(a_refunds_notice()))
    genuine = refund_notification(a_refunds_notice(terminal_id="200009999"))
    assert callbacks_of(adapter).read(genuine).verb is Verb.REFUND
    with pytest.raises(AccountError, match="refund_terminal_id"):
        an_adapter(CASE.processing, refund_terminal_id="T1")


async def test_every_question_has_a_number_of_its_own_and_asks_for_the_refund_alone() -> None:
    adapter, wire = an_adapter(CASE.succeeded)
    for tries in (0, 1, 99_999):
        assert isinstance(await do(adapter, a_refunds_question(QUICK, tries)), Succeeded)
    told = [CASE.refund_of(request) for request in wire.sent]
    assert {each["refund_order_no"] for each in told} == {NUMBER}
    assert len({each["trans_serial_no"] for each in told}) == 3


async def test_what_is_not_paid_here_is_declined_and_nothing_is_sent() -> None:
    adapter, wire = an_adapter(CASE.processing)
    assert meaning_of(await do(adapter, a_refund(Scene.NETBANK_CHARGE))) == FailureCode.CHANNEL_REFUSED
    assert wire.sent == []


async def test_taken_on_is_not_given_back_and_the_same_code_to_a_question_is() -> None:
    adapter, wire = an_adapter(lambda request: CASE.refund_said(request, "0000", refund_business_no="R-77"))
    assert await do(adapter, a_refund(QUICK)) == Processing("0000", "说明[0000]", "R-77")
    assert await do(adapter, a_refunds_question(QUICK)) == Succeeded(AMOUNT, "R-77", channel_code="0000")
    wire.psp = lambda request: CASE.refund_said(request, "BF00203")
    for command in (a_refund(QUICK), a_refunds_question(QUICK)):
        assert isinstance(await do(adapter, command), Processing)


async def test_what_went_back_is_what_baofoo_says_went_back_whether_as_text_or_as_number() -> None:
    for amount in (AMOUNT, str(AMOUNT), 1):
        done = await asked(lambda request, told=amount: CASE.refund_said(request, "0000", told))  # type: ignore[misc]
        assert done == Succeeded(int(amount), channel_code="0000")
        assert heard(a_refunds_notice(amount=amount)) == Succeeded(int(amount), "20160119458974", channel_code="0000")
    odd: object
    for odd in ("", None, "12.5", "-1", -1, 1.5, "１２", "9" * 16, [1], {}, True):
        answer = await asked(lambda request, told=odd: CASE.refund_said(request, "0000", refund_amt=told))  # type: ignore[misc]
        assert is_unknown(answer, received=True), odd
        assert is_unknown(heard(a_refunds_notice(amount=odd)), received=True), odd


async def test_a_question_that_failed_for_its_form_or_its_merchant_ends_no_refund() -> None:
    for code in ("BF00118", "BF00123", "BF00124", "BF00129", "BF00316"):
        adapter, _ = an_adapter(lambda request, code=code: CASE.refund_said(request, code))  # type: ignore[misc]
        assert isinstance(await do(adapter, a_refund(QUICK)), Declined), code
        assert is_unknown(await do(adapter, a_refunds_question(QUICK)), received=False), code
        assert is_unknown(heard(a_refunds_notice(code=code)), received=False), code


async def test_no_such_refund_is_evidence_and_never_proof_and_in_a_notice_it_is_nothing() -> None:
    assert isinstance(await asked(CASE.not_found), NotFound)
    assert is_unknown(heard(a_refunds_notice(code="BF00128")), received=False)
    terms = an_adapter(CASE.processing)[0].declaration.terms[Product.REFUND]
    assert not terms.proves_lost(10_000, 365 * 24 * 3600.0)


def test_a_refund_that_failed_days_later_is_told_by_its_notice() -> None:
    assert heard(a_refunds_notice(code="BF00103", amount="")) == Declined(
        FailureCode.MERCHANT_BALANCE_SHORT, "BF00103", "说明[BF00103]", "20160119458974"
    )


def test_a_notice_is_of_what_its_letter_says_whatever_number_it_carries() -> None:
    reader = callbacks_of(an_adapter(CASE.processing)[0])
    refund = reader.read(refund_notification(a_refunds_notice(OTHER_NUMBER, trans_id=OTHER_NUMBER)))
    payment = reader.read(notification(a_notice(OTHER_NUMBER) | {"refund_order_no": NUMBER}))
    assert (refund.number, refund.verb) == (OTHER_NUMBER, Verb.REFUND)
    assert (payment.number, payment.verb) == (OTHER_NUMBER, Verb.PAY)


@pytest.mark.parametrize(
    "content",
    [
        a_refunds_notice(member_id=100025774),
        a_refunds_notice(terminal_id=""),
        a_refunds_notice(""),
        a_refunds_notice("x" * 65),
        a_refunds_notice("退款"),
        # Answers to what we asked, sent here by somebody.
        a_refunds_notice(txn_sub_type="09"),
        a_refunds_notice(txn_sub_type="10"),
        a_refunds_notice(txn_type="331"),
        # By somebody else, and what is no letter about refunds.
        sealed_json({"refund_order_no": NUMBER, "resp_code": "0000"}, by=STRANGER),
        letter({"trans_head": {"return_code": "0000"}}),
        sealed_json([NUMBER]),
        sealed_json(NUMBER),
        b"",
        b"zz",
        b"00" * 128,
        "密".encode(),
    ],
)
def test_what_is_no_notice_of_a_refund_of_this_merchant_is_rejected(content: bytes) -> None:
    with pytest.raises(CallbackRejectedError):
        callbacks_of(an_adapter(CASE.processing)[0]).read(refund_notification(content))


@pytest.mark.parametrize("number", ["4985612", "R-2026.03_01", "x" * 64])
def test_a_refund_that_was_made_by_hand_is_read_whatever_its_number_looks_like(number: str) -> None:
    callback = callbacks_of(an_adapter(CASE.processing)[0]).read(refund_notification(a_refunds_notice(number)))
    assert (callback.number, callback.verb) == (number, Verb.REFUND)


def test_it_is_answered_with_ok_and_nothing_else() -> None:
    assert callbacks_of(an_adapter(CASE.processing)[0]).answer(accepted=True).body == b"OK"


@pytest.mark.parametrize("block", [32, 100, 117])
async def test_a_reader_takes_blocks_of_any_length(block: int) -> None:
    def said_in_blocks(request: httpx.Request) -> httpx.Response:
        told = {name: CASE.refund_of(request)[name] for name in ("member_id", "terminal_id", "txn_sub_type")}
        told |= {"refund_order_no": NUMBER, "resp_code": "0000", "refund_amt": "7"}
        return httpx.Response(200, content=sealed_json(told, block=block))

    assert await asked(said_in_blocks) == Succeeded(7, channel_code="0000")


@pytest.mark.parametrize("name", ["member_id", "terminal_id", "txn_sub_type", "refund_order_no"])
async def test_an_answer_to_another_or_to_nobody_is_unknown(name: str) -> None:
    for value in ("100025774", "", None):
        adapter, _ = an_adapter(lambda request, value=value: CASE.refund_said(request, "0000", **{name: value}))  # type: ignore[misc]
        for command in (a_refund(QUICK), a_refunds_question(QUICK)):
            assert is_unknown(await do(adapter, command), received=False)


async def test_a_plain_error_text_is_nobodys_word() -> None:
    adapter, _ = an_adapter(lambda request: httpx.Response(200, content="商户号或终端号不正确".encode()))
    for command in (a_refund(QUICK), a_refunds_question(QUICK)):
        assert is_unknown(await do(adapter, command), received=False)


async def test_a_code_may_mean_one_thing_of_refunds_and_another_of_payments() -> None:
    refused = {"BF09998": "channel_refused"}
    adapter, wire = an_adapter(lambda request: CASE.answer(request, "BF09998"), refund_declines=refused)
    assert isinstance(await do(adapter, a_refund(QUICK)), Declined)
    assert isinstance(await do(adapter, a_refunds_question(QUICK)), Declined)
    assert isinstance(await do(adapter, a_payment(QUICK)), Unknown)
    adapter, wire = an_adapter(lambda request: CASE.answer(request, "BF09998"), declines=refused)
    assert isinstance(await do(adapter, a_refund(QUICK)), Unknown)
    assert len(wire.sent) == 1
    for never in ("BF00203", "BF00128", "BF00126", "BF00112", "0000"):
        with pytest.raises(AccountError, match="refund_declines"):
            an_adapter(CASE.processing, refund_declines={never: "channel_refused"})


def test_every_refusal_of_a_payment_has_a_meaning_of_a_refund_that_blames_no_payer() -> None:
    assert REFUND_DECLINES.keys() == DECLINES.keys()
    names = ("invalid", "lost", "expired", "frozen", "closed", "unsupported")
    of_the_card = {FailureCode(f"card_{name}") for name in names}
    rest = set(REFUND_DECLINES.values()) - of_the_card - {FailureCode.RISK_REJECTED}
    assert {MEANINGS[code].blame for code in rest} == {Blame.CHANNEL, Blame.PLATFORM}


def test_there_are_refunds_only_where_the_account_says_how_they_are_told() -> None:
    for assumed in (["refund_fields"], ["refund_codes"], []):
        adapter, _ = an_adapter(CASE.processing, assumed=["order_time", *assumed])
        assert Pay in adapter.commands
        assert not {Refund, AskRefund} & adapter.commands.keys()
