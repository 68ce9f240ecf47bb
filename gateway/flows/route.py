"""Ask the router: what the catalogue and the user's facts mean for one payment. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Final
from uuid import UUID

from gateway.domain.ailing import Ails, of_payment
from gateway.domain.cards import CardElements
from gateway.domain.carrying import Carries, CarriesOf, Ways, carries_all
from gateway.domain.catalogue import AuthenticationMode, Catalogue, Channel
from gateway.domain.orders import Order
from gateway.domain.payments import Payment
from gateway.domain.rates import Counted
from gateway.domain.scenes import CARD_SCENES, NO_BANK, Scene
from gateway.ports import UserFacts
from router.ailing import Ailing
from router.facts import Candidate, ChannelFacts, RouteRequest, Signing, Unfit

_NO_FACTS: Final = ChannelFacts()
_NEVER_SILENT: Final = frozenset({AuthenticationMode.SMS, AuthenticationMode.NONE})


@dataclass(frozen=True, slots=True)
class Unable:
    """What this process cannot do now, of one merchant."""

    accounts: Collection[str] = ()
    """Accounts whose settings cannot be used."""
    full: Collection[str] = ()
    """Channels without a free place. Only charges look for another then; a withhold waits."""
    ailing: Ails = field(default_factory=dict)
    """What is to be avoided, by what is counted apart."""
    payment_id: UUID | None = None
    """Whose payment it is: some go to an ailing channel all the same. None: a question without one."""

    def ailing_for(self, what: Counted, by: Collection[str]) -> Ailing | None:
        """What the router is told of a channel that ails; None: it is well."""
        return of_payment(self.ailing.get(what.only(by)), what.channel, self.payment_id) if self.ailing else None


ABLE: Final = Unable()


def request_of(
    order: Order, catalogue: Catalogue, facts: UserFacts, now: datetime, authentication_spread: int | None = None
) -> RouteRequest:
    """What the router is asked about an order. `authentication_spread`: None where nobody is authenticated for it."""
    return RouteRequest(
        user_id=order.user_id,
        scene=order.scene,
        bank=order.bank,
        amount=order.amount,
        now=now,
        customer_present=order.customer_present,
        last_attempt_max_age=catalogue.merchants[order.merchant_id].last_attempt_max_age,
        authentication_spread=authentication_spread,
        blocked=facts.blocked,
    )


def candidates_for(
    catalogue: Catalogue,
    merchant_id: UUID,
    scene: Scene,
    bank: str,
    payer: "Payer",
    now: datetime,
    unable: Unable = ABLE,
    card: CardElements | None = None,
    carries_of: CarriesOf = carries_all,
) -> list[Candidate]:
    """The rules of a scene and bank with what is known of their channels now.

    `carries_of` tells what the provider of an account can carry, and how it authenticates.
    """
    candidates, day = [], catalogue.day_of(now)
    by = catalogue.merchants[merchant_id].watch.by if unable.ailing else ()
    for rule in catalogue.rules_for(merchant_id, scene, bank):
        channel = catalogue.channels[merchant_id, rule.channel]
        carries = carries_of(merchant_id, channel.account)
        candidates.append(
            Candidate(
                channel=rule.channel,
                scene=scene,
                bank=bank,
                fee=rule.fee_on(day),
                enabled=rule.enabled,
                channel_on=channel.on,
                in_maintenance=catalogue.in_maintenance(merchant_id, rule.channel, scene, bank, now),
                account_usable=channel.account not in unable.accounts,
                unfit=_unfit(channel, scene, bank, card, carries),
                signing=signing_of(catalogue, channel, scene, bank, payer, carries.ways),
                full=rule.channel in unable.full,
                ailing=unable.ailing_for(Counted(scene, bank, rule.channel), by),
                priority=rule.priority,
                authentication_fee=_authentication_fee(channel, scene, bank, day),
                limits=rule.limits,
                channel_limits=channel.limits,
                daily_insufficient_by=rule.daily_insufficient_by,
            )
        )
    return candidates


def carries_now(catalogue: Catalogue, payment: Payment, now: datetime) -> bool:
    """Whether the channel of a payment that was routed before still carries it: nobody has stopped it since."""
    merchant_id, code = payment.merchant_id, payment.channel or ""
    channel = catalogue.channels.get((merchant_id, code))
    if channel is None or not channel.on or channel.account != payment.account:
        return False
    if catalogue.in_maintenance(merchant_id, code, payment.scene, payment.bank, now):
        return False
    rules = catalogue.rules_for(merchant_id, payment.scene, payment.bank)
    return any(rule.channel == code and rule.enabled for rule in rules)


def with_bound(
    facts: Mapping[str, ChannelFacts],
    catalogue: Catalogue,
    merchant_id: UUID,
    candidates: Sequence[Candidate],
    agreements: Collection[str],
) -> Mapping[str, ChannelFacts]:
    """The facts, with where this card is bound already: it costs no authentication there."""
    if not agreements:
        return facts
    bound = {
        each.channel: replace(facts.get(each.channel, _NO_FACTS), bound=True)
        for each in candidates
        if each.authentication_fee and catalogue.channels[merchant_id, each.channel].account in agreements
    }
    return {**facts, **bound} if bound else facts


def _authentication_fee(channel: Channel, scene: Scene, bank: str, day: date) -> int:
    """What binding a card costs once; with an SMS at each payment, or none at all, nothing is bound."""
    binds = scene in CARD_SCENES and channel.mode(bank) in {AuthenticationMode.SILENT, AuthenticationMode.SMS}
    return channel.authentication_fee_on(day) if binds else 0


def _unfit(channel: Channel, scene: Scene, bank: str, card: CardElements | None, carries: Carries) -> Unfit | None:
    """Why a channel can never carry this card; the catalogue's word on the bank first."""
    if scene in CARD_SCENES:
        mode = channel.mode(bank)
        codeless = mode is AuthenticationMode.SMS_EACH_PAYMENT and scene in carries.ways.codeless_scenes
        if mode is None or codeless:
            return "bank_unsupported"
    return None if bank == NO_BANK else carries.why_not(bank, card)


