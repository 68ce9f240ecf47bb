"""Commands: what a PSP is asked to do, or asked about. Each knows the outcome that it is answered with.

    sends             asks                  answered with
    Authenticate      AskAuthentication     AuthenticationOutcome
    SendSigningCode                         CodeOutcome
    Sign              AskAuthentication     AuthenticationOutcome
    Unbind                                  UnbindingOutcome
    SendPaymentCode                         CodeOutcome
    Pay               AskPayment            Outcome
    Redirect          AskPayment            Form: no request, the payer's browser carries it out
                      Cancel                Outcome
    Refund            AskRefund             Outcome
    Payout            AskPayout             Outcome
    ConfirmPayout     AskPayout             Outcome
                      AskReturnedPayouts    ReturnsOutcome: of a whole day
                      AskBalance            BalanceOutcome: of the whole account

A card is bound silently (`Authenticate`) or by an SMS: `SendSigningCode`, then `Sign` with the code. A payment that
wants a code of its own has `SendPaymentCode`, then `Pay` with the code; where the protocol has no request of its own
for the SMS, the first `Pay` goes without a code and answers `SmsNeeded(sent=True)`. The requests for one binding, and
those for one payment, stand on one order: they have the same number and time.

`ordinal` counts the requests of one kind on an order, from 1: the second `SendSigningCode` sends the SMS again, the
second `Sign` brings another code. Protocols whose requests need numbers of their own make them from number and ordinal.

A payout that a PSP suspects (`Processing.suspicion`) is confirmed by an intent of its own on the same order, made by a
person's wish alone; never by a second `Payout`. `AskReturnedPayouts` and
`AskBalance` are about no order: errands, safe to repeat.

An adapter is a mapping from the commands that it can do to its functions; what it cannot do is absent.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

from gateway.domain.cards import CardElements
from gateway.domain.intents import Verb
from gateway.domain.outcomes import (
    AnyOutcome,
    AuthenticationOutcome,
    BalanceOutcome,
    CodeOutcome,
    Outcome,
    ReturnsOutcome,
    UnbindingOutcome,
)
from gateway.domain.payees import Payee
from gateway.domain.redirects import Form
from gateway.domain.scenes import Scene

__all__ = [
    "AskAuthentication",
    "AskBalance",
    "AskPayment",
    "AskPayout",
    "AskRefund",
    "AskReturnedPayouts",
    "Authenticate",
    "Cancel",
    "Command",
    "Commands",
    "ConfirmPayout",
    "Pay",
    "Payout",
    "Redirect",
    "Refund",
    "SendPaymentCode",
    "SendSigningCode",
    "Sign",
    "Table",
    "Unbind",
    "bound",
    "command_name",
]

O_co = TypeVar("O_co", bound=AnyOutcome | ReturnsOutcome | BalanceOutcome | Form, covariant=True)


@dataclass(frozen=True, slots=True)
class Command(Generic[O_co]):
    """One call to a PSP about one order there; `O_co` is what it is answered with."""

    verb: ClassVar[Verb]
    """What is done, or was done and is asked about."""
    asks: ClassVar[bool] = False
    """A question: it moves nothing, and may be repeated."""
    requests: ClassVar[int] = 1
    """How many requests it makes, at most."""

    number: str
    """Our number of the order at the PSP."""
    told_at: datetime
    """The time that the PSP is told; every command on one order tells the same."""


Commands = Mapping[type[Command[Any]], Callable[[Any], Awaitable[Any]]]
"""What an adapter can do: the kind of a command → the function that does it, bound to an account."""

Table = Mapping[type[Command[Any]], Callable[[Any, Any], Awaitable[Any]]]
"""The same of an adapter's class: known without an account."""


def bound(adapter: object, table: Table) -> Commands:
    """The table of an adapter's class for one of its instances."""
    return {kind: partial(function, adapter) for kind, function in table.items()}


_NAMES: dict[type[Command[Any]], str] = {}


