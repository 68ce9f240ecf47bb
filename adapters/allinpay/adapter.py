"""Allinpay TLT (通联): GBK XML, one collect per call (100011), found out by polling (200004), no callbacks.

Sources: H, Allinpay's own Java demo; M, third-party code (`allinpay-tlt-for-laravel`) or a sister platform;
L, inference.
Not public, so chosen here: the answer time, the list of banks, and which business code a merchant has.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import ClassVar, Final
from xml.etree.ElementTree import Element

import httpx

from adapters.account import AccountError, base_url, declared, private_key, public_key, secret, setting
from adapters.allinpay.codes import (
    ASK_FIRST,
    BANKS,
    BATCH_REFUSED,
    DECLINES,
    ID_TYPES,
    IN_PROCESS,
    NO_DECLINES,
    NOTHING_FOUND,
    OK,
    REFUSED,
)
from adapters.allinpay.envelope import (
    UnreadableError,
    UnwritableError,
    in_gbk,
    in_gbk_or_marks,
    node,
    opened,
    said,
    sealed,
    text_of,
)
from gateway.domain.carrying import Carries
from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import (
    Declined,
    NotFound,
    NotSent,
    Outcome,
    Processing,
    Succeeded,
    Unknown,
)
from gateway.domain.scenes import Scene
from gateway.domain.terms import NotFoundRule, Product, Terms
from gateway.ports import (
    AccountSettings,
    AskPayment,
    Declaration,
    NotSentError,
    Pay,
    Table,
    Transport,
    TransportError,
    bound,
)

__all__ = ["Allinpay"]

CONNECT_TIMEOUT_S: Final = 5.0
MAX_REQ_SN: Final = 40
BEIJING: Final = timezone(timedelta(hours=8))

_DECLARATION: Final = Declaration(
    provider="allinpay",
    scenes=frozenset({Scene.WITHHOLD}),
    terms={
        Product.PAYMENT: Terms(
            poll_gaps_s=(300.0,),  # "query about 5 min later, repeatedly" (H)
            # 1002 is "empty result set": the demo (H) concludes nothing from it, sister platforms read "not received"
            # (M). A merchant's notes say that 200004 leaves out what is still in process (M), so 1002 may also be an
            # order that the bank has not answered yet: the time counts more than the number of answers. Lengthen it in
            # the account where the merchant's contract promises nothing better.
            not_found=NotFoundRule(answers=3, over_s=1800.0),
            # No source states one; 100011 waits for the bank, and a cut answer costs 5 min of polling.
            answer_timeout_s=60.0,
        )
    },
    carries=Carries(banks=frozenset(BANKS), charset="gbk", id_types=frozenset(ID_TYPES)),
    identity=frozenset({"merchant_id"}),
)

BUSINESS_CODE: Final = "19900"
"""The demo's code for collecting (M); in production a merchant must send the code it was given, or is refused (M)."""

# What public code sends: 03 with 100011, 04 with 200004 (M).
COLLECT, COLLECT_VERSION = "100011", "03"
QUERY, QUERY_VERSION = "200004", "04"


