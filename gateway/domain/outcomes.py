"""What a PSP told us, or did not: the values that adapters return.

    Outcome                 of what moves money     AuthenticationOutcome   of a card's authentication
    ├── Succeeded           final                   ├── Authenticated       final: an agreement exists
    ├── Returned            done, and it came back  │
    ├── Declined            final                   ├── Declined            final: nothing was bound
    ├── SmsNeeded           not paid: the payer     ├── SmsNeeded           the silent way is closed, the payer must act
    │                       must type a code first  │
    ├── Processing          readable, not final     │
    ├── Unknown             sent, or perhaps sent   ├── Unknown             sent, or perhaps sent
    ├── NotFound            the query found nothing ├── NotFound            the query found no binding
    ├── Closed              unpaid, and no longer   │
    │                       payable: final          │
    └── NotSent             the connection was      └── NotSent             the connection was never made
                            never made

    CodeOutcome             of a wish for an SMS    UnbindingOutcome        of the end of an agreement
    ├── CodeSent            it is on its way        ├── Unbound             final: it binds nothing any more
    ├── Declined            final: none was sent    ├── Declined            final: it was refused
    ├── Unknown             perhaps it is           ├── Unknown             perhaps: it may be sent again
    └── NotSent             nothing was written     └── NotSent             nothing was written

    ReturnsOutcome          of the question which payouts of a day came back
    ├── ReturnsListed       the whole list
    ├── Unknown             not heard: it may be asked again
    └── NotSent             nothing was written

    BalanceOutcome          of the question what an account has
    ├── BalanceStated       the PSP's word, as of now
    ├── Unknown             not heard, or not believed: it may be asked again
    └── NotSent             nothing was written

A decline is a value. An unmapped PSP code is `Unknown` with its raw code, never success, never decline.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from gateway.domain.failures import FailureCode


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The PSP moved the money: `amount` fen as the PSP states it, None where the answer does not say."""

    amount: int | None = None
    channel_transaction_no: str | None = None
    channel_finished_at: datetime | None = None
    channel_code: str | None = None
    fee_returned: int | None = None
    """Of a refund: what the PSP gives back of its fee, in fen; None where it does not say."""


class ReturnReason(StrEnum):
    """Why money that had gone out came back (退票)."""

    PAYEE_NAME_MISMATCH = "payee_name_mismatch"
    PAYEE_ACCOUNT_INVALID = "payee_account_invalid"
    PAYEE_ACCOUNT_ABNORMAL = "payee_account_abnormal"
    BANK_REJECTED = "bank_rejected"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Returned:
    """The money had gone out and came back: `amount` fen as the PSP states it, None where it does not say."""

    reason: ReturnReason
    channel_code: str | None = None
    channel_message: str | None = None
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """A final refusal: no money moved (or no card was bound)."""

    code: FailureCode
    channel_code: str | None = None
    channel_message: str | None = None
    channel_transaction_no: str | None = None
    no_more_today: bool = False
    """Of `insufficient_balance`: it failed so often today that the PSP takes no more tries."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Nothing was paid, and nothing can be any more: the order was cancelled or has expired at the PSP. No refusal."""

    channel_code: str | None = None
    channel_message: str | None = None


class Suspicion(StrEnum):
    """What a PSP holds a payout for, until somebody says that it is right."""

    DUPLICATE = "duplicate"  # the same amount to the same account was paid out before, under another number
    PAYEE = "payee"  # the account belongs to another name, as far as the PSP knows
    DUPLICATE_AND_PAYEE = "duplicate_and_payee"
    UNSAID = "unsaid"  # it is held, and this answer does not say why


