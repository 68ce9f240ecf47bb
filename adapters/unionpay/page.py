"""UnionPay's gateway (网关支付): the form by which a payer's browser opens its page, and what is said of such an order.

Source: UnionPay's own gateway demos for Java and PHP, and the field list of its specification (H); L: inference. The
payer may try again with another card until payTimeout, so a refusal, an order in process and "no such order" all say no
more than "not paid so far"; what a question tells after payTimeout is final (H). UnionPay takes nothing after it, but
for a bank's own page that is open: what is paid there too late is given back by UnionPay and never notified (42; H).
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from zoneinfo import ZoneInfo

from adapters.account import AccountError, setting
from gateway.domain.cards import bank_names
from gateway.domain.outcomes import Closed, Declined, Outcome, Processing, Unknown
from gateway.domain.scenes import Scene
from gateway.ports import AccountSettings, Redirect

__all__ = ["GATEWAY", "SCENE", "Page", "read_on_a_page"]

BEIJING: Final = ZoneInfo("Asia/Shanghai")
SCENE: Final = Scene.NETBANK_CHARGE
GATEWAY: Final = "000201"
"""bizType of what is paid on the page, in questions and refunds, too (H)."""
CHANNEL_TYPES: Final[Mapping[str, str]] = {"PC": "07", "MOBILE": "08"}
"""Of which device the page is made for (H)."""
MAX_TEXT_BYTES: Final = 60
"""Of commodityName. Its size is not public: 20 Chinese characters are less than any field for a name of theirs."""
UNPAID: Final = frozenset({"05", "70"})
"""Accepted, or waiting for the payer. 03 and 04 are not among them: there UnionPay itself does not know."""
PAID_TOO_LATE: Final = "42"

# Inside {k=v&k=v} the demos ask for full-width characters instead of the ones that separate (H, for reqReserved).
_HARMLESS: Final = str.maketrans("&={}[]\"'", "＆＝｛｝【】“‘")
_ISS_INS_CODE: Final = re.compile(r"[0-9A-Za-z]{1,20}")


class Page:
    """How one account has it opened. Raises AccountError.

    Settings, both optional: `user_device` (`PC` or `MOBILE`), and `bank_pages`: banks of ours whose own page is opened
    at once, each with its issInsCode. UnionPay lets a merchant do that by contract alone (H), and most of its letters
    are in no public source; other banks are chosen on UnionPay's page.
    """

    def __init__(self, account: AccountSettings) -> None:
        device, told = setting(account, "user_device", "PC"), account.settings.get("bank_pages", {})
        if device not in CHANNEL_TYPES:
            raise AccountError(account, "user_device", "must be PC or MOBILE")
        if not isinstance(told, Mapping) or not all(_ISS_INS_CODE.fullmatch(str(code)) for code in told.values()):
            raise AccountError(account, "bank_pages", "must be banks with the issInsCode of each")
        if unknown := sorted(set(map(str, told)) - bank_names().keys()):
            raise AccountError(account, "bank_pages", f"has banks that are not known here: {', '.join(unknown)}")
        self._channel_type = CHANNEL_TYPES[device]
        self._banks = {str(bank): str(code) for bank, code in told.items()}

    def told(self, command: Redirect) -> dict[str, str]:
        """What the form says beside its order. An empty field is not sent (H)."""
        text = in_braces(command.description, MAX_TEXT_BYTES)
        fields = {
            "channelType": self._channel_type,
            "txnAmt": str(command.amount),
            "currencyCode": "156",
            "frontUrl": command.return_url,
            "backUrl": command.notify_url,
            "payTimeout": command.expires_at.astimezone(BEIJING).strftime("%Y%m%d%H%M%S"),
            "issInsCode": self._banks.get(command.bank, ""),
            "riskRateInfo": f"{{commodityName={text}}}" if text else "",
        }
        return {name: value for name, value in fields.items() if value}


def in_braces(text: str, max_bytes: int) -> str:
    """A text in one line and no longer than this in UTF-8, without what separates; no character is cut in two."""
    shown = "".join(each if each.isprintable() else " " for each in " ".join(text.split())).translate(_HARMLESS)
    return shown.encode()[:max_bytes].decode(errors="ignore").strip()


def read_on_a_page(outcome: Outcome) -> Outcome:
    """What a word about an order means while its payer may still try: only what is paid is final."""
    match outcome:
        case Declined():
            code, message = outcome.channel_code, outcome.channel_message
            return Processing(code, message, outcome.channel_transaction_no, unpaid=True)
        case Processing() if outcome.channel_code in UNPAID:
            return replace(outcome, unpaid=True)
        case Unknown(received=True) if outcome.channel_code == PAID_TOO_LATE:
            return Closed(outcome.channel_code, outcome.channel_message)
        case _:
            return outcome
