"""A merchant whose transactions are looked at by rules: its rows, a healthy day, and what each sample is there for.

Rows stand alone here: no flow made them.
"""

import os
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils.compat import uuid7

from gateway.catalogue_file.shape import TransactionRuleShape
from gateway.domain.alerts import AlertKind, AlertSearch
from gateway.domain.blocks import ProposalState
from gateway.domain.catalogue import Catalogue, Merchant
from gateway.domain.transaction_rules import TransactionRule
from gateway.storage.catalogue.blocks import BlockStore
from gateway.storage.watching.alerts import AlertStore
from gateway.storage.watching.rule_rows import ids_from
from gateway.storage.watching.transactions import TransactionStore
from gateway.watch.board import AlertBoard
from gateway.watch.transactions import EVERY, TransactionWatch
from tests.databases import REPLICA, connected, database_on
from tests.keys import new_keys

__all__ = [
    "HEALTHY",
    "LIMIT",
    "MERCHANT",
    "NOW",
    "SAMPLES",
    "USERS",
    "World",
    "fill",
    "healthy_day",
    "new_world",
    "plant",
    "samples",
    "world_on",
]

MERCHANT = UUID(int=0xA)
NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
HEALTHY = int(os.environ.get("SLUICE_HUNT_PAYMENTS", "5000"))
"""Payments of a healthy day: `make hunt` has 50,000."""
USERS = HEALTHY * 2 // 5
LIMIT = 500_000
KEYS = new_keys()


@cache
def samples() -> dict[str, TransactionRule]:
    """The rules of the sample catalogue."""
    told = tomllib.loads(files("gateway.samples").joinpath("catalogue.toml").read_text("utf-8"))
    shapes = [TransactionRuleShape.model_validate(each) for each in told["merchants"][0]["transaction_rules"]]
    return {shape.code: shape.rule for shape in shapes}


SAMPLES = ("card_many_users", "charge_then_payout", "declines", "id_many_cards", "just_below_limit", "phone_many_cards")

# A healthy day: users with one card each, every eighth with two, and husbands' phones on wives' cards; 2.5
# payments of each, one of twenty declined, amounts of all sizes; and a loan paid out now and then.
WORLD = (
    "INSERT INTO merchants (merchant_id, code, name) VALUES ($1, 'acme', 'Acme')",
    """INSERT INTO accounts (merchant_id, code, provider, settings, secrets, terms) VALUES
    ($1, 'up-1', 'p', '{}', '', '{}')""",
    """INSERT INTO channels (merchant_id, code, account, name, is_on, authentication, authentication_fee, limits)
VALUES ($1, 'up', 'up-1', 'Up', true, '{}', 0, '{}')""",
    f"""INSERT INTO route_rules (merchant_id, channel, scene, bank, enabled, fee, priority, limits)
SELECT $1, 'up', scene, 'ICBC', true, '{{}}', 0, '{{"single_limit": {LIMIT}}}'
FROM unnest(ARRAY['withhold', 'quick_charge']) scene""",
    f"INSERT INTO users SELECT $1, 'u' || n, '2026-01-01' FROM generate_series(0, {USERS - 1}) n",
    f"""INSERT INTO cards (merchant_id, card_id, user_id, data_key, elements, print, number_print, phone_print,
    id_print,
    masked, bank, created_at)
SELECT $1, md5('c' || u || '-' || k)::uuid, 'u' || u, '', '', sha256(convert_to('c' || u || '-' || k, 'UTF8')),
    sha256(convert_to('c' || u || '-' || k, 'UTF8')), sha256(convert_to('p' || u / 2, 'UTF8')),
    sha256(convert_to('i' || u, 'UTF8')), '622202******' || lpad(((u * 7 + k) % 10000)::text, 4, '0'), 'ICBC',
    '2026-01-01'
FROM generate_series(0, {USERS - 1}) u, generate_series(0, 1) k WHERE k = 0 OR u % 8 = 0""",
)
DAY = f"""
WITH placed AS (
    SELECT n, (n * 7919) % {USERS} AS u, $2::timestamptz - (n * 86400.0 / {HEALTHY}) * interval '1 s' AS at
    FROM generate_series(1, {HEALTHY}) n
)
INSERT INTO payments (merchant_id, payment_id, app, merchant_order_no, kind, scene, user_id, card_id, bank, amount,
    currency, status, channel, account, channel_order_no, metadata, customer_present, sequence, created_at, finished_at,
    business_day, failure_code, failure_blame)
SELECT $1, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n), 19, '0'))::uuid,
    'shop', 'h-' || n, 'withhold', CASE WHEN n % 2 = 0 THEN 'withhold' ELSE 'quick_charge' END,
    'u' || u, md5('c' || u || '-0')::uuid, 'ICBC',
    1000 + (n * 104729::bigint) % 470000, 'CNY', CASE WHEN n % 20 = 0 THEN 'failed' ELSE 'succeeded' END, 'up',
    'up-1', 'h-' || n,
    '{{}}', false, 1, at, at, at::date, CASE WHEN n % 20 = 0 THEN 'insufficient_balance' END,
    CASE WHEN n % 20 = 0 THEN 'payer' END
FROM placed"""


