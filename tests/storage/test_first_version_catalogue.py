"""The first version's database after the migration to limits and terms: its catalogue and its decisions.

Read beside what the first version's own columns said. Not tested here: payments that go on, cards, events.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest
from alembic import command
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.catalogue import Catalogue
from gateway.domain.terms import NotFoundRule, OwnTerms, Product
from gateway.storage.catalogue.store import CatalogueStore
from gateway.storage.keys import KeyRing
from gateway.storage.server import migrate
from gateway.storage.server.engine import create_engine
from router import ChannelLimits, RuleLimits, explain, from_record, replay

HERE = Path(__file__).parent
MADE: dict[str, Any] = json.loads((HERE / "first_version.json").read_text())
Rows = list[dict[str, Any]]


class Migrated(NamedTuple):
    """What the first version's tables said, and the engine of the database that they became."""

    rules: Rows
    channels: Rows
    accounts: Rows
    engine: AsyncEngine

    async def catalogue(self) -> Catalogue:
        return await CatalogueStore(self.engine, KeyRing.parse(MADE["card_keys"])).load()


TABLES = ("route_rules", "channels", "accounts")
CHANGES = (
    """UPDATE accounts SET pace = '{"poll_gaps_s": [1, 2.5]}' WHERE code = 'unionpay_spare'""",
    "UPDATE accounts SET pace = '{}' WHERE merchant_id = (SELECT merchant_id FROM merchants WHERE code <> 'loans')",
)
"""Accounts whose contract says a part of the terms, or nothing."""


@pytest.fixture
async def migrated(empty_database_url: str) -> AsyncIterator[Migrated]:
    async with migrate._alone(empty_database_url) as connection:
        await migrate._run(connection, lambda found: command.upgrade(migrate._config(found), "0001"))
    first = await asyncpg.connect(empty_database_url.replace("+asyncpg", ""))
    try:
        await first.execute((HERE / "first_version.sql").read_text())
        for change in CHANGES:
            await first.execute(change)
        rules, channels, accounts = [
            [dict(row) for row in await first.fetch(f"SELECT * FROM {table}")] for table in TABLES
        ]
    finally:
        await first.close()
    await migrate.upgrade(empty_database_url)
    engine = create_engine(empty_database_url, 2)
    yield Migrated(rules, channels, accounts, engine)
    await engine.dispose()


async def test_the_limits_of_rules_and_channels_are_those_of_the_columns(migrated: Migrated) -> None:
    catalogue = await migrated.catalogue()
    found = {(r.merchant_id, r.channel, r.scene, r.bank): r.limits for rules in catalogue.rules.values() for r in rules}
    names = ("single_limit", "daily_limit", "daily_insufficient_limit", "card_daily_limit")
    assert found == {
        (row["merchant_id"], row["channel"], row["scene"], row["bank"]): RuleLimits(
            **{name: row[name] for name in names}
        )
        for row in migrated.rules
    }
    assert any(limits.card_daily_limit for limits in found.values())
    totals = {key: channel.limits for key, channel in catalogue.channels.items()}
    assert totals == {(row["merchant_id"], row["code"]): ChannelLimits(row["daily_total"]) for row in migrated.channels}
    assert ChannelLimits(30_000) in totals.values()


async def test_the_terms_of_accounts_are_what_pace_said(migrated: Migrated) -> None:
    catalogue = await migrated.catalogue()
    codes = {merchant.merchant_id: merchant.code for merchant in catalogue.merchants.values()}
    terms = {(codes[owner], code): account.terms for (owner, code), account in catalogue.accounts.items()}
    assert all(json.loads(row["pace"]).get("answer_timeout_s", 10.0) == 10.0 for row in migrated.accounts)
    gaps = (1.0, 2.0, 4.0, 8.0, 15.0)
    assert {key: own for key, own in terms.items() if key[0] == "loans"} == {
        # It has no authentication: what was said is said of payments alone.
        ("loans", "allinpay_main"): {Product.PAYMENT: OwnTerms(gaps, NotFoundRule(3, 6.0), 10.0)},
        ("loans", "unionpay_main"): {
            Product.PAYMENT: OwnTerms(gaps, NotFoundRule(4, 8.0), 10.0),
            Product.AUTHENTICATION: OwnTerms(answer_timeout_s=10.0),
        },
        ("loans", "unionpay_spare"): {Product.PAYMENT: OwnTerms(poll_gaps_s=(1.0, 2.5))},
    }
    assert [own for key, own in terms.items() if key[0] != "loans"] == [{}]


async def test_every_decision_of_the_first_version_is_read_explained_and_made_again(migrated: Migrated) -> None:
    async with migrated.engine.connect() as connection:
        rows = await connection.exec_driver_sql("SELECT decision FROM decisions")
        records = [row[0] for row in rows]
    assert len(records) == 64
    assert {record["format"] for record in records} == {1}
    for record in records:
        decision = from_record(record)
        assert replay(record) == decision
        assert explain(decision)
