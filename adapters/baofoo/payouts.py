"""Baofoo's payouts (宝付代付): BF0040001 sends one, BF0040002 asks for it, BF0040003 lists what came back on a day.

Sources: Baofoo's document V4.1.11, its clients' fields and states (H). A call's return_code is never how a payout
stands: 0000 says that it was taken on. The question works for 24 hours; afterwards only the day's list tells that one
came back (state 2). 0401 is "no such order" and proves nothing: the statement decides.
Not public: why a payout failed or came back but for words; a merchant without money is told in words, too (L).
Baofoo's notices of payouts are not taken: nothing that is encrypted in them says whose payout it is.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from adapters.account import base_url, more_declines, private_key, public_key, setting
from adapters.baofoo.letter import BEIJING, TIME, UnbelievableError
from adapters.baofoo.payout_letter import Item, fen, head_of, items_of, opened, sealed
from gateway.domain.cards import bank_names
from gateway.domain.failures import FailureCode as F
from gateway.domain.money import yuan
from gateway.domain.outcomes import (
    Declined,
    NotFound,
    NotSent,
    Outcome,
    Processing,
    Returned,
    ReturnedPayout,
    ReturnsListed,
    ReturnsOutcome,
    Succeeded,
    Unknown,
)
from gateway.domain.payees import PayeeRules, PayeeType
from gateway.domain.returns import failure_in, reason_in
from gateway.domain.terms import Terms
from gateway.ports import (
    AccountSettings,
    AskPayout,
    AskReturnedPayouts,
    NotSentError,
    Payout,
    Transport,
    TransportError,
)

__all__ = ["PAYEES", "Payouts"]

CONNECT_TIMEOUT_S: Final = 5.0
PATH: Final = "/baofoo-fopay/pay"
PAY, ASK, ASK_RETURNED = "BF0040001", "BF0040002", "BF0040003"
MAX_SUMMARY: Final = 80
"""Characters, of the 256 bytes that trans_summary has (H)."""

PAYEES: Final = PayeeRules(
    needs={PayeeType.PERSONAL: frozenset(), PayeeType.CORPORATE: frozenset({"branch", "province", "city"})},
    banks=frozenset(bank_names()),
)

TAKEN_ON: Final = frozenset({"0000", "200"})
SAYS_NOTHING: Final = frozenset({"0300", "0999", "0401"})
"""To what is sent: the payout may be there or not (H)."""
NOT_FOUND: Final = "0401"
REFUSALS: Final[Mapping[str, F]] = {
    # Parameters, certificate, format, too many; not enabled, merchant, address, terminal; restricted, lists.
    **dict.fromkeys(("0001", "0002", "0003", "0004", "0201", "0202", "0203", "0204"), F.CHANNEL_REFUSED),
    **dict.fromkeys(("0206", "0207", "0208", "0301", "0501", "0601"), F.CHANNEL_REFUSED),
    "0205": F.RISK_REJECTED,  # the payee is black-listed
}

OPEN, DONE, FAILED, CAME_BACK = "0", "1", "-1", "2"
WORDS: Final = r"(?s)(?=.*[^\x00-\x7f]).{2,}"


class Payouts:
    """The payouts of one merchant. Settings: `payout_url` and `payout_terminal_id`, where they are others than those of
    payments, and `payout_declines`: words of refusals with our failure codes. Raises AccountError.
    """

    def __init__(self, account: AccountSettings, transport: Transport, terms: Terms) -> None:
        self._transport, self._terms = transport, terms
        self._url = base_url(account, "payout_url" if "payout_url" in account.settings else "base_url") + PATH
        self._member_id = setting(account, "member_id")
        self._terminal_id = setting(account, "payout_terminal_id", setting(account, "terminal_id"))
        self._key, self._psp_key = private_key(account, "merchant_private_key"), public_key(account, "psp_certificate")
        self._declines = more_declines(account, WORDS, "Chinese words of refusals", (), "payout_declines")

    async def pay(self, command: Payout) -> Outcome:
        """Pay out (BF0040001). Declined unsent for a payee whom the protocol cannot say."""
        if (refusal := PAYEES.refusal(command.payee)) is not None:
            return refusal
        payee = command.payee
        content = {
            "trans_no": command.number, "trans_money": yuan(command.amount), "to_acc_name": payee.name,
            "to_acc_no": payee.account_no, "to_bank_name": bank_names()[payee.bank],
            "to_pro_name": payee.province or "", "to_city_name": payee.city or "", "to_acc_dept": payee.branch or "",
            "trans_card_id": "", "trans_mobile": "", "trans_summary": _shown(command.purpose),
        }  # fmt: skip
        answer = await self._call(PAY, content)
        return _read_taken(answer, command.number) if isinstance(answer, dict) else answer

    async def ask(self, command: AskPayout) -> Outcome:
        """Ask for a payout (BF0040002), of the last 24 hours."""
        answer = await self._call(ASK, {"trans_batchid": "", "trans_no": command.number})
        return _read_question(answer, command.number, self._declines) if isinstance(answer, dict) else answer

    async def ask_returned(self, command: AskReturnedPayouts) -> ReturnsOutcome:
        """Ask which payouts came back on a day (BF0040003)."""
        day = f"{command.day:%Y%m%d}"
        answer = await self._call(ASK_RETURNED, {"trans_btime": day, "trans_etime": day})
        return _read_list(answer) if isinstance(answer, dict) else answer

    async def _call(self, service: str, item: Mapping[str, str]) -> dict[str, Any] | NotSent | Unknown:
        """Send once, and believe the answer only if Baofoo wrote it."""
        form = {
            "member_id": self._member_id, "terminal_id": self._terminal_id, "data_type": "json",
            "data_content": sealed({"trans_reqDatas": [{"trans_reqData": [item]}]}, self._key), "version": "4.0.0",
        }  # fmt: skip
        timeout = httpx.Timeout(self._terms.answer_timeout_s, connect=CONNECT_TIMEOUT_S)
        request = httpx.Request(
            "POST",
            f"{self._url}/{service}.do",
            content=urlencode(form).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"},
            extensions={"timeout": timeout.as_dict()},
        )
        try:
            response = await self._transport(request)
            if response.status_code != httpx.codes.OK:
                return Unknown(f"HTTP {response.status_code}")
            return dict(opened(response.content, self._psp_key))
        except NotSentError as error:
            return NotSent(str(error))
        except (TransportError, UnbelievableError) as error:
            return Unknown(str(error))


def _read_taken(answer: Mapping[str, Any], number: str) -> Outcome:
    code, message = head_of(answer)
    if code in TAKEN_ON:
        items = items_of(answer) or []
        if any(item.get("trans_no", number) != number for item in items):
            return Unknown("an answer about another payout")
        return Processing(code, message, next((item.get("trans_orderid") for item in items), None))
    if failure := REFUSALS.get(code or ""):
        return Declined(failure, code, message)
    return Unknown("no final word", code, message, received=code is not None and code not in SAYS_NOTHING)


def _read_question(answer: Mapping[str, Any], number: str, declines: Mapping[str, F]) -> Outcome:
    code, message = head_of(answer)
    if code == NOT_FOUND:
        return NotFound(code, message)
    if code not in TAKEN_ON:
        return Unknown("the question failed", code, message)
    mine = [item for item in items_of(answer) or [] if item.get("trans_no") == number]
    if len(mine) != 1:
        return Unknown(f"{len(mine)} words about this payout", received=bool(mine))
    return _read_state(mine[0], declines)


def _read_state(item: Item, declines: Mapping[str, F]) -> Outcome:
    state, words, theirs = item.get("state", "")[:16] or None, _words(item), item.get("trans_orderid")
    if state == OPEN:
        return Processing(state, words, theirs)
    if state == CAME_BACK:
        return Returned(reason_in(words), state, words)
    if state == FAILED:
        return Declined(failure_in(words, declines), state, words, theirs)
    if state != DONE:
        return Unknown("a state without a meaning", state, words, received=True)
    amount = fen(item.get("trans_money", ""))
    if amount is None:
        return Unknown("paid, without a readable amount", state, words, received=True)
    return Succeeded(amount, theirs, _time(item.get("trans_endtime")), state)


def _read_list(answer: Mapping[str, Any]) -> ReturnsOutcome:
    """The whole list or nothing: a payout that was passed over would never be heard of again."""
    code, message = head_of(answer)
    if code == NOT_FOUND:
        return ReturnsListed((), code)
    items = items_of(answer)
    if code not in TAKEN_ON or items is None:
        return Unknown("the list was not told", code, message)
    payouts = []
    for item in items:
        number, amount, words = item.get("trans_no"), fen(item.get("trans_money", "")), _words(item)
        if not number or amount is None or item.get("state") != CAME_BACK:
            return Unknown("a list that cannot be read", code, message)
        payouts.append(ReturnedPayout(number, amount, Returned(reason_in(words), CAME_BACK, words),
                                      item.get("trans_orderid")))  # fmt: skip
    return ReturnsListed(tuple(payouts), code)


def _words(item: Item) -> str | None:
    return item.get("trans_remark", "")[:256] or None


def _shown(text: str) -> str:
    """A purpose for people: one line of characters that can be printed."""
    line = "".join(each if each.isprintable() else " " for each in " ".join(text.split()))
    return line[:MAX_SUMMARY].strip()


def _time(text: str | None) -> datetime | None:
    """trans_endtime, where it has the protocol's form of times; never needed."""
    try:
        return datetime.strptime(text or "", TIME).replace(tzinfo=BEIJING).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