def command_name(kind: type[Command[Any]]) -> str:
    """How people and metrics name a command: `AskPayment` is `ask_payment`."""
    name = _NAMES.get(kind)
    if name is None:
        name = _NAMES[kind] = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
    return name


@dataclass(frozen=True, slots=True)
class Authenticate(Command[AuthenticationOutcome]):
    """Bind a card to an account without the user (静默鉴权). The number is new for every try."""

    verb = Verb.AUTHENTICATE

    bank: str
    card: CardElements
    user_id: str
    """As the app names the payer: any text."""
    notify_url: str


@dataclass(frozen=True, slots=True)
class AskAuthentication(Command[AuthenticationOutcome]):
    """Ask what became of an `Authenticate` or a `Sign` whose answer was lost: same number, time and card.

    `continuation`: that of the SMS, after a `Sign`.
    """

    verb = Verb.AUTHENTICATE
    asks = True

    bank: str
    card: CardElements
    user_id: str
    continuation: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SendSigningCode(Command[CodeOutcome]):
    """Send the payer an SMS with a code to sign the card with (签约短信). `continuation`: that of the SMS before."""

    verb = Verb.SEND_SIGNING_CODE

    bank: str
    card: CardElements
    user_id: str
    notify_url: str
    ordinal: int = 1
    continuation: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Sign(Command[AuthenticationOutcome]):
    """Bind the card with the code that the payer typed (签约确认). `continuation`: that of the newest SMS.

    A wrong or expired code is `Declined` with `sms_code_wrong` or `sms_code_expired`: nothing was bound.
    """

    verb = Verb.AUTHENTICATE

    bank: str
    card: CardElements
    user_id: str
    notify_url: str
    sms_code: str = field(repr=False)
    ordinal: int = 1
    continuation: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Unbind(Command[UnbindingOutcome]):
    """Give an agreement up (解约). It may be sent again: an agreement that is gone already is `Unbound`."""

    verb = Verb.UNBIND

    bank: str
    card: CardElements
    user_id: str
    agreement_no: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SendPaymentCode(Command[CodeOutcome]):
    """Send the payer an SMS with a code for one payment. `continuation`: that of the SMS before."""

    verb = Verb.SEND_PAYMENT_CODE

    scene: Scene
    amount: int
    bank: str
    card: CardElements
    agreement_no: str | None = field(repr=False)
    user_id: str
    description: str
    notify_url: str
    ordinal: int = 1
    continuation: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Pay(Command[Outcome]):
    """Collect `amount` fen from a card, or from what the payer's custody bank knows of him, once.

    `sms_code`: what the payer typed, where the payment wants a code; `continuation`: that of the newest SMS. A wrong or
    expired code is `Declined` with `sms_code_wrong` or `sms_code_expired`: nothing was paid.
    """

    verb = Verb.PAY

    scene: Scene
    amount: int
    bank: str
    card: CardElements | None
    """None: the payer's card is known to the custody bank alone, which `custody_user_no` names the payer to."""
    agreement_no: str | None
    user_id: str
    description: str
    notify_url: str
    sms_code: str | None = None
    ordinal: int = 1
    continuation: str | None = None
    psp_code: str | None = None
    """Custody: the payment company that the bank is to charge through."""
    custody_user_no: str | None = None
    """Custody: the payer's number at the bank."""

    def __repr__(self) -> str:
        return f"Pay({self.number}, {self.scene}, {self.amount})"


@dataclass(frozen=True, slots=True)
class Redirect(Command[Form]):
    """The form by which the payer's browser opens the PSP's page to pay `amount` fen there. It makes no request.

    Built from these values alone, so that it is the same as often as it is asked for: no clock, no random number.
    """

    verb = Verb.PAY
    requests = 0

    scene: Scene
    amount: int
    bank: str
    """The bank whose page is wanted; `ANY`: the PSP shows its own list."""
    user_id: str
    description: str
    """For the payer's eyes, any text: what the protocol's charset or its field cannot take is replaced or cut first."""
    notify_url: str
    return_url: str
    """Where the PSP sends the payer's browser afterwards: an address of ours."""
    expires_at: datetime
    """Until when it may be paid. The PSP is told, where its protocol has a place for it."""
    psp_code: str | None = None
    """Custody: the payment company that the bank is to charge through."""
    custody_user_no: str | None = None
    """Custody: the payer's number at the bank."""


