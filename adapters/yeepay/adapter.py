"""YeePay net-bank (易宝支付 网银标准版): the payer's browser brings a signed form, and pays on the bank's page.

Source: YeePay's own handbook V1.27 (`Yeepayonline/Document`) and its demos; H where nothing else is said. Buy opens the
bank's page, or YeePay's own list of banks; QueryOrdDetail asks, CancelOrd gives up what is unpaid. An order exists at
YeePay only once the payer has opened the form. What goes back: `refunds`.

Not public, so chosen here: the poll plan; how long after its expiry an order may still be finished (`GRACE_S`); whether
an order that was cancelled can still be paid by a bank's page that is open (`cancelled_stays_unpaid`).

Not used: card data on YeePay's page (pt_…), pa_MP.
"""

import re
from collections.abc import Callable
from typing import ClassVar, Final
from urllib.parse import urlencode

import httpx

from adapters.account import AccountError, allowed, base_url, declared, secret, setting
from adapters.statement_mapping import mapped
from adapters.yeepay.answers import read_cancel, read_question
from adapters.yeepay.declaration import DECLARATION
from adapters.yeepay.form import buy
from adapters.yeepay.letter import (
    CANCEL,
    CANCELLED,
    CHARSET,
    FOUND,
    QUESTION,
    REFUND,
    REFUND_FOUND,
    REFUND_TAKEN,
    REFUNDS_QUESTION,
    Fields,
    UnbelievableError,
    believed,
    read_answer,
    signed,
)
from adapters.yeepay.notices import Notices
from adapters.yeepay.refunds import asked_of, read_refund, read_refunds_question, refund_of
from gateway.domain.failures import FailureCode
from gateway.domain.outcomes import Declined, NotSent, Outcome, Unknown
from gateway.domain.redirects import Form
from gateway.domain.terms import Product
from gateway.ports import (
    AccountSettings,
    AskPayment,
    AskRefund,
    Cancel,
    Declaration,
    NotSentError,
    Redirect,
    Refund,
    Table,
    Transport,
    TransportError,
    bound,
)

__all__ = ["YeePay"]

CONNECT_TIMEOUT_S: Final = 5.0
VERSION: Final = "3.0"
OF_PAYMENTS: Final = "2"
"""p3_ServiceType, as YeePay's demos send it."""
BY_OUR_NUMBER: Final = "1"
"""pv_Ver of CancelOrd: pb_TrxId names the order by our number, and not by theirs."""


class YeePay:
    """One merchant account at YeePay.

    Settings: `node_url` (where browsers go, and questions about refunds: …/app-merchant-proxy/node), `command_url`
    (where all else goes: …/app-merchant-proxy/command, on another host), `mer_id`; optional `assumed`. Secrets:
    `key`. Raises AccountError.
    """

    DECLARATION: ClassVar[Declaration] = DECLARATION

    def __init__(self, account: AccountSettings, transport: Transport, clock: object = None) -> None:  # noqa: ARG002
        self.declaration = declared(account, DECLARATION)
        self.commands = bound(self, allowed(account, DECLARATION, self.COMMANDS))
        self._code, self._transport = account.code, transport
        self._node_url, self._command_url = base_url(account, "node_url"), base_url(account, "command_url")
        self._mer_id = setting(account, "mer_id")
        if not re.fullmatch(r"[0-9]{1,20}", self._mer_id):
            raise AccountError(account, "mer_id", "must be the digits of the merchant number")
        self._key = secret(account, "key").strip().encode()
        self.callbacks = Notices(self._mer_id, self._key)
        self.statements = mapped(account)

    def __repr__(self) -> str:
        return f"YeePay({self._code})"

    async def redirect(self, command: Redirect) -> Form:
        """The form that opens the bank's page (Buy)."""
        return buy(command, self._node_url, self._mer_id, self._key)

    async def ask_payment(self, command: AskPayment) -> Outcome:
        """Ask for the order (QueryOrdDetail)."""
        fields = {"p2_Order": command.number, "pv_Ver": VERSION, "p3_ServiceType": OF_PAYMENTS}
        said = signed(QUESTION, self._asked("QueryOrdDetail", fields), self._key)
        return await self._exchange(said, FOUND, lambda found, _: read_question(found, command.number))

    async def cancel(self, command: Cancel) -> Outcome:
        """Give the order up (CancelOrd): what is paid already stays paid."""
        fields = {"pb_TrxId": command.number, "pv_Ver": BY_OUR_NUMBER}
        said = signed(CANCEL, self._asked("CancelOrd", fields), self._key)
        return await self._exchange(said, CANCELLED, lambda cancelled, _: read_cancel(cancelled))

    async def refund(self, command: Refund) -> Outcome:
        """Give back (RefundOrd). Declined unsent where it cannot be written: nothing can have moved."""
        if not command.original_transaction_no:
            why = "the payment's number at YeePay is not known"
            return Declined(FailureCode.CHANNEL_REFUSED, channel_message=why)
        if command.scene not in self.declaration.scenes:
            return Declined(FailureCode.CHANNEL_REFUSED, channel_message=f"no {command.scene} is paid here")
        fields = self._asked("RefundOrd", refund_of(command, command.original_transaction_no))
        return await self._exchange(
            signed(REFUND, fields, self._key),
            REFUND_TAKEN,
            lambda taken, told: read_refund(taken, told, command),
            Product.REFUND,
        )

    async def ask_refund(self, command: AskRefund) -> Outcome:
        """Ask for a refund (RefundResults). It wants YeePay's number of the payment, without which none was sent."""
        if not command.original_transaction_no:
            return Unknown("the payment's number at YeePay is not known")
        fields = self._asked("RefundResults", asked_of(command, command.original_transaction_no))
        return await self._exchange(
            signed(REFUNDS_QUESTION, fields, self._key),
            REFUND_FOUND,
            lambda found, _: read_refunds_question(found, command.number),
            Product.REFUND,
            self._node_url,
        )

    def _asked(self, command: str, fields: Fields) -> Fields:
        return {"p0_Cmd": command, "p1_MerId": self._mer_id, **fields}

    async def _exchange(
        self,
        said: Fields,
        names: tuple[str, ...],
        read: Callable[[Fields, Fields], Outcome],
        product: Product = Product.REDIRECT,
        url: str | None = None,
    ) -> Outcome:
        """Send once, and believe only what YeePay signed in answer to this command. `read`: that, and all it said."""
        timeout_s = self.declaration.terms[product].answer_timeout_s
        request = httpx.Request(
            "POST",
            url or self._command_url,
            content=urlencode(said, encoding=CHARSET).encode("ascii"),
            headers={"Content-Type": "application/x-www-form-urlencoded;charset=GBK"},
            extensions={"timeout": httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S).as_dict()},
        )
        try:
            response = await self._transport(request)
            if response.status_code != httpx.codes.OK:
                return Unknown(f"HTTP {response.status_code}")
            told = read_answer(response.content)
            fields = believed(names, told, self._key)
        except NotSentError as error:
            return NotSent(str(error))
        except (TransportError, UnbelievableError) as error:
            return Unknown(str(error))
        return read(fields, told) if fields["r0_Cmd"] == said["p0_Cmd"] else Unknown("an answer to another question")

    COMMANDS: ClassVar[Table] = {
        Redirect: redirect,
        AskPayment: ask_payment,
        Cancel: cancel,
        Refund: refund,
        AskRefund: ask_refund,
    }
