"""YeePay net-bank (易宝支付 网银标准版): the payer's browser brings a signed form, and pays on the bank's page.

Source: YeePay's own handbook V1.27 (`Yeepayonline/Document`) and its demos; H where nothing else is said. Buy opens the
bank's page, or YeePay's own list of banks; QueryOrdDetail asks, CancelOrd gives up what is unpaid. An order exists at
YeePay only once the payer has opened the form.

Not public, so chosen here: the poll plan; how long after its expiry an order may still be finished (`GRACE_S`); whether
an order that was cancelled can still be paid by a bank's page that is open (`cancelled_stays_unpaid`).

Not used: refunds, card data on YeePay's page (pt_…), pa_MP.
"""

import re
from collections.abc import Callable
from typing import ClassVar, Final
from urllib.parse import urlencode

import httpx

from adapters.account import AccountError, allowed, base_url, declared, secret, setting
from adapters.yeepay.answers import read_cancel, read_question
from adapters.yeepay.declaration import DECLARATION
from adapters.yeepay.form import buy
from adapters.yeepay.letter import (
    CANCEL,
    CANCELLED,
    CHARSET,
    FOUND,
    QUESTION,
    Fields,
    UnbelievableError,
    believed,
    read_answer,
    signed,
)
from adapters.yeepay.notices import Notices
from gateway.domain.outcomes import NotSent, Outcome, Unknown
from gateway.domain.redirects import Form
from gateway.domain.terms import Product
from gateway.ports import (
    AccountSettings,
    AskPayment,
    Cancel,
    Declaration,
    NotSentError,
    Redirect,
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

    Settings: `node_url` (where browsers go: …/app-merchant-proxy/node), `command_url` (where questions go:
    …/app-merchant-proxy/command, on another host), `mer_id`; optional `assumed`. Secrets: `key`. Raises AccountError.
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

    def __repr__(self) -> str:
        return f"YeePay({self._code})"

    async def redirect(self, command: Redirect) -> Form:
        """The form that opens the bank's page (Buy)."""
        return buy(command, self._node_url, self._mer_id, self._key)

    async def ask_payment(self, command: AskPayment) -> Outcome:
        """Ask for the order (QueryOrdDetail)."""
        fields = {"p2_Order": command.number, "pv_Ver": VERSION, "p3_ServiceType": OF_PAYMENTS}
        said = signed(QUESTION, self._asked("QueryOrdDetail", fields), self._key)
        return await self._exchange(said, FOUND, lambda found: read_question(found, command.number))

    async def cancel(self, command: Cancel) -> Outcome:
        """Give the order up (CancelOrd): what is paid already stays paid."""
        fields = {"pb_TrxId": command.number, "pv_Ver": BY_OUR_NUMBER}
        said = signed(CANCEL, self._asked("CancelOrd", fields), self._key)
        return await self._exchange(said, CANCELLED, read_cancel)

    def _asked(self, command: str, fields: Fields) -> Fields:
        return {"p0_Cmd": command, "p1_MerId": self._mer_id, **fields}

    async def _exchange(self, said: Fields, names: tuple[str, ...], read: Callable[[Fields], Outcome]) -> Outcome:
        """Send once, and believe only what YeePay signed in answer to this command."""
        timeout_s = self.declaration.terms[Product.REDIRECT].answer_timeout_s
        request = httpx.Request(
            "POST",
            self._command_url,
            content=urlencode(said, encoding=CHARSET).encode("ascii"),
            headers={"Content-Type": "application/x-www-form-urlencoded;charset=GBK"},
            extensions={"timeout": httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S).as_dict()},
        )
        try:
            response = await self._transport(request)
            if response.status_code != httpx.codes.OK:
                return Unknown(f"HTTP {response.status_code}")
            fields = believed(names, read_answer(response.content), self._key)
        except NotSentError as error:
            return NotSent(str(error))
        except (TransportError, UnbelievableError) as error:
            return Unknown(str(error))
        return read(fields) if fields["r0_Cmd"] == said["p0_Cmd"] else Unknown("an answer to another question")

    COMMANDS: ClassVar[Table] = {Redirect: redirect, AskPayment: ask_payment, Cancel: cancel}
