"""A PSP as the contract suite meets it: its `Case`, a wire that remembers, and one command of each kind.

The case reads requests and signs answers by its own code, never by the adapter's, so that a mistake cannot cancel out.
An answer is asked for by its meaning; how that looks is the case's affair.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote_plus

import httpx
import respx

from adapters.registry import ProviderClass
from gateway.domain.cards import CardElements
from gateway.domain.failures import FailureCode
from gateway.domain.intents import Verb
from gateway.domain.outcomes import (
    AnyOutcome,
    AuthenticationOutcome,
    BalanceOutcome,
    CodeOutcome,
    Declined,
    Outcome,
    ReturnsOutcome,
    UnbindingOutcome,
    Unknown,
)
from gateway.domain.payees import Payee, PayeeType
from gateway.domain.redirects import Form
from gateway.domain.scenes import CUSTODY_SCENES, REDIRECT_SCENES, Scene
from gateway.ports import (
    AccountSettings,
    AskAuthentication,
    AskBalance,
    AskPayment,
    AskPayout,
    AskRefund,
    AskReturnedPayouts,
    Authenticate,
    CallbackReader,
    CallbackRequest,
    Cancel,
    Command,
    ConfirmPayout,
    Pay,
    Payout,
    Provider,
    Redirect,
    Refund,
    SendPaymentCode,
    SendSigningCode,
    Sign,
    Table,
    Transport,
    Unbind,
)

NUMBER = "0190a1b2c3d47e5f8a9b0c1d2e3f4a5b"
OTHER_NUMBER = "0190a1b2c3d47e5f8a9b0c1d2e3f4a5c"
AMOUNT = 12_345
TRANSACTION_NO = "202603010030150000007"
"""The PSP's own number of the payment that is refunded."""
TOLD_AT = datetime(2026, 3, 1, 16, 30, 15, tzinfo=UTC)  # the next day in Shanghai
CARD = CardElements("6222020200098761234", "张三丰", "110101199003074477", "13812340077")
NOTIFY_URL = "https://pay.example.com/callbacks/acc_1?merchant=m1"
AGREEMENT_NO = "6235240000020757577"
PERSON = Payee(PayeeType.PERSONAL, "6217000010099887766", "李四光", "ICBC")
FIRM = Payee(
    PayeeType.CORPORATE, "1202021509900012345", "杭州某某融资租赁有限公司", "ICBC", "中国工商银行杭州西湖支行",
    "102331000013", "浙江省", "杭州市",
)  # fmt: skip
PURPOSE = "还款 March"
CONFIRM_CODE = "771904"
"""What the PSP gives with its suspicion of a payout."""
RETURNED_ON = date(2026, 3, 5)
SMS_CODE = "842613"
"""What the payer typed."""
PSP_CODE = "FUIOU"
"""Whom a custody bank is to charge through."""
CUSTODY_USER_NO = "U0001986"
"""How the custody bank knows the payer."""
SHORT_NOTIFY_URL = "https://pay.example.com/c/abcdefgh"
"""An address of callbacks that fits into the shortest field for one."""
RETURN_URL = "https://pay.example.com/return/m1.acc_1"
EXPIRES_AT = TOLD_AT + timedelta(minutes=15)
EXACT_AMOUNTS = (1, 7, 10, 100, 999, 1_005, 10_000, 99_999_999, 2_147_483_648, 999_999_999_999)

Answer = httpx.Response | Exception
Psp = Callable[[httpx.Request], Answer]
Meaning = FailureCode | type
"""What a PSP's code means: a decline's failure code, or the class of another outcome."""
O = TypeVar("O", bound=AnyOutcome | ReturnsOutcome | BalanceOutcome | Form)  # noqa: E741 -- what a command is answered with

