"""JD / ChinaBank express (京东网银在线 快捷支付): signed and encrypted XML in a form, an SMS code with each payment.

Sources: H, several public clients that agree, the vendor's PHP sample among them; M, one of them
(`learningtcc/zx-parent`, and an ASP.NET client written after the vendor's Java sample); L, inference.
V asks for the SMS, S pays with its code under the same TRADE/ID, Q asks; each S and V brings the whole card, nothing is
bound. Not public, so chosen here: the plan of polling, and what JD wants to read as the answer to a notice (a wrong
text costs only notices that come again). R gives back, under a TRADE/ID of its own; it stands in a template alone (M),
and what its answers mean is in no public source: it is done for who says that they mean what those to S do.
"""

from datetime import datetime, timedelta, timezone
from typing import ClassVar, Final
from xml.etree.ElementTree import Element

import httpx

from adapters.account import allowed, base_url, declared, more_declines
from adapters.jd.answers import read_code, read_question, read_sent
from adapters.jd.codes import BANKS, DECLINES, NO_DECLINES, OK, REFUND_DECLINES
from adapters.jd.envelope import MAX_ANSWER_BYTES, Envelope, UnreadableError, UnwritableError, node, text_of
from adapters.jd.notices import Notices
from adapters.statement_mapping import mapped
from gateway.domain.cards import CardElements
from gateway.domain.carrying import Carries
from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import CodeOutcome, Declined, NotSent, Outcome, Unknown
from gateway.domain.scenes import Scene
from gateway.domain.terms import Product, Terms
from gateway.ports import (
    AccountSettings,
    AskPayment,
    AskRefund,
    Assumption,
    Declaration,
    NotSentError,
    Pay,
    Refund,
    SendPaymentCode,
    Table,
    Transport,
    TransportError,
    bound,
)

__all__ = ["Jd"]

BEIJING: Final = timezone(timedelta(hours=8))
CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 60.0  # the Java samples' (H)
REFUND_POLL_GAPS_S: Final = (10.0, 60.0, 300.0, 1800.0, 3600.0)
"""Banks take days: our choice."""

_DECLARATION: Final = Declaration(
    provider="jd",
    scenes=frozenset({Scene.QUICK_CHARGE}),
    terms={
        Product.PAYMENT: Terms(
            # No source states a plan. The payer waits, and most answers to S are final: often at first, then seldom.
            poll_gaps_s=(3.0, 6.0, 12.0, 30.0, 60.0, 300.0),
            # Whatever is not 0000 on a question is "in process" to a working client (M), "no such trade" included.
            not_found=None,
            answer_timeout_s=ANSWER_TIMEOUT_S,
        ),
        Product.REFUND: Terms(REFUND_POLL_GAPS_S, None, ANSWER_TIMEOUT_S),
    },
    # A name in UTF-8. IDTYPE "I" is an ID card; how JD writes other papers is not public.
    carries=Carries(banks=frozenset(BANKS)),
    identity=frozenset({"merchant"}),
    assumptions=(
        Assumption(
            "residence_permits",
            "Residence permits of people from Hong Kong, Macau and Taiwan (81, 82, 83) are IDTYPE I.",
            residence_permits=True,
        ),
        Assumption(
            "order_numbers",
            "JD takes order numbers (TRADE/ID) of 32 characters: its document is not public, and one client allows 30.",
        ),
        Assumption(
            "refunds_as_payments",
            "R is answered and notified as S is, under a TRADE/ID of its own by which Q asks: STATUS 0 is given back, "
            "6 in process, 7 failed; a code EES… of a wrong request or an unknown payment gave nothing back.",
            frozenset({Refund, AskRefund}),
        ),
    ),
    # Two working clients ask for the code again, or send another SMS, under the same TRADE/ID.
    wrong_code_ends_order=False,
    authenticated_scenes=frozenset({Scene.QUICK_CHARGE}),  # S without a code is not known
)


