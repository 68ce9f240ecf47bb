"""The form that brings a payer's browser to YeePay (Buy): pure, and the same for the same payment."""

from datetime import timedelta
from typing import Final

from adapters.yeepay.codes import BANKS, OWN_LIST
from adapters.yeepay.letter import BUY, CHARSET, signed
from gateway.domain.money import yuan
from gateway.domain.redirects import Form
from gateway.ports import Redirect

__all__ = ["MAX_NOTIFY_URL", "buy", "in_gbk"]

MAX_NOTIFY_URL: Final = 50
"""Of pb_ServerNotifyUrl (H)."""
MAX_TEXT: Final = 20
"""Of p5_Pid. Whether it counts bytes or characters is not stated: bytes are the shorter of the two."""
NO_ADDRESS, ANSWERS = "0", "1"
"""p9_SAF: the payer is asked for no postal address. pr_NeedResponse: notices are sent until they are answered."""
LACKING: Final = "?"
# It parts the fields in what is signed.
_PARTING: Final = str.maketrans("#", "＃")


def buy(command: Redirect, url: str, mer_id: str, key: bytes) -> Form:
    """The form, signed. Its expiry is told as a time to live, which YeePay counts from when the form arrives there."""
    lives = max(1, (command.expires_at - command.told_at) // timedelta(seconds=1))
    fields = {
        "p0_Cmd": "Buy",
        "p1_MerId": mer_id,
        "p2_Order": command.number,
        "p3_Amt": yuan(command.amount),
        "p4_Cur": "CNY",
        "p5_Pid": in_gbk(command.description, MAX_TEXT),
        "p8_Url": command.return_url,
        "p9_SAF": NO_ADDRESS,
        # Without it, or with one that does not fit, the server's copy goes to p8_Url, too (H).
        "pb_ServerNotifyUrl": command.notify_url if len(command.notify_url) <= MAX_NOTIFY_URL else "",
        "pd_FrpId": BANKS.get(command.bank, OWN_LIST),
        "pm_Period": str(lives),
        "pn_Unit": "second",
        "pr_NeedResponse": ANSWERS,
    }
    return Form(url, signed(BUY, fields, key), method="POST", charset="gbk")


def in_gbk(text: str, max_bytes: int) -> str:
    """What GBK can write of a text, in one line and no longer than this many bytes; no character is cut in two.

    A browser would write what GBK lacks as `&#…;`, and a line's end anew: after it was signed.
    """
    shown = "".join(each if each.isprintable() else " " for each in " ".join(text.split())).translate(_PARTING)
    kept, size = [], 0
    for each in shown:
        letter = each if _is_written(each) else LACKING
        size += len(letter.encode(CHARSET))
        if size > max_bytes:
            break
        kept.append(letter)
    return "".join(kept).strip()


def _is_written(letter: str) -> bool:
    try:
        letter.encode(CHARSET)
    except UnicodeEncodeError:
        return False
    return True