@dataclass
class World:
    """A merchant, what looks at it, and a clock."""

    engine: AsyncEngine
    reads: AsyncEngine
    alerts: AlertStore
    rules: tuple[TransactionRule, ...] = ()
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.store = TransactionStore(self.reads, self.engine)
        self.blocks = BlockStore(self.engine, KEYS.order, _no_change)

    @property
    def catalogue(self) -> Catalogue:
        merchant = Merchant(MERCHANT, "acme", "Acme")
        return Catalogue(1, merchants=(merchant,), transaction_rules={MERCHANT: self.rules})

    def process(self) -> TransactionWatch:
        board = AlertBoard(self.alerts, lambda: self.catalogue, lambda: self.now)
        return TransactionWatch(
            self.store,
            board,
            self.blocks,
            KEYS.order.print_of_user,
            lambda: self.catalogue,
            lambda: self.now,
            lambda: 0.0,
        )

    async def look(self, after: timedelta = EVERY) -> None:
        self.now += after
        await self.process().look()

    async def told(self, *, is_open: bool | None = True) -> list[Any]:
        return await self.alerts.alerts(MERCHANT, AlertSearch(AlertKind.TRANSACTION_RULE, is_open), 200)

    async def proposed(self) -> list[Any]:
        return await self.blocks.proposals(MERCHANT, 100, state=ProposalState.PROPOSED)

    async def do(self, sql: str, **binds: Any) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(text(sql), binds)

    async def card(self, user: str, number: str, phone: str = "", id_no: str = "") -> UUID:
        """A card; the same number, phone or ID is the same print."""
        card_id = uuid4()
        await self.do("INSERT INTO users VALUES (:m, :u, :at) ON CONFLICT DO NOTHING", m=MERCHANT, u=user, at=NOW)
        await self.do(
            "INSERT INTO cards (merchant_id, card_id, user_id, data_key, elements, print, number_print, phone_print,"
            " id_print, masked, bank, created_at) VALUES (:m, :c, :u, '', '', :own, :n, :p, :i, :masked, 'ICBC', :at)",
            m=MERCHANT, c=card_id, u=user, own=card_id.bytes, n=b"n" + number.encode(),
            p=b"p" + (phone or number).encode(),
            i=b"i" + (id_no or number).encode(), masked=f"622202******{number[-4:]}", at=NOW,
        )  # fmt: skip
        return card_id

    async def pay(
        self, user: str, card_id: UUID, *, amount: int = 1_000, status: str = "succeeded", scene: str = "quick_charge",
        at: datetime | None = None,
    ) -> UUID:  # fmt: skip
        at = at or self.now
        payment_id = new_id(at)
        failed = status == "failed"
        await self.do(
            "INSERT INTO payments (merchant_id, payment_id, app, merchant_order_no, kind, scene, user_id, card_id,"
            " bank,"
            " amount, currency, status, channel, account, channel_order_no, metadata, customer_present, sequence,"
            " created_at, finished_at, business_day, failure_code, failure_blame, due_at) VALUES (:m, :p, 'shop', :no,"
            " 'charge', :scene, :u, :c, 'ICBC', :amount, 'CNY', :status, 'up', 'up-1', :no, '{}', true, 1, :at, :done,"
            " '2026-03-05', :code, :blame, :due)",
            m=MERCHANT, p=payment_id, no=payment_id.hex, scene=scene, u=user, c=card_id, amount=amount, status=status,
            at=at, done=None if status == "processing" else at, code="card_declined" if failed else None,
            blame="payer" if failed else None, due=at if status == "processing" else None,
        )  # fmt: skip
        return payment_id

    async def pay_out(self, number: str, amount: int, at: datetime | None = None) -> UUID:
        at = at or self.now
        payout_id = new_id(at)
        await self.do(
            "INSERT INTO payouts (merchant_id, payout_id, app, merchant_order_no, channel, account, payee_type,"
            " payee_masked, payee_bank, payee, data_key, amount, currency, purpose, status, intent_ordinal, parts,"
            " settles,"
            " metadata, sequence, created_at, finished_at, business_day) VALUES (:m, :p, 'shop', :no, 'up', 'up-1',"
            " 'personal', :masked, 'ICBC', '', '', :amount, 'CNY', '', 'succeeded', 1, 0, 0, '{}', 1, :at, :at,"
            " '2026-03-05')",
            m=MERCHANT, p=payout_id, no=payout_id.hex, masked=f"622202******{number[-4:]}", amount=amount, at=at,
        )  # fmt: skip
        return payout_id


