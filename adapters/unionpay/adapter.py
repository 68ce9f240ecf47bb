"""UnionPay 全渠道 ACP 5.1.0: signed forms out, signed `k=v` text back, signed forms as callbacks.

Source: UnionPay's own Java demo (`ACPSample_WuTiaoZhuan_Token`; H) where nothing else is said.
M: other code; L: inference.
Not public, so chosen here: what a silent opening is told when the issuer wants an SMS code (71 is taken for it);
whether 78/02 tells of openings by back call (the demo promises it for front ones); a finish time (there is none);
what tells a notification from a synchronous answer (settleAmt is taken for it: L).
"""

import base64
import re
from collections.abc import Callable
from datetime import datetime
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import httpx

from adapters.account import AccountError, base_url, certificate, declared, private_key, secret, setting
from adapters.signing import SHA256, PinnedChain, SigningError, rsa_sign, rsa_verify
from adapters.unionpay.codes import DECLINES, NO_SUCH_ORDER, NOT_OPENED, OK, OPEN_ORDER, SMS_WANTED, SUCCESSES
from adapters.unionpay.letter import (
    Fields,
    UnbelievableError,
    card_fields,
    charset_of,
    digest,
    pairs_in,
    read_form,
    read_text,
)
from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import (
    Authenticated,
    AuthenticationOutcome,
    Declined,
    NotFound,
    NotSent,
    Outcome,
    Processing,
    SmsNeeded,
    Succeeded,
    Unknown,
)
from gateway.domain.scenes import Scene
from gateway.domain.terms import NotFoundRule, Product, Terms
from gateway.ports import (
    AccountSettings,
    Authenticate,
    Callback,
    CallbackAnswer,
    CallbackRejectedError,
    CallbackRequest,
    Declaration,
    NotSentError,
    Pay,
    Query,
    QueryAuthentication,
    Transport,
    TransportError,
)

__all__ = ["UnionPay"]

# "At most 6 queries with gaps 1, 2, 4, 8, 16, 32 s" (H); code 37 punishes more. 300 s afterwards is our choice.
POLL_GAPS_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 300.0)
ANSWER_TIMEOUT_S: Final = 30.0  # the demo's read timeout (H)

DECLARATION: Final = Declaration(
    provider="unionpay",
    scenes=frozenset({Scene.WITHHOLD, Scene.QUICK_CHARGE}),
    has_callbacks=True,
    terms={
        # 34 is "not a failure, ask again; the final word is the statement" (H): a day, unless the account knows better.
        Product.PAYMENT: Terms(POLL_GAPS_S, NotFoundRule(answers=6, over_s=24 * 3600), ANSWER_TIMEOUT_S),
        # No source says what "not found" proves of an opened card.
        Product.AUTHENTICATION: Terms(POLL_GAPS_S, None, ANSWER_TIMEOUT_S),
    },
    authenticates_silently=True,
    identity=frozenset({"mer_id"}),
)

BACK_PATH: Final = "/gateway/api/backTransReq.do"
QUERY_PATH: Final = "/gateway/api/queryTrans.do"
SIGNER_CN: Final = "中国银联股份有限公司"
"""UnionPay's name in its production certificate, as its published verifier compares it; its test system has another."""
BEIJING: Final = ZoneInfo("Asia/Shanghai")
CONNECT_TIMEOUT_S: Final = 5.0

OPEN_CARD: Final = {"txnType": "79", "txnSubType": "00", "bizType": "000902", "accType": "01"}
OPEN_QUERY: Final = {"txnType": "78", "txnSubType": "02", "bizType": "000902"}
CONSUME: Final = {"txnType": "01", "txnSubType": "01", "bizType": "000902"}
WITHHOLD: Final = {"txnType": "11", "txnSubType": "00", "bizType": "000501", "accType": "01"}
ORDER_QUERY: Final = {"txnType": "00", "txnSubType": "00", "bizType": "000000"}
PAYMENTS: Final = frozenset({("01", "01"), ("11", "00")})

_AMOUNT = re.compile(r"[0-9]{1,15}")
_NUMBER = re.compile(r"[0-9a-f]{32}")


