"""Channels watched over real rows: what counts as an attempt, one process at a time, what is told, and after a restart.

Not tested here: rates and when something is told, as functions (tests/unit/domain/test_rates.py).
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils.compat import uuid7

from gateway.domain.alerts import AlertKind
from gateway.domain.catalogue import Catalogue, Endpoint, Merchant
from gateway.domain.rates import Counted
from gateway.domain.watch_settings import watch_from_json
from gateway.storage.server.database import Database
from gateway.storage.watching.ailing import AilingStore
from gateway.storage.watching.alerts import AlertStore
from gateway.storage.watching.channel_alerts import ChannelAlertStore
from gateway.storage.watching.rates import RateStore
from gateway.storage.watching.switches import SwitchStore
from gateway.watch.ailing import AilingChannels
from gateway.watch.channels import ChannelWatch
from router.ailing import Ailing
from tests.databases import database_on

SHOP = UUID(int=0xA)
NOON = datetime(2026, 3, 5, 4, 0, tzinfo=UTC)
PAYMENT = """
INSERT INTO payments (merchant_id, payment_id, app, merchant_order_no, kind, scene, user_id, bank, amount, currency,
    status, failure_code, failure_blame, channel, account, channel_order_no, metadata, customer_present, sequence,
    created_at, finished_at, due_at, business_day, authentication_id, closed_reason)
VALUES ($1, $2, 'shop', $3, 'withhold', 'withhold', 'u', $4, 100, 'CNY', $5, $6, $7, $8, $8, $3, '{}', false, 0,
    $9, $10, $11, $12, $13, $14)
"""
INTENT = """
INSERT INTO intents (merchant_id, object_id, verb, ordinal, intent_id, channel, account, number, told_at, recorded_at,
    amount, state, questions, acknowledged, not_found, late_success, looks, ended_at)
VALUES ($1, $2, $3, 1, gen_random_uuid(), $4, $4, $5, $6, $6, $7, $8, 0, false, 0, false, 0, $9)
"""
END = "UPDATE payments SET status = 'succeeded', due_at = NULL, finished_at = $2 WHERE payment_id = ANY($1::uuid[])"
END_INTENT = "UPDATE intents SET state = 'done', ended_at = $2 WHERE object_id = ANY($1::uuid[])"
EVENTS = "SELECT type, sequence, body, deliveries FROM events WHERE object = 'channel' ORDER BY created_at, event_id"


@dataclass
class Street:
    """A merchant's books, a clock, and processes that watch."""

    connection: Any
    database: Database
    now: datetime = NOON
    settings: dict[str, Any] = field(default_factory=dict)

    def catalogue(self) -> Catalogue:
        endpoint = Endpoint(SHOP, UUID(int=1), None, "https://shop.example.com/hook", None, False, False, ())
        shop = Merchant(SHOP, "shop", "Shop", watch=watch_from_json(self.settings))
        return Catalogue(1, merchants=(shop,), endpoints=(endpoint,))

    def process(self) -> ChannelWatch:
        alerts, clock = AlertStore(self.database, uuid7, self.catalogue), lambda: self.now
        telling = ChannelAlertStore(self.database, self.catalogue, uuid7)
        rates = RateStore(self.database)
        switches = SwitchStore(self.database, alerts)
        return ChannelWatch(rates, telling, alerts, switches, self.catalogue, clock, lambda: 0.0, uuid7())

    async def pays(
        self, times: int, status: str = "succeeded", blame: str | None = None, *, bank: str = "ICBC", verb: str = "pay",
        channel: str = "jd", state: str | None = None,
    ) -> list[UUID]:  # fmt: skip
        """So many payments are sent now, and end so."""
        made = [uuid4() for _ in range(times)]
        is_open = status in ("processing", "requires_action")
        ended = None if is_open else self.now
        for each in made:
            number, asked = each.hex, uuid4() if verb == "authenticate" else None
            await self.connection.execute(
                PAYMENT, SHOP, each, number, bank, status, "channel_unavailable" if blame else None, blame, channel,
                self.now, ended, self.now if is_open else None, self.now.date(), asked,
                "expired" if status == "closed" else None,
            )  # fmt: skip
            how = state or ("open" if is_open else "done" if status == "succeeded" else "declined")
            amount = 100 if verb == "pay" else None
            await self.connection.execute(
                INTENT, SHOP, asked or each, verb, channel, number, self.now, amount, how,
                None if how == "open" else self.now,
            )  # fmt: skip
        return made

    async def succeed(self, payments: list[UUID]) -> None:
        await self.connection.execute(END, payments, self.now)
        await self.connection.execute(END_INTENT, payments, self.now)

    async def seen(self) -> dict[str, Any]:
        """What is known, by scene/bank/channel."""
        _, state = (await RateStore(self.database).said("channels", [SHOP]))[SHOP]
        return {f"{one['scene']}/{one['bank']}/{one['channel']}": one for one in state}

    async def events(self) -> list[tuple[str, int]]:
        return [(row[0], row[1]) for row in await self.connection.fetch(EVENTS)]

    async def degraded(self) -> list[str]:
        found = await AlertStore(self.database, uuid7, self.catalogue).open_of(SHOP, AlertKind.CHANNEL_DEGRADED)
        return sorted(alert.about for alert in found)

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
async def street(engine: AsyncEngine, alone: Any) -> Street:
    return Street(alone, database_on(engine))


