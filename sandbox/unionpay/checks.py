"""The checks a request passes before any work: signature, merchant, fields; the first that fails names the respCode."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.unionpay.codes import BANKS
from sandbox.unionpay.wire import Message, RefusedError, verifies

__all__ = ["check_authentic", "check_fields", "check_statement"]

MAX_RESERVED: Final = 1024


def _pattern(expression: str) -> Callable[[str], bool]:
    return lambda value: re.fullmatch(expression, value) is not None


def _is_time(value: str) -> bool:
    try:
        datetime.strptime(value, "%Y%m%d%H%M%S")  # noqa: DTZ007  the wire has Beijing time without a zone
    except ValueError:
        return False
    return len(value) == 14


FORMATS: Final[Mapping[str, Callable[[str], bool]]] = {
    "version": _pattern(r"5\.1\.0"),
    "channelType": _pattern("0[78]"),
    "accessType": _pattern("0"),
    "merId": _pattern("[0-9]{15}"),
    "orderId": _pattern("[A-Za-z0-9]{8,40}"),
    "txnTime": _is_time,
    "currencyCode": _pattern("156"),
    "txnAmt": _pattern("0*[1-9][0-9]{0,11}"),
    "accType": _pattern("01"),
    "backUrl": _pattern("https?://[^ ]{1,500}"),
    "frontUrl": _pattern("https?://[^ ]{1,500}"),
    "payTimeout": _is_time,
    "issInsCode": lambda value: value in BANKS,
    "riskRateInfo": _pattern(r"\{[A-Za-z]+=[^&={}\[\]]+(&[A-Za-z]+=[^&={}\[\]]+)*\}"),
    "origQryId": _pattern("[0-9]{21}"),
    "settleDate": _pattern("[0-9]{4}"),
    "fileType": _pattern("00"),
    "reqReserved": lambda value: len(value) <= MAX_RESERVED,
}
COMMON: Final = ("version", "encoding", "signMethod", "channelType", "accessType", "merId", "orderId", "txnTime")
OF_STATEMENT: Final = ("version", "encoding", "txnTime", "settleDate", "fileType")
QUERY_COMMON: Final = tuple(name for name in COMMON if name != "channelType")


def check_authentic(message: Message, cert_id: str, key: RSAPublicKey, mer_id: str) -> None:
    """Raise RefusedError unless this account's merchant signed it: 13 missing, 11 signature, 31 merchant."""
    for name in ("certId", "signature", "merId"):
        if not message[name]:
            raise RefusedError("13", name)
    if message["signMethod"] != "01":
        raise RefusedError("11", "signMethod")
    if message["certId"] != cert_id or not verifies(message, key):
        raise RefusedError("11")
    if message["merId"] != mer_id:
        raise RefusedError("31")


def check_fields(message: Message, wanted: tuple[str, ...], *, is_query: bool) -> None:
    """Raise RefusedError for a field that is missing (13) or has the wrong form (10)."""
    _check(message, (*(QUERY_COMMON if is_query else COMMON), *wanted))


def check_statement(message: Message) -> None:
    """The same of a request for a statement, which is about no order."""
    if (message["txnType"], message["txnSubType"], message["bizType"]) != ("76", "01", "000000"):
        raise RefusedError("32", "this business is not enabled")
    _check(message, OF_STATEMENT)


def _check(message: Message, wanted: tuple[str, ...]) -> None:
    for name in wanted:
        if not message[name]:
            raise RefusedError("13", name)
    for name, fits in FORMATS.items():
        if message[name] and not fits(message[name]):
            raise RefusedError("10", name)