async def _no_change(*_: Any) -> int:
    raise AssertionError("a rule changes nothing of the catalogue")


def new_id(at: datetime) -> UUID:
    return UUID(int=ids_from(at).int | (uuid4().int >> 80) | 0x7 << 76)


async def fill(engine: AsyncEngine, *statements: tuple[Any, ...]) -> None:
    connection = await connected(engine.url.render_as_string(hide_password=False))
    try:
        # As if foreign keys held: while tables grow from nothing, looking at each takes a scan.
        await connection.execute(REPLICA)
        for statement, *given in statements:
            await connection.execute(statement, *given)
    finally:
        await connection.close()


async def plant(world: World, rule: str) -> None:
    """The pattern that a sample rule is there for, in the last minutes."""

    def ago(minutes: float) -> datetime:
        return world.now - timedelta(minutes=minutes)

    match rule:
        case "phone_many_cards":
            for n in range(4):
                await world.pay(f"mule-{n}", await world.card(f"mule-{n}", f"90000{n}", phone="one"), at=ago(9 - n))
        case "id_many_cards":
            for n in range(5):
                await world.pay("bad", await world.card("bad", f"91000{n}", id_no="one"), at=ago(9 - n))
        case "card_many_users":
            for n in range(3):
                card = await world.card(f"sharer-{n}", "920000", phone=f"s{n}", id_no=f"s{n}")
                await world.pay(f"sharer-{n}", card, at=ago(9 - n))
        case "just_below_limit":
            card = await world.card("splitter", "930000")
            for n in range(3):
                await world.pay("splitter", card, amount=LIMIT - 1 - n, at=ago(9 - n))
        case "declines":
            card = await world.card("tester", "940000")
            for n in range(5):
                await world.pay("tester", card, status="failed", at=ago(9 - n))
        case "charge_then_payout":
            card = await world.card("washer", "959999")
            await world.pay("washer", card, amount=300_000, at=ago(9))
            await world.pay_out("959999", 299_000, at=ago(2))


async def new_world(engine: AsyncEngine) -> World:
    """A merchant with the sample rules, a channel with a limit, and nobody who pays."""
    await fill(engine, *((each, MERCHANT) for each in WORLD[:4]))
    return world_on(engine)


def world_on(engine: AsyncEngine) -> World:
    """The merchant that is there."""
    reads = engine.execution_options(isolation_level="AUTOCOMMIT")
    alerts = AlertStore(database_on(engine), uuid7, lambda: Catalogue(1))
    return World(engine, reads, alerts, tuple(samples().values()))


async def healthy_day(world: World) -> None:
    """Users with their cards, and a day of their payments until now."""
    await fill(world.engine, *((each, MERCHANT) for each in WORLD[4:]), (DAY, MERCHANT, world.now), ("ANALYZE",))
