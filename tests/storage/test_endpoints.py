"""How endpoints stop and start in the catalogue: by a 410, by an operator, by their URL, by leaving the file.

Not tested here: what is held meanwhile (test_held.py), and the HTTP calls (test_admin_books.py).
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from gateway.domain.catalogue import Catalogue, Endpoint
from gateway.domain.catalogue_content import CatalogueFile, CatalogueRefusedError, EndpointContent, MerchantContent
from gateway.domain.events import Event, EventType
from gateway.domain.ids import ObjectKind
from gateway.storage.catalogue.store import CatalogueStore
from gateway.storage.tables import endpoints
from gateway.storage.writing.outbox import deliveries_of
from tests.keys import new_keys

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
OLD_URL, NEW_URL = "https://shop.example.com/a", "https://shop.example.com/b"
HOOK = EndpointContent("hook", None, OLD_URL, None, False, ("whsec_hush",))
SHOP = MerchantContent("shop", "商店", endpoints=(HOOK,))
EVENT = Event(
    UUID(int=1), UUID(int=0xA), "web", EventType.PAYMENT_FAILED, ObjectKind.PAYMENT, UUID(int=2), 1, NOW, b"{}"
)
WITHOUT = MerchantContent("shop", "商店")


class World:
    """A catalogue with one merchant and one endpoint."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.store = CatalogueStore(engine, new_keys().ring)

    async def put(self, merchant: MerchantContent, now: datetime = NOW) -> tuple[str, ...]:
        """Put a file in force; its warnings."""
        return (await self.store.apply(CatalogueFile((merchant,)), "test", "a file", now)).warnings

    async def catalogue(self) -> Catalogue:
        return await self.store.load()

    async def endpoint(self) -> Endpoint:
        ((endpoint,),) = (await self.catalogue()).endpoints.values()
        return endpoint

    async def stop(self, because: str = "li: moving house") -> int:
        one = await self.endpoint()
        return await self.store.stop_endpoint(one.merchant_id, one.endpoint_id, because, NOW, by="li")

    async def start(self, now: datetime = NOW) -> int:
        one = await self.endpoint()
        return await self.store.start_endpoint(one.merchant_id, one.endpoint_id, by="li", note="it is back", now=now)

    async def gone(self, url: str = OLD_URL, sent_at: datetime = NOW) -> bool:
        one = await self.endpoint()
        return await self.store.endpoint_gone(one.merchant_id, one.endpoint_id, url=url, sent_at=sent_at, now=LATER)


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    world = World(engine)
    await world.put(SHOP)
    return world


async def test_a_410_stops_an_endpoint_and_a_warning_says_so(world: World) -> None:
    with capture_logs() as logs:
        assert await world.gone()
        assert await world.gone()
    one = await world.endpoint()
    assert (one.stopped, one.stopped_because, one.stopped_at) == (True, "it answered 410", LATER)
    [told] = [line for line in logs if line["log_level"] == "warning"]
    assert (told["event"], told["endpoint"]) == ("endpoint stopped: it answered 410", "hook")


async def test_a_410_of_the_url_that_it_had_before_does_not_stop_it(world: World) -> None:
    await world.put(replace(SHOP, endpoints=(replace(HOOK, url=NEW_URL),)))
    assert not await world.gone(OLD_URL, NOW - timedelta(seconds=9))
    assert not (await world.endpoint()).stopped
    assert await world.gone(NEW_URL, LATER)


async def test_a_410_that_was_sent_before_it_was_started_does_not_stop_it_again(world: World) -> None:
    await world.stop()
    await world.start(LATER)
    assert not await world.gone(sent_at=NOW)
    assert await world.gone(sent_at=LATER + timedelta(seconds=1))


async def test_a_url_that_changes_and_comes_back_is_a_new_one(world: World) -> None:
    await world.put(replace(SHOP, endpoints=(replace(HOOK, url=NEW_URL),)), NOW)
    await world.put(SHOP, LATER)
    assert not await world.gone(OLD_URL, NOW)


async def test_an_operator_stops_and_starts_it_once(world: World) -> None:
    first = await world.stop()
    assert await world.stop("wang: again") == first
    assert (await world.endpoint()).stopped_because == "li: moving house"
    started = await world.start()
    assert await world.start() == started
    one = await world.endpoint()
    assert (one.stopped, one.stopped_at, one.stopped_because) == (False, None, None)


async def test_of_operators_that_stop_and_start_at_once_the_last_one_decides(world: World) -> None:
    await asyncio.gather(world.stop(), world.start(), world.stop("wang: no"), world.start())
    newest = (await world.store.history(1))[0].note
    assert (await world.endpoint()).stopped is newest.startswith("endpoint stopped")


async def test_the_same_file_leaves_it_stopped_and_another_url_starts_it(world: World) -> None:
    await world.stop()
    assert await world.put(SHOP) == ("the endpoint hook of shop stays stopped: li: moving house",)
    assert (await world.endpoint()).stopped
    await world.put(replace(SHOP, endpoints=(replace(HOOK, url=NEW_URL),)))
    assert not (await world.endpoint()).stopped


async def test_a_stopped_endpoint_gets_held_deliveries_and_a_removed_one_gets_none(world: World) -> None:
    one = await world.endpoint()
    told = [replace(EVENT, merchant_id=one.merchant_id)]
    assert [due.held for due in deliveries_of(told, await world.catalogue(), NOW)] == [False]
    await world.stop()
    assert [(due.held, due.lease_until) for due in deliveries_of(told, await world.catalogue(), NOW)] == [(True, None)]
    await world.put(WITHOUT)
    assert deliveries_of(told, await world.catalogue(), NOW) == []


async def test_an_endpoint_that_left_the_file_is_started_by_coming_back_and_not_by_a_word(world: World) -> None:
    await world.put(WITHOUT)
    one = await world.endpoint()
    assert (one.stopped, one.removed, one.stopped_because) == (True, True, "not in the catalogue file")
    with pytest.raises(CatalogueRefusedError, match="put it back"):
        await world.start()
    await world.put(SHOP)
    one = await world.endpoint()
    assert (one.stopped, one.removed) == (False, False)


async def test_an_endpoint_that_was_stopped_before_it_left_the_file_comes_back_stopped(world: World) -> None:
    await world.gone()
    await world.put(WITHOUT)
    assert (await world.endpoint()).removed
    assert await world.put(SHOP) == ("the endpoint hook of shop stays stopped: it answered 410",)
    one = await world.endpoint()
    assert (one.stopped, one.removed, one.stopped_because) == (True, False, "it answered 410")


async def test_what_a_program_of_the_version_before_removed_or_started_is_that(world: World) -> None:
    """It knows nothing of the newer columns."""
    await world.put(WITHOUT)
    async with world.engine.begin() as connection:
        await connection.execute(update(endpoints).values(removed_at=None))
    assert (await world.endpoint()).removed
    async with world.engine.begin() as connection:
        await connection.execute(text("UPDATE endpoints SET removed_at = stopped_at"))
        await connection.execute(update(endpoints).values(stopped_at=None, stopped_because=None))
    one = await world.endpoint()
    assert (one.stopped, one.removed) == (False, False)
