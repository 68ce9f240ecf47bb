"""LianLian (连连) quick pay, "MPAY": JSON signed with MD5withRSA, amounts in yuan, an SMS where LianLian wants one.

Source: LianLian's own handbook (`GitBook-Docs-en`) and demos (`LLP-YT-Java`); H where nothing else is said.
bankcardbind sends an SMS, bankcardbindverfy (so spelled) binds with its code. bankcardprepay pays with an agreement or
a card: at once, or it is answered 8888 with a token, and bankcardpay pays with that and the code. orderquery tells.

Not public, so chosen here: the poll plan; what "no record" proves of a payment (nothing); how a lapsed order is told
by orderquery (the account's `declines` may say it).

Payouts are another product with hosts and codes of its own: see `payouts`; what goes back: `refunds`;
what LianLian says of a day: `statement`.

Not used: the list of a user's agreements, since the agreements in it are outside the signature, so a lost binding is
not asked about; closing an order. Credit cards need an expiry and a CVV2, which Sluice does not take: they are
refused by LianLian (5601).
"""

from collections.abc import Callable
from datetime import datetime
from typing import ClassVar, Final

import httpx

from adapters.account import (
    allowed,
    base_url,
    declared,
    more_declines,
    statement_rules,
    withheld_from_statements,
)
from adapters.lianlian.answers import Answer, read_code, read_payment, read_query, read_signing, read_unbinding
from adapters.lianlian.balance import read_balance
from adapters.lianlian.codes import DECLINES, KNOWN, OK, SMS_SENT, Declines
from adapters.lianlian.declaration import DECLARATION
from adapters.lianlian.letter import Fields, UnbelievableError, UnwritableError, read_json, written
from adapters.lianlian.notices import Notices
from adapters.lianlian.payouts import PAYEES, WORDS, read_confirmation, read_payout, read_question
from adapters.lianlian.refunds import read_refund, read_refunds_question
from adapters.lianlian.requests import Requests, Sent, unfit
from adapters.lianlian.seal import Seal
from adapters.lianlian.statement import RULES, LianLianStatements
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
from gateway.domain.terms import Product
from gateway.ports import (
    AccountSettings,
    AskBalance,
    AskPayment,
    AskPayout,
    AskRefund,
    ConfirmPayout,
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

__all__ = ["LianLian"]

REFUSAL: Final = r"(?s)[0-9]{4}|[A-Z]{2,16}|(?=.*[^\x00-\x7f]).{2,}"
"""A ret_code, a result_pay, or words of a memo."""
CONNECT_TIMEOUT_S: Final = 5.0
NAMES: Final = ("oid_partner", "no_order", "no_refund", "user_id")
"""Fields that say what an answer is about."""

Heard = Answer | NotSent | Unknown | Declined
"""What came of a request."""


class LianLian:
    """One merchant at LianLian.

    Settings: `oid_partner`; `ware_category` (frms_ware_category, which LianLian gives a merchant); `base_url`, below
    which are `/mpayapi`, `/queryapi` and `/traderapi`, or an address for each, as in production: `mpayapi_url`,
    `queryapi_url`, `traderapi_url`, and `paymentapi_url` for payouts; optional `busi_partner`, `risk_item` (constants
    that are sent in it), `declines` (what other codes, states, or words in `memo` mean) and `payout_declines` (what
    words in `memo` mean of payouts). Secrets: `merchant_private_key`, `psp_public_key` (PEM). The
    clock is not used. Raises AccountError.
    """

    DECLARATION: ClassVar[Declaration] = DECLARATION

    def __init__(self, account: AccountSettings, transport: Transport, _clock: Callable[[], datetime]) -> None:
        self.declaration = declared(account, DECLARATION)
        self.commands = bound(self, allowed(account, DECLARATION, self.COMMANDS))
        self._code, self._transport = account.code, transport
        self._mpay, self._query, self._trader = (_host(account, name) for name in ("mpayapi", "queryapi", "traderapi"))
        self._requests, self._seal = Requests.of(account), Seal(account)
        more = more_declines(account, REFUSAL, "codes, states or Chinese words of refusals", KNOWN)
        self._declines: Declines = {**DECLINES, **more}
        self._payment = _host(account, "paymentapi") if Payout in self.commands else ""
        words = "Chinese words of refusals"
        self._payout_declines = more_declines(account, WORDS, words, (), "payout_declines")
        declines = (self._declines, self._payout_declines)
        self.callbacks = Notices(self._seal, self._requests.oid_partner, *declines, refunds=Refund in self.commands)
        self.statements = self._statements_of(account)

    def __repr__(self) -> str:
        return f"LianLian({self._code})"

    def _statements_of(self, account: AccountSettings) -> Statements | None:
        if (described := mapped(account, RULES)) or withheld_from_statements(account, DECLARATION):
            return described
        return LianLianStatements(self._requests.oid_partner, statement_rules(account, RULES))

    # Commands

    async def send_signing_code(self, command: SendSigningCode) -> CodeOutcome:
        """Have an SMS sent to bind the card with (bankcardbind). Its token is what the code goes back with."""
        if refusal := unfit(command.card, command.notify_url):
            return refusal
        fields = self._requests.bind(command)
        answer = await self._sealed(f"{self._mpay}/v1/bankcardbind", fields, Product.AUTHENTICATION, "user_id")
        return read_code(answer, self._declines) if isinstance(answer, Answer) else answer

    async def sign(self, command: Sign) -> AuthenticationOutcome:
        """Bind the card with the code of the SMS (bankcardbindverfy)."""
        if not command.continuation:
            return Declined(F.SMS_CODE_EXPIRED, channel_message="no SMS went out for it")
        fields = self._requests.verify(command, command.continuation)
        answer = await self._plain(f"{self._mpay}/v1/bankcardbindverfy", fields, Product.AUTHENTICATION, "user_id")
        return read_signing(answer, self._declines) if isinstance(answer, Answer) else answer

    async def unbind(self, command: Unbind) -> UnbindingOutcome:
        """Give the agreement up (bankcardunbind). Its answer says nothing of whom it is about."""
        fields = self._requests.unbind(command)
        answer = await self._plain(f"{self._trader}/bankcardunbind.htm", fields, Product.AUTHENTICATION, None)
        return read_unbinding(answer, self._declines) if isinstance(answer, Answer) else answer

    async def pay(self, command: Pay) -> Outcome:
        """Pay, or have the SMS sent that the payment wants (bankcardprepay); with a code, pay (bankcardpay)."""
        if command.scene not in self.declaration.scenes:
            return Declined(F.CARD_UNSUPPORTED)  # nothing was sent, nothing can have moved
        answer = await (self._prepay(command) if command.sms_code is None else self._pay(command, command.sms_code))
        return read_payment(answer, self._declines) if isinstance(answer, Answer) else answer

    async def _prepay(self, command: Pay) -> Heard:
        if refusal := unfit(None if command.agreement_no else command.card, command.notify_url):
            return refusal
        fields = self._requests.prepay(command)
        return await self._sealed(f"{self._mpay}/v1/bankcardprepay", fields, Product.PAYMENT, "no_order")

    async def _pay(self, command: Pay, sms_code: str) -> Heard:
        if not command.continuation:
            return Declined(F.SMS_CODE_EXPIRED, channel_message="no SMS went out for it")
        fields = self._requests.pay(command, command.continuation, sms_code)
        return await self._plain(f"{self._mpay}/v1/bankcardpay", fields, Product.PAYMENT, "no_order")

    async def ask_payment(self, command: AskPayment) -> Outcome:
        """Ask for the order (orderquery) by its number and time."""
        fields = self._requests.ask(command)
        answer = await self._plain(f"{self._query}/orderquery.htm", fields, Product.PAYMENT, "no_order")
        return read_query(answer, self._declines) if isinstance(answer, Answer) else answer

    async def refund(self, command: Refund) -> Outcome:
        """Give back (refund.htm)."""
        if command.scene not in self.declaration.scenes:
            return Declined(F.CHANNEL_REFUSED, channel_message=f"no {command.scene} is paid here")
        if refusal := unfit(None, command.notify_url):
            return refusal
        fields = self._requests.refund(command)
        answer = await self._plain(f"{self._trader}/refund.htm", fields, Product.REFUND, "no_refund")
        return read_refund(answer) if isinstance(answer, Answer) else answer

    async def ask_refund(self, command: AskRefund) -> Outcome:
        """Ask for a refund (refundquery.htm) by its number and time."""
        fields = self._requests.ask_refund(command)
        answer = await self._plain(f"{self._query}/refundquery.htm", fields, Product.REFUND, "no_refund")
        return read_refunds_question(answer) if isinstance(answer, Answer) else answer

    async def payout(self, command: Payout) -> Outcome:
        """Pay out (payment.htm): the order is made, held for a suspicion, or refused."""
        if refusal := PAYEES.refusal(command.payee) or unfit(None, command.notify_url):
            return refusal
        fields = self._requests.payout(command)
        answer = await self._sealed(f"{self._payment}/payment.htm", fields, Product.PAYOUT, "no_order")
        return read_payout(answer) if isinstance(answer, Answer) else answer

    async def confirm_payout(self, command: ConfirmPayout) -> Outcome:
        """Say that a payout which is held is right (confirmPayment.htm)."""
        if refusal := unfit(None, command.notify_url):
            return refusal
        fields = self._requests.confirm_payout(command)
        answer = await self._sealed(f"{self._payment}/confirmPayment.htm", fields, Product.PAYOUT, "no_order")
        return read_confirmation(answer) if isinstance(answer, Answer) else answer

    async def ask_payout(self, command: AskPayout) -> Outcome:
        """Ask for a payout (queryPayment.htm)."""
        fields = self._requests.ask_payout(command)
        answer = await self._plain(f"{self._payment}/queryPayment.htm", fields, Product.PAYOUT, "no_order")
        return read_question(answer, self._payout_declines) if isinstance(answer, Answer) else answer

    async def ask_balance(self, command: AskBalance) -> BalanceOutcome:  # noqa: ARG002 -- it is about no order
        """Ask what the merchant has (traderAcctQuery.htm)."""
        fields = self._requests.ask_balance()
        answer = await self._plain(f"{self._trader}/traderAcctQuery.htm", fields, Product.PAYOUT, None)
        if isinstance(answer, Declined):
            return Unknown("the question cannot be written")
        return read_balance(answer) if isinstance(answer, Answer) else answer

    # The wire

    async def _sealed(self, url: str, fields: Sent, product: Product, about: str | None) -> Heard:
        """A request that holds card data: what is signed goes encrypted."""

        def body() -> Sent:
            return {
                "oid_partner": self._requests.oid_partner,
                "pay_load": self._seal.pay_load(self._seal.signed(fields)),
            }

        return await self._send(url, body, fields, product, about)

    async def _plain(self, url: str, fields: Sent, product: Product, about: str | None) -> Heard:
        return await self._send(url, lambda: self._seal.signed(fields), fields, product, about)

    async def _send(
        self, url: str, body: Callable[[], Sent], fields: Fields, product: Product, about: str | None
    ) -> Heard:
        """Send once. Declined without a request where JSON cannot say it: nothing can have moved."""
        try:
            content = written(body())
        except UnwritableError as error:
            return Declined(F.CARD_UNSUPPORTED, channel_message=f"the request {error}")
        timeout_s = self.declaration.terms[product].answer_timeout_s
        request = httpx.Request(
            "POST",
            url,
            content=content,
            headers={"Content-Type": "application/json;charset=utf-8"},
            extensions={"timeout": httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S).as_dict()},
        )
        try:
            return self._believe(await self._transport(request), fields, about)
        except NotSentError as error:
            return NotSent(str(error))
        except (TransportError, UnbelievableError) as error:
            return Unknown(str(error))

    def _believe(self, response: httpx.Response, sent: Fields, about: str | None) -> Answer:
        """An answer that LianLian signed about what was `sent`: `about` names the field that must say so.

        Its refusals have no signature (H): one is believed for what it is, on the connection that it was asked on.
        What says that something was done, or that an SMS went out, must be signed.
        """
        if response.status_code != httpx.codes.OK:
            raise UnbelievableError(f"HTTP {response.status_code}")
        fields: Fields = read_json(response.content)
        is_signed = bool(fields.get("sign"))
        if is_signed:
            fields = self._seal.verify(fields)
        elif fields.get("ret_code") in {None, "", OK, SMS_SENT}:
            raise UnbelievableError("not signed")
        if any(fields.get(name, "") not in {"", sent.get(name, "")} for name in NAMES):
            raise UnbelievableError("the answer is about something else")
        if is_signed and about and not (fields.get(about) and fields.get("oid_partner")):
            raise UnbelievableError("the answer does not say what it is about")
        return Answer(fields, is_signed)

    COMMANDS: ClassVar[Table] = {
        SendSigningCode: send_signing_code,
        Sign: sign,
        Unbind: unbind,
        Pay: pay,
        AskPayment: ask_payment,
        Refund: refund,
        AskRefund: ask_refund,
        Payout: payout,
        ConfirmPayout: confirm_payout,
        AskPayout: ask_payout,
        AskBalance: ask_balance,
    }


def _host(account: AccountSettings, name: str) -> str:
    field = f"{name}_url"
    return base_url(account, field) if field in account.settings else f"{base_url(account)}/{name}"