class Jd:
    """One merchant account at JD.

    Settings: `url` (…/express.htm), `merchant`; optional `terminal`, `assumed`, and `declines`: more codes `EE…` of
    refusals with our failure codes; `refund_declines`: the same of refunds. Secrets: `md5_key`, `des_key` (base64).
    Raises AccountError.
    """

    DECLARATION: ClassVar[Declaration] = _DECLARATION

    def __init__(self, account: AccountSettings, transport: Transport, clock: object = None) -> None:  # noqa: ARG002
        self.declaration = declared(account, _DECLARATION)
        self.commands = bound(self, allowed(account, _DECLARATION, self.COMMANDS))
        self._code, self._transport = account.code, transport
        self._url = base_url(account, "url")
        self._envelope = Envelope(account)
        form = (r"EE[A-Z][0-9]{4}", "codes EE… of refusals", NO_DECLINES)
        self._declines = {**DECLINES, **more_declines(account, *form)}
        self._refund_declines = {**REFUND_DECLINES, **more_declines(account, *form, "refund_declines")}
        self.callbacks = Notices(self._envelope, refunds=Refund in self.commands)
        self.statements = mapped(account)

    def __repr__(self) -> str:
        return f"Jd({self._code})"

    async def send_payment_code(self, command: SendPaymentCode) -> CodeOutcome:
        """Ask for the SMS (V); again, with the same TRADE/ID, for another one (H). It has no answer but this one."""
        if refusal := self._cannot(command.scene, command.bank):
            return refusal
        try:
            inside = _card(command.bank, command.card) + _trade("V", command.number, command.amount)
        except UnwritableError as error:
            return Declined(F.CARD_UNSUPPORTED, channel_message=f"the request {error}")
        answer = await self._exchange("V", command.number, inside)
        return read_code(answer, self._declines) if isinstance(answer, Element) else answer

    async def pay(self, command: Pay) -> Outcome:
        """Pay with the SMS code (S). Declined without a request when this protocol cannot say it."""
        if refusal := self._cannot(command.scene, command.bank):
            return refusal
        if not command.sms_code:
            return Declined(F.CHANNEL_REFUSED, channel_message="JD takes no payment without an SMS code")
        assert command.card is not None
        try:
            inside = _card(command.bank, command.card) + _trade(
                "S",
                command.number,
                command.amount,
                **_told_at(command.told_at),
                NOTICE=command.notify_url,
                NOTE="",  # as the ASP.NET client sends it: what it may hold is not public
                CODE=command.sms_code,
            )
        except UnwritableError as error:
            return Declined(F.CARD_UNSUPPORTED, channel_message=f"the request {error}")
        answer = await self._exchange("S", command.number, inside)
        return read_sent(answer, self._declines) if isinstance(answer, Element) else answer

    async def ask_payment(self, command: AskPayment) -> Outcome:
        """Ask for the order (Q)."""
        answer = await self._exchange("Q", command.number, node("TRADE", TYPE="Q", ID=command.number))
        return read_question(answer) if isinstance(answer, Element) else answer

    async def refund(self, command: Refund) -> Outcome:
        """Give back (R). The payment is named by our number of it."""
        if command.scene not in self.declaration.scenes:
            return Declined(F.CHANNEL_REFUSED, channel_message=f"no {command.scene} is paid here")
        inside = node(
            "TRADE",
            TYPE="R",
            ID=command.number,
            OID=command.original_number,
            AMOUNT=str(command.amount),
            CURRENCY="CNY",
            **_told_at(command.told_at),
            NOTICE=command.notify_url,
            NOTE="",
        )
        answer = await self._exchange("R", command.number, inside, Product.REFUND)
        return read_sent(answer, self._refund_declines) if isinstance(answer, Element) else answer

    async def ask_refund(self, command: AskRefund) -> Outcome:
        """Ask for the refund (Q)."""
        inside = node("TRADE", TYPE="Q", ID=command.number)
        answer = await self._exchange("Q", command.number, inside, Product.REFUND)
        return read_question(answer) if isinstance(answer, Element) else answer

    def _cannot(self, scene: Scene, bank: str) -> Declined | None:
        return Declined(F.CARD_UNSUPPORTED) if scene not in self.declaration.scenes or bank not in BANKS else None

    async def _exchange(
        self, kind: str, number: str, inside: str, product: Product = Product.PAYMENT
    ) -> Element | NotSent | Unknown:
        """Send once, and believe the answer only if JD signed it about this request."""
        timeout_s = self.declaration.terms[product].answer_timeout_s
        request = httpx.Request(
            "POST",
            self._url,
            content=self._envelope.sealed(f"<DATA>{inside}</DATA>"),
            headers={"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"},
            extensions={"timeout": httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S).as_dict()},
        )
        try:
            data = self._opened(await self._transport(request))
            _check(data, kind, number)
        except NotSentError as error:
            return NotSent(str(error))
        except TransportError as error:
            return Unknown(str(error))
        except UnreadableError as error:
            return Unknown(str(error), error.code)
        return data

    def _opened(self, response: httpx.Response) -> Element:
        if response.status_code != httpx.codes.OK:
            raise UnreadableError(f"HTTP {response.status_code}")
        if len(response.content) > MAX_ANSWER_BYTES:
            raise UnreadableError("an answer beyond all measure")
        try:
            name, equals, letter = response.content.decode("ascii").strip().partition("=")
        except UnicodeDecodeError:
            raise UnreadableError("not an answer of express") from None
        if (name, equals) != ("resp", "="):
            raise UnreadableError("not an answer of express")
        return self._envelope.opened(letter)

    COMMANDS: ClassVar[Table] = {
        SendPaymentCode: send_payment_code,
        Pay: pay,
        AskPayment: ask_payment,
        Refund: refund,
        AskRefund: ask_refund,
    }


def _card(bank: str, card: CardElements) -> str:
    # A credit card would need EXP and CVV2, which are not taken here: every card is said to be a debit card.
    return node(
        "CARD",
        BANK=BANKS[bank],
        TYPE="D",
        NO=card.card_no,
        EXP="",
        CVV2="",
        NAME=card.holder_name,
        IDTYPE="I",
        IDNO=card.id_no,
        PHONE=card.phone,
    )


def _trade(kind: str, number: str, amount: int, **more: str) -> str:
    return node("TRADE", TYPE=kind, ID=number, AMOUNT=str(amount), CURRENCY="CNY", **more)


def _told_at(told_at: datetime) -> dict[str, str]:
    here = told_at.astimezone(BEIJING)
    return {"DATE": here.strftime("%Y%m%d"), "TIME": here.strftime("%H%M%S")}


def _check(data: Element, kind: str, number: str) -> None:
    """Raises UnreadableError for another request's answer.

    A refusal may come without its number (M, of V). On S and R it is then no word on this order.
    """
    told = text_of(data, "TRADE/ID")
    may_lack_it = kind not in {"S", "R"} and text_of(data, "RETURN/CODE") != OK
    if text_of(data, "TRADE/TYPE") != kind or not (told == number or (told is None and may_lack_it)):
        raise UnreadableError("an answer to another request")
