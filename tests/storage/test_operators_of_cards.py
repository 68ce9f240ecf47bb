"""Operators' part of cards and signing, over HTTP on a real PostgreSQL: where a user's cards are signed, and which
banks are not bound silently any more.

Not here: how a bank comes to be among those (tests/e2e), and what the router makes of it (unit tests of `flows.route`).
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.registry import offer_for
from gateway.api.admin.operators import Operators, operator_routes
from gateway.api.application import Api, build_app
from gateway.domain.catalogue_content import CatalogueFile, MerchantContent
from gateway.domain.ids import CARD, show
from gateway.objects.catalogue import AccountNotes, catalogue_object
from gateway.run.show import catalogue_lines
from gateway.settings import Settings
from gateway.storage.catalogue.store import CatalogueStore, new_id
from gateway.storage.catalogue.watch import CatalogueWatch
from gateway.storage.reading.references import OperatorSearch
from gateway.storage.tables import agreements, cards
from tests.keys import new_keys

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
TOKEN = "an-operator"
SHOP = "/v1/admin/merchants/shop"
WORD = {"by": "Li", "note": "they bind silently again, letter 12"}

Client = TestClient[Any, Any]


@pytest.fixture
async def store(engine: AsyncEngine) -> CatalogueStore:
    """A catalogue with two merchants."""
    store = CatalogueStore(engine, new_keys().ring)
    await store.apply(
        CatalogueFile((MerchantContent("shop", "商店"), MerchantContent("o", "O"))), "test", "a file", NOW
    )
    return store


@pytest.fixture
async def client(engine: AsyncEngine, store: CatalogueStore) -> AsyncIterator[Client]:
    """A client of the operators' calls, with nothing behind the others."""
    watch = CatalogueWatch(store)
    await watch.refresh_now()
    nothing = cast("Any", None)
    names = ("payments", "payer", "authentications", "shown_cards", "unbinding", "refunds", "payouts", "reading",
             "callbacks", "cards", "redirects", "returns", "readiness", "metrics")  # fmt: skip
    api = Api(
        settings=Settings(admin_token=SecretStr(TOKEN)),
        routes=nothing,
        checkouts=nothing,
        cashier=cast("Any", SimpleNamespace(url_of=None, public_base="http://127.0.0.1")),
        catalogue=lambda: watch.current,
        clock=lambda: NOW,
        **dict.fromkeys(names, nothing),
    )
    operators = Operators(
        changes=store,
        snapshots=watch,
        offer_of=offer_for,
        notes=AccountNotes(lambda _: (), lambda _: None),
        blocks=nothing,
        deliveries=nothing,
        held=nothing,
        alerts=nothing,
        rates=nothing,
        switches=nothing,
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
        transactions=nothing,
        catalogue=lambda: watch.current,
        clock=lambda: NOW,
        new_id=new_id,
        zone=ZoneInfo("Asia/Shanghai"),
    )
    app = build_app(api, operator_routes(operators))
    async with TestClient(TestServer(app), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client


async def read(client: Client, path: str) -> Any:
    answer = await client.get(SHOP + path)
    assert answer.status == 200, await answer.text()
    return (await answer.json())["data"]


async def test_banks_that_are_not_bound_silently_are_listed_until_an_operator_clears_them(
    client: Client, store: CatalogueStore
) -> None:
    merchants = await store.merchant_ids()
    for bank, code in (("ICBC", "71"), ("ABC", None)):
        await store.refuse_silent(merchants["shop"], "up", bank, code, now=NOW)
    await store.refuse_silent(merchants["shop"], "up", "ICBC", "99", now=NOW + timedelta(days=1))  # the first stays
    await store.refuse_silent(merchants["o"], "up", "CMB", "71", now=NOW)
    abc, icbc = await read(client, "/silent_refusals")
    assert icbc == {
        "object": "silent_refusal",
        "account": "up",
        "bank": "ICBC",
        "channel_code": "71",
        "refused_at": "2026-03-01T08:00:00.000Z",
    }
    assert (abc["bank"], abc["channel_code"]) == ("ABC", None)
    cleared = await client.post(f"{SHOP}/silent_refusals/up/ICBC/clear", json=WORD)
    assert (cleared.status, (await cleared.json())["data"]) == (200, [abc])
    newest = (await store.history(1))[0]
    assert (newest.changed_by, newest.note) == ("Li", WORD["note"])
    again = await client.post(f"{SHOP}/silent_refusals/up/ICBC/clear", json=WORD)
    assert (again.status, (await again.json())["code"]) == (404, "not_found")


async def test_the_command_shows_them_with_since_when(store: CatalogueStore) -> None:
    await store.refuse_silent((await store.merchant_ids())["shop"], "up", "ICBC", "71", now=NOW)
    lines = list(
        catalogue_lines(catalogue_object(await store.load(), {}, (), NOW, AccountNotes(lambda _: (), lambda _: None)))
    )
    assert "    ICBC at up since 2026-03-01T08:00:00.000Z  code 71" in lines


async def test_a_users_cards_are_shown_with_every_agreement_and_no_number(
    client: Client, store: CatalogueStore, engine: AsyncEngine
) -> None:
    merchant_id, card_id = (await store.merchant_ids())["shop"], uuid4()
    card = {"card_id": card_id, "user_id": "u1", "elements": b"e", "masked": "622202*********1230", "bank": "ICBC",
            "created_at": NOW, "hidden_at": NOW}  # fmt: skip
    async with engine.begin() as connection:
        await connection.execute(insert(cards).values(merchant_id=merchant_id, **card))
        for account, status, voided_at in (("a", "active", None), ("b", "void", NOW)):
            await connection.execute(
                insert(agreements).values(
                    merchant_id=merchant_id, card_id=card_id, account=account, agreement_no=b"n", key_version=0,
                    status=status, verified_at=NOW, voided_at=voided_at,
                )
            )  # fmt: skip
    at = "2026-03-01T08:00:00.000Z"
    assert await read(client, "/cards?user_id=u1") == [
        {
            "object": "card",
            "id": show(CARD, card_id),
            "masked": "622202*********1230",
            "bank": "ICBC",
            "created_at": at,
            "given_up_at": at,
            "erased_at": None,
            "agreements": [
                {"account": "a", "status": "active", "verified_at": at, "voided_at": None},
                {"account": "b", "status": "void", "verified_at": at, "voided_at": at},
            ],
        }
    ]
    assert await read(client, "/cards?user_id=nobody") == []