async def test_a_channel_that_times_out_for_everyone_is_told_with_its_first_twenty(street: Street) -> None:
    watch = street.process()
    await street.pays(20, "processing")
    await watch.look()
    assert await street.events() == []  # each may still succeed
    for _ in range(8):
        street.later(seconds=10)
        await watch.look()
    assert await street.events() == [("channel.degraded", 1)]
    assert await street.degraded() == ["withhold/ICBC/jd"]
    [row] = await street.connection.fetch(EVENTS)
    told = orjson.loads(row["body"])["data"]
    assert (told["channel_fault"], told["unresolved"]) == ({"attempts": 20, "succeeded": 0, "rate": 0.0}, 20)
    assert row["deliveries"] == 1
    assert await street.connection.fetchval("SELECT count(*) FROM deliveries WHERE status = 'pending'") == 1


async def test_payers_without_money_show_in_the_raw_rate_ring_nobody_up_and_switch_nothing_off(street: Street) -> None:
    street.settings = {"switch_off": True, "hide": True}
    await street.pays(30, "failed", "payer")
    await street.pays(5, "failed", "platform")
    await street.pays(3)
    await street.process().look()
    assert await street.events() == []
    seen = (await street.seen())["withhold/ICBC/jd"]
    assert seen["raw"] == {"attempts": 38, "succeeded": 3, "rate": 0.0789}
    assert seen["channel_fault"] == {"attempts": 3, "succeeded": 3, "rate": 1.0}
    assert seen["traffic"] == "low"
    avoided = AilingChannels(AilingStore(street.database), street.catalogue, lambda: street.now)
    await avoided.read()
    assert avoided.of(SHOP) == {}


async def test_three_of_four_that_fail_ring_nobody_up(street: Street) -> None:
    await street.pays(3, "failed", "channel")
    await street.pays(1)
    await street.process().look()
    assert await street.events() == []
    assert (await street.seen())["withhold/ICBC/jd"]["channel_fault"]["rate"] == 0.25


async def test_a_channel_that_comes_back_is_told_once_whatever_is_between(street: Street) -> None:
    watch = street.process()
    waiting = await street.pays(9, "processing")
    await street.pays(11)
    street.later(seconds=80)
    await watch.look()
    assert await street.events() == [("channel.degraded", 1)]  # 11 of 20
    await street.succeed(waiting[:3])
    street.later(seconds=10)
    await watch.look()
    assert (await street.seen())["withhold/ICBC/jd"]["channel_fault"]["rate"] == 0.7
    assert await street.events() == [("channel.degraded", 1)]
    await street.succeed(waiting[3:4])
    street.later(seconds=10)
    await watch.look()
    assert await street.events() == [("channel.degraded", 1), ("channel.restored", 2)]
    assert await street.degraded() == []


