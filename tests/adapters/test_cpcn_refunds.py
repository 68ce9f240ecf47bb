"""CPCN's refunds (2521 and 2522, 1133 and 1132, the notice 1138): what their XML says, and states that no payment has.

What they have in common with the refunds of others is in `contract` and `contract_faults`, the latter in every scene.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from adapters.account import AccountError
from gateway.domain.failures import FailureCode as F
from gateway.domain.intents import Verb
from gateway.domain.outcomes import Declined, NotFound, Outcome, Processing, Succeeded, Unknown
from gateway.domain.scenes import Scene
from gateway.domain.terms import Product
from gateway.ports import CallbackRejectedError, Provider
from tests.adapters.case import (
    AMOUNT,
    NUMBER,
    OTHER_NUMBER,
    Psp,
    Wire,
    a_payout,
    a_refund,
    a_refunds_question,
    callbacks_of,
    do,
    is_unknown,
    meaning_of,
)
from tests.adapters.cpcn_case import (
    INSTITUTIONS,
    STRANGER,
    CpcnCase,
    document,
    fields_of,
    form_of,
    notice_of,
    page_notice_of,
    payout_notice_of,
    refund_notice_of,
)

CASE = CpcnCase()
CARDS = (Scene.QUICK_CHARGE, Scene.WITHHOLD)
PAGE = Scene.NETBANK_CHARGE
STATES: dict[str, object] = {
    "10": Processing,
    "20": F.CHANNEL_REFUSED,
    "30": Processing,
    "40": Succeeded,
    **dict.fromkeys(("", "0", "50", "15", "４０", "40.0", "x" * 99), Unknown),
}
AT = datetime(2026, 3, 1, 16, 31, tzinfo=UTC)


def an_adapter(psp: Psp = CASE.processing, **settings: object) -> tuple[Provider, Wire]:
    account, wire = CASE.account(), Wire(psp)
    return CASE.build(replace(account, settings={**account.settings, **settings}), wire), wire


def in_state(status: str, **more: str) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: CASE.told(request, **{"Status": status, "Amount": str(AMOUNT), **more})


def told(text: bytes) -> Outcome:
    """What a notice with this text says of its refund."""
    callback = callbacks_of(an_adapter()[0]).read(form_of(text))
    assert (callback.number, callback.verb) == (NUMBER, Verb.REFUND)
    return callback.outcome


async def test_what_a_card_paid_and_what_was_paid_on_a_page_are_given_back_by_our_number_of_the_payment() -> None:
    adapter, wire = an_adapter()
    for scene in (*CARDS, PAGE):
        refund = replace(a_refund(scene), original_transaction_no=None, reason="多收\n<b>")
        assert isinstance(await do(adapter, refund), Processing)
    of_a_card = {"TxCode": "2521", "InstitutionID": "900001", "TxSN": NUMBER}
    of_a_page = {"TxCode": "1133", "InstitutionID": "900001", "SerialNumber": NUMBER, "RefundType": ""}
    both = {"PaymentNo": OTHER_NUMBER, "Amount": str(AMOUNT), "Remark": "多收 <b>"}
    assert [fields_of(each) for each in wire.sent] == [of_a_card | both, of_a_card | both, of_a_page | both]


async def test_each_is_asked_about_by_its_own_number() -> None:
    adapter, wire = an_adapter()
    for scene in (*CARDS, PAGE):
        await do(adapter, a_refunds_question(scene))
    of_a_card = {"TxCode": "2522", "InstitutionID": "900001", "TxSN": NUMBER}
    of_a_page = {"TxCode": "1132", "InstitutionID": "900001", "SerialNumber": NUMBER}
    assert [fields_of(each) for each in wire.sent] == [of_a_card, of_a_card, of_a_page]


async def test_what_is_not_paid_here_is_declined_and_nothing_is_sent() -> None:
    adapter, wire = an_adapter()
    assert meaning_of(await do(adapter, a_refund(Scene.CUSTODY_WITHHOLD))) == F.CHANNEL_REFUSED
    assert is_unknown(await do(adapter, a_refunds_question(Scene.CUSTODY_WITHHOLD)), received=False)
    assert wire.sent == []


@pytest.mark.parametrize("scene", [*CARDS, PAGE])
async def test_the_states_of_a_refund_are_its_own_by_question_and_by_notice(scene: Scene) -> None:
    adapter, wire = an_adapter()
    for status, meaning in STATES.items():
        wire.psp = in_state(status)
        asked, heard = await do(adapter, a_refunds_question(scene)), told(refund_notice_of(NUMBER, AMOUNT, status))
        assert meaning_of(asked) == meaning_of(heard) == meaning, status
        assert not isinstance(asked, Unknown) or asked.received, status
        assert not isinstance(heard, Unknown) or heard.received, status
    wire.psp = in_state("40", RefundTime="20260302003100")
    done = Succeeded(AMOUNT, channel_finished_at=AT, channel_code="40")
    assert await do(adapter, a_refunds_question(scene)) == told(refund_notice_of(NUMBER, AMOUNT)) == done
    for odd in ("", "12.5", "-1", "1e5", "１２３"):
        wire.psp = in_state("40", Amount=odd)
        assert is_unknown(await do(adapter, a_refunds_question(scene)), received=True), odd
        assert is_unknown(told(refund_notice_of(NUMBER, odd)), received=True), odd


@pytest.mark.parametrize("scene", [*CARDS, PAGE])
async def test_no_such_refund_is_evidence_and_never_proof(scene: Scene) -> None:
    adapter, wire = an_adapter()
    for code in ("240020", "270058", "30252202"):
        wire.psp = lambda request, code=code: CASE.said(request, code)  # type: ignore[misc]
        assert await do(adapter, a_refunds_question(scene)) == NotFound(code, "说明")
    assert not adapter.declaration.terms[Product.REFUND].proves_lost(10_000, 365 * 24 * 3600.0)


async def test_a_20_is_a_payment_that_was_paid_and_a_refund_that_failed_whatever_number_they_carry() -> None:
    reader = callbacks_of(an_adapter()[0])
    # The refund's notice names its payment, too; and somebody's refund may have a payment's number.
    refund = reader.read(form_of(refund_notice_of(NUMBER, AMOUNT, "20", PaymentNo=OTHER_NUMBER)))
    payment = reader.read(form_of(page_notice_of(OTHER_NUMBER, AMOUNT, "20")))
    assert (refund.number, refund.verb, refund.outcome) == (NUMBER, Verb.REFUND, Declined(F.CHANNEL_REFUSED, "20"))
    assert (payment.number, payment.verb) == (OTHER_NUMBER, Verb.PAY)
    assert isinstance(payment.outcome, Succeeded)
    same = reader.read(form_of(refund_notice_of(OTHER_NUMBER, AMOUNT, "40", PaymentNo=OTHER_NUMBER)))
    assert (same.number, same.verb) == (OTHER_NUMBER, Verb.REFUND)


def test_a_payments_notice_that_names_a_refund_is_of_the_payment_and_the_reverse() -> None:
    reader = callbacks_of(an_adapter()[0])
    payment = reader.read(form_of(page_notice_of(OTHER_NUMBER, AMOUNT, "20", SerialNumber=NUMBER)))
    assert (payment.number, payment.verb) == (OTHER_NUMBER, Verb.PAY)
    payout = reader.read(form_of(payout_notice_of(NUMBER, AMOUNT, "40", PaymentNo=OTHER_NUMBER)))
    assert payout.verb is Verb.PAYOUT


@pytest.mark.parametrize(
    "text",
    [
        refund_notice_of("", AMOUNT),
        refund_notice_of("x" * 65, AMOUNT),
        refund_notice_of("退款", AMOUNT),
        refund_notice_of(NUMBER, AMOUNT, InstitutionID=INSTITUTIONS["second"]),
        # What answers a question, or asks one, tells nothing here.
        document("Response", {"Code": "2000", "TxCode": "1138"}, {"SerialNumber": NUMBER, "Status": "40"}),
        document("Request", {"TxCode": "1132"}, {"InstitutionID": INSTITUTIONS["first"], "SerialNumber": NUMBER}),
        document("Request", {"TxCode": "2838"}, {"InstitutionID": INSTITUTIONS["first"], "SerialNumber": NUMBER}),
        notice_of(NUMBER, AMOUNT, "40", TxCode="1138"),
    ],
)
def test_what_is_no_notice_of_a_refund_of_ours_is_rejected(text: bytes) -> None:
    with pytest.raises(CallbackRejectedError):
        callbacks_of(an_adapter()[0]).read(form_of(text))


@pytest.mark.parametrize("number", ["7", "R-2026.03_01", "x" * 64])
def test_a_refund_that_was_made_by_hand_is_read_whatever_its_number_looks_like(number: str) -> None:
    callback = callbacks_of(an_adapter()[0]).read(form_of(refund_notice_of(number, AMOUNT)))
    assert (callback.number, callback.verb) == (number, Verb.REFUND)


def test_a_notice_by_a_stranger_is_rejected() -> None:
    with pytest.raises(CallbackRejectedError):
        callbacks_of(an_adapter()[0]).read(form_of(refund_notice_of(NUMBER, AMOUNT), by=STRANGER))


async def test_the_banks_words_are_of_no_payer_and_the_head_may_be_explained_by_the_account() -> None:
    adapter, wire = an_adapter(refund_declines={"240091": "merchant_balance_short"})
    wire.psp = in_state("20", ResponseCode="51", ResponseMessage="余额不足")
    assert await do(adapter, a_refunds_question(PAGE)) == Declined(F.CHANNEL_REFUSED, "51", "余额不足")
    wire.psp = lambda request: CASE.said(request, "240091")
    for scene in (*CARDS, PAGE):
        assert meaning_of(await do(adapter, a_refund(scene))) == F.MERCHANT_BALANCE_SHORT
    assert is_unknown(await do(adapter, a_payout()), received=True)
    with pytest.raises(AccountError, match="refund_declines"):
        an_adapter(refund_declines={"2000": "channel_refused"})