def needs_agreement(channel: Channel, scene: Scene, bank: str, ways: Ways) -> bool:
    """Whether a card must be bound here before it can be charged."""
    if scene not in CARD_SCENES:
        return False
    mode = channel.mode(bank)
    if mode is AuthenticationMode.SMS_EACH_PAYMENT:
        return ways.code_wants_agreement
    return mode in {AuthenticationMode.SILENT, AuthenticationMode.SMS} or scene in ways.authenticated_scenes


def pays_by_code(channel: Channel, scene: Scene, bank: str) -> bool:
    """Whether each payment here wants a code of its own."""
    return scene in CARD_SCENES and channel.mode(bank) is AuthenticationMode.SMS_EACH_PAYMENT


def binds_silently(catalogue: Catalogue, channel: Channel, bank: str, ways: Ways) -> bool:
    """Whether a card is bound here without the payer: as the catalogue says, unless the PSP has said otherwise."""
    mode = channel.mode(bank)
    if mode in _NEVER_SILENT or not ways.silent:
        return False
    return catalogue.binds_silently(channel.merchant_id, channel.account, bank)


def may_sign(catalogue: Catalogue, channel: Channel, bank: str, ways: Ways) -> bool:
    """Whether cards are signed by SMS here: on the primary channel and no other, so that users hear from one alone."""
    return ways.signs and catalogue.primary_of(channel.merchant_id, bank) == channel.code


@dataclass(frozen=True, slots=True)
class Payer:
    """What is known of the payer where a card may have to be authenticated."""

    agreements: Collection[str] = ()
    """Accounts that have an active agreement with the card."""
    present: bool = False
    """Somebody is there to type a code."""
    signing: Collection[str] = ()
    """Accounts where the card is being signed by an SMS already."""


def signing_of(catalogue: Catalogue, channel: Channel, scene: Scene, bank: str, payer: Payer, ways: Ways) -> Signing:
    """Whether the channel can authenticate this card now; where that needs the payer, whether they are there."""
    if pays_by_code(channel, scene, bank) and not payer.present:
        return "needs_signing"
    if not needs_agreement(channel, scene, bank, ways) or channel.account in payer.agreements:
        return "ready"
    if channel.account in payer.signing:
        return "signing_in_progress"
    if binds_silently(catalogue, channel, bank, ways):
        return "ready"
    mode = channel.mode(bank)
    if mode is AuthenticationMode.NONE or not payer.present or not may_sign(catalogue, channel, bank, ways):
        return "needs_signing"
    return "signing_in_progress" if payer.signing else "ready"
