"""What YeePay's answers and notices mean, once they are believed."""

from datetime import datetime, timedelta, timezone
from typing import Final

from adapters.yeepay.codes import ALREADY_PAID, CANCELED, DONE, NO_SUCH_ORDER, PAID, UNPAID, YUAN
from adapters.yeepay.letter import Fields, fen
from gateway.domain.outcomes import Closed, NotFound, Outcome, Processing, Succeeded, Unknown

__all__ = ["code_of", "read_cancel", "read_notice", "read_question", "transaction_no_of"]

BEIJING: Final = timezone(timedelta(hours=8))
MAX_CODE_CHARS: Final = 16
MAX_NUMBER_CHARS: Final = 50


def read_question(fields: Fields, number: str) -> Outcome:
    """The answer to QueryOrdDetail about an order of ours."""
    code, about = code_of(fields["r1_Code"]), fields["r6_Order"]
    if about not in {number, ""}:
        return Unknown("the answer is about another order")
    if code == NO_SUCH_ORDER:
        return NotFound(code)
    if code != DONE or not about:
        return Unknown("the question failed", code)
    state = code_of(fields["rb_PayStatus"])
    if state == PAID:
        return _paid(fields, state, _time(fields["ry_FinshTime"]))
    if state == UNPAID:  # also while a bank is at work: the grace waits for it
        return Processing(state, channel_transaction_no=transaction_no_of(fields), unpaid=True)
    return Closed(state) if state == CANCELED else Unknown("a status without a meaning", state, received=True)


def read_cancel(fields: Fields) -> Outcome:
    """The answer to CancelOrd. It names no order: it is about the one that was asked for on the same connection."""
    code = code_of(fields["r1_Code"])
    if code == DONE:
        return Closed(code)
    if code == ALREADY_PAID:
        return Unknown("paid before it could be cancelled", code, received=True)
    return NotFound(code) if code == NO_SUCH_ORDER else Unknown("neither cancelled nor paid", code)


def read_notice(fields: Fields) -> Outcome:
    """A notice. There are none but of payments (H), so another code is no word on the order.

    When it was paid stands outside of what is signed.
    """
    code = code_of(fields["r1_Code"])
    return _paid(fields, code, None) if code == DONE else Unknown("a notice without a meaning", code, received=True)


def _paid(fields: Fields, code: str | None, finished_at: datetime | None) -> Outcome:
    """A success must state its amount."""
    amount = fen(fields["r3_Amt"])
    if amount is None or fields["r4_Cur"] not in YUAN:
        return Unknown("paid, without a readable amount or in another currency", code, received=True)
    return Succeeded(amount, transaction_no_of(fields), finished_at, code)


def transaction_no_of(fields: Fields) -> str | None:
    """YeePay's number of the payment, if it can be one."""
    number = fields["r2_TrxId"]
    return number if 0 < len(number) <= MAX_NUMBER_CHARS else None


def code_of(text: str) -> str | None:
    """Cut to a size that can be kept."""
    return text[:MAX_CODE_CHARS] or None


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING)
    except ValueError:
        return None