class UnionPay:
    """One merchant account at UnionPay.

    Settings: `base_url` (before `/gateway/api/...`), `mer_id` (15 digits), `tr_id` (token requester), optional
    `signer_cn`. Secrets: `merchant_private_key`, `merchant_certificate`,
    `root_certificate`, `middle_certificate` (all PEM). `clock` tells when certificates must be valid, and nothing
    else. Raises AccountError.
    """

    DECLARATION = DECLARATION

    def __init__(self, account: AccountSettings, transport: Transport, clock: Callable[[], datetime]) -> None:
        self.declaration = declared(account, DECLARATION)
        self._code, self._transport, self._clock = account.code, transport, clock
        self._base_url = base_url(account)
        self._mer_id, self._tr_id = setting(account, "mer_id"), setting(account, "tr_id")
        if not re.fullmatch(r"[0-9]{15}", self._mer_id):
            raise AccountError(account, "mer_id", "must be 15 digits")
        self._key = private_key(account, "merchant_private_key")
        own = certificate(account, "merchant_certificate")
        if own.public_key() != self._key.public_key():
            raise AccountError(account, "merchant_certificate", "does not belong to merchant_private_key")
        self._cert_id = str(own.serial_number)
        self._chain = _chain(account)

    def __repr__(self) -> str:
        return f"UnionPay({self._code})"

    # Verbs

    async def authenticate(self, command: Authenticate) -> AuthenticationOutcome:
        """Open the card by back call (79/00); the answer is final and brings the token."""
        fields = self._order(OPEN_CARD, command.number, command.submitted_at)
        fields |= card_fields(command.card) | {"tokenPayData": f"{{trId={self._tr_id}&tokenType=01}}"}
        answer = await self._commit(BACK_PATH, fields, Product.AUTHENTICATION)
        return answer if isinstance(answer, (NotSent, Unknown)) else _read_opening(answer)

    async def query_authentication(self, command: QueryAuthentication) -> AuthenticationOutcome:
        """Ask for the opening by its order (78/02)."""
        fields = self._order(OPEN_QUERY, command.number, command.submitted_at)
        answer = await self._commit(BACK_PATH, fields, Product.AUTHENTICATION)
        return answer if isinstance(answer, (NotSent, Unknown)) else _read_open_query(answer)

    async def pay(self, command: Pay) -> Outcome:
        """Consume with the token (quick charge) or withhold from the card (11). A good answer is never final."""
        if command.scene not in self.declaration.scenes:
            return Declined(F.CARD_UNSUPPORTED)  # nothing was sent, nothing can have moved
        if command.scene is Scene.QUICK_CHARGE and not command.agreement_no:
            return Declined(F.AGREEMENT_VOID)
        answer = await self._commit(BACK_PATH, self._payment(command), Product.PAYMENT)
        return answer if isinstance(answer, (NotSent, Unknown)) else _read_submission(answer)

    async def query(self, command: Query) -> Outcome:
        """Ask for the order (00/00) by its number and submission time."""
        fields = self._order(ORDER_QUERY, command.number, command.submitted_at)
        answer = await self._commit(QUERY_PATH, fields, Product.PAYMENT)
        return answer if isinstance(answer, (NotSent, Unknown)) else _read_query(answer)

    def read_callback(self, request: CallbackRequest) -> Callback:
        """Verify a notification and read it. Raises CallbackRejectedError."""
        try:
            fields = read_form(request)
            self._verify(fields, charset_of(request.body))
        except UnbelievableError as error:
            raise CallbackRejectedError(str(error)) from None
        if fields.get("merId") != self._mer_id or not _NUMBER.fullmatch(fields.get("orderId", "")):
            raise CallbackRejectedError("about another merchant or no order of ours")
        # A true answer to a query, sent here by somebody, also says respCode 00 and means only "the query worked".
        if (fields.get("txnType"), fields.get("txnSubType")) not in PAYMENTS or "origRespCode" in fields:
            raise CallbackRejectedError("not a payment's notification")
        return Callback(fields["orderId"], _read_notice(fields))

    def answer_callback(self, accepted: bool) -> CallbackAnswer:
        """HTTP 200 stops the resends; anything else is resent, 5 sends in all (H)."""
        return CallbackAnswer(200, "text/plain", b"ok") if accepted else CallbackAnswer(400, "text/plain", b"rejected")

    # Builders

    def _order(self, kind: Fields, number: str, submitted_at: datetime) -> dict[str, str]:
        return {
            **kind,
            "version": "5.1.0",
            "encoding": "UTF-8",
            "signMethod": "01",
            "channelType": "07",
            "accessType": "0",
            "merId": self._mer_id,
            "orderId": number,
            "txnTime": submitted_at.astimezone(BEIJING).strftime("%Y%m%d%H%M%S"),
            "certId": self._cert_id,
        }

    def _payment(self, command: Pay) -> dict[str, str]:
        is_consume = command.scene is Scene.QUICK_CHARGE
        fields = self._order(CONSUME if is_consume else WITHHOLD, command.number, command.submitted_at)
        fields |= {"txnAmt": str(command.amount), "currencyCode": "156", "backUrl": command.notify_url}
        if is_consume:
            return fields | {"tokenPayData": f"{{token={command.agreement_no}&trId={self._tr_id}}}"}
        return fields | card_fields(command.card)

    async def _commit(self, path: str, fields: dict[str, str], product: Product) -> Fields | NotSent | Unknown:
        """Send once and believe the answer only if UnionPay signed it about this order."""
        signature = rsa_sign(self._key, digest(fields, "utf-8"), SHA256)
        timeout_s = self.declaration.terms[product].answer_timeout_s
        request = httpx.Request(
            "POST",
            self._base_url + path,
            content=urlencode({**fields, "signature": base64.b64encode(signature).decode()}).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"},
            extensions={"timeout": httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S).as_dict()},
        )
        try:
            return self._believe(await self._transport(request), fields["orderId"])
        except NotSentError as error:
            return NotSent(str(error))
        except (TransportError, UnbelievableError) as error:
            return Unknown(str(error))

    # Readers

    def _believe(self, response: httpx.Response, number: str) -> Fields:
        if response.status_code != httpx.codes.OK:
            raise UnbelievableError(f"HTTP {response.status_code}")
        try:
            fields = read_text(response.content.decode("utf-8"))
        except UnicodeDecodeError:
            raise UnbelievableError("the answer is not UTF-8") from None
        self._verify(fields, "utf-8")
        if fields.get("merId") != self._mer_id or fields.get("orderId") != number:
            raise UnbelievableError("the answer is about another order")
        return fields

    def _verify(self, fields: Fields, charset: str) -> None:
        try:
            signature = base64.b64decode(fields.get("signature", ""), validate=True)
            key = self._chain.public_key(fields.get("signPubKeyCert", ""), self._clock())
        except ValueError:  # SigningError is one, and what is no base64
            raise UnbelievableError("the signature or its certificate is not UnionPay's") from None
        if not rsa_verify(key, signature, digest(fields, charset), SHA256):
            raise UnbelievableError("the signature is wrong")


