"""The first orders of a demonstration: one for each scene on each channel of the sample catalogue."""

import random
from collections.abc import Iterator
from typing import Any, Final

from gateway.run.demo.orders import CUSTODY_BANKS, Cards, Custody, DemoOrder, card_of

__all__ = ["LENGTH", "make_tour"]

OF_CARDS: Final = (
    ("withhold", "ICBC", 10_000),
    ("withhold", "ICBC", 80_000),
    ("quick_charge", "ICBC", 9_000),
    ("quick_charge", "SPABANK", 9_100),
    ("quick_charge", "COMM", 9_200),
    ("quick_charge", "CMBC", 9_300),
    ("quick_charge", "SPDB", 9_400),
)
"""Scene, bank and amount by which the sample's rules lead to allinpay, unionpay twice, cpcn, lianlian, jd, baofoo."""
ON_PAGES: Final = (("ICBC", 12_300), ("ICBC", 45_600), ("PSBC", 12_300))
"""Banks and amounts by which the sample's rules for net-bank lead to yeepay, unionpay and cpcn."""
REFUSED_BY_YEEPAY: Final = "9821"
"""The tail of cards that the custody bank binds by another authenticator, and YeePay then refuses at each payment."""
LENGTH: Final = len(OF_CARDS) + 1 + len(ON_PAGES) + 3 + 3
"""How many orders it has."""


def make_tour(run: str, dice: random.Random) -> Iterator[DemoOrder]:
    """Its orders, to be made whatever else is made; their numbers and users are of this run alone."""
    cards = Cards(dice)
    numbers = iter(range(LENGTH))

    def order(scene: str, user: str, amount: int, after: str | None = None, **more: Any) -> DemoOrder:
        custody = more.pop("custody", None)
        body = {
            "merchant_order_no": f"tour-{run}-{next(numbers):02}",
            "scene": scene,
            "user_id": f"tour-{run}-{user}",
            "amount": amount,
            "currency": "CNY",
            "metadata": {"run": "demo"},
            **more,
        }
        path = "/v1/withholds" if scene.endswith("withhold") else "/v1/charges"
        return DemoOrder(path, body, None, after=after, custody=custody)

    for number, (scene, bank, amount) in enumerate(OF_CARDS):
        card = card_of(cards.make(bank, None), dice)
        made = order(scene, f"card-{number}", amount, card=card)
        yield made
    # The last one has signed a card at Baofoo by SMS: now it is withheld from without its payer.
    yield order("withhold", f"card-{number}", 8_000, made.body["merchant_order_no"], card=card)
    for number, (bank, amount) in enumerate(ON_PAGES):
        yield order("netbank_charge", f"net-{number}", amount, bank=bank)
    for scene in ("custody_quick_charge", "custody_netbank_charge", "custody_withhold"):
        yield order(
            scene, scene, 20_000, bank="ICBC", custody=_account(f"tour-{run}-{scene}", cards.make("ICBC", None))
        )
    # YeePay refuses whose card it is, though the bank has bound it: the next payments go through Fuiou.
    custody = _account(f"tour-{run}-refused", cards.make("ICBC", REFUSED_BY_YEEPAY))
    refused = order("custody_withhold", "refused", 21_000, bank="ICBC", custody=custody)
    yield refused
    after = refused.body["merchant_order_no"]
    again = order("custody_withhold", "refused", 21_000, after, bank="ICBC")
    yield again
    yield order("custody_quick_charge", "refused", 22_000, again.body["merchant_order_no"], bank="ICBC")


def _account(user_no: str, card_no: str) -> Custody:
    return Custody(user_no, card_no, CUSTODY_BANKS["ICBC"])
