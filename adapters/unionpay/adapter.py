"""UnionPay 全渠道 ACP 5.1.0: signed forms out, signed `k=v` text back, signed forms as callbacks.

Source: UnionPay's own Java demo (`ACPSample_WuTiaoZhuan_Token`; H) where nothing else is said.
M: other code; L: inference.
Not public, so chosen here: what a silent opening is told when the issuer wants an SMS code (71 is taken for it);
whether 78/02 tells of openings by back call (the demo promises it for front ones); a finish time (there is none);
what tells a notification from a synchronous answer (settleAmt is taken for it: L); with which codes
refunds are refused (see `codes`).

A refund (04/00) is an order of its own. 00 means accepted; the final word comes by notification or query, while the
money reaches the card in 1 to 10 clearing days (H). It names its payment by UnionPay's own number for it (origQryId);
without that it cannot be written and is declined unsent. Undoing (31/00) is not used.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import ClassVar, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import httpx

from adapters.account import AccountError, base_url, declared, setting
from adapters.unionpay.answers import read_open_query, read_opening, read_query, read_submission
from adapters.unionpay.codes import DECLINES, REFUND_DECLINES
from adapters.unionpay.letter import PAPERS, Fields, UnbelievableError, card_fields, read_text
from adapters.unionpay.notices import Notices
from adapters.unionpay.seal import Seal
from gateway.domain.carrying import Carries
from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import AuthenticationOutcome, Declined, NotSent, Outcome, Unknown
from gateway.domain.scenes import Scene
from gateway.domain.terms import NotFoundRule, Product, Terms
from gateway.ports import (
    AccountSettings,
    AskAuthentication,
    AskPayment,
    AskRefund,
    Authenticate,
    Declaration,
    NotSentError,
    Pay,
    Refund,
    Table,
    Transport,
    TransportError,
    bound,
)

__all__ = ["UnionPay"]

# "At most 6 queries with gaps 1, 2, 4, 8, 16, 32 s" (H); code 37 punishes more. 300 s afterwards is our choice.
POLL_GAPS_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 300.0)
# A refund's final word may take longer: nothing is gained by asking every 5 minutes for days. Our choice.
REFUND_POLL_GAPS_S: Final = (*POLL_GAPS_S, 1800.0)
ANSWER_TIMEOUT_S: Final = 30.0  # the demo's read timeout (H)
# 34 is "not a failure, ask again; the final word is the statement" (H): a day, unless the account knows better.
NOT_FOUND: Final = NotFoundRule(answers=6, over_s=24 * 3600)

DECLARATION: Final = Declaration(
    provider="unionpay",
    scenes=frozenset({Scene.WITHHOLD, Scene.QUICK_CHARGE}),
    terms={
        Product.PAYMENT: Terms(POLL_GAPS_S, NOT_FOUND, ANSWER_TIMEOUT_S),
        # No source says what "not found" proves of an opened card.
        Product.AUTHENTICATION: Terms(POLL_GAPS_S, None, ANSWER_TIMEOUT_S),
        Product.REFUND: Terms(REFUND_POLL_GAPS_S, NOT_FOUND, ANSWER_TIMEOUT_S),
    },
    carries=Carries(id_types=frozenset(PAPERS)),
    identity=frozenset({"mer_id"}),
)

BACK_PATH: Final = "/gateway/api/backTransReq.do"
QUERY_PATH: Final = "/gateway/api/queryTrans.do"
BEIJING: Final = ZoneInfo("Asia/Shanghai")
CONNECT_TIMEOUT_S: Final = 5.0

OPEN_CARD: Final = {"txnType": "79", "txnSubType": "00", "bizType": "000902", "accType": "01"}
OPEN_QUERY: Final = {"txnType": "78", "txnSubType": "02", "bizType": "000902"}
CONSUME: Final = {"txnType": "01", "txnSubType": "01", "bizType": "000902"}
WITHHOLD: Final = {"txnType": "11", "txnSubType": "00", "bizType": "000501", "accType": "01"}
REFUND: Final[Mapping[Scene, Fields]] = {
    scene: {"txnType": "04", "txnSubType": "00", "bizType": original["bizType"]}
    for scene, original in ((Scene.QUICK_CHARGE, CONSUME), (Scene.WITHHOLD, WITHHOLD))
}
ORDER_QUERY: Final = {"txnType": "00", "txnSubType": "00", "bizType": "000000"}


class UnionPay:
    """One merchant account at UnionPay.

    Settings: `base_url` (before `/gateway/api/...`), `mer_id` (15 digits), `tr_id` (token requester), optional
    `signer_cn`. Secrets: `merchant_private_key`, `merchant_certificate`,
    `root_certificate`, `middle_certificate` (all PEM). `clock` tells when certificates must be valid, and nothing
    else. Raises AccountError.
    """

    DECLARATION: ClassVar[Declaration] = DECLARATION

    def __init__(self, account: AccountSettings, transport: Transport, clock: Callable[[], datetime]) -> None:
        self.declaration = declared(account, DECLARATION)
        self.commands = bound(self, self.COMMANDS)
        self._code, self._transport = account.code, transport
        self._base_url = base_url(account)
        self._mer_id, self._tr_id = setting(account, "mer_id"), setting(account, "tr_id")
        if not re.fullmatch(r"[0-9]{15}", self._mer_id):
            raise AccountError(account, "mer_id", "must be 15 digits")
        self._seal = Seal(account, clock)
        self.callbacks = Notices(self._seal, self._mer_id)

    def __repr__(self) -> str:
        return f"UnionPay({self._code})"

    # Commands

    async def authenticate(self, command: Authenticate) -> AuthenticationOutcome:
        """Open the card by back call (79/00); the answer is final and brings the token."""
        fields = self._order(OPEN_CARD, command.number, command.told_at)
        fields |= card_fields(command.card) | {"tokenPayData": f"{{trId={self._tr_id}&tokenType=01}}"}
        answer = await self._commit(BACK_PATH, fields, Product.AUTHENTICATION)
        return answer if isinstance(answer, (NotSent, Unknown)) else read_opening(answer)

    async def ask_authentication(self, command: AskAuthentication) -> AuthenticationOutcome:
        """Ask for the opening by its order (78/02)."""
        fields = self._order(OPEN_QUERY, command.number, command.told_at)
        answer = await self._commit(BACK_PATH, fields, Product.AUTHENTICATION)
        return answer if isinstance(answer, (NotSent, Unknown)) else read_open_query(answer)

    async def pay(self, command: Pay) -> Outcome:
        """Consume with the token (quick charge) or withhold from the card (11). A good answer is never final."""
        if command.scene not in self.declaration.scenes:
            return Declined(F.CARD_UNSUPPORTED)  # nothing was sent, nothing can have moved
        if command.scene is Scene.QUICK_CHARGE and not command.agreement_no:
            return Declined(F.AGREEMENT_VOID)
        answer = await self._commit(BACK_PATH, self._payment(command), Product.PAYMENT)
        return answer if isinstance(answer, (NotSent, Unknown)) else read_submission(answer, DECLINES)

    async def ask_payment(self, command: AskPayment) -> Outcome:
        """Ask for the order (00/00) by its number and submission time."""
        fields = self._order(ORDER_QUERY, command.number, command.told_at)
        answer = await self._commit(QUERY_PATH, fields, Product.PAYMENT)
        return answer if isinstance(answer, (NotSent, Unknown)) else read_query(answer, DECLINES)

    async def refund(self, command: Refund) -> Outcome:
        """Give back (04/00). Declined unsent where it cannot be written: nothing can have moved."""
        if not command.original_transaction_no:
            return Declined(F.CHANNEL_REFUSED, channel_message="the payment's queryId is not known")
        if command.scene not in REFUND:
            return Declined(F.CHANNEL_REFUSED, channel_message=f"no {command.scene} is paid here")
        answer = await self._commit(BACK_PATH, self._refund(command, command.original_transaction_no), Product.REFUND)
        return answer if isinstance(answer, (NotSent, Unknown)) else read_submission(answer, REFUND_DECLINES)

    async def ask_refund(self, command: AskRefund) -> Outcome:
        """Ask for the refund (00/00) by its own number and time."""
        fields = self._order(ORDER_QUERY, command.number, command.told_at)
        answer = await self._commit(QUERY_PATH, fields, Product.REFUND)
        return answer if isinstance(answer, (NotSent, Unknown)) else read_query(answer, REFUND_DECLINES)

    # Builders

    def _order(self, kind: Fields, number: str, told_at: datetime) -> dict[str, str]:
        return {
            **kind,
            "version": "5.1.0",
            "encoding": "UTF-8",
            "signMethod": "01",
            "channelType": "07",
            "accessType": "0",
            "merId": self._mer_id,
            "orderId": number,
            "txnTime": told_at.astimezone(BEIJING).strftime("%Y%m%d%H%M%S"),
            "certId": self._seal.cert_id,
        }

    def _payment(self, command: Pay) -> dict[str, str]:
        is_consume = command.scene is Scene.QUICK_CHARGE
        fields = self._order(CONSUME if is_consume else WITHHOLD, command.number, command.told_at)
        fields |= {"txnAmt": str(command.amount), "currencyCode": "156", "backUrl": command.notify_url}
        if is_consume:
            return fields | {"tokenPayData": f"{{token={command.agreement_no}&trId={self._tr_id}}}"}
        return fields | card_fields(command.card)

    def _refund(self, command: Refund, original_transaction_no: str) -> dict[str, str]:
        return {
            **self._order(REFUND[command.scene], command.number, command.told_at),
            "origQryId": original_transaction_no,
            "txnAmt": str(command.amount),
            "currencyCode": "156",
            "backUrl": command.notify_url,
        }

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
        Pay: pay,
        AskPayment: ask_payment,
        Refund: refund,
        AskRefund: ask_refund,
    }
