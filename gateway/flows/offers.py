"""What a payer can pay a checkout with: their cards, and the banks that a rule carries, each with its limit.

Nothing is recorded, and nothing is promised: when the payer chooses, the router decides anew.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from gateway.domain.carrying import CarriesOf
from gateway.domain.catalogue import Catalogue
from gateway.domain.checkouts import SCENE_OF, Checkout, Method
from gateway.domain.failures import Failure
from gateway.domain.scenes import CARD_SCENES, NO_BANK, Scene
from gateway.flows.refusal import refusal_of
from gateway.flows.route import Payer, Unable, candidates_for, with_bound
from gateway.ports import ShownCard, UserFacts
from router.decide import decide
from router.facts import Candidate, RouteRequest

__all__ = ["BankOffer", "CardOffer", "Offer", "Offers", "offers_for"]


@dataclass(frozen=True, slots=True)
class Offer:
    """Whether the amount can be paid so, as far as is known now."""

    refusal: Failure | None
    """Why not; None: it can."""
    single_limit: int | None
    """The most of one payment, in fen, over the channels that are there; None: no limit, or no channel."""

    @property
    def is_open(self) -> bool:
        """Whether the payer may choose it."""
        return self.refusal is None


@dataclass(frozen=True, slots=True)
class CardOffer:
    """A card of the payer."""

    card: ShownCard
    offer: Offer


@dataclass(frozen=True, slots=True)
class BankOffer:
    """A bank: whose cards are taken, or whose page the payer is brought to. `bank` may be `ANY`: chosen there."""

    method: Method
    bank: str
    offer: Offer


@dataclass(frozen=True, slots=True)
class Offers:
    """Everything that a checkout offers, in the order in which it is shown."""

    cards: tuple[CardOffer, ...]
    new_card: bool
    """Whether a new card may be typed."""
    card_banks: tuple[BankOffer, ...]
    """Whose cards are taken."""
    banks: tuple[BankOffer, ...]
    """Whose pages, by method."""


def offers_for(
    checkout: Checkout,
    cards: Sequence[ShownCard],
    facts: UserFacts,
    catalogue: Catalogue,
    unable: Callable[[UUID, Scene], Unable],
    carries_of: CarriesOf,
    now: datetime,
) -> Offers:
    """What a checkout offers. `facts`: of the user, without any card; what limits count by card is not known yet."""
    scenes = {SCENE_OF[method] for method in checkout.methods}
    cannot = {scene: unable(checkout.merchant_id, scene) for scene in scenes}
    asking = _Asking(checkout, facts, catalogue, cannot, carries_of, now)
    banks = [
        BankOffer(method, bank, asking.offer(SCENE_OF[method], bank))
        for method in checkout.methods
        if method is not Method.QUICK
        for bank in sorted(catalogue.banks_of(checkout.merchant_id, SCENE_OF[method]))
    ]
    if Method.QUICK not in checkout.methods:
        return Offers((), False, (), tuple(banks))
    taken = sorted(catalogue.banks_of(checkout.merchant_id, Scene.QUICK_CHARGE))
    card_banks = [BankOffer(Method.QUICK, bank, asking.offer(Scene.QUICK_CHARGE, bank)) for bank in taken]
    known = [CardOffer(card, asking.offer(Scene.QUICK_CHARGE, card.bank, card.accounts)) for card in cards]
    known.sort(key=lambda each: not each.offer.is_open)  # what can be used comes first; else as they are: newest first
    return Offers(tuple(known), bool(taken), tuple(card_banks), tuple(banks))


@dataclass(frozen=True, slots=True)
class _Asking:
    checkout: Checkout
    facts: UserFacts
    catalogue: Catalogue
    unable: Mapping[Scene, Unable]
    carries_of: CarriesOf
    now: datetime

    def offer(self, scene: Scene, bank: str, accounts: Collection[str] = ()) -> Offer:
        checkout, catalogue, merchant_id = self.checkout, self.catalogue, self.checkout.merchant_id
        assert checkout.amount is not None
        merchant = catalogue.merchants[merchant_id]
        request = RouteRequest(
            user_id=checkout.user_id,
            scene=scene,
            bank=bank,
            amount=checkout.amount,
            now=self.now,
            customer_present=True,
            last_attempt_max_age=merchant.last_attempt_max_age,
            authentication_spread=merchant.authentication_spread,
        )
        if self.facts.blocked:
            request = replace(request, blocked=self.facts.blocked)
            return Offer(refusal_of(decide(request, (), {}, catalogue.version)), None)
        payer = Payer(accounts, present=True)
        candidates = candidates_for(
            catalogue, merchant_id, scene, bank, payer, self.now, self.unable[scene],
            carries_of=self.carries_of,
        )  # fmt: skip
        channels = with_bound(self.facts.channels, catalogue, merchant_id, candidates, accounts)
        decision = decide(request, candidates, channels, catalogue.version)
        removed = {seen.channel for seen in decision.trace if seen.removed_by_step == 1}
        there = [each for each in candidates if each.channel not in removed]
        return Offer(refusal_of(decision), _largest(there, is_card=scene in CARD_SCENES and bank != NO_BANK))


def _largest(candidates: Sequence[Candidate], *, is_card: bool) -> int | None:
    """The largest single payment that one of them carries; None: one of them has no limit, or there is none."""
    most: list[int] = []
    for each in candidates:
        limits = [each.limits.single_limit, each.limits.card_single_limit if is_card else None]
        said = [limit for limit in limits if limit is not None]
        if not said:
            return None
        most.append(min(said))
    return max(most, default=None)
