"""The table of ways: every scene × provider × way of authenticating that a catalogue can offer, paid over sockets.

Each cell is a merchant of its own with one channel: a new card, the SMS that the way asks for and no other, one charge
in the PSP's books, and a second payment of the same card. Not tested here: codes that are wrong, late or repeated
(test_codes), cards that are refused (test_card_stories).
"""

from collections.abc import Iterator

import pytest

from adapters.registry import offer_of
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.scenes import CARD_SCENES, Scene
from gateway.ports import Authenticate, Offer, why_not_primary
from tests.e2e.business import App, Shown
from tests.e2e.signers import Signer, merchant_with, new_phone, paid
from tests.e2e.world import World
from tests.sampled import SAMPLED

NONE, SILENT, SMS, EACH = AuthenticationMode
WITHHOLD, QUICK = Scene.WITHHOLD, Scene.QUICK_CHARGE
Cell = tuple[str, Scene, AuthenticationMode]

WAYS: dict[tuple[str, Scene], tuple[AuthenticationMode, ...]] = {
    ("allinpay", WITHHOLD): (NONE, SMS),
    ("allinpay", QUICK): (SMS,),
    ("baofoo", WITHHOLD): (SMS, EACH),
    ("baofoo", QUICK): (SMS, EACH),
    ("cpcn", WITHHOLD): (NONE, SILENT, SMS),
    ("cpcn", QUICK): (SILENT, SMS, EACH),
    ("jd", QUICK): (EACH,),
    ("lianlian", QUICK): (SMS, EACH),
    ("unionpay", WITHHOLD): (NONE, SILENT, SMS),
    ("unionpay", QUICK): (SILENT, SMS, EACH),
}
"""What is offered, written down: what an adapter offers more or less is seen here, and in docs/ways.md."""
CELLS = [(provider, scene, mode) for (provider, scene), modes in WAYS.items() for mode in modes]
OPENED_ELSEWHERE = frozenset({("unionpay", WITHHOLD, NONE)})
"""The PSP pays from cards that are open there; without a way of its own the channel counts on that."""


def offered() -> Iterator[Cell]:
    for provider in SAMPLED:
        offer = offer_of(provider)
        for scene in CARD_SCENES:  # where there is no card, nobody authenticates one
            for mode in AuthenticationMode:
                if not (offer.why_not_pay(scene) or offer.why_not_authenticate(mode) or offer.why_not_way(scene, mode)):
                    yield provider, scene, mode


def test_every_cell_that_a_catalogue_can_offer_has_a_test() -> None:
    assert sorted(offered()) == sorted(CELLS)


def signs(offer: Offer, mode: AuthenticationMode) -> bool:
    """Whether a new card is signed by an SMS."""
    silent = Authenticate in offer.commands
    return mode is SMS or (mode is EACH and offer.declaration.code_wants_agreement and not silent)


@pytest.mark.parametrize(("provider", "scene", "mode"), CELLS, ids=lambda part: str(part))
async def test_a_way(world: World, provider: str, scene: Scene, mode: AuthenticationMode) -> None:
    offer, channel = offer_of(provider), Signer("way", provider, mode, fee=1)
    signed = signs(offer, mode)
    if signed:
        assert why_not_primary(offer, {"*": mode}, None) is None
    app = await merchant_with(world, channel, primary="way" if signed else None)
    phone = new_phone(world)
    order = world.order(
        scene=scene,
        card=world.card() | {"phone": phone},
        customer_present=True if mode in {SMS, EACH} else None,
    )
    if (provider, scene, mode) in OPENED_ELSEWHERE:
        await open_elsewhere(world, provider, order)
    each = ["pay"] if mode is EACH else []
    first = await paid(world, app, order)
    assert first.purposes == (["sign"] if signed else []) + each
    again = await paid(world, app, order | {"merchant_order_no": f"again-{world.number()}", "amount": world.cheap()})
    assert again.purposes == each
    for payment, asked in ((first.payment, first.purposes), (again.payment, again.purposes)):
        assert payment["status"] == "succeeded", payment
        await charged_once(world, provider, payment)
        await told_in_order(world, app, payment, ["payment.requires_action"] * len(asked) + ["payment.succeeded"])
    binds = signed or mode is SILENT or (mode is EACH and offer.declaration.code_wants_agreement)
    assert [p["authentication_fee"] for p in (first.payment, again.payment)] == [100 if binds else None, None]


async def open_elsewhere(world: World, provider: str, order: Shown) -> None:
    """Have the PSP know the card: another merchant of the same account opens it."""
    app = await merchant_with(world, Signer("way", provider, SILENT, fee=1))
    await app.pay_to_the_end(order | {"merchant_order_no": f"elsewhere-{world.number()}", "amount": world.cheap()})


async def charged_once(world: World, provider: str, payment: Shown) -> None:
    rows = [row for row in await world.transactions(provider) if row["order_no"] == payment["channel_order_no"]]
    charges = [(row["state"], row["amount"], row["submissions"]) for row in rows if row["kind"] != "open_card"]
    assert charges == [("succeeded", payment["amount"], 1)]


async def told_in_order(world: World, app: App, payment: Shown, types: list[str]) -> None:
    events = await app.told(payment["id"], len(types))
    assert [(event["type"], event["sequence"]) for event in events] == [*zip(types, range(1, 99), strict=False)]
    assert all(world.receiver.of(event["id"]) for event in events)
