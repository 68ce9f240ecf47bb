"""A request with its encrypted parts opened; it lives as long as the call and is never written anywhere."""

import json
import re
from dataclasses import dataclass
from typing import Final

from sandbox.baofoo.wire import Message, RefusedError, unseal
from sandbox.keys import Identity

__all__ = ["FORMAT_WRONG", "MISSING", "Request", "read_request"]

MISSING: Final = "BF00120"
FORMAT_WRONG: Final = "BF00121"

AMOUNT: Final = re.compile("0*[1-9][0-9]{0,11}")
TRANS_ID: Final = re.compile("[A-Za-z0-9]{8,50}")
RETURN_URL: Final = re.compile(r"https?://[^ |]+(\|https?://[^ |]+){0,2}")
MAX_RETURN_URL: Final = 500


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """What a transaction needs to know of a message. Amounts in fen, 0 where there is none."""

    message: Message
    order_no: str
    amount: int
    account: tuple[str, ...]
    """Of acc_info: card, name, ID number, phone, security code, expiry."""
    card_no: str
    protocol_no: str
    unique_code: str
    sms_code: str


def read_request(message: Message, wanted: tuple[str, ...], psp: Identity) -> Request:
    """Check and open a message. Raises RefusedError."""
    for name in wanted:
        if not message[name]:
            raise RefusedError(MISSING, name)
    for name, form in (("trans_id", TRANS_ID), ("txn_amt", AMOUNT), ("return_url", RETURN_URL)):
        if message[name] and not form.fullmatch(message[name]):
            raise RefusedError(FORMAT_WRONG, name)
    if len(message["return_url"]) > MAX_RETURN_URL:
        raise RefusedError(FORMAT_WRONG, "return_url")
    _check_risk(message["risk_item"])
    account = tuple(unseal(message, "acc_info", psp).split("|"))
    unique_code, _, sms_code = unseal(message, "unique_code", psp).rpartition("|")
    return Request(
        message=message,
        order_no=message["trans_id"] or message["orig_trans_id"],
        amount=int(message["txn_amt"] or 0),
        account=account,
        card_no=account[0] or unseal(message, "acc_no", psp),
        protocol_no=unseal(message, "protocol_no", psp),
        unique_code=unique_code,
        sms_code=sms_code,
    )


def _check_risk(risk_item: str) -> None:
    if not risk_item:
        return
    try:
        risk = json.loads(risk_item)
    except ValueError:
        risk = None
    if not isinstance(risk, dict) or not {"goodsCategory", "chPayIp"} <= risk.keys():
        raise RefusedError(FORMAT_WRONG, "risk_item")
