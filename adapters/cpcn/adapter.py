"""CPCN 中金支付: quick payments by a binding, with or without an SMS at each payment; withholds from a card; payments
on a bank's page (see `page`); payouts (see `payouts`).

Sources: H, the official simulator and PHP demo (templates, field names, bank list, states of quick payments); M, the
code of three gateways that ran on CPCN (the table of head codes, states of withholds and bindings, numbers of 32
letters and digits); L, inference.
Not public, so chosen here: how long and how often to ask; the banks' ResponseCodes (the account's `declines` say what
they mean, without it a failed order is `channel_refused`, a failed binding `authentication_rejected`); which of them
asks for an SMS code (the account's `sms_wanted`); what "no such order" proves (nothing); the sizes of free texts, which
stay empty. The sizes of names are not known either: CPCN refuses one that is too long.

A binding (TxSNBinding) has the number that it was asked for with: that is the agreement. Each SMS to sign with is a
binding of its own, since a number can be used once (M). An SMS to pay with is sent for the payment's own number, and so
is the payment with the code. Withholds need no binding. Cards are told as debit cards: nobody says which are not.
Refunds are in `refunds`. CPCN calls back about withholds (2018), pages (1118), refunds of what was paid on them (1138)
and payouts (1348), at the address that the institution has registered; `notify_url` is nowhere told to it.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import ClassVar, Final
from xml.etree.ElementTree import Element

from adapters.account import AccountError, allowed, declared, more_declines, setting, withheld_from_statements
from adapters.cpcn.answers import (
    Reasons,
    read_accepted,
    read_binding,
    read_binding_question,
    read_code,
    read_payment,
    read_payment_by_code,
    read_question,
    read_signing,
    read_unbinding,
)
from adapters.cpcn.balance import ASK_BALANCE, read_balance
from adapters.cpcn.codes import (
    BANKS,
    HANDLED,
    ID_TYPES,
    NO_SUCH_PAYMENT,
    QUICK,
    REFUND_REFUSALS,
    WITHHOLDING,
)
from adapters.cpcn.declaration import DECLARATION
from adapters.cpcn.exchange import Exchange, Tx, given
from adapters.cpcn.notices import Notices
from adapters.cpcn.page import order_of, read_page_question
from adapters.cpcn.payouts import PAYEES, PAYOUT_REFUSALS, read_payout_question
from adapters.cpcn.payouts import order_of as payout_of
from adapters.cpcn.refunds import ASKS as REFUND_QUESTIONS
from adapters.cpcn.refunds import SENDS as REFUNDS
from adapters.cpcn.refunds import order_of as refund_of
from adapters.cpcn.refunds import read_refund_question
from adapters.cpcn.statement import CpcnStatements
from adapters.statement_mapping import mapped
from gateway.domain.cards import CardElements
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
from gateway.domain.redirects import Form
from gateway.domain.scenes import Scene
from gateway.domain.terms import Product
from gateway.ports import (
    AccountSettings,
    AskAuthentication,
    AskBalance,
    AskPayment,
    AskPayout,
    AskRefund,
    Authenticate,
    Declaration,
    Pay,
    Payout,
    Redirect,
    Refund,
    SendPaymentCode,
    SendSigningCode,
    Sign,
    Table,
    Transport,
    Unbind,
    bound,
)
from gateway.ports.statements import Statements

__all__ = ["Cpcn"]

MAX_NUMBER: Final = 32
MAX_ORDINAL: Final = 99
RESPONSE_CODE: Final = r"[0-9A-Za-z]{1,16}"

BIND: Final = Tx("2501", Product.AUTHENTICATION, "TxSNBinding")
ASK_BINDING: Final = Tx("2502", Product.AUTHENTICATION, "TxSNBinding")
UNBIND: Final = Tx("2503", Product.AUTHENTICATION, "TxSNBinding")
SEND_SIGNING_CODE: Final = Tx("2531", Product.AUTHENTICATION)
SIGN: Final = Tx("2532", Product.AUTHENTICATION, "TxSNBinding")
QUICK_PAY: Final = Tx("2511", Product.PAYMENT, "PaymentNo")
ASK_QUICK: Final = Tx("2512", Product.PAYMENT, "PaymentNo")
SEND_PAYMENT_CODE: Final = Tx("2541", Product.PAYMENT)
PAY_BY_CODE: Final = Tx("2542", Product.PAYMENT, "PaymentNo")
WITHHOLD: Final = Tx("2011", Product.PAYMENT, "TxSN", in_head=True)
ASK_WITHHOLD: Final = Tx("2020", Product.PAYMENT, "TxSN", in_head=True)
OPEN_PAGE: Final = Tx("1111", Product.REDIRECT, in_body=True)
ASK_PAGE: Final = Tx("1120", Product.REDIRECT, "PaymentNo", in_body=True)
PAY_OUT: Final = Tx("1341", Product.PAYOUT, in_body=True)
ASK_PAYOUT: Final = Tx("1350", Product.PAYOUT, "SerialNumber", in_body=True)
HEAD_CODE: Final = r"[0-9]{4,16}"


class Cpcn:
    """One institution at CPCN.

    Settings: `base_url` (before `/Gateway/`), `institution_id`, `settlement_flag` (the mark that CPCN gave
    for settling); optional `declines`, ResponseCodes with our failure codes, and `sms_wanted`, a list of those
    ResponseCodes of a refused silent binding that ask for an SMS code; `payout_declines` and `refund_declines`, codes
    of the head with our failure codes; of payouts `market_order_no`, the order that all of them settle; of the balance
    `balance_account_no` and `balance_account_name`, the account that is asked about; those of statements: see there.
    Secrets: `merchant_private_key`, `psp_certificate` (PEM). Raises AccountError. The certificate is pinned, so its
    dates and the clock are not asked.
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
        self._code = account.code
        self._send = Exchange(account, transport, self.declaration.terms)
        self._settlement_flag = given(account, "settlement_flag")
        self._reasons = Reasons(more_declines(account, RESPONSE_CODE, "ResponseCodes"), _sms_wanted(account))
        of_the_head = (HEAD_CODE, "codes of the head", {HANDLED})
        self._payout_refusals = {**PAYOUT_REFUSALS, **more_declines(account, *of_the_head, "payout_declines")}
        self._refund_refusals = {**REFUND_REFUSALS, **more_declines(account, *of_the_head, "refund_declines")}
        given_order = "market_order_no" in account.settings
        self._market_order_no = given(account, "market_order_no") if given_order else None
        asks = AskBalance in self.commands
        self._balance_no = given(account, "balance_account_no") if asks else ""
        self._balance_name = setting(account, "balance_account_name") if asks else ""
        self.callbacks = Notices(self._send.psp_key, self._send.institution_id, self._reasons)
        own = None if withheld_from_statements(account, DECLARATION) else CpcnStatements(account, self._send)
        self.statements: Statements | None = mapped(account) or own

    def __repr__(self) -> str:
        return f"Cpcn({self._code})"

    # Binding

    async def authenticate(self, command: Authenticate) -> AuthenticationOutcome:
        """Bind silently (2501)."""
        answer = await self._bind(BIND, command.number, command.bank, command.card)
        return read_binding(answer, command.number, self._reasons) if isinstance(answer, Element) else answer

    async def ask_authentication(self, command: AskAuthentication) -> AuthenticationOutcome:
        """Ask for a binding (2502), after an SMS for that of the newest one."""
        number = command.continuation or command.number
        answer = await self._send(ASK_BINDING, {"TxSNBinding": number}, number)
        return read_binding_question(answer, number, self._reasons) if isinstance(answer, Element) else answer

    async def send_signing_code(self, command: SendSigningCode) -> CodeOutcome:
        """Send an SMS to bind with (2531): each is a binding of its own."""
        number = _number(command.number, command.ordinal)
        answer = await self._bind(SEND_SIGNING_CODE, number, command.bank, command.card)
        continuation = None if number == command.number else number
        return read_code(answer, continuation) if isinstance(answer, Element) else answer

    async def sign(self, command: Sign) -> AuthenticationOutcome:
        """Bind with the payer's code (2532)."""
        number = command.continuation or command.number
        body = {"TxSNBinding": number, "SMSValidationCode": command.sms_code, "ValidDate": "", "CVN2": ""}
        answer = await self._send(SIGN, body, number)
        return read_signing(answer, number, self._reasons) if isinstance(answer, Element) else answer

    async def unbind(self, command: Unbind) -> UnbindingOutcome:
        """Give a binding up (2503)."""
        body = {"TxSNUnBinding": command.number, "TxSNBinding": command.agreement_no}
        answer = await self._send(UNBIND, body, command.agreement_no)
        return read_unbinding(answer) if isinstance(answer, Element) else answer

    # Paying

    async def send_payment_code(self, command: SendPaymentCode) -> CodeOutcome:
        """Send an SMS for one payment (2541)."""
        if command.scene is not Scene.QUICK_CHARGE:
            return Declined(F.CARD_UNSUPPORTED, channel_message=f"no {command.scene} is paid with a code here")
        if not command.agreement_no:
            return Declined(F.AGREEMENT_VOID)
        body = self._quick(command.number, command.amount, command.agreement_no)
        answer = await self._send(SEND_PAYMENT_CODE, body, command.number)
        return read_code(answer, None) if isinstance(answer, Element) else answer

    async def pay(self, command: Pay) -> Outcome:
        """Withhold from the card (2011), or pay by its binding: at once (2511), or with the payer's code (2542)."""
        if command.scene is Scene.WITHHOLD and command.sms_code is None:
            return await self._withhold(command)
        if command.scene is not Scene.QUICK_CHARGE:
            return Declined(F.CARD_UNSUPPORTED)  # nothing was sent, nothing can have moved
        if not command.agreement_no:
            return Declined(F.AGREEMENT_VOID)
        if command.sms_code is not None:
            body = {"PaymentNo": command.number, "SMSValidationCode": command.sms_code, "ValidDate": "", "CVN2": ""}
            answer = await self._send(PAY_BY_CODE, body, command.number)
            return read_payment_by_code(answer, QUICK, self._reasons) if isinstance(answer, Element) else answer
        body = self._quick(command.number, command.amount, command.agreement_no)
        answer = await self._send(QUICK_PAY, body, command.number)
        return read_payment(answer, QUICK, self._reasons) if isinstance(answer, Element) else answer

    async def _withhold(self, command: Pay) -> Outcome:
        card, bank = command.card, BANKS.get(command.bank)
        assert card is not None
        if bank is None or card.id_type not in ID_TYPES:
            return Declined(F.CARD_UNSUPPORTED)
        body = {
            "Amount": str(command.amount), "BankID": bank, "AccountType": "11", "AccountName": card.holder_name,
            "AccountNumber": card.card_no, "BranchName": "", "Province": "", "City": "",
            "IdentificationType": ID_TYPES[card.id_type], "IdentificationNumber": card.id_no, "Note": "",
            "Reserve1": "", "ContractUserID": "", "PhoneNumber": card.phone, "Email": "", "SplitType": "",
            "SettlementFlag": self._settlement_flag, "CardMediaType": "10",
        }  # fmt: skip
        answer = await self._send(WITHHOLD, body, command.number)
        return read_payment(answer, WITHHOLDING, self._reasons) if isinstance(answer, Element) else answer

    async def redirect(self, command: Redirect) -> Form:
        """The form that opens the bank's page (1111). Raises ValueError for what routing must not bring here."""
        return self._send.brought(OPEN_PAGE, order_of(command, self._settlement_flag), command.number)

    async def ask_payment(self, command: AskPayment) -> Outcome:
        """Ask for a payment on a page (1120), a withhold (2020) or a quick payment (2512)."""
        if command.scene is Scene.NETBANK_CHARGE:
            answer = await self._send(ASK_PAGE, {"PaymentNo": command.number}, command.number)
            return read_page_question(answer) if isinstance(answer, Element) else answer
        if command.scene is Scene.WITHHOLD:
            answer = await self._send(ASK_WITHHOLD, None, command.number)
            states = WITHHOLDING
        else:
            answer = await self._send(ASK_QUICK, {"PaymentNo": command.number}, command.number)
            states = QUICK
        if not isinstance(answer, Element):
            return answer
        return read_question(answer, NO_SUCH_PAYMENT, states, self._reasons)

    # Giving back

    async def refund(self, command: Refund) -> Outcome:
        """Give back (2521, or 1133). Declined unsent for what is not paid here: nothing can have moved."""
        tx = REFUNDS.get(command.scene)
        if tx is None:
            return Declined(F.CHANNEL_REFUSED, channel_message=f"no {command.scene} is paid here")
        answer = await self._send(tx, refund_of(command), command.number)
        return read_accepted(answer, self._refund_refusals) if isinstance(answer, Element) else answer

    async def ask_refund(self, command: AskRefund) -> Outcome:
        """Ask for a refund (2522, or 1132)."""
        tx = REFUND_QUESTIONS.get(command.scene)
        if tx is None:
            return Unknown(f"no {command.scene} is paid here")
        answer = await self._send(tx, {tx.name or "": command.number}, command.number)
        return read_refund_question(answer) if isinstance(answer, Element) else answer

    # Paying out

    async def payout(self, command: Payout) -> Outcome:
        """Pay out (1341). Declined unsent for a payee whom the protocol cannot say: nothing can have moved."""
        if (refusal := PAYEES.refusal(command.payee)) is not None:
            return refusal
        answer = await self._send(PAY_OUT, payout_of(command, self._market_order_no), command.number)
        return read_accepted(answer, self._payout_refusals) if isinstance(answer, Element) else answer

    async def ask_payout(self, command: AskPayout) -> Outcome:
        """Ask for a payout (1350)."""
        answer = await self._send(ASK_PAYOUT, {"SerialNumber": command.number}, command.number)
        return read_payout_question(answer) if isinstance(answer, Element) else answer

    async def ask_balance(self, command: AskBalance) -> BalanceOutcome:  # noqa: ARG002 -- it is about no order
        """Ask what the institution's account has (4510)."""
        body = {"PaymentAccountName": self._balance_name, "PaymentAccountNumber": self._balance_no}
        answer = await self._send(ASK_BALANCE, body, self._balance_no)
        if isinstance(answer, Declined):
            return Unknown("the question cannot be written")
        return read_balance(answer) if isinstance(answer, Element) else answer

    # Builders, and the wire

    def _quick(self, number: str, amount: int, agreement_no: str) -> dict[str, str]:
        return {
            "PaymentNo": number, "Amount": str(amount), "TxSNBinding": agreement_no, "SplitType": "",
            "SettlementFlag": self._settlement_flag, "ValidDate": "", "CVN2": "", "SharedInstitutionID": "",
            "Remark": "",
        }  # fmt: skip

    async def _bind(self, tx: Tx, number: str, bank: str, card: CardElements) -> Element | Declined | NotSent | Unknown:
        if bank not in BANKS or card.id_type not in ID_TYPES:
            return Declined(F.CARD_UNSUPPORTED)
        body = {
            "TxSNBinding": number, "BankID": BANKS[bank], "AccountName": card.holder_name,
            "AccountNumber": card.card_no, "IdentificationType": ID_TYPES[card.id_type],
            "IdentificationNumber": card.id_no, "PhoneNumber": card.phone, "CardType": "10", "ValidDate": "",
            "CVN2": "",
        }  # fmt: skip
        return await self._send(tx, body, number)

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
        AskBalance: ask_balance,
    }


def _number(number: str, ordinal: int) -> str:
    """The number of the n-th binding of an order: the order's own, then others that begin like it."""
    assert 1 <= ordinal <= MAX_ORDINAL
    return number if ordinal == 1 else f"{number[: MAX_NUMBER - 2]}{ordinal:02d}"


def _sms_wanted(account: AccountSettings) -> frozenset[str]:
    codes = account.settings.get("sms_wanted", [])
    if not isinstance(codes, list) or not all(re.fullmatch(RESPONSE_CODE, str(code)) for code in codes):
        raise AccountError(account, "sms_wanted", "must be a list of ResponseCodes")
    return frozenset(map(str, codes))
