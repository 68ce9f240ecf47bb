"""A client of the operators' calls on a real PostgreSQL, with nothing behind the calls of apps."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.registry import offer_for
from gateway.api.admin.operators import Operators, operator_routes
from gateway.api.application import Api, build_app
from gateway.domain.catalogue_content import CatalogueFile, MerchantContent
from gateway.run.providers import NOTES
from gateway.settings import Settings
from gateway.storage.catalogue.blocks import BlockStore
from gateway.storage.catalogue.store import CatalogueStore, new_id
from gateway.storage.catalogue.watch import CatalogueWatch
from gateway.storage.reading.references import OperatorSearch
from gateway.storage.watching.alerts import AlertStore
from gateway.storage.watching.rates import RateStore
from gateway.storage.watching.switches import SwitchStore
from gateway.storage.watching.transactions import TransactionStore
from tests.databases import database_on
from tests.keys import new_keys

__all__ = ["KEYS", "NOW", "Client", "answered", "operator_client"]

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
TOKEN = "an-operator"
KEYS = new_keys()

Client = TestClient[Any, Any]


@asynccontextmanager
async def operator_client(engine: AsyncEngine, *merchants: MerchantContent) -> AsyncIterator[Client]:
    """A client of an application with these merchants."""
    store = CatalogueStore(engine, KEYS.ring)
    await store.apply(CatalogueFile(merchants), "test", "a file", NOW)
    watch = CatalogueWatch(store)
    await watch.refresh_now()
    nothing = cast("Any", None)
    api = Api(
        settings=Settings(admin_token=SecretStr(TOKEN)),
        payments=nothing,
        payer=nothing,
        authentications=nothing,
        shown_cards=nothing,
        unbinding=nothing,
        refunds=nothing,
        payouts=nothing,
        routes=nothing,
        checkouts=nothing,
        cashier=cast("Any", SimpleNamespace(url_of=None)),
        reading=nothing,
        callbacks=nothing,
        cards=nothing,
        redirects=nothing,
        returns=nothing,
        catalogue=lambda: watch.current,
        readiness=nothing,
        metrics=nothing,
        clock=lambda: NOW,
    )
    operators = Operators(
        changes=store,
        snapshots=watch,
        offer_of=offer_for,
        notes=NOTES,
        deliveries=nothing,
        held=nothing,
        blocks=BlockStore(engine, KEYS.order, store.change),
        alerts=nothing,
        rates=RateStore(database_on(engine)),
        switches=SwitchStore(database_on(engine), AlertStore(database_on(engine), new_id, lambda: watch.current)),
        anomalies=nothing,
        corrections=nothing,
        words=nothing,
        payments=OperatorSearch(engine, ZoneInfo("Asia/Shanghai")),
        recorded_routes=nothing,
        payouts=nothing,
        held_payouts=nothing,
        balances=nothing,
        days=nothing,
        differences=nothing,
        day_runs=nothing,
        taken_fees=nothing,
        reports=nothing,
        transactions=TransactionStore(engine.execution_options(isolation_level="AUTOCOMMIT"), engine),
        catalogue=lambda: watch.current,
        clock=lambda: NOW,
        new_id=new_id,
        zone=ZoneInfo("Asia/Shanghai"),
    )
    app = build_app(api, operator_routes(operators))
    async with TestClient(TestServer(app), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client


async def answered(response: ClientResponse, status: int = 200) -> Any:
    """The body of an answer with this status."""
    answer = await response.json()
    assert response.status == status, answer
    return answer
