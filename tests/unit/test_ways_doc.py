"""docs/ways.md says of each provider, scene and way what the catalogue says: whether it is offered, and on what word.

Of the providers of the sample catalogue. That each cell works is tests/e2e/test_ways.py.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from adapters.registry import offer_for, offer_of
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.catalogue_content import AccountContent
from gateway.domain.scenes import CARD_SCENES, Scene
from gateway.ports import Assumption, Offer
from tests.sampled import SAMPLED

PAGE = Path(__file__).parents[2] / "docs" / "ways.md"
Cell = tuple[str, str, AuthenticationMode]


def told() -> Iterator[tuple[Cell, frozenset[str]]]:
    """The cells of the page that are offered, with the assumptions that it names."""
    lines = PAGE.read_text().splitlines()
    start = lines.index("| provider | scene | none | silent | sms | sms_each_payment |") + 2
    for line in lines[start:]:
        if not line.startswith("|"):
            return
        provider, scene, *ways = (cell.strip() for cell in line.strip("|").split("|"))
        for mode, cell in zip(AuthenticationMode, ways, strict=True):
            if cell != "—":
                yield (provider.lower(), scene, mode), frozenset(re.findall(r"`(\w+)`", cell))


def fits(offer: Offer, scene: Scene, mode: AuthenticationMode) -> bool:
    return not (offer.why_not_pay(scene) or offer.why_not_authenticate(mode) or offer.why_not_way(scene, mode))


def needed(provider: str, scene: Scene, mode: AuthenticationMode) -> frozenset[str]:
    """The assumptions without which the account is refused, or the cell."""
    later = [each for each in offer_of(provider).declaration.assumptions if not each.since_first_version]

    def without(name: str) -> Offer:
        others = [each.name for each in later if each.name != name]
        return offer_for(AccountContent("main", provider, {"assumed": others}, {}))

    def narrow(each: Assumption) -> bool:
        return bool(each.commands) or each.residence_permits or each.statements

    return frozenset(each.name for each in later if not (narrow(each) and fits(without(each.name), scene, mode)))


def test_the_page_of_ways_has_what_the_catalogue_offers_and_the_words_that_it_wants() -> None:
    every = ((name, scene, mode) for name in SAMPLED for scene in CARD_SCENES for mode in AuthenticationMode)
    offered = {
        (name, scene.value, mode): needed(name, scene, mode)
        for name, scene, mode in every
        if fits(offer_of(name), scene, mode)
    }
    assert dict(told()) == offered