@dataclass(frozen=True, slots=True)
class Processing:
    """The PSP has the order and has not finished it.

    `unpaid`: it waits for its payer, on a page of the PSP's, and nothing has been paid so far. `suspicion`: of a
    payout that the PSP holds: nothing was paid, and nothing will be until it is confirmed, by a command that names
    the `continuation`, kept encrypted with the intent. `fee_returned`: as of `Succeeded`, where the PSP says it when it
    takes a refund on and never again.
    """

    channel_code: str | None = None
    channel_message: str | None = None
    channel_transaction_no: str | None = None
    unpaid: bool = False
    suspicion: Suspicion | None = None
    continuation: str | None = field(default=None, repr=False)
    fee_returned: int | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Sent, or perhaps sent, and nothing readable came back: it is never sent again, only asked about.

    `received`: what it said implies that the PSP has the order (a duplicate number, say), so that a later "not found"
    proves nothing.
    """

    reason: str
    channel_code: str | None = None
    channel_message: str | None = None
    received: bool = False


@dataclass(frozen=True, slots=True)
class NotFound:
    """A readable answer of a query: the PSP has no such order. Proof only by the adapter's not-found rule."""

    channel_code: str | None = None
    channel_message: str | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """The connection was never made: nothing reached the PSP; it may be sent again with the same number.

    `ours`: it was we who did not send it in time, not the channel that could not be reached.
    """

    reason: str
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The account has bound the card; `agreement_no` is what later payments name (a token at UnionPay)."""

    agreement_no: str
    channel_code: str | None = None

    def __repr__(self) -> str:
        return f"Authenticated(channel_code={self.channel_code!r})"


@dataclass(frozen=True, slots=True)
class SmsNeeded:
    """It was answered with "the payer must enter an SMS code": nothing was paid, nothing was bound.

    `sent`: the SMS is on its way already (LianLian's prepay). `continuation`: what the request with the code must name.
    """

    channel_code: str | None = None
    channel_message: str | None = None
    sent: bool = False
    continuation: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CodeSent:
    """An SMS with a code is on its way to the payer.

    `continuation`: what the request with the code, or the next SMS, must name (a token, a number of theirs); it is kept
    encrypted with the intent, as text.
    """

    continuation: str | None = field(default=None, repr=False)
    channel_code: str | None = None


@dataclass(frozen=True, slots=True)
class Unbound:
    """The account has given the agreement up, or had none: nothing can be paid with it any more."""

    channel_code: str | None = None


@dataclass(frozen=True, slots=True)
class ReturnedPayout:
    """One payout of a list of those that came back: our number, and its amount in fen as the PSP states it."""

    number: str
    amount: int
    outcome: Returned
    channel_transaction_no: str | None = None

    @property
    def told(self) -> Returned:
        """What it says of that payout, with its amount."""
        return replace(self.outcome, amount=self.amount)


@dataclass(frozen=True, slots=True)
class ReturnsListed:
    """Every payout of the merchant that came back on one day, also those that were not sent from here."""

    payouts: tuple[ReturnedPayout, ...]
    channel_code: str | None = None


@dataclass(frozen=True, slots=True)
class BalanceStated:
    """What a merchant has at a PSP, in fen, as the PSP states it. None: it does not say this one; never all three.

    What is short is told by `for_payouts` where it is stated, else by the total.
    """

    for_payouts: int | None = None
    """What payouts can take."""
    for_refunds: int | None = None
    """What refunds can take."""
    total: int | None = None
    """Everything, whatever of it may be frozen or not settled yet."""
    channel_code: str | None = None

    def __post_init__(self) -> None:
        amounts = [amount for amount in (self.for_payouts, self.for_refunds, self.total) if amount is not None]
        if not amounts or min(amounts) < 0:
            raise ValueError("a balance states at least one amount, and none below zero")

    @property
    def payable(self) -> int | None:
        """What is looked at for whether payouts may soon be short of money; None: it says nothing of that."""
        return self.total if self.for_payouts is None else self.for_payouts


Outcome = Succeeded | Returned | Declined | Closed | SmsNeeded | Processing | Unknown | NotFound | NotSent
AuthenticationOutcome = Authenticated | Declined | SmsNeeded | Unknown | NotFound | NotSent
CodeOutcome = CodeSent | Declined | Unknown | NotSent
UnbindingOutcome = Unbound | Declined | Unknown | NotSent
ReturnsOutcome = ReturnsListed | Unknown | NotSent
BalanceOutcome = BalanceStated | Unknown | NotSent
AnyOutcome = Outcome | AuthenticationOutcome | CodeOutcome | UnbindingOutcome