class Allinpay:
    """One merchant account at Allinpay TLT.

    Settings: `url` (the ProcessServlet), `merchant_id`, `user_name`; optional `business_code`, and `declines`: more
    3xxx codes of this merchant's products with our failure codes. Secrets: `user_pass`, `merchant_private_key` (PEM),
    `psp_certificate` (PEM). Raises AccountError. The certificate is pinned, so its dates and the clock are not asked.
    """

    DECLARATION: ClassVar[Declaration] = _DECLARATION

    def __init__(
        self,
        account: AccountSettings,
        transport: Transport,
        clock: Callable[[], datetime] | None = None,  # noqa: ARG002  every adapter is built alike
    ) -> None:
        self.declaration = declared(account, _DECLARATION)
        self.commands = bound(self, self.COMMANDS)
        self.callbacks = None
        self._transport = transport
        self._url = httpx.URL(base_url(account, "url"))
        self._merchant_id = _writable(account, "merchant_id", setting(account, "merchant_id"))
        self._user_name = _writable(account, "user_name", setting(account, "user_name"))
        self._user_pass = _writable(account, "user_pass", secret(account, "user_pass"))
        business_code = setting(account, "business_code", BUSINESS_CODE)
        self._business_code = _writable(account, "business_code", business_code)
        self._declines = {**DECLINES, **_more_declines(account)}
        self._merchant_key = private_key(account, "merchant_private_key")
        self._psp_key = public_key(account, "psp_certificate")

    async def pay(self, command: Pay) -> Outcome:
        """Collect (100011). Declined without a request when this protocol cannot say it: nothing can have moved."""
        if command.scene not in self.declaration.scenes or command.bank not in BANKS:
            return Declined(F.CARD_UNSUPPORTED)
        try:
            body = self._sealed(COLLECT, COLLECT_VERSION, command.number, self._trans(command))
        except UnwritableError as error:
            # NotSent would send it again for ever, Unknown would ask for half an hour about what never left.
            return Declined(F.CARD_UNSUPPORTED, channel_message=f"the request {error}")
        answer = await self._exchange(command.number, body)
        return self._read_pay(answer) if isinstance(answer, Element) else answer

    async def ask_payment(self, command: AskPayment) -> Outcome:
        """Ask for a collect (200004). A query has a number of its own, made from the order's and the tries so far."""
        req_sn = f"{command.number}Q{command.tries}"
        assert len(req_sn) <= MAX_REQ_SN
        # STATUS 2 all; TYPE 1 by submission: 0 would leave out what is not finished (M).
        asked = node("QTRANSREQ", MERCHANT_ID=self._merchant_id, QUERY_SN=command.number, STATUS="2", TYPE="1")
        answer = await self._exchange(req_sn, self._sealed(QUERY, QUERY_VERSION, req_sn, asked))
        return self._read_query(answer, command.number) if isinstance(answer, Element) else answer

    def _trans(self, command: Pay) -> str:
        card = command.card
        return node(
            "TRANS",
            BUSINESS_CODE=self._business_code,
            MERCHANT_ID=self._merchant_id,
            SUBMIT_TIME=command.told_at.astimezone(BEIJING).strftime("%Y%m%d%H%M%S"),
            BANK_CODE=BANKS[command.bank],
            ACCOUNT_TYPE="00",
            ACCOUNT_NO=card.card_no,
            ACCOUNT_NAME=card.holder_name,
            ACCOUNT_PROP="0",
            AMOUNT=str(command.amount),
            CURRENCY="CNY",
            ID_TYPE=ID_TYPES[card.id_type],
            ID=card.id_no,
            TEL=card.phone,
            # For the merchant's own eyes: a strange user id must not cost a payment.
            CUST_USERID=in_gbk_or_marks(command.user_id),
        )

    def _sealed(self, trx_code: str, version: str, req_sn: str, body: str) -> bytes:
        opening = node(
            "INFO", TRX_CODE=trx_code, VERSION=version, DATA_TYPE="2", LEVEL="5",
            USER_NAME=self._user_name, USER_PASS=self._user_pass, REQ_SN=req_sn,
        )  # fmt: skip
        return sealed(f"<AIPG>{opening}{body}</AIPG>", self._merchant_key)

    async def _exchange(self, req_sn: str, body: bytes) -> Element | Outcome:
        timeout = httpx.Timeout(self.declaration.terms[Product.PAYMENT].answer_timeout_s, connect=CONNECT_TIMEOUT_S)
        request = httpx.Request(
            "POST",
            self._url.copy_merge_params({"MERCHANT_ID": self._merchant_id, "REQ_SN": req_sn}),
            headers={"Content-Type": "text/xml; charset=GBK"},
            content=body,
            extensions={"timeout": timeout.as_dict()},
        )
        try:
            response = await self._transport(request)
        except NotSentError as error:
            return NotSent(str(error))
        except TransportError as error:
            return Unknown(str(error))
        if response.status_code != httpx.codes.OK:
            return Unknown(f"HTTP {response.status_code}")
        try:
            return opened(response.content, self._psp_key, req_sn)
        except UnreadableError as error:
            return Unknown(str(error))

    def _read_pay(self, root: Element) -> Outcome:
        """INFO 0000: TRANSRET holds the bank's word. 2xxx: in process. 1xxx: refused. The rest as the bank's (H)."""
        code, message = said(root, "INFO")
        if code in IN_PROCESS:
            return Processing(code, message)
        if code is not None and REFUSED.fullmatch(code):
            return Declined(F.CHANNEL_REFUSED, code, message)
        if code == OK:
            code, message = said(root, "TRANSRET")
            if code == OK:
                return Succeeded(channel_code=code)
        if code in ASK_FIRST:
            return Unknown("to be asked about", code, message, received=True)
        return self._declined(code, message)

    def _read_query(self, root: Element, number: str) -> Outcome:
        """INFO 0000: the order's QTDETAIL. 2xxx in process, 2004 refused, 1002 empty; else the query itself failed."""
        code, message = said(root, "INFO")
        if code == OK:
            return self._read_detail(root, number)
        if code in IN_PROCESS:
            return Processing(code, message)
        if code == BATCH_REFUSED:
            return Declined(F.CHANNEL_REFUSED, code, message)
        if code == NOTHING_FOUND:
            return NotFound(code, message)
        return Unknown("the query failed", code, message)

    def _read_detail(self, root: Element, number: str) -> Outcome:
        # BATCHID is the order's REQ_SN (H); SN counts inside a batch and a single collect has one line.
        mine = [line for line in root.iterfind("QTRANSRSP/QTDETAIL") if text_of(line, "BATCHID") == number]
        if len(mine) != 1:
            return Unknown(f"{len(mine)} lines about this order", received=bool(mine))
        code, message = said(mine[0])
        if code in IN_PROCESS:
            return Processing(code, message)
        if code != OK:
            return self._declined(code, message)
        amount = text_of(mine[0], "AMOUNT") or ""
        if not re.fullmatch(r"[0-9]{1,15}", amount):
            return Unknown("paid, without a readable amount", code, message, received=True)
        return Succeeded(int(amount), channel_finished_at=_time(text_of(mine[0], "FINTIME")), channel_code=code)

    def _declined(self, code: str | None, message: str | None) -> Outcome:
        if failure := self._declines.get(code or ""):
            return Declined(failure, code, message)
        # It spoke of our order: whatever it meant, a later 1002 proves nothing.
        return Unknown("a code without a meaning", code, message, received=True)

    COMMANDS: ClassVar[Table] = {Pay: pay, AskPayment: ask_payment}


def _time(text: str | None) -> datetime | None:
    """FINTIME (L): taken when it has the protocol's form of times, never needed."""
    try:
        return datetime.strptime(text or "", "%Y%m%d%H%M%S").replace(tzinfo=BEIJING).astimezone(UTC)
    except ValueError:
        return None


def _writable(account: AccountSettings, field: str, value: str) -> str:
    try:
        in_gbk(value)
    except UnwritableError as error:
        raise AccountError(account, field, str(error)) from None
    return value


def _more_declines(account: AccountSettings) -> dict[str, F]:
    declines = account.settings.get("declines", {})
    if not isinstance(declines, Mapping):
        raise AccountError(account, "declines", "must be codes with their failure codes")
    for code, failure in declines.items():
        if not re.fullmatch(r"3\d{3}", str(code)) or str(code) in NO_DECLINES or str(failure) not in set(F):
            raise AccountError(account, "declines", "must be 3xxx codes of refusals with failure codes of ours")
    return {str(code): F(str(failure)) for code, failure in declines.items()}
