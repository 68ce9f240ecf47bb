"""Allinpay TLT (通联): GBK XML, one collect per call, found out by polling (200004), no callbacks.

Sources: H, Allinpay's own Java demo; M, third-party code (`allinpay-tlt-for-laravel`) or a sister platform;
L, inference.
Not public, so chosen here: the answer time, the list of banks, and which business code a merchant has; what is assumed
stands in `declaration`.

A card is signed by SMS (310001, then 310002 with the REQ_SN of the newest 310001 as SRCREQSN) and then paid from by its
agreement (310011); without one a withhold names the card (100011). Payouts are 100014, asked about as payments are; one
that was paid may be 3056 later. A refund (REFUND; H) is an order of its own that names its payment by our number; it is
answered on the same two levels, and asked about in the same way. No notice of it is public. Signings have no question
here: a lost one is unknown. Each request has a REQ_SN of its own, made of the order's number: `S1`, `S2` for SMS, `C1`
for codes, `Q0` for questions. What the merchant has is told by 300000 (`balance`).
"""

from collections.abc import Callable
from datetime import datetime
from typing import ClassVar, Final
from xml.etree.ElementTree import Element

import httpx

from adapters.account import (
    AccountError,
    allowed,
    base_url,
    declared,
    more_declines,
    private_key,
    public_key,
    secret,
    setting,
    withheld_from_statements,
)
from adapters.allinpay.answers import read_payment, read_query, read_sent_code, read_signing, read_unbinding
from adapters.allinpay.balance import question, read_balance
from adapters.allinpay.bodies import Bodies
from adapters.allinpay.codes import BANKS, DECLINES, NO_DECLINES, PAYOUT_DECLINES, REFUND_DECLINES
from adapters.allinpay.declaration import DECLARATION, PAYEES
from adapters.allinpay.envelope import UnreadableError, UnwritableError, in_gbk, node, opened, sealed
from adapters.allinpay.statement import RULES, AllinpayStatements
from adapters.statement_mapping import mapped
from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import (
    AuthenticationOutcome,
    BalanceOutcome,
    CodeOutcome,
    Declined,
    NotSent,
    Outcome,
    UnbindingOutcome,
    Unknown,
)
from gateway.domain.scenes import Scene
from gateway.domain.terms import Product
from gateway.ports import (
    AccountSettings,
    AskBalance,
    AskPayment,
    AskPayout,
    AskRefund,
    Declaration,
    NotSentError,
    Pay,
    Payout,
    Refund,
    SendSigningCode,
    Sign,
    Table,
    Transport,
    TransportError,
    Unbind,
    bound,
)
from gateway.ports.statements import Statements

__all__ = ["Allinpay"]

CONNECT_TIMEOUT_S: Final = 5.0
MAX_REQ_SN: Final = 40

BUSINESS_CODE: Final = "19900"
"""The demo's code for collecting (M); in production a merchant must send the code it was given, or is refused (M)."""

PAYOUT_BUSINESS_CODE: Final = "00600"
"""The demo's code for paying out (H); in production as above."""

REFUND_BUSINESS_CODE: Final = "09200"
"""The document's code for giving back (H)."""

# What public code sends: 03 with 100011, 04 with 200004 (M), and with REFUND (H).
COLLECT, PAY_OUT, QUERY, GIVE_BACK = "100011", "100014", "200004", "REFUND"
VERSIONS: Final = {QUERY: "04", GIVE_BACK: "04"}
# These say MERCHANT_ID in INFO, too (M; REFUND: H), and those of agreements 03 as their version (M).
SIGNING_SMS, SIGNING, UNBINDING, PAY_BY_AGREEMENT = "310001", "310002", "310003", "310011"
BALANCE: Final = "300000"
WITH_MERCHANT: Final = frozenset({SIGNING_SMS, SIGNING, UNBINDING, PAY_BY_AGREEMENT, GIVE_BACK, BALANCE})

OTHER_DECLINES: Final = (r"3\d{3}", "3xxx codes of refusals", NO_DECLINES)


