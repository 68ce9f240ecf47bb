"""Bank custody (存管), lanmao family (新网 and others): the bank charges through the payment company that we name.

Sources: three clients of independent companies, which agree (H), and single ones (M); the bank's own document is not
public. RECHARGE is a form that the payer's browser brings to the bank: quick (SWIFT) or net-bank (WEB). DIRECT_RECHARGE
charges at once what the payer authorised at the bank (PROXY). QUERY_TRANSACTION tells what became of either.

Not public, so chosen here: how long and how often to ask. The bank's errorCodes, and the payment companies'
channelErrorCodes behind them: what the account explains (`declines`) ends a payment with that failure, all else that
failed is `channel_refused`. So is the code for "no such record": the account may name it (`no_record`), and it proves
nothing. There is no call that closes an order: a page expires, and what was begun on it may end later. With
DIRECT_CALLBACK a quick payment's failure is told, too; a net-bank page only tells what was paid (H).

Cards, accounts and authorisations are between the payer and the bank. Refunds do not exist there. `statement`: what
the bank says of a day.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar, Final

import httpx

from adapters.account import (
    AccountError,
    allowed,
    base_url,
    declared,
    private_key,
    public_key,
    setting,
    statement_rules,
    withheld_from_statements,
)
from adapters.lanmao.answers import read_charge, read_question
from adapters.lanmao.codes import BANKS, WAYS, Reasons
from adapters.lanmao.declaration import ANY_BANK, DECLARATION
from adapters.lanmao.letter import UnreadableError, opened, signed, texts_of, written
from adapters.lanmao.notices import Notices
from adapters.lanmao.statement import LanmaoStatements
from adapters.statement_mapping import mapped
from gateway.domain.failures import FailureCode as F
from gateway.domain.money import yuan
from gateway.domain.outcomes import Declined, NotSent, Outcome, Unknown
from gateway.domain.redirects import Form
from gateway.domain.scenes import Scene
from gateway.domain.statements import StatementRules
from gateway.domain.terms import Product
from gateway.ports import (
    AccountSettings,
    AskPayment,
    Declaration,
    NotSentError,
    Pay,
    Redirect,
    Table,
    Transport,
    TransportError,
    bound,
)
from gateway.ports.statements import Statements

__all__ = ["Lanmao"]

BEIJING: Final = timezone(timedelta(hours=8))
CONNECT_TIMEOUT_S: Final = 5.0
DEVICES: Final = frozenset({"PC", "MOBILE"})
PAGES: Final = frozenset({Scene.CUSTODY_QUICK_CHARGE, Scene.CUSTODY_NETBANK_CHARGE})
_PLATFORM_NO: Final = re.compile(r"[0-9A-Za-z]{1,32}")


class Lanmao:
    """One platform at one custody bank.

    Settings: `base_url` (before `/gateway`, `/service` and `/download`), `platform_no`; optional `key_serial` (of our
    key, `1`), `user_device` (`PC` or `MOBILE`: how the bank's pages are made), `declines`, `number_used`, `no_record`
    (errorCodes: `codes.Reasons`). Secrets: `merchant_private_key`, `psp_public_key` (PEM). The clock is not used.
    Raises AccountError.
    """

    DECLARATION: ClassVar[Declaration] = DECLARATION

    def __init__(self, account: AccountSettings, transport: Transport, _clock: Callable[[], datetime]) -> None:
        self.declaration = declared(account, DECLARATION)
        self.commands = bound(self, allowed(account, DECLARATION, self.COMMANDS))
        self._code, self._transport = account.code, transport
        self._base = base_url(account)
        self._platform_no = setting(account, "platform_no")
        if not _PLATFORM_NO.fullmatch(self._platform_no):
            raise AccountError(account, "platform_no", "must be letters and digits")
        self._key_serial, self._device = setting(account, "key_serial", "1"), setting(account, "user_device", "PC")
        if self._device not in DEVICES:
            raise AccountError(account, "user_device", "must be PC or MOBILE")
        self._key = private_key(account, "merchant_private_key")
        self._psp_key = public_key(account, "psp_public_key")
        self._reasons = Reasons.of(account)
        self.callbacks = Notices(self._psp_key, self._platform_no, self._reasons)
        self.statements = self._statements_of(account)

    def __repr__(self) -> str:
        return f"Lanmao({self._code})"

    def _statements_of(self, account: AccountSettings) -> Statements | None:
        if (described := mapped(account)) or withheld_from_statements(account, DECLARATION):
            return described
        rules = statement_rules(account, StatementRules())
        return LanmaoStatements(self._base, self._platform_no, self._form, self._psp_key, rules)

    async def redirect(self, command: Redirect) -> Form:
        """RECHARGE, by the payer's browser. Raises ValueError for what routing must not bring here.

        The page expires when we say. `description` has no place in it, and notices come to a registered address.
        """
        if command.psp_code is None:
            raise ValueError("the channel names no payment company")
        bank, is_quick = BANKS.get(command.bank), command.scene is Scene.CUSTODY_QUICK_CHARGE
        if command.scene not in PAGES or (bank is None and (is_quick or command.bank != ANY_BANK)):
            raise ValueError(f"no page for {command.scene} at {command.bank}")
        fields = self._order(command, command.psp_code)
        if bank is not None:
            fields |= {"bankcode": bank} if is_quick else {"bankcode": bank, "payType": "B2C"}
        if is_quick:
            fields["callbackMode"] = "DIRECT_CALLBACK"
        fields |= {"redirectUrl": command.return_url, "expired": _time(command.expires_at)}
        form = self._form("RECHARGE", fields | {"timestamp": _time(command.told_at)})
        return Form(f"{self._base}/gateway", form | {"userDevice": self._device})

    async def pay(self, command: Pay) -> Outcome:
        """DIRECT_RECHARGE. Declined without a request for what cannot be said: nothing can have moved."""
        if command.scene is not Scene.CUSTODY_WITHHOLD or command.bank not in BANKS:
            return Declined(F.CARD_UNSUPPORTED)
        if command.psp_code is None:
            return Declined(F.CHANNEL_REFUSED, channel_message="the channel names no payment company")
        fields = self._order(command, command.psp_code) | {"bankcode": BANKS[command.bank]}
        answer = await self._ask("DIRECT_RECHARGE", fields, command.told_at, Product.PAYMENT)
        if not isinstance(answer, Mapping):
            return answer
        told = texts_of(answer)
        if told.get("requestNo") != command.number:
            return Unknown("an answer about another order, or about none")
        return read_charge(told, self._reasons)

    async def ask_payment(self, command: AskPayment) -> Outcome:
        """QUERY_TRANSACTION, by the number."""
        product = Product.REDIRECT if command.scene in PAGES else Product.PAYMENT
        fields = {"requestNo": command.number, "transactionType": "RECHARGE"}
        answer = await self._ask("QUERY_TRANSACTION", fields, command.told_at, product)
        return read_question(answer, command.number, self._reasons) if isinstance(answer, Mapping) else answer

    # Builders, and the wire

    def _order(self, command: Redirect | Pay, psp_code: str) -> dict[str, str]:
        return {
            "platformUserNo": command.custody_user_no or command.user_id,
            "requestNo": command.number,
            "amount": yuan(command.amount),
            "expectPayCompany": psp_code,
            "rechargeWay": WAYS[command.scene],
        }

    def _form(self, service: str, fields: Mapping[str, object]) -> dict[str, str]:
        text = written(fields)
        return {
            "serviceName": service,
            "platformNo": self._platform_no,
            "keySerial": self._key_serial,
            "reqData": text,
            "sign": signed(text, self._key),
        }

    async def _ask(
        self, service: str, fields: dict[str, str], told_at: datetime, product: Product
    ) -> Mapping[str, Any] | NotSent | Unknown:
        """Send a direct call once, and believe the answer only if the bank signed it."""
        timeout = httpx.Timeout(self.declaration.terms[product].answer_timeout_s, connect=CONNECT_TIMEOUT_S)
        request = httpx.Request(
            "POST",
            f"{self._base}/service",
            data=self._form(service, fields | {"timestamp": _time(told_at)}),
            extensions={"timeout": timeout.as_dict()},
        )
        try:
            response = await self._transport(request)
            if response.status_code != httpx.codes.OK:
                return Unknown(f"HTTP {response.status_code}")
            return opened(response.content, response.headers.get("sign", ""), self._psp_key)
        except NotSentError as error:
            return NotSent(str(error))
        except (TransportError, UnreadableError) as error:
            return Unknown(str(error))

    COMMANDS: ClassVar[Table] = {Redirect: redirect, Pay: pay, AskPayment: ask_payment}


def _time(moment: datetime) -> str:
    return moment.astimezone(BEIJING).strftime("%Y%m%d%H%M%S")