async def test_what_waits_for_its_payer_or_was_closed_is_no_attempt(street: Street) -> None:
    await street.pays(30, "requires_action")
    await street.pays(30, "closed")
    street.later(minutes=5)
    await street.process().look()
    assert await street.seen() == {}


async def test_cards_that_cannot_be_authenticated_count_and_those_that_were_do_not(street: Street) -> None:
    await street.pays(20, "failed", "channel", verb="authenticate", state="unknown")
    await street.pays(20, "processing", verb="authenticate", state="done", bank="CCB")
    await street.process().look()
    assert await street.degraded() == ["withhold/ICBC/jd"]
    assert list(await street.seen()) == ["withhold/ICBC/jd"]


async def test_one_process_watches_and_another_takes_over_and_sees_the_same(street: Street) -> None:
    first, second = street.process(), street.process()
    await street.pays(20, "failed", "channel")
    late = await street.pays(5, "processing", bank="CCB")
    await first.look()
    street.later(seconds=10)
    await second.look()  # the first one has the lease
    await street.succeed(late)
    street.later(seconds=10)
    await first.look()
    before = await street.seen()
    await first.close()
    await second.look()
    assert await street.seen() == before
    assert before["withhold/CCB/jd"]["channel_fault"] == {"attempts": 5, "succeeded": 5, "rate": 1.0}
    assert await street.events() == [("channel.degraded", 1)]


async def test_looks_now_and_then_see_what_one_look_at_the_end_sees(street: Street) -> None:
    watch: ChannelWatch = street.process()
    for number in range(12):
        waiting = await street.pays(number % 4, "processing", bank="CCB")
        await street.pays(number % 3, "failed", ("payer", "channel", "platform")[number % 3])
        await street.pays(2)
        street.later(seconds=7)
        await watch.look()
        street.later(seconds=40)
        await street.succeed(waiting[: number % 3])
    await watch.look()
    before = await street.seen()
    await watch.close()
    await street.process().look()
    assert await street.seen() == before


async def test_a_clock_that_is_late_for_a_while_rings_nobody_up_and_loses_nothing(street: Street) -> None:
    watch = street.process()
    await street.pays(15, "failed", "channel")
    await street.pays(25)
    await watch.look()
    before = await street.seen()
    street.later(hours=-1)
    await watch.look()  # of an hour in which nothing had happened yet
    street.later(hours=1, seconds=10)
    await watch.look()
    assert await street.seen() == before
    assert await street.events() == []


async def test_what_is_counted_together_and_thresholds_of_its_own(street: Street) -> None:
    street.settings = {"by": ["channel"], "own": [{"channel": "jd", "at_least": 4}]}
    await street.pays(2, "failed", "channel")
    await street.pays(2, "failed", "channel", bank="CCB")
    await street.pays(5, "failed", "channel", channel="cpcn")
    await street.process().look()
    assert await street.degraded() == ["*/*/jd"]


async def test_every_process_avoids_what_the_watch_saw_until_nobody_looks_any_more(street: Street) -> None:
    other = AilingChannels(AilingStore(street.database), street.catalogue, lambda: street.now)
    street.settings = {"own": [{"channel": "jd", "hide": True, "let_through": 4}]}
    await street.pays(15, "failed", "channel")
    await street.pays(5)
    await street.pays(20, "failed", "channel", channel="baofoo")
    await other.read()
    assert other.of(SHOP) == {}
    await street.process().look()
    await other.read()
    assert other.of(SHOP) == {Counted("withhold", "ICBC", "jd"): Ailing(5, 20, 900, 4)}
    street.later(minutes=3)
    await other.read()
    assert other.of(SHOP) == {}


async def test_what_is_not_counted_apart_any_more_is_over(street: Street) -> None:
    watch = street.process()
    await street.pays(20, "failed", "channel")
    await watch.look()
    assert await street.degraded() == ["withhold/ICBC/jd"]
    street.settings = {"by": ["channel"]}
    street.later(seconds=10)
    await watch.look()
    assert await street.degraded() == ["*/*/jd"]
    assert [sequence for _, sequence in await street.events()] == [1, 2, 3]
