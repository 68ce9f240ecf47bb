"""Terms: how a PSP is asked about what was sent, and for how long it may be silent. One value per product. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Literal

from gateway.domain import clocks
from gateway.domain.redirects import RedirectRules

__all__ = [
    "ANSWER_MARGIN_S",
    "MAX_ANSWER_TIMEOUT_S",
    "MAX_LATE_LOOKS",
    "MAX_POLL_GAPS",
    "NEVER",
    "Never",
    "NotFoundRule",
    "OwnTerms",
    "Product",
    "Terms",
    "Watch",
    "terms_from_json",
    "terms_to_json",
]

ANSWER_MARGIN_S: Final = 5.0
"""Between the end of a PSP call's time and the moment a worker takes up what was sent."""
MAX_ANSWER_TIMEOUT_S: Final = 300.0
MAX_POLL_GAPS: Final = 50
MAX_LATE_LOOKS: Final = 28
"""1, 5, 15 and 60 minutes after the end, then hourly for a day, and the next business morning."""

Never = Literal["never"]
NEVER: Final[Never] = "never"
"""Said instead of a not-found rule: "not found" proves nothing, however often it is heard."""


class Product(StrEnum):
    """What a provider sells, each with terms of its own."""

    PAYMENT = "payment"
    AUTHENTICATION = "authentication"
    REFUND = "refund"
    PAYOUT = "payout"
    REDIRECT = "redirect"  # payments on a bank's page: the payer takes minutes


@dataclass(frozen=True, slots=True)
class NotFoundRule:
    """When "not found" answers prove that the PSP never received the order.

    At least `answers` of them, the last at least `over_s` seconds after the first and after the submission, and a
    margin beyond it (`clocks.PROOF_MARGIN_S`): several processes with clocks of their own take part in it.
    Raises ValueError for a rule that could be met by nothing.
    """

    answers: int
    over_s: float

    def __post_init__(self) -> None:
        if self.answers < 1 or not self.over_s > 0:
            raise ValueError("a not-found rule has at least one answer and some time")


@dataclass(frozen=True, slots=True)
class Watch:
    """How what succeeded is looked after, because the PSP may still give it back (退票): until when, and by what.

    A notice that it came back is taken at any time. Raises ValueError for what no watching can mean.
    """

    gaps_s: tuple[float, ...] = ()
    """Seconds between questions about the order itself, from its success on: in turn, then the last one again. None:
    its state says nothing of that."""
    for_s: float = 0.0
    """How long after the success it is asked about."""
    listed_days: int = 0
    """For how many days after that of the success the list of what came back is fetched (`AskReturnedPayouts`)."""

    def __post_init__(self) -> None:
        _check(self.gaps_s or None, None)
        if self.for_s < 0 or self.listed_days < 0 or bool(self.gaps_s) is not (self.for_s > 0):
            raise ValueError("what is asked about has gaps and a time, and no number is below zero")
        if not self.gaps_s and not self.listed_days:
            raise ValueError("what is watched is asked about or listed")

    def next_at(self, succeeded_at: datetime, looks: int) -> datetime | None:
        """When it is asked about next, after so many questions since its success; None: no more."""
        if not self.gaps_s:
            return None
        again = max(0, looks + 1 - len(self.gaps_s))
        waited_s = sum(self.gaps_s[: looks + 1]) + again * self.gaps_s[-1]
        return succeeded_at + timedelta(seconds=waited_s) if waited_s <= self.for_s else None


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of one product. Raises ValueError for what no contract can mean."""

    poll_gaps_s: tuple[float, ...]
    """Seconds between queries: the gaps in turn, then the last one for ever."""
    not_found: NotFoundRule | None
    """None: "not found" is never proof."""
    answer_timeout_s: float
    """How long a call may take, from the first byte sent to the last byte read."""
    late_looks: int = MAX_LATE_LOOKS
    """How often it is asked about again after it ended without the PSP's word: each is one more question there.

    Where the protocol bears fewer than all, these are spent on the most telling ones: with 3, an hour and six hours
    after the end, and the next business morning.
    """
    page: RedirectRules | None = None
    """Of what the payer pays on the PSP's page: until when that takes it."""
    watch: Watch | None = None
    """Of what may come back after its success; None: nothing tells of that but a notice, a statement or a person."""

    def __post_init__(self) -> None:
        _check(self.poll_gaps_s, self.answer_timeout_s)
        if not 0 <= self.late_looks <= MAX_LATE_LOOKS:
            raise ValueError(f"late_looks are 0 to {MAX_LATE_LOOKS}")

    def after(self, questions: int, now: datetime) -> datetime:
        """The next question after so many of them."""
        return now + timedelta(seconds=self.poll_gaps_s[min(questions, len(self.poll_gaps_s) - 1)])

    def unanswered(self, now: datetime) -> datetime:
        """When what was sent by somebody who fell silent is taken up by a worker: after the answer's own limit."""
        return now + timedelta(seconds=self.answer_timeout_s + ANSWER_MARGIN_S)

    def proves_lost(self, answers: int, waited_s: float) -> bool:
        """Whether so many "not found" answers over so long prove that the PSP never had the order."""
        rule = self.not_found
        return rule is not None and answers >= rule.answers and waited_s >= rule.over_s + clocks.PROOF_MARGIN_S


