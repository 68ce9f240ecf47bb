"""A catalogue of 38,400 rules is read and shown in slices: whatever else a process does has its turns between them.

Pauses are counted in CPU time of the process's one thread, so that they are the same on a slow and busy machine.
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID

import orjson
import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.api.admin.catalogue import CatalogueCalls
from gateway.api.admin.rules import RuleCalls, RuleSearch
from gateway.api.http.routing import Call
from gateway.domain.scenes import Scene
from gateway.objects.catalogue import AccountNotes
from gateway.storage.catalogue.rows import account_context, seal
from gateway.storage.catalogue.store import CatalogueStore
from gateway.storage.catalogue.watch import CatalogueWatch
from gateway.storage.tables import accounts
from tests.keys import new_keys
from tests.unit.domain.samples import NOW

MERCHANT = UUID(int=0xA)
CHANNELS, BANKS = 8, 800
RULES = CHANNELS * len(Scene) * BANKS
LONGEST_PAUSE = 0.2
"""Of the CPU that the whole work takes. In one piece it was all of it."""
FILL = (
    "INSERT INTO catalogue_versions VALUES (1, now(), 'test', 'many rules')",
    f"INSERT INTO merchants VALUES ('{MERCHANT}', 'acme', 'Acme')",
    f"""INSERT INTO channels (merchant_id, code, account, name, is_on, authentication, authentication_fee, limits)
    SELECT '{MERCHANT}', 'c' || n, 'a', 'C', true, '{{}}', 0, '{{}}' FROM generate_series(1, {CHANNELS}) n""",
    f"""INSERT INTO route_rules (merchant_id, channel, scene, bank, enabled, fee, priority, limits)
    SELECT '{MERCHANT}', 'c' || n, scene, 'B' || bank, true,
        '{{"type": "percent", "rate": "0.002", "min": 20}}', 0, '{{"single_limit": 100000}}'
    FROM generate_series(1, {CHANNELS}) n, unnest(ARRAY[{",".join(f"'{scene.value}'" for scene in Scene)}]) scene,
        generate_series(1, {BANKS}) bank""",
)


@pytest.fixture
async def store(engine: AsyncEngine) -> CatalogueStore:
    ring = new_keys().ring
    account = {"code": "a", "provider": "p", "settings": {}, "terms": {}, "merchant_id": MERCHANT}
    sealed = {"secrets": seal(ring, {}, account_context("acme", "a"))}
    async with engine.begin() as connection:
        for statement in FILL[:2]:
            await connection.execute(text(statement))
        await connection.execute(insert(accounts).values(account | sealed))
        for statement in FILL[2:]:
            await connection.execute(text(statement))
    return CatalogueStore(engine, ring)


@asynccontextmanager
async def in_slices() -> AsyncIterator[None]:
    """Look all the while how long others wait for their turn."""
    pauses: list[float] = []

    async def wait_for_turns() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.0005)
            pauses.append(time.thread_time() - before)

    gc.collect()
    gc.disable()  # its pauses are watched by their own metric
    watching = asyncio.create_task(wait_for_turns())
    try:
        await asyncio.sleep(0)
        yield
        await asyncio.sleep(0.001)
    finally:
        watching.cancel()
        gc.enable()
    assert max(pauses) < LONGEST_PAUSE * sum(pauses), f"{max(pauses) * 1000:.0f} of {sum(pauses) * 1000:.0f} ms"


async def test_a_change_among_many_rules_is_taken_in_slices(store: CatalogueStore) -> None:
    watch = CatalogueWatch(store)
    async with in_slices():
        snapshot = await watch.refresh_now()
    assert sum(map(len, snapshot.rules.values())) == RULES


async def test_the_whole_catalogue_and_the_rules_of_a_channel_are_shown_in_slices(store: CatalogueStore) -> None:
    watch = CatalogueWatch(store)
    await watch.refresh_now()
    nothing = cast("Any", None)
    call = Call(nothing, {"merchant": "acme", "channel": "c3"}, query=RuleSearch())
    notes = AccountNotes(lambda _: (), lambda _: None)
    async with in_slices():
        whole = await CatalogueCalls(store, watch, notes, lambda: NOW).catalogue(call)
    (merchant,) = orjson.loads(cast("bytes", whole.body))["merchants"]
    assert len(merchant["rules"]) == RULES
    async with in_slices():
        shown = await RuleCalls(nothing, watch, nothing, lambda: NOW).rules(call)
    rules = orjson.loads(cast("bytes", shown.body))["data"]
    assert rules == [rule for rule in merchant["rules"] if rule["channel"] == "c3"]
