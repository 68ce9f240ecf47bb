"""Merchants whose channels authenticate cards in ways of their own, and payers who type what they are sent."""

from dataclasses import dataclass, replace

from adapters.registry import offer_of
from gateway.domain.catalogue import ANY_BANK, AuthenticationMode
from gateway.domain.catalogue_content import (
    AccountContent,
    ChannelContent,
    MerchantContent,
    PayoutRuleContent,
    RuleContent,
)
from gateway.domain.payees import PayeeType
from gateway.domain.scenes import CARD_SCENES, Scene
from gateway.ports import Offer
from router.fees import FixedFee
from tests.adapters.test_on_sandbox import the_account
from tests.e2e.business import FINAL, App, Shown
from tests.e2e.merchants import account_with
from tests.e2e.waiting import until
from tests.e2e.world import QUICK_TERMS, World

__all__ = ["Paid", "Signer", "inbox", "merchant_with", "new_phone", "paid"]

AUTHENTICATION_FEE = 100
PAYOUT_FEE = 150


@dataclass(frozen=True, slots=True)
class Signer:
    """A channel at a provider of the sandbox, on an account of its own. `fee`: of each payment, in fen."""

    code: str
    provider: str
    mode: AuthenticationMode
    fee: int


async def merchant_with(world: World, *signers: Signer, primary: str | None = None) -> App:
    """A merchant with these channels, for cards of one bank and every scene that each can pay."""

    def change(merchant: MerchantContent) -> MerchantContent:
        return replace(
            merchant,
            accounts=tuple(_account(world, signer) for signer in signers),
            channels=tuple(
                ChannelContent(each.code, each.code, each.code, True, {"*": each.mode}, AUTHENTICATION_FEE)
                for each in signers
            ),
            rules=tuple(
                RuleContent(each.code, scene, "ICBC", True, FixedFee(each.fee))
                for each in signers
                for scene in sorted(CARD_SCENES)
                if _pays(offer_of(each.provider), scene, each.mode)
            ),
            payout_rules=tuple(
                PayoutRuleContent(each.code, payee, ANY_BANK, True, FixedFee(PAYOUT_FEE))
                for each in signers
                for payee in PayeeType
                if offer_of(each.provider).why_not_pay_out(payee) is None
            ),
            primary_signer=primary,
        )

    return await world.merchant(change)


def _pays(offer: Offer, scene: Scene, mode: AuthenticationMode) -> bool:
    return not (offer.why_not_pay(scene) or offer.why_not_way(scene, mode))


def _account(world: World, signer: Signer) -> AccountContent:
    told = the_account(signer.provider, world.sandbox, world.keys)
    content = AccountContent(signer.code, signer.provider, told.settings, told.secrets)
    return account_with(content, QUICK_TERMS)


def new_phone(world: World) -> str:
    """A phone that got no SMS yet."""
    return f"137{world.number():08d}"


async def inbox(world: World, phone: str) -> list[Shown]:
    """The SMS that a phone got, from whomever, oldest first."""
    return list((await world.control("GET", f"sms?phone={phone}"))["sms"])


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment at its end, and what its payer got SMS for."""

    payment: Shown
    purposes: list[str]


async def paid(world: World, app: App, order: Shown) -> Paid:
    """Pay to the end, typing each code that the payer is sent and asked for."""
    phone = order["card"]["phone"]
    before = len(await inbox(world, phone))
    payment = await app.pay(order)
    purposes: list[str] = []

    async def asked_or_final() -> Shown | None:
        now = await app.payment(payment["id"])
        asked = now["status"] == "requires_action" and len(await inbox(world, phone)) > before + len(purposes)
        return now if asked or now["status"] in FINAL else None

    while (now := await until(asked_or_final, f"code or end of {payment['id']}"))["status"] not in FINAL:
        sms = (await inbox(world, phone))[-1]
        purposes.append(sms["purpose"])
        answer = await app.call("POST", f"/v1/payments/{now['id']}/confirm", {"sms_code": sms["code"]})
        assert answer.status == 200, answer.raw
    return Paid(now, purposes)
