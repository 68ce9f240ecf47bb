"""Baofoo protocol pay (宝付协议支付): signed forms out, signed `k=v` text back, signed forms as notices.

Sources: H, Baofoo's documents of protocol pay and of authenticated pay (whose codes it shares); M, third-party code (a
Go client with the documents' enumerations, a Java list of codes).
Not public, so chosen here: the answer times and the poll plan; what "no such order" proves (nothing); which banks there
are (the request names none). Not public, so the account must say it (`declaration`): whether a later request may state
the order's own time, and what becomes of an order whose last code was wrong.

A card is bound by an SMS: 01 sends it and gives a code, 02 confirms that code with what the payer typed. There is no
silent binding. Binding a bound card makes a new agreement and voids the one before. Payments go by agreement: 08 at
once, or 05 with an SMS and 06. An order that was not paid may be sent again under its number (H), so a wrong code does
not end it. Payouts and refunds are products with a letter of their own (`payouts`, `refunds`).
"""

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

import httpx

from adapters.account import AccountError, allowed, base_url, declared, setting, withheld_from_statements
from adapters.baofoo.answers import (
    read_binding,
    read_bindings,
    read_code,
    read_payment,
    read_query,
    read_unbinding,
)
from adapters.baofoo.balance import Balances
from adapters.baofoo.codes import declines_of
from adapters.baofoo.declaration import DECLARATION
from adapters.baofoo.letter import (
    Fields,
    UnbelievableError,
    UnwritableError,
    account_info,
    composite,
    message_no,
    paper_of,
    readings,
    time_of,
    user_id_of,
)
from adapters.baofoo.notices import Notices
from adapters.baofoo.payouts import Payouts
from adapters.baofoo.refunds import Refunds
from adapters.baofoo.seal import Seal
from adapters.baofoo.statement import BaofooStatements
from adapters.statement_mapping import mapped
from gateway.domain.failures import FailureCode as F
from gateway.domain.intents import PRODUCT_OF
from gateway.domain.outcomes import (
    AuthenticationOutcome,
    BalanceOutcome,
    CodeOutcome,
    Declined,
    NotSent,
    Outcome,
    ReturnsOutcome,
    UnbindingOutcome,
    Unknown,
)
from gateway.domain.terms import Product
from gateway.ports import (
    AccountSettings,
    AskAuthentication,
    AskBalance,
    AskPayment,
    AskPayout,
    AskRefund,
    AskReturnedPayouts,
    Command,
    Declaration,
    NotSentError,
    Pay,
    Payout,
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

__all__ = ["Baofoo"]

CONNECT_TIMEOUT_S: Final = 5.0
PATH: Final = "/cutpayment/protocol/backTransRequest"
DEBIT_CARD: Final = "101"  # (M); a credit card would need its security code and expiry, which we do not have
FINANCE: Final = "02"
"""The business that risk control is told of, where the account does not say: lending (M)."""
MAX_AMOUNT: Final = 999_999_999_999  # 12 digits (H)
MAX_RETURN_URL: Final = 500

BIND_SMS, BIND, BINDINGS, UNBIND, PAY_SMS, PAY_BY_CODE, QUERY, PAY = "01", "02", "03", "04", "05", "06", "07", "08"


class Baofoo:
    """One merchant's terminal for protocol pay, its refunds and its payouts.

    Settings: `base_url` (before `/cutpayment/...`), `member_id`, `terminal_id`, `assumed`; optional `goods_category`
    (risk control's two digits for the business), and `declines`: more codes of refusals with our failure codes.
    What payouts, refunds, the balance and statements may need beside it: see there. Secrets: `merchant_private_key`,
    `psp_certificate` (PEM). The certificate is pinned, so its dates and the clock are not asked. Raises AccountError.
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
        self._code, self._transport = account.code, transport
        self._url = base_url(account) + PATH
        self._member_id, self._terminal_id = _digits(account, "member_id"), _digits(account, "terminal_id")
        self._goods_category = setting(account, "goods_category", FINANCE)
        if not re.fullmatch(r"[0-9]{2}", self._goods_category):
            raise AccountError(account, "goods_category", "must be two digits")
        self._declines = declines_of(account)
        self._seal = Seal(account)
        self._payouts = Payouts(account, transport, self.declaration.terms[Product.PAYOUT])
        asks = AskBalance in self.commands
        self._balances = Balances(account, transport, self.declaration.terms[Product.PAYOUT]) if asks else None
        self._refunds = Refunds(account, transport, self.declaration.terms[Product.REFUND])
        self.callbacks = Notices(self._seal, self._member_id, self._terminal_id, self._declines, self._refunds)
        can = frozenset(self.commands)
        own = None if withheld_from_statements(account, DECLARATION) else BaofooStatements(account, can)
        self.statements: Statements | None = mapped(account) or own

    def __repr__(self) -> str:
        return f"Baofoo({self._code})"

    # Binding

    async def send_signing_code(self, command: SendSigningCode) -> CodeOutcome:
        """Have an SMS sent to bind the card with (01). The code that comes back is what its confirmation names."""
        try:
            told = {"card_type": DEBIT_CARD, "id_card_type": paper_of(command.card)}
            hidden = {"acc_info": account_info(command.card)}
        except UnwritableError as error:
            return Declined(F.CARD_UNSUPPORTED, channel_message=f"the card {error}")
        told["user_id"] = user_id_of(command.user_id)
        answer = await self._commit(BIND_SMS, command, command.ordinal, told, hidden)
        return answer if isinstance(answer, (NotSent, Unknown)) else read_code(answer, self._declines)

    async def sign(self, command: Sign) -> AuthenticationOutcome:
        """Confirm the binding with what the payer typed (02); the answer is final and brings the agreement."""
        typed = _typed(command.continuation, command.sms_code)
        if isinstance(typed, Declined):
            return typed
        answer = await self._commit(BIND, command, command.ordinal, {}, {"unique_code": typed})
        return answer if isinstance(answer, (NotSent, Unknown)) else read_binding(answer, self._declines)

    async def ask_authentication(self, command: AskAuthentication) -> AuthenticationOutcome:
        """Ask for the card's bindings (03): an agreement of this user's is the answer, however old it is."""
        answer = await self._commit(BINDINGS, command, None, {}, {"acc_no": command.card.card_no})
        if isinstance(answer, (NotSent, Unknown)):
            return answer
        return read_bindings(answer, command.card, user_id_of(command.user_id))

    async def unbind(self, command: Unbind) -> UnbindingOutcome:
        """Give the agreement up (04)."""
        told, hidden = {"user_id": user_id_of(command.user_id)}, {"protocol_no": command.agreement_no}
        answer = await self._commit(UNBIND, command, None, told, hidden)
        return answer if isinstance(answer, (NotSent, Unknown)) else read_unbinding(answer, self._declines)

    # Paying

    async def send_payment_code(self, command: SendPaymentCode) -> CodeOutcome:
        """Have an SMS sent for this payment (05): the order is told here, its confirmation names only the code."""
        unfit = self._unfit(command)
        if unfit is not None:
            return unfit
        answer = await self._commit(PAY_SMS, command, command.ordinal, *self._order(command))
        return answer if isinstance(answer, (NotSent, Unknown)) else read_code(answer, self._declines)

    async def pay(self, command: Pay) -> Outcome:
        """Collect by agreement (08), or confirm with what the payer typed (06)."""
        unfit = self._unfit(command)
        if unfit is not None:
            return unfit
        if command.sms_code is None:
            answer = await self._commit(PAY, command, command.ordinal, *self._order(command))
        else:
            typed = _typed(command.continuation, command.sms_code)
            if isinstance(typed, Declined):
                return typed
            answer = await self._commit(PAY_BY_CODE, command, command.ordinal, {}, {"unique_code": typed})
        if isinstance(answer, (NotSent, Unknown)):
            return answer
        return read_payment(answer, command.number, self._declines, by_code=command.sms_code is not None)

    async def ask_payment(self, command: AskPayment) -> Outcome:
        """Ask for the order (07) by its number and time."""
        told = {"orig_trans_id": command.number, "orig_trade_date": time_of(command.told_at)}
        answer = await self._commit(QUERY, command, command.tries, told, {})
        return answer if isinstance(answer, (NotSent, Unknown)) else read_query(answer, command.number, self._declines)

    # Giving back

    async def refund(self, command: Refund) -> Outcome:
        """Ask for a refund (331/09): taken on, and no more."""
        return await self._refunds.give_back(command)

    async def ask_refund(self, command: AskRefund) -> Outcome:
        """Ask for a refund (331/10)."""
        return await self._refunds.ask(command)

    # Paying out

    async def payout(self, command: Payout) -> Outcome:
        """Pay out (BF0040001): taken on, and no more."""
        return await self._payouts.pay(command)

    async def ask_payout(self, command: AskPayout) -> Outcome:
        """Ask for a payout (BF0040002)."""
        return await self._payouts.ask(command)

    async def ask_returned_payouts(self, command: AskReturnedPayouts) -> ReturnsOutcome:
        """Ask which payouts came back on a day (BF0040003)."""
        return await self._payouts.ask_returned(command)

    async def ask_balance(self, command: AskBalance) -> BalanceOutcome:  # noqa: ARG002 -- it is about no order
        """Ask what the merchant has (BF0001)."""
        assert self._balances is not None, "the account's assumptions allow it"
        return await self._balances.ask()

    def _unfit(self, command: Pay | SendPaymentCode) -> Declined | None:
        """Why nothing is sent: then nothing can have moved."""
        if command.scene not in self.declaration.scenes:
            return Declined(F.CARD_UNSUPPORTED)
        if command.amount > MAX_AMOUNT:
            return Declined(F.CARD_UNSUPPORTED, channel_message="the amount has more digits than the protocol")
        return None if command.agreement_no else Declined(F.AGREEMENT_VOID)

    def _order(self, command: Pay | SendPaymentCode) -> tuple[dict[str, str], dict[str, str]]:
        """What is paid, and the agreement it is paid by: the same in 05 and 08."""
        # The payer's address is not known here: "send 127.0.0.1 then" (M).
        risk = {"goodsCategory": self._goods_category, "chPayIp": "127.0.0.1"}
        told = {
            "trans_id": command.number,
            "user_id": user_id_of(command.user_id),
            "txn_amt": str(command.amount),
            "risk_item": json.dumps(risk, separators=(",", ":")),
            # An address that does not fit is left out: the result is asked for anyhow.
            "return_url": command.notify_url if len(command.notify_url) <= MAX_RETURN_URL else "",
        }
        return told, {"protocol_no": command.agreement_no or ""}

    async def _commit(
        self, kind: str, command: Command[Any], ordinal: int | None, told: Fields, hidden: Fields
    ) -> Fields | NotSent | Unknown:
        """Send once and believe the answer only if Baofoo signed it to this request."""
        fields = {
            "version": "4.0.0.0",
            "send_time": time_of(command.told_at),
            "msg_id": message_no(command.number, kind, ordinal),
            "txn_type": kind,
            "member_id": self._member_id,
            "terminal_id": self._terminal_id,
            **told,
            **(self._seal.enveloped(hidden) if hidden else {}),
        }
        signed = self._seal.signed({name: value for name, value in fields.items() if value})
        timeout_s = self.declaration.terms[PRODUCT_OF[command.verb]].answer_timeout_s
        request = httpx.Request(
            "POST",
            self._url,
            content=urlencode(signed).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"},
            extensions={"timeout": httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S).as_dict()},
        )
        try:
            return self._believe(await self._transport(request), kind, command.number)
        except NotSentError as error:
            return NotSent(str(error))
        except (TransportError, UnbelievableError) as error:
            return Unknown(str(error))

    def _believe(self, response: httpx.Response, kind: str, number: str) -> Fields:
        if response.status_code != httpx.codes.OK:
            raise UnbelievableError(f"HTTP {response.status_code}")
        fields = self._seal.believed(readings(response.content))
        # All three are given back as they were sent (H), and so is an order's number where there is one.
        if (fields.get("member_id"), fields.get("terminal_id")) != (self._member_id, self._terminal_id):
            raise UnbelievableError("the answer is to another merchant")
        if fields.get("txn_type") != kind or fields.get("trans_id", number) != number:
            raise UnbelievableError("the answer is to another request")
        return fields

    COMMANDS: ClassVar[Table] = {
        SendSigningCode: send_signing_code,
        Sign: sign,
        AskAuthentication: ask_authentication,
        Unbind: unbind,
        SendPaymentCode: send_payment_code,
        Pay: pay,
        AskPayment: ask_payment,
        Refund: refund,
        AskRefund: ask_refund,
        Payout: payout,
        AskPayout: ask_payout,
        AskReturnedPayouts: ask_returned_payouts,
        AskBalance: ask_balance,
    }


def _typed(continuation: str | None, sms_code: str) -> str | Declined:
    """The SMS's own code and what the payer typed, as one field (H); unsent where there is none to name."""
    if not continuation:
        return Declined(F.SMS_CODE_EXPIRED, channel_message="no SMS of this order is known")
    try:
        return f"{continuation}|{composite(sms_code)}"
    except UnwritableError as error:
        return Declined(F.SMS_CODE_WRONG, channel_message=f"the code {error}")


def _digits(account: AccountSettings, name: str) -> str:
    value = setting(account, name)
    if not re.fullmatch(r"[0-9]{1,11}", value):
        raise AccountError(account, name, "must be at most 11 digits")
    return value