class Allinpay:
    """One merchant account at Allinpay TLT.

    Settings: `url` (the ProcessServlet), `merchant_id`, `user_name`; optional `business_code`,
    `payout_business_code`, `refund_business_code`, `assumed`, and `declines`, `payout_declines` and `refund_declines`:
    more 3xxx codes of this merchant's products with our failure codes; and those of `statement`. Secrets: `user_pass`,
    `merchant_private_key` (PEM), `psp_certificate` (PEM). Raises AccountError. The certificate is pinned, so its dates
    and the clock are not asked.
    """

    DECLARATION: ClassVar[Declaration] = DECLARATION

    def __init__(
        self,
        account: AccountSettings,
        transport: Transport,
        clock: Callable[[], datetime] | None = None,  # noqa: ARG002  every adapter is built alike
    ) -> None:
        self.declaration = declared(account, DECLARATION)
        self.commands = bound(self, allowed(account, DECLARATION, self.COMMANDS))
        self.callbacks = None
        self._transport = transport
        self._url = httpx.URL(base_url(account, "url"))
        self._merchant_id = _writable(account, "merchant_id", setting(account, "merchant_id"))
        self._user_name = _writable(account, "user_name", setting(account, "user_name"))
        self._user_pass = _writable(account, "user_pass", secret(account, "user_pass"))
        business_codes = {
            "business_code": BUSINESS_CODE,
            "payout_business_code": PAYOUT_BUSINESS_CODE,
            "refund_business_code": REFUND_BUSINESS_CODE,
        }
        told = (_writable(account, name, setting(account, name, code)) for name, code in business_codes.items())
        self._bodies = Bodies(self._merchant_id, *told)
        self._declines = {**DECLINES, **more_declines(account, *OTHER_DECLINES)}
        self._payout_declines = {**PAYOUT_DECLINES, **more_declines(account, *OTHER_DECLINES, "payout_declines")}
        self._refund_declines = {**REFUND_DECLINES, **more_declines(account, *OTHER_DECLINES, "refund_declines")}
        self._merchant_key = private_key(account, "merchant_private_key")
        self._psp_key = public_key(account, "psp_certificate")
        keys = (self._merchant_key, self._psp_key)
        withheld = withheld_from_statements(account, DECLARATION)
        own = None if withheld else AllinpayStatements(account, self._url, self._merchant_id, self._sealed, *keys)
        self.statements: Statements | None = mapped(account, RULES) or own

    async def send_signing_code(self, command: SendSigningCode) -> CodeOutcome:
        """Have an SMS sent to sign with (310001). Each is a request of its own, which the signing names."""
        if command.bank not in BANKS:
            return Declined(F.CARD_UNSUPPORTED)
        req_sn = f"{command.number}S{command.ordinal}"
        body = self._bodies.signing_sms(command)
        answer = await self._told(SIGNING_SMS, req_sn, body, Product.AUTHENTICATION)
        return read_sent_code(answer, req_sn, self._declines) if isinstance(answer, Element) else answer

    async def sign(self, command: Sign) -> AuthenticationOutcome:
        """Sign with the code (310002). Where the answer to its SMS was lost, it was the first one that counts."""
        body = self._bodies.signing(command, command.continuation or f"{command.number}S1")
        answer = await self._told(SIGNING, f"{command.number}C{command.ordinal}", body, Product.AUTHENTICATION)
        return read_signing(answer, self._declines) if isinstance(answer, Element) else answer

    async def unbind(self, command: Unbind) -> UnbindingOutcome:
        """Give the agreement up (310003)."""
        answer = await self._told(UNBINDING, command.number, self._bodies.unbinding(command), Product.AUTHENTICATION)
        return read_unbinding(answer, self._declines) if isinstance(answer, Element) else answer

    async def pay(self, command: Pay) -> Outcome:
        """Pay by the agreement (310011), or collect without one (100011), which only a withhold may.

        Declined without a request when this protocol cannot say it: nothing can have moved.
        """
        if command.scene not in self.declaration.scenes:
            return Declined(F.CARD_UNSUPPORTED)
        if command.agreement_no:
            trx_code, answers_in = PAY_BY_AGREEMENT, "FASTTRXRET"
            body = self._bodies.pay_by_agreement(command, command.agreement_no)
        elif command.scene is Scene.QUICK_CHARGE:
            return Declined(F.AGREEMENT_VOID)
        elif command.bank in BANKS:
            trx_code, answers_in, body = COLLECT, "TRANSRET", self._bodies.collect(command)
        else:
            return Declined(F.CARD_UNSUPPORTED)
        answer = await self._told(trx_code, command.number, body, Product.PAYMENT)
        return read_payment(answer, answers_in, self._declines) if isinstance(answer, Element) else answer

    async def ask_payment(self, command: AskPayment) -> Outcome:
        """Ask for a payment (200004). A query has a number of its own, made from the order's and the tries so far."""
        req_sn = f"{command.number}Q{command.tries}"
        answer = await self._told(QUERY, req_sn, self._bodies.query(command), Product.PAYMENT)
        return read_query(answer, command.number, self._declines) if isinstance(answer, Element) else answer

    async def refund(self, command: Refund) -> Outcome:
        """Give back (REFUND). Declined unsent for what is not paid here: nothing can have moved."""
        if command.scene not in self.declaration.scenes:
            return Declined(F.CHANNEL_REFUSED, channel_message=f"no {command.scene} is paid here")
        answer = await self._told(GIVE_BACK, command.number, self._bodies.refund(command), Product.REFUND)
        return read_payment(answer, "TRANSRET", self._refund_declines) if isinstance(answer, Element) else answer

    async def ask_refund(self, command: AskRefund) -> Outcome:
        """Ask for a refund (200004), as for a payment, by the refund's own number."""
        req_sn = f"{command.number}Q{command.tries}"
        answer = await self._told(QUERY, req_sn, self._bodies.query(command), Product.REFUND)
        if not isinstance(answer, Element):
            return answer
        return read_query(answer, command.number, self._refund_declines, may_return=True)

    async def payout(self, command: Payout) -> Outcome:
        """Pay out (100014). Declined without a request when this protocol cannot say it: nothing can have moved."""
        if (refusal := PAYEES.refusal(command.payee)) is not None:
            return refusal
        answer = await self._told(PAY_OUT, command.number, self._bodies.payout(command), Product.PAYOUT)
        return read_payment(answer, "TRANSRET", self._payout_declines) if isinstance(answer, Element) else answer

    async def ask_payout(self, command: AskPayout) -> Outcome:
        """Ask for a payout (200004), as for a payment."""
        req_sn = f"{command.number}Q{command.tries}"
        answer = await self._told(QUERY, req_sn, self._bodies.query(command), Product.PAYOUT)
        if not isinstance(answer, Element):
            return answer
        return read_query(answer, command.number, self._payout_declines, may_return=True)

    async def ask_balance(self, command: AskBalance) -> BalanceOutcome:
        """Ask what the merchant's basic account has (300000)."""
        answer = await self._told(BALANCE, command.number, question(self._merchant_id), Product.PAYOUT)
        if isinstance(answer, Declined):
            return Unknown("the question cannot be written")
        return read_balance(answer, self._merchant_id) if isinstance(answer, Element) else answer

    async def _told(
        self, trx_code: str, req_sn: str, body: str, product: Product
    ) -> Element | Declined | NotSent | Unknown:
        """One request and its believed answer."""
        assert len(req_sn) <= MAX_REQ_SN
        try:
            request = self._sealed(trx_code, req_sn, body)
        except UnwritableError as error:
            # NotSent would send it again for ever, Unknown would ask for half an hour about what never left.
            return Declined(F.CARD_UNSUPPORTED, channel_message=f"the request {error}")
        return await self._exchange(req_sn, request, product)

    def _sealed(self, trx_code: str, req_sn: str, body: str, version: str | None = None) -> bytes:
        merchant = {"MERCHANT_ID": self._merchant_id} if trx_code in WITH_MERCHANT else {}
        version = version or VERSIONS.get(trx_code, "03")
        opening = node(
            "INFO", TRX_CODE=trx_code, VERSION=version, DATA_TYPE="2", LEVEL="5", **merchant,
            USER_NAME=self._user_name, USER_PASS=self._user_pass, REQ_SN=req_sn,
        )  # fmt: skip
        return sealed(f"<AIPG>{opening}{body}</AIPG>", self._merchant_key)

    async def _exchange(self, req_sn: str, body: bytes, product: Product) -> Element | NotSent | Unknown:
        timeout = httpx.Timeout(self.declaration.terms[product].answer_timeout_s, connect=CONNECT_TIMEOUT_S)
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

    COMMANDS: ClassVar[Table] = {
        SendSigningCode: send_signing_code,
        Sign: sign,
        Unbind: unbind,
        Pay: pay,
        AskPayment: ask_payment,
        Refund: refund,
        AskRefund: ask_refund,
        Payout: payout,
        AskPayout: ask_payout,
        AskBalance: ask_balance,
    }


def _writable(account: AccountSettings, field: str, value: str) -> str:
    try:
        in_gbk(value)
    except UnwritableError as error:
        raise AccountError(account, field, str(error)) from None
    return value
