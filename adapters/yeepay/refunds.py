"""YeePay's refunds (退款): RefundOrd takes one on, RefundResults tells what became of it; there are no notices.

Source: YeePay's own handbook V1.27 and its demos; H where nothing else is said. RefundOrd answered with 1 is booked,
and no more. The payment is named by YeePay's own number, which r2_TrxId tells again; RefundResults states no amount.
What was paid out (2) may be returned by the bank (4), days later.

r4_Order and rf_fee of RefundOrd's answer stand outside of both signatures: r4_Order can only make an answer be believed
less, and rf_fee, what YeePay gives back of its fee, is kept as it was said and decides nothing.
"""

from collections.abc import Mapping
from typing import Final

from adapters.yeepay.answers import code_of, transaction_no_of
from adapters.yeepay.codes import DONE, YUAN
from adapters.yeepay.form import in_gbk
from adapters.yeepay.letter import Fields, fen
from gateway.domain.failures import FailureCode as F
from gateway.domain.money import yuan
from gateway.domain.outcomes import Declined, NotFound, Outcome, Processing, Returned, ReturnReason, Succeeded, Unknown
from gateway.ports import AskRefund, Refund

__all__ = ["asked_of", "read_refund", "read_refunds_question", "refund_of"]

MAX_REASON: Final = 1000
"""Of p5_Desc, as bytes."""

# To RefundOrd. Each says that nothing was given back by it.
DECLINES: Final[Mapping[str, F]] = {
    code: failure
    for failure, codes in (
        # The merchant's account; the order cannot be given back; too much; no such payment (32, 50), or not paid;
        # refunds of old orders, or all, are switched off; the address.
        (F.CHANNEL_REFUSED, "2 7 10 32 50 55 526 6801 10803"),
        (F.MERCHANT_BALANCE_SHORT, "18 900"),
    )
    for code in codes.split()
}
NO_SUCH_REFUND: Final = "-3"
TAKEN: Final = "1"
"""refundStatus: the application was accepted."""
OPEN, PAID_OUT, FAILED, RETURNED = "1", "2", "3", "4"
"""refundFrpStatus: how it stands at the bank."""


def refund_of(command: Refund, original_transaction_no: str) -> Fields:
    """What RefundOrd says beside the merchant."""
    return {
        "p2_Order": command.number,
        "pb_TrxId": original_transaction_no,
        "p3_Amt": yuan(command.amount),
        "p4_Cur": "CNY",
        "p5_Desc": in_gbk(command.reason, MAX_REASON),
    }


def asked_of(command: AskRefund, original_transaction_no: str) -> Fields:
    """What RefundResults says beside the merchant."""
    return {"p2_Order": command.number, "pb_TrxId": original_transaction_no}


def read_refund(fields: Fields, told: Fields, command: Refund) -> Outcome:
    """The answer to RefundOrd. `told`: all of it, what is not signed included."""
    code, about = code_of(fields["r1_Code"]), told.get("r4_Order", "")
    if about not in {command.number, ""}:
        return Unknown("the answer is about another refund")
    if failure := DECLINES.get(code or ""):
        return Declined(failure, code)
    if code != DONE:
        return Unknown("no final word", code, received=True)
    if fen(fields["r3_Amt"]) != command.amount or fields["r4_Cur"] not in YUAN:
        return Unknown("taken on with another amount, or in another currency", code, received=True)
    fee = fen(told.get("rf_fee", ""))
    return Processing(code, channel_transaction_no=transaction_no_of(fields), fee_returned=fee)


def read_refunds_question(fields: Fields, number: str) -> Outcome:
    """The answer to RefundResults about a refund of ours."""
    code, about = code_of(fields["r1_Code"]), fields["r4_Order"]
    if about not in {number, ""}:
        return Unknown("the answer is about another refund")
    if code == NO_SUCH_REFUND:
        return NotFound(code)
    if code != DONE or not about:
        return Unknown("the question failed", code)
    state, known = code_of(fields["refundFrpStatus"]), transaction_no_of(fields)
    if fields["refundStatus"] != TAKEN:
        return Unknown("a status without a meaning", code_of(fields["refundStatus"]), received=True)
    if state == OPEN:
        return Processing(state, channel_transaction_no=known)
    if state == PAID_OUT:
        return Succeeded(None, known, channel_code=state)
    if state == FAILED:
        return Declined(F.CHANNEL_REFUSED, state, channel_transaction_no=known)  # no reason stands beside it
    if state == RETURNED:
        return Returned(ReturnReason.BANK_REJECTED, state)  # no reason stands beside it: the bank gave it back
    return Unknown("a status without a meaning", state, received=True)