@dataclass(frozen=True, slots=True)
class Cancel(Command[Outcome]):
    """Give up an order that the payer's browser opened; it may be sent again. Answered as a question is.

    `Closed`: it is unpaid and cannot be paid any more. What was paid already answers `Succeeded`, or `Unknown` with
    `received` where the answer does not say how much.
    """

    verb = Verb.PAY
    asks = True

    scene: Scene
    amount: int


@dataclass(frozen=True, slots=True)
class AskPayment(Command[Outcome]):
    """Ask what became of a payment. `tries`: how often it was asked before, for questions that are numbered, too."""

    verb = Verb.PAY
    asks = True

    scene: Scene
    amount: int
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Refund(Command[Outcome]):
    """Give `amount` fen of a payment back, once. The refund is an order of its own: own number, own time.

    `original_…`: the payment, by our number, the time told with it, the PSP's own number for it, and its whole amount.
    """

    verb = Verb.REFUND

    scene: Scene
    """Of the payment."""
    amount: int
    original_number: str
    original_told_at: datetime
    original_transaction_no: str | None
    original_amount: int
    notify_url: str
    reason: str = ""
    """For the payer's eyes, where the protocol has a place for it."""


@dataclass(frozen=True, slots=True)
class AskRefund(Command[Outcome]):
    """Ask what became of a refund, by its own number and time; after its success, whether it came back.

    `scene` and `original_transaction_no`: of the payment, as of `Refund`. `tries`: as of `AskPayment`.
    """

    verb = Verb.REFUND
    asks = True

    scene: Scene
    amount: int
    tries: int = 0
    original_transaction_no: str | None = None


@dataclass(frozen=True, slots=True)
class Payout(Command[Outcome]):
    """Pay `amount` fen out to an account, once (代付). Accepted is not paid: the final word comes later at most PSPs.

    What the protocol cannot say (`Declaration.payees`) is `Declined` without a request.
    """

    verb = Verb.PAYOUT

    amount: int
    payee: Payee
    purpose: str
    """For the payee's eyes, any text: what the protocol's charset or its field cannot take is replaced or cut."""
    notify_url: str


@dataclass(frozen=True, slots=True)
class ConfirmPayout(Command[Outcome]):
    """Say that a payout which the PSP suspects is right: then it is paid. Same number and time as the payout.

    `continuation`: what the PSP gave with its suspicion. Asked about as the payout is. A refusal is of the confirmation
    alone, hence `Unknown`: the payout is still held, and may be confirmed otherwise.
    """

    verb = Verb.PAYOUT

    amount: int
    notify_url: str
    continuation: str = field(repr=False)
    ordinal: int = 2


@dataclass(frozen=True, slots=True)
class AskPayout(Command[Outcome]):
    """Ask what became of a payout, by its number and time; after its success, whether it came back.

    `tries`: as of `AskPayment`.
    """

    verb = Verb.PAYOUT
    asks = True

    amount: int
    tries: int = 0


@dataclass(frozen=True, slots=True)
class AskReturnedPayouts(Command[ReturnsOutcome]):
    """Ask which payouts came back on `day`, in the PSP's zone, of those that the PSP tells by day alone.

    `number` names the question, for the log: it is about no order. `told_at`: when it is asked.
    """

    verb = Verb.PAYOUT
    asks = True

    day: date


@dataclass(frozen=True, slots=True)
class AskBalance(Command[BalanceOutcome]):
    """Ask what the merchant has at the PSP now.

    `number` names the question, each time another: some protocols number every request. `told_at`: when it is asked.
    """

    verb = Verb.PAYOUT
    asks = True