SENDS = (Pay, Refund, Payout)
ASKS = (AskPayment, AskRefund, AskPayout)
SENDS_CODES = (SendSigningCode, SendPaymentCode)
ANSWERED: Mapping[type[Command[Any]], object] = {
    **dict.fromkeys((*SENDS, *ASKS, Cancel, ConfirmPayout), Outcome),
    AskReturnedPayouts: ReturnsOutcome,
    AskBalance: BalanceOutcome,
    Redirect: Form,
    **dict.fromkeys((Authenticate, AskAuthentication, Sign), AuthenticationOutcome),
    **dict.fromkeys(SENDS_CODES, CodeOutcome),
    Unbind: UnbindingOutcome,
}
"""Every command, with what its function says that it answers."""
NOT_ASKED_ABOUT = frozenset({Verb.SEND_SIGNING_CODE, Verb.SEND_PAYMENT_CODE, Verb.UNBIND})
"""Nobody asks what became of an SMS or an unbinding: the one is asked for again, the other done again."""


@dataclass(frozen=True, slots=True)
class OnTheWire:
    """What a request says, read by the case's own parser.

    `number` is our number of the order, also where the request has one of its own that is made from it.
    """

    number: str
    amount: int | None


@dataclass(slots=True)
class Wire:
    """A `ports.Transport` over respx that remembers what was sent."""

    psp: Psp
    sent: list[httpx.Request] = field(default_factory=list)
    _transport: httpx.MockTransport = field(init=False, repr=False)

    def __post_init__(self) -> None:
        router = respx.MockRouter(assert_all_called=False)
        router.route().mock(side_effect=self._answer)
        self._transport = httpx.MockTransport(router.async_handler)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        await response.aread()
        return response

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        answer = self.psp(request)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Case(ABC):
    """One protocol as its PSP speaks it. Keys are generated by the case."""

    adapter: ClassVar[ProviderClass]
    scenes: tuple[Scene, ...]
    codes: ClassVar[Mapping[type[Command[Any]], Mapping[str, Meaning]]]
    """Of each command but `AskAuthentication`: every code of the document, as the answer to what is sent, or as the
    state of the order that is asked about."""
    unmapped_code: str
    duplicates: tuple[str, ...]
    """Codes that say, to whatever was sent or asked, that this number was used before."""
    not_received: ClassVar[Mapping[type[Command[Any]], frozenset[str]]] = {}
    """Codes that do not even say that the PSP has the order: as an answer to what is sent, or of a failed question."""
    calls_back: frozenset[Verb] = frozenset()
    """What the PSP sends notices about."""
    states_in_answers: frozenset[str] = frozenset()
    """Codes of an answer to what is sent that are the order's state, which its callback may tell in the same words."""
    without_question: frozenset[Verb] = frozenset()
    """What the protocol cannot be asked about."""
    code_scenes: tuple[Scene, ...] = (Scene.QUICK_CHARGE,)
    """In which a payment may want a code of its own."""
    codes_on_pages: ClassVar[Mapping[str, Meaning] | None] = None
    """Of an order on a page that is asked about; None: as of any other."""
    codes_of_payments_by_code: Mapping[str, Meaning] | None = None
    """Of a payment with the code that the payer typed; None: as of one without."""
    continuation: str | None = None
    """What the answer to an SMS gives to go on with; None: nothing, the order's number is enough."""
    not_by_notice: frozenset[FailureCode] = frozenset()
    """Refusals that a notice is not believed about: the order may have been tried again since."""
    same_bytes: bool = True
    """What is sent twice is the same bytes; not so where each request is encrypted by a key of its own."""
    agreement_no: str = AGREEMENT_NO
    """What `open_binding` gives; to some PSPs it is the number that the binding was asked for with."""
    refunded: tuple[Scene, ...] | None = None
    """Whose payments can be given back; None: all."""
    balance_fields: ClassVar[Mapping[str, str]] = {}
    """What a balance is stated in, on the wire → which of `BalanceStated` it is; the first one must be told."""
    balance_in_yuan: bool = False
    signs_balance: bool = True
    charset: str = "utf-8"
    wrong_charset: str = "gbk"

    @abstractmethod
    def account(self, merchant: str = "first") -> AccountSettings:
        """An account; another `merchant` has another merchant number at the same PSP."""

    def build(self, account: AccountSettings, transport: Transport) -> Provider:
        """The adapter, at a time when the case's certificates are valid."""
        return self.adapter(account, transport, lambda: LATER)

    @property
    def commands(self) -> Table:
        """What the adapter can do."""
        return self.adapter.COMMANDS

    def scenes_of(self, kind: type[Command[Any]]) -> tuple[Scene, ...]:
        """In which a command can be sent: what is paid on a page, and what is not, have commands of their own."""
        if kind is Refund and self.refunded is not None:
            return self.refunded
        if kind is Payout:
            return self.scenes[:1]  # it has none: once is enough
        if kind not in (Pay, Redirect, Cancel):
            return self.scenes
        return tuple(scene for scene in self.scenes if (scene in REDIRECT_SCENES) is (kind is not Pay))

    @abstractmethod
    def read(self, request: httpx.Request) -> OnTheWire:
        """Check the request as the PSP would (signature, required fields) and read it. Raises AssertionError."""

    @abstractmethod
    def answer(self, request: httpx.Request, code: str) -> httpx.Response:
        """A signed answer to this request whose business code is `code`.

        For a question, the code is the state of the order. A success states the amount where the protocol does.
        """

    @abstractmethod
    def processing(self, request: httpx.Request) -> httpx.Response:
        """Accepted and not final."""

    @abstractmethod
    def succeeded(self, request: httpx.Request, amount: int = AMOUNT) -> httpx.Response:
        """To a question: it was done."""

    @abstractmethod
    def not_found(self, request: httpx.Request) -> httpx.Response:
        """To a question: no such order."""

    @abstractmethod
    def query_failed(self, request: httpx.Request) -> httpx.Response:
        """To a question: the question itself failed."""

    @abstractmethod
    def unsigned(self, response: httpx.Response) -> httpx.Response:
        """The same answer with a signature of right form by somebody else's key."""

    def miscoded(self, answer: httpx.Response) -> httpx.Response:
        """The same answer in another charset than it must be in; where that is inside of the letter, rightly signed."""
        return httpx.Response(200, content=answer.content.decode(self.charset).encode(self.wrong_charset))

    def undecipherable(self, answer: httpx.Response) -> httpx.Response | None:
        """The same answer, rightly signed, its secret part under a key that nobody has. None where it has none."""
        return None

    @abstractmethod
    def of_another_order(self, request: httpx.Request) -> httpx.Response:
        """A rightly signed answer to the question about another order, which succeeded."""

    def callback(self, verb: Verb, number: str, amount: int, code: str | None = None) -> CallbackRequest:
        """A rightly signed callback to the first account; without a code, of success."""
        raise NotImplementedError

    def as_callback(self, answer: httpx.Response) -> CallbackRequest:
        """A rightly signed answer as somebody would send it to our callback address."""
        raise NotImplementedError

    def open_binding(self, request: httpx.Request) -> httpx.Response:
        """To an authentication, a signing or their query: bound, with `agreement_no`."""
        raise NotImplementedError

    def no_binding(self, request: httpx.Request) -> httpx.Response:
        """To a query of an authentication: the PSP knows none."""
        raise NotImplementedError

    def sms_needed(self, request: httpx.Request) -> httpx.Response:
        """To an authentication, or to a payment that sends the SMS by itself: the user must enter a code."""
        raise NotImplementedError

    def code_sent(self, request: httpx.Request) -> httpx.Response:
        """To a wish for an SMS: it is on its way, with `continuation` where there is one."""
        raise NotImplementedError

    def wrong_code(self, request: httpx.Request) -> httpx.Response:
        """To a request with a code that the payer typed: it is not the one that was sent."""
        raise NotImplementedError

    def expired_code(self, request: httpx.Request) -> httpx.Response | None:
        """The same: it is too old. None where the protocol does not tell that from a wrong one."""
        raise NotImplementedError

    def unbound(self, request: httpx.Request) -> httpx.Response:
        """To an unbinding: done."""
        raise NotImplementedError

    def unbound_before(self, request: httpx.Request) -> httpx.Response | None:
        """To an unbinding: there is no such agreement any more. None where the protocol does not tell."""
        raise NotImplementedError

    def typed(self, request: httpx.Request) -> str | None:
        """The SMS code that a request carries."""
        raise NotImplementedError

    def continued(self, request: httpx.Request) -> str | None:
        """The continuation that a request names."""
        return None

    def balance(self, request: httpx.Request, **told: str | None) -> httpx.Response:
        """To the question about the balance, which it checks: these texts, by `balance_fields`; None: not there."""
        raise NotImplementedError

    def balance_of_another(self, request: httpx.Request) -> httpx.Response:
        """The same, rightly signed, of another account."""
        raise NotImplementedError

    def balance_refused(self, request: httpx.Request) -> httpx.Response:
        """To the question about the balance: it is not answered, for this reason."""
        raise NotImplementedError

    def cancelled(self, request: httpx.Request) -> httpx.Response:
        """To giving an order up: done, it was unpaid."""
        raise NotImplementedError

    def cancelled_too_late(self, request: httpx.Request) -> httpx.Response:
        """To giving an order up: it is paid already."""
        raise NotImplementedError

    def copies(self, number: str, amount: int) -> Mapping[str, CallbackRequest]:
        """Every copy of one notice of success, such as the browser's and the server's, each as it comes first."""
        return {"the only one": self.callback(Verb.PAY, number, amount)}

    def expiry_told(self, request: httpx.Request) -> datetime | timedelta | None:
        """What a redirect says of its end: when, or after how long; None: the protocol has no place for it."""
        return None

    def text_told(self, request: httpx.Request) -> str | None:
        """What of its description a redirect brings for the payer's eyes; None: the protocol has no place for it."""
        return None

    def bank_told(self, request: httpx.Request) -> str | None:
        """Whose page a redirect wants; None: the PSP's own list."""
        raise NotImplementedError

    def addresses_told(self, request: httpx.Request) -> tuple[str | None, str | None]:
        """Where a redirect says that notices and the payer's browser go; None: it is known from elsewhere."""
        raise NotImplementedError

    def agreement_named(self, request: httpx.Request) -> str | None:
        """The agreement that a request is about."""
        raise NotImplementedError


