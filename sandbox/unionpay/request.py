"""A request with its sensitive parts opened; it lives as long as the call and is never written anywhere."""

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.keys import Identity
from sandbox.unionpay.wire import Message, RefusedError, customer_of, open_braces, unseal

__all__ = ["Request", "read_request"]


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """What a transaction needs to know of a message. Amounts in fen, 0 where there is none."""

    message: Message
    order_no: str
    amount: int
    card_no: str
    customer: Mapping[str, str]
    token: str
    tr_id: str


def read_request(message: Message, encryption: Identity) -> Request:
    """Open a message whose fields were checked. Raises RefusedError: 10 for what cannot be read."""
    key = None
    if message["encryptCertId"]:
        if message["encryptCertId"] != encryption.cert_id:
            raise RefusedError("10", "encryptCertId")
        key = encryption.key
    card_no = message["accNo"]
    if card_no and key is not None:
        card_no = unseal(card_no, key)
    if card_no and not (card_no.isascii() and card_no.isdecimal() and 12 <= len(card_no) <= 19):
        raise RefusedError("61" if card_no.isascii() and card_no.isdecimal() else "10", "accNo")
    token = open_braces(message["tokenPayData"]) if message["tokenPayData"] else {}
    return Request(
        message=message,
        order_no=message["orderId"],
        amount=int(message["txnAmt"] or 0),
        card_no=card_no,
        customer=customer_of(message, key),
        token=token.get("token", ""),
        tr_id=token.get("trId", ""),
    )
