"""What the bank's answers and notices mean: rechargeStatus is the word that counts, code and status are of the call."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from adapters.lanmao.codes import CALLED, DONE, FAIL, NOT_CALLED, NOT_DONE, PENDDING, SUCCESS, Reasons
from adapters.lanmao.letter import Fields, fen, texts_of
from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import Declined, NotFound, Outcome, Processing, Succeeded, Unknown

__all__ = ["read_charge", "read_question", "read_state"]

MAX_CODE_CHARS: Final = 32
MAX_MESSAGE_CHARS: Final = 256
MAX_RECORDS: Final = 20
BEIJING: Final = timezone(timedelta(hours=8))


def read_charge(fields: Fields, reasons: Reasons) -> Outcome:
    """The answer to DIRECT_RECHARGE about our order.

    A call that failed (code 1, INIT) charged nothing: the account says that this is so, and which code means that the
    number was there already.
    """
    if "rechargeStatus" in fields:
        return read_state(fields, reasons)
    code, message = _said(fields)
    if code in reasons.number_used:
        return Unknown("the number was used before", code, message, received=True)
    if fields.get("code") == NOT_CALLED and fields.get("status", NOT_DONE) == NOT_DONE:
        meant = reasons.failure(None, fields.get("errorCode")) or F.CHANNEL_REFUSED
        return Declined(meant, code, message)
    return Unknown("it says nothing of the payment", code, message)


def read_question(read: Mapping[str, Any], number: str, reasons: Reasons) -> Outcome:
    """The answer to QUERY_TRANSACTION: its own code, then the record with our number."""
    fields, records = texts_of(read), read.get("records")
    code, message = _said(fields)
    if fields.get("code") == NOT_CALLED and code in reasons.no_record:
        return NotFound(code, message)
    if fields.get("code") != CALLED or not isinstance(records, list) or len(records) > MAX_RECORDS:
        return Unknown("the question failed", code, message)
    if not records:
        return NotFound(code, message)
    ours = [texts_of(each) for each in records if isinstance(each, dict) and each.get("requestNo") == number]
    if len(ours) != 1:
        return Unknown("not one record of this order")
    return read_state(ours[0], reasons)


def read_state(fields: Fields, reasons: Reasons) -> Outcome:
    """rechargeStatus: the same in an answer, a record and a notice. The bank has the order, whatever it is."""
    word = fields.get("rechargeStatus", "")[:MAX_CODE_CHARS]
    code, message = _said(fields)
    if word == PENDDING:
        return Processing(word, message)
    if word == FAIL:
        company, psp_code, bank_code = (fields.get(name) for name in ("payCompany", "channelErrorCode", "errorCode"))
        return Declined(reasons.failure(company, psp_code, bank_code) or F.CHANNEL_REFUSED, code or word, message)
    if word != SUCCESS:
        return Unknown("a state without a meaning", word or None, message, received=True)
    if fields.get("code", CALLED) != CALLED or fields.get("status", DONE) != DONE:
        return Unknown("paid, by a call that failed", word, message, received=True)
    amount = fen(fields.get("amount"))
    if amount is None:
        return Unknown("paid, without a readable amount", word, message, received=True)
    return Succeeded(amount, channel_finished_at=_time(fields.get("transactionTime")), channel_code=word)


def _said(fields: Fields) -> tuple[str | None, str | None]:
    """The code of whoever refused, the PSP before the bank, and its words; cut to a size that can be kept."""
    code = fields.get("channelErrorCode") or fields.get("errorCode")
    message = fields.get("channelErrorMessage") or fields.get("errorMessage")
    return (code or "")[:MAX_CODE_CHARS] or None, (message or "")[:MAX_MESSAGE_CHARS] or None


def _time(text: str | None) -> datetime | None:
    """yyyyMMddHHmmss in Beijing, as UTC; None for what is no time: the day of a payment does not hang on it."""
    if text is None or len(text) != 14 or not (text.isascii() and text.isdecimal()):
        return None
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