def a_payment(scene: Scene, amount: int = AMOUNT, number: str = NUMBER) -> Pay:
    if scene in CUSTODY_SCENES:
        return Pay(
            number, TOLD_AT, scene, amount, "ICBC", None, None, "user-1", "还款 March", NOTIFY_URL, psp_code=PSP_CODE,
            custody_user_no=CUSTODY_USER_NO,
        )  # fmt: skip
    agreement_no = AGREEMENT_NO if scene is Scene.QUICK_CHARGE else None
    return Pay(number, TOLD_AT, scene, amount, "ICBC", CARD, agreement_no, "user-1", "还款 March", NOTIFY_URL)


def its_question(scene: Scene, tries: int = 0) -> AskPayment:
    return AskPayment(NUMBER, TOLD_AT, scene, AMOUNT, tries)


def a_redirect(
    scene: Scene,
    amount: int = AMOUNT,
    description: str = "还款 March",
    bank: str = "ICBC",
    expires_at: datetime = EXPIRES_AT,
) -> Redirect:
    custody = (PSP_CODE, CUSTODY_USER_NO) if scene in CUSTODY_SCENES else (None, None)
    return Redirect(
        NUMBER, TOLD_AT, scene, amount, bank, "user-1", description, SHORT_NOTIFY_URL, RETURN_URL, expires_at, *custody
    )