@dataclass(frozen=True, slots=True)
class OwnTerms:
    """What an account's contract says otherwise about one product; None: the provider's own. Raises ValueError."""

    poll_gaps_s: tuple[float, ...] | None = None
    not_found: NotFoundRule | Never | None = None
    answer_timeout_s: float | None = None
    grace_s: float | None = None
    """Of pages: how long after the expiry the PSP may still be finishing what was paid before it."""

    def __post_init__(self) -> None:
        _check(self.poll_gaps_s, self.answer_timeout_s)
        if self.grace_s is not None and not self.grace_s >= 0:
            raise ValueError("grace_s is not below zero")

    def over(self, terms: Terms) -> Terms:
        """The provider's terms with what the contract says otherwise."""
        said = self.not_found
        return Terms(
            terms.poll_gaps_s if self.poll_gaps_s is None else self.poll_gaps_s,
            terms.not_found if said is None else None if said == NEVER else said,
            terms.answer_timeout_s if self.answer_timeout_s is None else self.answer_timeout_s,
            terms.late_looks,
            terms.page,
            terms.watch,
        )

    def to_json(self) -> dict[str, Any]:
        """Only what is said."""
        told: dict[str, Any] = {}
        if self.poll_gaps_s is not None:
            told["poll_gaps_s"] = list(self.poll_gaps_s)
        if isinstance(self.not_found, NotFoundRule):
            told["not_found"] = {"answers": self.not_found.answers, "over_s": self.not_found.over_s}
        elif self.not_found is not None:
            told["not_found"] = self.not_found
        if self.answer_timeout_s is not None:
            told["answer_timeout_s"] = self.answer_timeout_s
        if self.grace_s is not None:
            told["grace_s"] = self.grace_s
        return told

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "OwnTerms":
        """Read what `to_json` wrote."""
        gaps, rule, timeout_s = told.get("poll_gaps_s"), told.get("not_found"), told.get("answer_timeout_s")
        grace_s = told.get("grace_s")
        return cls(
            None if gaps is None else tuple(map(float, gaps)),
            NotFoundRule(rule["answers"], float(rule["over_s"])) if isinstance(rule, Mapping) else rule,
            None if timeout_s is None else float(timeout_s),
            None if grace_s is None else float(grace_s),
        )


def terms_to_json(own: Mapping[Product, OwnTerms]) -> dict[str, dict[str, Any]]:
    """Product → what an account's contract says otherwise."""
    return {product.value: told for product in sorted(own) if (told := own[product].to_json())}


def terms_from_json(told: Mapping[str, Mapping[str, Any]]) -> dict[Product, OwnTerms]:
    """Read what `terms_to_json` wrote. Raises ValueError for a product that this program does not know."""
    return {Product(product): OwnTerms.from_json(said) for product, said in told.items()}


def _check(poll_gaps_s: tuple[float, ...] | None, answer_timeout_s: float | None) -> None:
    if poll_gaps_s is not None and not (1 <= len(poll_gaps_s) <= MAX_POLL_GAPS and all(gap > 0 for gap in poll_gaps_s)):
        raise ValueError(f"poll_gaps_s are 1 to {MAX_POLL_GAPS} numbers of seconds above zero")
    if answer_timeout_s is not None and not 0 < answer_timeout_s <= MAX_ANSWER_TIMEOUT_S:
        raise ValueError(f"answer_timeout_s is above zero and at most {MAX_ANSWER_TIMEOUT_S:.0f}")
