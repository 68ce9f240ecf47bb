"""UnionPay 全渠道 ACP 5.1.0: signed forms out, signed `k=v` text back, signed forms as callbacks.

Source: UnionPay's own Java demo (`ACPSample_WuTiaoZhuan_Token`; H) where nothing else is said.
M: other code; L: inference.
Not public, so chosen here and listed in `declaration`: what a silent opening is told when the issuer wants an SMS code,
whether 78/02 tells of openings by back call, what tells a notification from a synchronous answer, with which codes
refunds are refused, what a second SMS is told. There is no finish time.

The SMS (77) and what uses its code (79, 01) stand under one orderId and one txnTime (H), so a question about a payment
must not be content with a word about its SMS: see `answers`. SMS and openings answer once and finally, without notice.
A consume wants a token, also by SMS; a withhold knows no SMS. A token that is deleted here is deleted for all merchants
of the trId.

A refund (04/00) is an order of its own. 00 means accepted; the final word comes by notification or query, while the
money reaches the card in 1 to 10 clearing days (H). It names its payment by UnionPay's own number for it (origQryId);
without that it cannot be written and is declined unsent. Undoing (31/00) is not used.

A payout (12/00) goes to a person's card; firms have a settlement card and a licence number there, which is not used.
Failures are not notified (H). How one that came back is told is not public: by the statement, or by a person.

What is paid on UnionPay's page (`page`) begins with a form that the payer's browser brings. It ends at its payTimeout;
nothing can give it up before (H), so there is no `Cancel`.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import ClassVar, Final
from urllib.parse import urlencode

import httpx

from adapters.account import AccountError, allowed, base_url, declared, setting, withheld_from_statements
from adapters.statement_mapping import mapped
from adapters.unionpay.answers import (
    read_open_query,
    read_opening,
    read_payment_query,
    read_query,
    read_sent_code,
    read_submission,
    read_unbinding,
)
from adapters.unionpay.codes import DECLINES, PAYOUT_DECLINES, REFUND_DECLINES
from adapters.unionpay.declaration import DECLARATION, PAYEES
from adapters.unionpay.forms import OPEN_QUERY, PAYMENTS, REFUNDS, Forms
from adapters.unionpay.letter import Fields, UnbelievableError, read_text
from adapters.unionpay.notices import Notices
from adapters.unionpay.page import SCENE, Page, read_on_a_page
from adapters.unionpay.seal import Seal
from adapters.unionpay.sensitive import Sensitive
from adapters.unionpay.statement import RULES, UnionPayStatements
from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import (
    AuthenticationOutcome,
    CodeOutcome,
    Declined,
    NotSent,
    Outcome,
    UnbindingOutcome,
    Unknown,
)
from gateway.domain.redirects import Form
from gateway.domain.scenes import Scene
from gateway.domain.terms import Product
from gateway.ports import (
    AccountSettings,
    AskAuthentication,
    AskPayment,
    AskPayout,
    AskRefund,
    Authenticate,
    Declaration,
    NotSentError,
    Pay,
    Payout,
    Redirect,
    Refund,
    SendPaymentCode,
    SendSigningCode,
    Sign,
    Table,
    Transport,
    TransportError,
    Unbind,
    bound,
)
from gateway.ports.statements import Statements

__all__ = ["UnionPay"]

FRONT_PATH: Final = "/gateway/api/frontTransReq.do"
BACK_PATH: Final = "/gateway/api/backTransReq.do"
QUERY_PATH: Final = "/gateway/api/queryTrans.do"
CONNECT_TIMEOUT_S: Final = 5.0


class UnionPay:
    """One merchant account at UnionPay.

    Settings: `base_url` (before `/gateway/api/...`), `mer_id` (15 digits), `tr_id` (token requester), optional
    `signer_cn`, `assumed`, and those of `page.Page` and `statement.UnionPayStatements`. Secrets:
    `merchant_private_key`, `merchant_certificate`, `root_certificate`, `middle_certificate`, optional
    `encryption_certificate`, with which sensitive fields go encrypted (all PEM).
    `clock` tells when certificates must be valid, and nothing else. Raises AccountError.
    """

    DECLARATION: ClassVar[Declaration] = DECLARATION

    def __init__(self, account: AccountSettings, transport: Transport, clock: Callable[[], datetime]) -> None:
        self.declaration = declared(account, DECLARATION)
        self.commands = bound(self, allowed(account, DECLARATION, self.COMMANDS))
        self._code, self._transport = account.code, transport
        self._base_url = base_url(account)
        self._mer_id, tr_id = setting(account, "mer_id"), setting(account, "tr_id")
        if not re.fullmatch(r"[0-9]{15}", self._mer_id):
            raise AccountError(account, "mer_id", "must be 15 digits")
        self._seal = Seal(account, clock)
        self._forms = Forms(self._mer_id, tr_id, self._seal.cert_id, Sensitive(account))
        self._page = Page(account)
        self.callbacks = Notices(self._seal, self._mer_id)
        withheld = withheld_from_statements(account, DECLARATION)
        own = None if withheld else UnionPayStatements(account, self._mer_id, self._seal, self._forms)
        self.statements: Statements | None = mapped(account, RULES) or own

    def __repr__(self) -> str:
        return f"UnionPay({self._code})"

    # Commands

    async def authenticate(self, command: Authenticate) -> AuthenticationOutcome:
        """Open the card by back call (79/00); the answer is final and brings the token."""
        answer = await self._commit(BACK_PATH, self._forms.opening(command), Product.AUTHENTICATION)
        return answer if isinstance(answer, (NotSent, Unknown)) else read_opening(answer)

    async def ask_authentication(self, command: AskAuthentication) -> AuthenticationOutcome:
        """Ask for the opening by its order (78/02)."""
        fields = self._forms.order(OPEN_QUERY, command.number, command.told_at)
        answer = await self._commit(BACK_PATH, fields, Product.AUTHENTICATION)
        return answer if isinstance(answer, (NotSent, Unknown)) else read_open_query(answer)

    async def send_signing_code(self, command: SendSigningCode) -> CodeOutcome:
        """Have an SMS sent for an opening (77/00). Sent again it is the same form: the order's number and time stay."""
        answer = await self._commit(BACK_PATH, self._forms.opening_sms(command), Product.AUTHENTICATION)
        return answer if isinstance(answer, (NotSent, Unknown)) else read_sent_code(answer)

    async def sign(self, command: Sign) -> AuthenticationOutcome:
        """Open the card with the code (79/00), under the number and time of the SMS."""
        answer = await self._commit(BACK_PATH, self._forms.opening(command), Product.AUTHENTICATION)
        return answer if isinstance(answer, (NotSent, Unknown)) else read_opening(answer, with_code=True)

    async def unbind(self, command: Unbind) -> UnbindingOutcome:
        """Delete the token (74/01)."""
        answer = await self._commit(BACK_PATH, self._forms.deletion(command), Product.AUTHENTICATION)
        return answer if isinstance(answer, (NotSent, Unknown)) else read_unbinding(answer)

    async def send_payment_code(self, command: SendPaymentCode) -> CodeOutcome:
        """Have an SMS sent for a consume (77/02)."""
        if command.scene is not Scene.QUICK_CHARGE:
            return Declined(F.CARD_UNSUPPORTED)  # no SMS is known for any other; nothing was sent
        if not command.agreement_no:
            return Declined(F.AGREEMENT_VOID)
        fields = self._forms.consuming_sms(command, command.agreement_no)
        answer = await self._commit(BACK_PATH, fields, Product.PAYMENT)
        return answer if isinstance(answer, (NotSent, Unknown)) else read_sent_code(answer)

    async def pay(self, command: Pay) -> Outcome:
        """Consume with the token (quick charge) or withhold from the card (11). A good answer is never final."""
        if command.scene is Scene.QUICK_CHARGE:
            if not command.agreement_no:
                return Declined(F.AGREEMENT_VOID)
            fields = self._forms.consume(command, command.agreement_no)
        elif command.scene is Scene.WITHHOLD and command.sms_code is None:
            fields = self._forms.withhold(command)
        else:
            return Declined(F.CARD_UNSUPPORTED)  # nothing was sent, nothing can have moved
        answer = await self._commit(BACK_PATH, fields, Product.PAYMENT)
        return answer if isinstance(answer, (NotSent, Unknown)) else read_submission(answer, DECLINES)

    async def redirect(self, command: Redirect) -> Form:
        """The form that opens UnionPay's page, or a bank's (01/01). Raises ValueError for another scene."""
        if command.scene is not SCENE:
            raise ValueError(f"no page for {command.scene}")
        fields = self._forms.order(PAYMENTS[SCENE], command.number, command.told_at) | self._page.told(command)
        return Form(self._base_url + FRONT_PATH, self._seal.signed(fields))

    async def ask_payment(self, command: AskPayment) -> Outcome:
        """Ask for the order (00/00) by its number and submission time."""
        fields = self._forms.question(command.scene, command.number, command.told_at)
        product = Product.REDIRECT if command.scene is SCENE else Product.PAYMENT
        answer = await self._commit(QUERY_PATH, fields, product)
        if isinstance(answer, (NotSent, Unknown)):
            return answer
        outcome = read_payment_query(answer, PAYMENTS[command.scene]["txnType"])
        return read_on_a_page(outcome) if command.scene is SCENE else outcome

    async def refund(self, command: Refund) -> Outcome:
        """Give back (04/00). Declined unsent where it cannot be written: nothing can have moved."""
        if not command.original_transaction_no:
            return Declined(F.CHANNEL_REFUSED, channel_message="the payment's queryId is not known")
        if command.scene not in REFUNDS:
            return Declined(F.CHANNEL_REFUSED, channel_message=f"no {command.scene} is paid here")
        fields = self._forms.refund(command, command.original_transaction_no)
        answer = await self._commit(BACK_PATH, fields, Product.REFUND)
        return answer if isinstance(answer, (NotSent, Unknown)) else read_submission(answer, REFUND_DECLINES)

    async def ask_refund(self, command: AskRefund) -> Outcome:
        """Ask for the refund (00/00) by its own number and time."""
        fields = self._forms.question(command.scene, command.number, command.told_at)
        answer = await self._commit(QUERY_PATH, fields, Product.REFUND)
        return answer if isinstance(answer, (NotSent, Unknown)) else read_query(answer, REFUND_DECLINES)

    async def payout(self, command: Payout) -> Outcome:
        """Pay out (12/00): accepted, and no more. Declined unsent for a payee whom the protocol cannot say."""
        if (refusal := PAYEES.refusal(command.payee)) is not None:
            return refusal
        answer = await self._commit(BACK_PATH, self._forms.payout(command), Product.PAYOUT)
        return answer if isinstance(answer, (NotSent, Unknown)) else read_submission(answer, PAYOUT_DECLINES)

    async def ask_payout(self, command: AskPayout) -> Outcome:
        """Ask for a payout (00/00) by its number and submission time."""
        fields = self._forms.payouts_question(command.number, command.told_at)
        answer = await self._commit(QUERY_PATH, fields, Product.PAYOUT)
        return answer if isinstance(answer, (NotSent, Unknown)) else read_query(answer, PAYOUT_DECLINES)

    # The wire

    async def _commit(self, path: str, fields: dict[str, str], product: Product) -> Fields | NotSent | Unknown:
        """Send once and believe the answer only if UnionPay signed it about this order."""
        timeout_s = self.declaration.terms[product].answer_timeout_s
        request = httpx.Request(
            "POST",
            self._base_url + path,
            content=urlencode(self._seal.signed(fields)).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"},
            extensions={"timeout": httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S).as_dict()},
        )
        try:
            return self._believe(await self._transport(request), fields["orderId"])
        except NotSentError as error:
            return NotSent(str(error))
        except (TransportError, UnbelievableError) as error:
            return Unknown(str(error))

    def _believe(self, response: httpx.Response, number: str) -> Fields:
        if response.status_code != httpx.codes.OK:
            raise UnbelievableError(f"HTTP {response.status_code}")
        try:
            fields = read_text(response.content.decode("utf-8"))
        except UnicodeDecodeError:
            raise UnbelievableError("the answer is not UTF-8") from None
        self._seal.verify(fields, "utf-8")
        if fields.get("merId") != self._mer_id or fields.get("orderId") != number:
            raise UnbelievableError("the answer is about another order")
        return fields

    COMMANDS: ClassVar[Table] = {
        Authenticate: authenticate,
        AskAuthentication: ask_authentication,
        SendSigningCode: send_signing_code,
        Sign: sign,
        Unbind: unbind,
        SendPaymentCode: send_payment_code,
        Pay: pay,
        Redirect: redirect,
        AskPayment: ask_payment,
        Refund: refund,
        AskRefund: ask_refund,
        Payout: payout,
        AskPayout: ask_payout,
    }