def a_cancel(scene: Scene) -> Cancel:
    return Cancel(NUMBER, TOLD_AT, scene, AMOUNT)


def as_a_browser_sends(form: Form) -> httpx.Request:
    """A form that a payer's browser submits, byte for byte: by the rules of the URL and HTML standards.

    What the charset lacks is written as `&#…;`, and a line's end as CR LF, as browsers do.
    """
    body = "&".join(f"{_by_browser(name, form)}={_by_browser(value, form)}" for name, value in form.fields.items())
    if form.method == "GET":
        return httpx.Request("GET", f"{form.url}?{body}")
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return httpx.Request("POST", form.url, content=body.encode("ascii"), headers=headers)


def _by_browser(text: str, form: Form) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    return quote_plus(lines.encode(form.charset, "xmlcharrefreplace"), safe="*")


def a_refund(scene: Scene, amount: int = AMOUNT, number: str = NUMBER) -> Refund:
    """Of a payment made a day before, twice as large."""
    paid_at = TOLD_AT - timedelta(days=1)
    return Refund(
        number, TOLD_AT, scene, amount, OTHER_NUMBER, paid_at, TRANSACTION_NO, 2 * amount, NOTIFY_URL, "退款 March"
    )


def a_refunds_question(scene: Scene, tries: int = 0) -> AskRefund:
    return AskRefund(NUMBER, TOLD_AT, scene, AMOUNT, tries, TRANSACTION_NO)


