"""Transaction rules on a real server: each of the six samples finds its planted pattern among a healthy day, and
nothing in the day itself; what is told, for how long, and by whom; what is too wide.

Not here: how files say rules (tests/unit), the arithmetic of windows (tests/unit/domain/test_transaction_hits.py).
"""

import tomllib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils.compat import uuid7

from gateway.catalogue_file.shape import TransactionRuleShape
from gateway.domain.alerts import AlertKind, AlertSearch
from gateway.domain.blocks import ProposalState
from gateway.domain.catalogue import Catalogue, Merchant
from gateway.domain.ids import CARD, PAYMENT, PAYOUT, show
from gateway.domain.transaction_rules import RuleKey, TransactionFilter, TransactionRule
from gateway.flows.would_have_fired import would_have_fired
from gateway.ports.transactions import RuleTooWideError
from gateway.storage.catalogue.blocks import BlockStore
from gateway.storage.server.engine import create_engine
from gateway.storage.watching.alerts import AlertStore
from gateway.storage.watching.rule_rows import ids_from
from gateway.storage.watching.transactions import TransactionStore
from gateway.watch.board import AlertBoard
from gateway.watch.transactions import EVERY, LASTS, MAX_HITS, TransactionWatch
from tests.databases import REPLICA, connected, database_on
from tests.keys import new_keys

MERCHANT = UUID(int=0xA)
NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
HEALTHY = 50_000
USERS = 20_000
LIMIT = 500_000
KEYS = new_keys()


@cache
def samples() -> dict[str, TransactionRule]:
    """The rules of the sample catalogue."""
    told = tomllib.loads(files("gateway.samples").joinpath("catalogue.toml").read_text("utf-8"))
    shapes = [TransactionRuleShape.model_validate(each) for each in told["merchants"][0]["transaction_rules"]]
    return {shape.code: shape.rule for shape in shapes}


SAMPLES = ("card_many_users", "charge_then_payout", "declines", "id_many_cards", "just_below_limit", "phone_many_cards")

# A healthy day: 20,000 users with one card each, every fourth with two, and husbands' phones on wives' cards; 2.5
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
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    await fill(engine, *((each, MERCHANT) for each in WORLD[:4]))
    reads = engine.execution_options(isolation_level="AUTOCOMMIT")
    alerts = AlertStore(database_on(engine), uuid7, lambda: Catalogue(1))
    return World(engine, reads, alerts, tuple(samples().values()))


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


async def test_nothing_is_told_of_a_healthy_day_of_50_000_payments_and_each_planted_pattern_is(world: World) -> None:
    await fill(world.engine, *((each, MERCHANT) for each in WORLD[4:]), (DAY, MERCHANT, NOW))
    assert tuple(sorted(samples())) == SAMPLES
    for rule in samples().values():
        told = await would_have_fired(world.store, MERCHANT, rule, NOW - timedelta(days=1), NOW)
        assert (rule.code, told.times) == (rule.code, 0)
    await world.do("INSERT INTO transaction_looks VALUES (:m, :at)", m=MERCHANT, at=NOW - timedelta(days=1))
    await world.process().look()  # of the whole day, as after a night without a process
    assert await world.told() == []

    world.now += timedelta(minutes=10)
    for rule_code in SAMPLES:
        await plant(world, rule_code)
    await world.look()
    told_now = await world.told()
    assert sorted(alert.detail["rule"] for alert in told_now) == list(SAMPLES)
    for rule in samples().values():
        found = await would_have_fired(world.store, MERCHANT, rule, NOW - timedelta(days=1), world.now)
        assert (rule.code, found.times, found.keys) == (rule.code, 1, 1)


@pytest.mark.parametrize("rule", SAMPLES)
async def test_a_planted_pattern_is_found_by_its_rule_alone_and_told_once_by_whoever_looks(
    world: World, rule: str
) -> None:
    await plant(world, rule)
    await world.look()
    await world.look()
    (alert,) = await world.told()
    assert (alert.detail["rule"], alert.times) == (rule, 1)
    assert len(await world.proposed()) == (samples()[rule].then == "propose_block")


async def test_an_alert_shows_a_phone_by_our_card_id_and_a_user_masked_and_nothing_of_either(world: World) -> None:
    await plant(world, "phone_many_cards")
    await plant(world, "declines")
    await world.look()
    declines, phone = sorted(await world.told(), key=lambda alert: alert.detail["rule"])
    assert phone.detail["value"].startswith("phone of 622202******")
    assert phone.detail["card"].startswith(f"{CARD}_")
    assert phone.detail["count"] == 4
    assert declines.detail["value"] == "t****r"
    assert "tester" not in f"{declines}"
    assert all(each.startswith(f"{PAYMENT}_") for each in declines.detail["objects"])
    (proposal,) = await world.proposed()
    assert (proposal.kind, proposal.proposed_by) == ("phone", "transaction_rules")
    assert proposal.reason == "transaction rule phone_many_cards: 4 within 604800 s"


