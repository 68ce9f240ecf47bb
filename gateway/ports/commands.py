"""Commands: what a PSP is asked to do, or asked about. Each knows the outcome that it is answered with.

    sends             asks                  answered with
    Authenticate      AskAuthentication     AuthenticationOutcome
    Pay               AskPayment            Outcome
    Refund            AskRefund             Outcome

An adapter is a mapping from the commands that it can do to its functions; what it cannot do is absent.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

from gateway.domain.cards import CardElements
from gateway.domain.intents import Verb
from gateway.domain.outcomes import AuthenticationOutcome, Outcome
from gateway.domain.scenes import Scene

__all__ = [
    "AskAuthentication",
    "AskPayment",
    "AskRefund",
    "Authenticate",
    "Command",
    "Commands",
    "Pay",
    "Refund",
    "Table",
    "bound",
    "command_name",
]

O_co = TypeVar("O_co", bound=Outcome | AuthenticationOutcome, covariant=True)


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
    notify_url: str


@dataclass(frozen=True, slots=True)
class AskAuthentication(Command[AuthenticationOutcome]):
    """Ask what became of an `Authenticate` whose answer was lost: same number, time and card."""

    verb = Verb.AUTHENTICATE
    asks = True

    bank: str
    card: CardElements


@dataclass(frozen=True, slots=True)
class Pay(Command[Outcome]):
    """Collect `amount` fen from a card, once."""

    verb = Verb.PAY

    scene: Scene
    amount: int
    bank: str
    card: CardElements
    agreement_no: str | None
    user_id: str
    description: str
    notify_url: str

    def __repr__(self) -> str:
        return f"Pay({self.number}, {self.scene}, {self.amount})"


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
    """Ask what became of a refund, by its own number and time. `scene`: of the payment. `tries`: as of `AskPayment`."""

    verb = Verb.REFUND
    asks = True

    scene: Scene
    amount: int
    tries: int = 0
