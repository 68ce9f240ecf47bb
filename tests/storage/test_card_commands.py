"""`sluice cards`: what it says and refuses. Not tested here: what happens to the rows (test_rewrap), the program itself
(tests/e2e/test_rotation).
"""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.catalogue_file import CatalogueFile
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.catalogue_content import AccountContent, AppContent, EndpointContent, MerchantContent
from gateway.domain.ids import CARD, show
from gateway.domain.outcomes import Authenticated, Succeeded
from gateway.run.cards import Rewrapped, erase, rewrap
from gateway.run.local import LocalError
from gateway.settings import Settings
from gateway.storage.catalogue.store import CatalogueStore
from gateway.storage.keys import DecryptionError, KeyRingError
from tests.keys import ORDER_KEY, key, keys
from tests.storage.first_version_rows import first_version_card
from tests.storage.gateway_process import Process
from tests.unit.domain.samples import MERCHANT_ID, card_elements, catalogue, channel, later, rule

ACME = MerchantContent(
    "acme",
    "Acme",
    apps=(AppContent("shop", "Shop", ()),),
    endpoints=(EndpointContent("web", "shop", "https://example.com", None, False, ("whsec_AAAA",)),),
    accounts=(AccountContent("up-1", "mock", {}, {"password": "hush"}),),
)


def settings(*numbers: int, primary: int | None = None, order_key: str = ORDER_KEY) -> Settings:
    ring = ",".join(f"{number}:{key(number)}" for number in numbers)
    return Settings(card_keys=SecretStr(ring), card_primary=primary, order_key=SecretStr(order_key))


@pytest.fixture
async def process(engine: AsyncEngine) -> Process:
    """Books of the merchant `acme`, whose secrets and cards are under key 1."""
    store = CatalogueStore(engine, keys(1).ring, lambda: MERCHANT_ID)
    await store.apply(CatalogueFile((ACME,)), "test", "test", datetime.now(UTC))
    return Process(engine, keys(1), catalogue((channel("up"),), (rule("up"),)))


async def run(database_url: str, given: Settings) -> tuple[Rewrapped, list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    return await rewrap(database_url, given, lambda done, total: told.append((done, total))), told


async def test_a_rewrap_moves_cards_and_secrets_and_says_which_key_may_leave(
    process: Process, database_url: str, engine: AsyncEngine
) -> None:
    await first_version_card(process, card_elements(1))
    await process.open_one(card=card_elements(2), user_id="u2")
    done, told = await run(database_url, settings(1, 2, primary=2))
    assert done.complete
    assert (told[0], told[-1]) == ((0, 2), (2, 2))
    assert done.lines() == [
        "2 cards and 2 secrets of the catalogue rewrapped under key 2",
        "key 1: nothing is under it, it can leave the ring",
        "key 2 (primary): 2 cards, 0 agreements, 2 secrets of the catalogue",
    ]
    loaded = await CatalogueStore(engine, keys(2).ring).load()
    assert loaded.accounts[MERCHANT_ID, "up-1"].secrets == {"password": "hush"}
    with pytest.raises(DecryptionError, match="key 2 is not in the ring"):
        await CatalogueStore(engine, keys(1).ring).load()
    notes = [change.note for change in await CatalogueStore(engine, keys(2).ring).history(1)]
    assert notes == ["secrets encrypted with key 2"]
    again, _ = await run(database_url, settings(2))
    assert (again.cards, again.secrets) == (0, 0)


async def test_before_a_rewrap_the_old_key_may_not_leave(process: Process, database_url: str) -> None:
    await first_version_card(process, card_elements(1), number=3, live={"up-1": "token"})
    done, _ = await run(database_url, settings(1, 2))
    assert not done.complete
    assert "1 cards need key 3, which is not in SLUICE_CARD_KEYS: put it back, run this again" in done.lines()
    assert "key 3: 1 cards, 1 agreements, 0 secrets of the catalogue" in done.lines()
    assert "key 2: nothing is under it, it can leave the ring" in done.lines()


async def test_orders_hashed_with_a_key_are_counted_with_what_its_leaving_means(
    process: Process, database_url: str
) -> None:
    await process.open_one()
    await process.rows("UPDATE orders SET hash_version = 1, hash_form = 1 RETURNING 1")
    done, _ = await run(database_url, settings(1, 2, primary=2))
    (line,) = [line for line in done.lines() if line.startswith("key 1")]
    assert line.startswith("key 1: nothing is under it, it can leave the ring; 1 orders of the first version")


async def test_with_another_order_key_nothing_is_rewrapped(process: Process, database_url: str) -> None:
    await process.open_one()
    with pytest.raises(KeyRingError, match="SLUICE_ORDER_KEY"):
        await run(database_url, settings(1, 2, primary=2, order_key=key(9)))
    assert await process.one("SELECT substr(data_key, 1, 2) FROM cards") == b"\0\1"


async def test_erasing_says_what_went_and_refuses_with_a_reason(process: Process, database_url: str) -> None:
    process.catalogue = catalogue((channel("up", AuthenticationMode.SILENT),), (rule("up"),))
    payment = await process.open_one()
    assert payment.card is not None
    shown: Any = show(CARD, payment.card.card_id)
    with pytest.raises(LocalError, match=r"pay_.* of card_.* is open"):
        await erase(database_url, settings(1), "acme", shown)
    await process.heard_of_card(payment, Authenticated("token"))
    await process.heard(payment, Succeeded(1000), at=later(seconds=1))
    with pytest.raises(LocalError, match="there is no merchant other"):
        await erase(database_url, settings(1), "other", shown)
    with pytest.raises(LocalError, match="acme has no card"):
        await erase(database_url, settings(1), "acme", show(CARD, MERCHANT_ID))
    # It needs none of the keys that the card is under.
    (line,) = await erase(database_url, settings(7), "acme", shown)
    assert line == f"{shown}: key, elements, prints and agreement numbers are gone"
    assert await erase(database_url, settings(7), "acme", shown) == [f"{shown} was erased before"]