def a_payout(amount: int = AMOUNT, payee: Payee = PERSON, purpose: str = PURPOSE) -> Payout:
    return Payout(NUMBER, TOLD_AT, amount, payee, purpose, NOTIFY_URL)


def a_payouts_question(tries: int = 0) -> AskPayout:
    return AskPayout(NUMBER, TOLD_AT, AMOUNT, tries)


def a_confirmation(continuation: str = CONFIRM_CODE) -> ConfirmPayout:
    return ConfirmPayout(NUMBER, TOLD_AT, AMOUNT, NOTIFY_URL, continuation)


def a_days_returns(day: date = RETURNED_ON) -> AskReturnedPayouts:
    return AskReturnedPayouts(f"returns-{day:%Y%m%d}", TOLD_AT, day)


def a_balance() -> AskBalance:
    return AskBalance(NUMBER, TOLD_AT)


def an_authentication() -> Authenticate:
    return Authenticate(NUMBER, TOLD_AT, "ICBC", CARD, "u-1", NOTIFY_URL)


def an_authentications_question() -> AskAuthentication:
    return AskAuthentication(NUMBER, TOLD_AT, "ICBC", CARD, "u-1")


def a_signing_code(ordinal: int = 1, continuation: str | None = None) -> SendSigningCode:
    return SendSigningCode(NUMBER, TOLD_AT, "ICBC", CARD, "u-1", NOTIFY_URL, ordinal, continuation)


def a_signing(continuation: str | None = None, ordinal: int = 1, sms_code: str = SMS_CODE) -> Sign:
    return Sign(NUMBER, TOLD_AT, "ICBC", CARD, "u-1", NOTIFY_URL, sms_code, ordinal, continuation)


def a_payment_code(
    scene: Scene, agreement_no: str | None = None, ordinal: int = 1, continuation: str | None = None
) -> SendPaymentCode:
    return SendPaymentCode(
        NUMBER, TOLD_AT, scene, AMOUNT, "ICBC", CARD, agreement_no, "u-1", "还款", NOTIFY_URL, ordinal, continuation
    )


def an_unbinding() -> Unbind:
    return Unbind(NUMBER, TOLD_AT, "ICBC", CARD, "u-1", AGREEMENT_NO)


def sent(kind: type[Command[Any]], scene: Scene, amount: int = AMOUNT) -> Command[Outcome]:
    """A command that moves money."""
    if kind is Payout:
        return a_payout(amount)
    return a_payment(scene, amount) if kind is Pay else a_refund(scene, amount)


def asked(kind: type[Command[Any]], scene: Scene) -> Command[Outcome]:
    """A question about money."""
    if kind is AskPayout:
        return a_payouts_question()
    return its_question(scene) if kind is AskPayment else a_refunds_question(scene)


async def do(provider: Provider, command: Command[O]) -> O:
    """Give a command to its function, and answer with the outcome."""
    outcome: O = await provider.commands[type(command)](command)
    return outcome


def callbacks_of(provider: Provider) -> CallbackReader:
    """The callbacks of a provider that has them."""
    assert provider.callbacks is not None
    return provider.callbacks


def is_unknown(outcome: object, *, received: bool) -> bool:
    """Unknown, and rightly `received`: whether a later "not found" proves nothing."""
    return isinstance(outcome, Unknown) and outcome.received is received


def meaning_of(outcome: object) -> Meaning:
    return outcome.code if isinstance(outcome, Declined) else type(outcome)


LATER = TOLD_AT + timedelta(minutes=5)
"""When the adapters under test look at certificates: after the payment, within the certificates' life."""