def _chain(account: AccountSettings) -> PinnedChain:
    root, middle = secret(account, "root_certificate"), secret(account, "middle_certificate")
    try:
        return PinnedChain(root, middle, setting(account, "signer_cn", SIGNER_CN))
    except SigningError as error:
        raise AccountError(account, "root_certificate and middle_certificate", f"are wrong: {error}") from None


def _read_opening(answer: Fields) -> AuthenticationOutcome:
    code, message = answer.get("respCode"), answer.get("respMsg")
    if code in SUCCESSES:
        return _read_token(answer)
    if code == SMS_WANTED:
        return SmsNeeded(code, message)
    failure = DECLINES.get(code or "")
    return Declined(failure, code, message) if failure else Unknown("no final word on the opening", code, message)


def _read_open_query(answer: Fields) -> AuthenticationOutcome:
    code, message = answer.get("respCode"), answer.get("respMsg")
    if code in SUCCESSES:
        return _read_token(answer)
    return NotFound(code, message) if code in NOT_OPENED else Unknown("the query failed", code, message)


def _read_token(answer: Fields) -> AuthenticationOutcome:
    code, token_pay = answer.get("respCode"), answer.get("tokenPayData", "")
    token = pairs_in(token_pay.removeprefix("{").removesuffix("}")).get("token")
    return Authenticated(token, code) if token else Unknown("opened, without a token", code, answer.get("respMsg"))


def _read_submission(answer: Fields) -> Outcome:
    """00 is "accepted" and no more; 03 and 04 do not even say that UnionPay has the order (H).

    Any other code without a meaning here does: a duplicate, say, or one of those where money moved.
    """
    code, message = answer.get("respCode"), answer.get("respMsg")
    if code in SUCCESSES or code in {"05", "70"}:
        return Processing(code, message, answer.get("queryId"))
    if failure := DECLINES.get(code or ""):
        return Declined(failure, code, message, answer.get("queryId"))
    return Unknown("not final", code, message, received=code not in {"03", "04"})


def _read_query(answer: Fields) -> Outcome:
    """Two levels: the query's own code, then the order's (H)."""
    code, message = answer.get("respCode"), answer.get("respMsg")
    if code == NO_SUCH_ORDER:
        return NotFound(code, message)
    if code != OK:
        return Unknown("the query failed", code, message)
    return _read_state(answer, answer.get("origRespCode"), answer.get("origRespMsg"))


def _read_notice(fields: Fields) -> Outcome:
    """A notification's word, final only where nothing but a notification of a finished order can say it.

    Our own synchronous answers, sent here by somebody, are signed, name our order and say 00 for "accepted"; so is a
    refusal that somebody else provoked with our order's number. As far as is generally known a notification states
    the settlement (settleAmt, settleDate, traceNo, traceTime) and an answer does not (L). Whatever states none makes
    nothing final here: polling decides.
    """
    code, message = fields.get("respCode"), fields.get("respMsg")
    outcome = _read_state(fields, code, message)
    if _AMOUNT.fullmatch(fields.get("settleAmt", "")):
        return outcome
    if isinstance(outcome, Succeeded):
        return Processing(code, message, outcome.channel_transaction_no)
    return Unknown("a refusal without a settlement", code, message) if isinstance(outcome, Declined) else outcome


def _read_state(fields: Fields, code: str | None, message: str | None) -> Outcome:
    """What a final word says: the same for a queried order and a notification. UnionPay has the order, whatever it is.

    A success must state its amount: "00" alone is also how an order is accepted.
    """
    transaction_no, amount = fields.get("queryId"), fields.get("txnAmt", "")
    if code in OPEN_ORDER:
        return Processing(code, message, transaction_no)
    if failure := DECLINES.get(code or ""):
        return Declined(failure, code, message, transaction_no)
    if code not in SUCCESSES:
        return Unknown("a code without a meaning", code, message, received=True)
    if not _AMOUNT.fullmatch(amount) or fields.get("currencyCode", "156") != "156":
        return Unknown("paid, without a readable amount or in another currency", code, message, received=True)
    return Succeeded(int(amount), transaction_no, channel_code=code)
