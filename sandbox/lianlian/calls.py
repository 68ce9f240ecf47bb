"""The calls of LianLian's quick pay: where each is made, what it must bring and in which form."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.faults import Operation
from sandbox.lianlian.wire import Fields, RefusedError

__all__ = ["BALANCE_CALLS", "CALLS", "CARD", "Call", "check"]

CARD: Final = ("card_no", "acct_name", "bind_mob", "id_type", "id_no")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the protocol: where, what it is for a fault, what it must bring, whether it is encrypted."""

    path: str
    operation: Operation
    wanted: tuple[str, ...]
    is_encrypted: bool = False


CALLS: Final[Mapping[str, Call]] = {
    "bind": Call(
        "mpayapi/v1/bankcardbind",
        "send_code",
        ("user_id", "no_order", "dt_order", "pay_type", "risk_item", *CARD),
        is_encrypted=True,
    ),
    "verify": Call("mpayapi/v1/bankcardbindverfy", "authenticate", ("user_id", "no_order", "token", "verify_code")),
    "prepay": Call(
        "mpayapi/v1/bankcardprepay",
        "pay",
        (
            *("user_id", "busi_partner", "no_order", "dt_order", "name_goods", "money_order", "notify_url"),
            *("pay_type", "risk_item"),
        ),
        is_encrypted=True,
    ),
    "pay": Call("mpayapi/v1/bankcardpay", "pay", ("no_order", "money_order", "token", "verify_code")),
    "query": Call("queryapi/orderquery.htm", "query", ("no_order", "dt_order")),
    "unbind": Call("traderapi/bankcardunbind.htm", "unbind", ("user_id", "no_agree")),
}
BALANCE_CALLS: Final[Mapping[str, Call]] = {
    "query_balance": Call("traderapi/traderAcctQuery.htm", "query_balance", ("api_version",)),
}
FORMATS: Final[Mapping[str, str]] = {
    "user_id": ".{1,32}",
    "no_order": "[0-9A-Za-z_-]{1,32}",
    "dt_order": "[0-9]{14}",
    "pay_type": "[23P]",
    "busi_partner": "101001|109001",
    "name_goods": ".{1,40}",
    "notify_url": "https?://[^ ]{1,121}",
    "card_no": "[0-9]{12,19}",
    "bind_mob": "[0-9]{11}",
    "id_type": "0",
    "id_no": "[0-9X]{15}|[0-9X]{18}",
    "valid_order": "[0-9]{1,5}",
    "verify_code": ".{1,6}",
}


def check(call: Call, fields: Fields) -> None:
    """Raise RefusedError with 1004 for a field that is missing or has the wrong form."""
    for wanted in call.wanted:
        if not fields.get(wanted):
            raise RefusedError("1004", wanted)
    for field, form in FORMATS.items():
        if fields.get(field) and not re.fullmatch(form, fields[field]):
            raise RefusedError("1004", field)
