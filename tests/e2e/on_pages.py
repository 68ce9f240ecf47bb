"""Payments on pages, over sockets: the scenes that are paid so, an app whose payers pay there, and what they meet.

The custody banks of all merchants are one mock, which knows one address for its notices: that of `patient`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.domain.catalogue_content import MerchantContent
from gateway.domain.scenes import Scene
from gateway.domain.terms import NEVER, OwnTerms, Product
from tests.browsing import Browser, Page
from tests.e2e.business import App, Shown
from tests.e2e.waiting import until
from tests.e2e.world import World

__all__ = [
    "WAYS",
    "Visit",
    "Way",
    "asked_for",
    "back_of",
    "follow",
    "open_page",
    "paged_app",
    "run_out",
    "tell_where_to_call",
]

LIFE_S: Final = 60
"""The shortest that an app may give its payer."""
NOT_FOR_LONG: Final = (600.0,)
OFTEN: Final = (0.2, 0.3, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Way:
    """How a payer pays on a page. `ends`: at its expiry its PSP takes it no more."""

    scene: Scene
    provider: str
    account: str
    bank: str | None
    ends: bool
    is_quick: bool = False
    cancels: bool = False
    """Its PSP gives an unpaid order up when it is told to."""


WAYS: Final[Mapping[str, Way]] = {
    "netbank": Way(Scene.NETBANK_CHARGE, "yeepay", "yeepay_main", "ABC", ends=True, cancels=True),
    "netbank at unionpay": Way(Scene.NETBANK_CHARGE, "unionpay", "unionpay_main", "CITIC", ends=True),
    "netbank at cpcn": Way(Scene.NETBANK_CHARGE, "cpcn", "cpcn_main", "PSBC", ends=False),
    "custody quick": Way(Scene.CUSTODY_QUICK_CHARGE, "lanmao", "custody_main", "ICBC", ends=False, is_quick=True),
    "custody netbank": Way(Scene.CUSTODY_NETBANK_CHARGE, "lanmao", "custody_main", None, ends=False),
}


@dataclass(frozen=True, slots=True)
class Visit:
    """A payment whose payer stands on the page of the bank."""

    way: Way
    payment: Shown
    browser: Browser
    bill: Page
    """The bank's page, as it was when it was opened."""

    @property
    def number(self) -> str:
        return str(self.payment["channel_order_no"])

    @property
    def amount(self) -> int:
        return int(self.payment["amount"])


async def paged_app(
    world: World,
    *,
    asks: tuple[float, ...] = NOT_FOR_LONG,
    daily_limit: int | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    **changed: Any,
) -> App:
    """A merchant like the sample's: what is paid on pages is asked about by this plan, and no grace is given.

    `settings`: of its accounts, by provider.
    """
    terms = OwnTerms(poll_gaps_s=asks, not_found=NEVER, answer_timeout_s=3.0, grace_s=0.0)

    def change(merchant: MerchantContent) -> MerchantContent:
        paged = {way.account for way in WAYS.values()}
        accounts = tuple(
            replace(each, terms={**each.terms, Product.REDIRECT: terms}) if each.code in paged else each
            for each in merchant.accounts
        )
        rules = merchant.rules
        if daily_limit is not None:
            one = [each for each in rules if each.channel != "custody_fuiou"]  # of each way one channel
            rules = tuple(replace(each, limits=replace(each.limits, daily_limit=daily_limit)) for each in one)
        return replace(merchant, accounts=accounts, rules=rules, **changed)

    return await world.merchant(change, **(settings or {}))


async def tell_where_to_call(world: World, app: App) -> None:
    """From now on those who are told once where to call send their notices to this app's merchant."""
    for provider, account in (("lanmao", "custody_main"), ("cpcn", "cpcn_main")):
        url = f"{app.gateway}/callbacks/{await world.code_of(app)}.{account}"
        await world.control("POST", f"{provider}/notice_url", {"url": url})


def back_of(world: World) -> str:
    """Where the app's payers come back to."""
    return f"{world.receiver.address}/back?o=7&payment=x#/done"


async def asked_for(world: World, app: App, way: Way, **changed: Any) -> Shown:
    """A new payment of this way; at the custody bank its payer has an account, with a card."""
    user = changed.setdefault("user_id", world.user())
    if way.provider == "lanmao":
        card = {"user_no": user, "card_no": f"622202020{world.number():06d}1234"}
        await world.control("POST", "lanmao/users", card)
    order = {
        "scene": way.scene.value,
        "bank": way.bank,
        "card": None,
        "return_url": back_of(world),
        "expires_in_s": LIFE_S,
    }
    return await app.pay(world.order(changed.pop("amount", 20_000 + world.number()), **order | changed))


async def open_page(world: World, app: App, way: Way, **changed: Any) -> Visit:
    """A new payment, whose payer has followed `next_action` to the bank's page."""
    payment = await asked_for(world, app, way, **changed)
    assert payment["status"] == "requires_action", payment["failure"]
    return await follow(world, way, payment)


async def follow(world: World, way: Way, payment: Shown) -> Visit:
    """The payer goes through our page to the bank's."""
    browser = Browser(world.session)
    ours = await browser.open(payment["next_action"]["url"])
    bill = await browser.press(ours, ours.buttons()[0])
    return Visit(way, payment, browser, bill)


async def run_out(world: World, app: App, payment: Shown, way: Way | None = None) -> Shown:
    """Let the payer's time be over now; the payment as it is once that is noticed, and closed where its way ends."""
    await world.sql(
        "UPDATE payments SET expires_in_s = lived, until_at = created_at + make_interval(secs => lived) FROM ("
        " SELECT payment_id AS id, 1 + extract(epoch FROM now() - created_at)::integer AS lived FROM payments"
        " WHERE channel_order_no = $1) AS it WHERE payment_id = id",
        payment["channel_order_no"],
    )

    async def look() -> Shown | None:
        now = await app.payment(payment["id"])
        waits = now["next_action"]
        return now if waits is None or waits["expired"] else None

    expired = await until(look, f"end of the payer's time for {payment['id']}")
    return await app.final(payment["id"]) if way is not None and way.ends else expired