async def test_an_alert_lasts_as_long_as_there_are_too_many_and_is_raised_anew(world: World) -> None:
    card = await world.card("tester", "1")
    for n in range(5):
        await world.pay("tester", card, status="failed", at=NOW - timedelta(seconds=10 * n))
    await world.look()
    (first,) = await world.told()
    await world.look(timedelta(minutes=5))
    assert [alert.alert_id for alert in await world.told()] == [first.alert_id]
    await world.look(LASTS)
    assert await world.told() == []
    for _ in range(5):
        await world.pay("tester", card, status="failed")
    await world.look()
    (again,) = await world.told()
    assert again.alert_id != first.alert_id


async def test_four_declines_are_not_five_and_a_late_failure_of_an_old_payment_is_seen(world: World) -> None:
    card = await world.card("tester", "1")
    for n in range(4):
        await world.pay("tester", card, status="failed", at=NOW - timedelta(minutes=20, seconds=n))
    late = await world.pay("tester", card, status="processing", at=NOW - timedelta(minutes=19))
    await world.look()
    await world.look(timedelta(minutes=3))
    assert await world.told() == []
    await world.do(
        "UPDATE payments SET status = 'failed', failure_code = 'card_declined', failure_blame = 'payer', due_at = NULL,"
        " finished_at = :now WHERE payment_id = :id", now=world.now, id=late,
    )  # fmt: skip
    await world.do(
        "INSERT INTO intents (merchant_id, object_id, verb, ordinal, intent_id, channel, account, number, told_at,"
        " recorded_at, amount, state, questions, acknowledged, not_found, late_success, looks,"
        " ended_at) VALUES (:m, :id,"
        " 'pay', 1, :id, 'up', 'up-1', 'x', :at, :at, 1000, 'declined', 0, true, 0, false, 0, :now)",
        m=MERCHANT, id=late, at=NOW - timedelta(minutes=19), now=world.now,
    )  # fmt: skip
    await world.look()
    (alert,) = await world.told()
    assert show(PAYMENT, late) in alert.detail["objects"]


async def test_a_payout_before_the_charge_is_no_charge_then_payout(world: World) -> None:
    card = await world.card("borrower", "777777")
    await world.pay_out("777777", 300_000, at=NOW - timedelta(minutes=9))
    await world.pay("borrower", card, amount=300_000, at=NOW - timedelta(minutes=2))
    await world.look()
    assert await world.told() == []
    paid_out = await world.pay_out("777777", 299_000)
    await world.look()
    (alert,) = await world.told()
    assert show(PAYOUT, paid_out) in alert.detail["objects"]


async def test_a_rule_that_matches_everything_is_told_itself_and_hides_no_other(world: World) -> None:
    everything = TransactionRule("everything", "all", RuleKey.USER, 60, at_least=1)
    world.rules = (everything, samples()["declines"])
    await plant(world, "declines")
    await fill(world.engine, *((each, MERCHANT) for each in WORLD[4:]), (DAY, MERCHANT, world.now))
    await world.do("INSERT INTO transaction_looks VALUES (:m, :at)", m=MERCHANT, at=world.now - timedelta(hours=2))
    await world.look()
    by_about = {alert.about: alert for alert in await world.told()}
    assert "too_wide" in by_about["everything"].detail
    assert f"more than {MAX_HITS} have too many at once" in by_about["everything"].detail["too_wide"]
    assert len(by_about) == 2
    world.rules = (samples()["declines"],)
    await world.look()
    assert [alert.detail["rule"] for alert in await world.told()] == ["declines"]


async def test_a_rule_whose_rows_take_too_long_is_too_wide(world: World, database_url: str) -> None:
    await fill(world.engine, *((each, MERCHANT) for each in WORLD[4:]), (DAY, MERCHANT, NOW))
    hasty = create_engine(database_url, 1, statement_timeout_ms=5)
    try:
        store = replace(world.store, reads=hasty.execution_options(isolation_level="AUTOCOMMIT"))
        with pytest.raises(RuleTooWideError, match="take longer to read"):
            await would_have_fired(store, MERCHANT, samples()["phone_many_cards"], NOW - timedelta(days=7), NOW)
    finally:
        await hasty.dispose()


async def test_a_flood_of_one_user_hides_nobody_and_is_told_once(world: World) -> None:
    card = await world.card("flood", "1")
    await world.pay("flood", card, status="failed", at=NOW)
    await world.do(
        "INSERT INTO payments SELECT (jsonb_populate_record(p, jsonb_build_object('channel_order_no', n, 'payment_id',"
        " CAST(:head || lpad(to_hex(n), 19, '0') AS uuid)))).* FROM payments p, generate_series(1, 6000) n",
        head=ids_from(NOW).hex[:13],
    )
    await plant(world, "declines")
    await world.look()
    assert len(await world.told()) == 2


async def test_one_process_looks_at_a_time_and_a_rule_that_left_is_told_no_more(world: World) -> None:
    await plant(world, "declines")
    assert (await world.store.claim(MERCHANT, world.now, timedelta(minutes=5)))[0]
    await world.process().look()
    assert await world.told() == []
    await world.store.looked(MERCHANT, world.now - timedelta(minutes=15), world.now)
    await world.look()
    assert len(await world.told()) == 1
    world.rules = (TransactionRule("other", "other", RuleKey.APP, 60, at_least=900, filter=TransactionFilter()),)
    await world.look()
    assert await world.told() == []
