"""A channel that is switched off and comes back: orders, rows, the watch and what another process reads of it.

Not tested here: the switch as a function (tests/unit/domain/test_switches.py), the router (tests/unit/router), HTTP
(test_admin_books.py).
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils.compat import uuid7

from gateway.domain.ailing import passes
from gateway.domain.alerts import AlertKind
from gateway.domain.catalogue import Catalogue
from gateway.domain.outcomes import Succeeded
from gateway.domain.payments import Payment
from gateway.domain.rates import Counted
from gateway.domain.switches import Switch, SwitchState
from gateway.domain.watch_settings import watch_from_json
from gateway.flows.opening import Opening
from gateway.ports import OpenResult
from gateway.storage.watching.ailing import AilingStore
from gateway.storage.watching.alerts import AlertStore
from gateway.storage.watching.channel_alerts import ChannelAlertStore
from gateway.storage.watching.rates import RateStore
from gateway.storage.watching.switches import SwitchStore
from gateway.watch.ailing import AilingChannels
from gateway.watch.channels import ChannelWatch
from router.decide import replay
from router.explain import explain
from tests.keys import new_keys
from tests.storage.gateway_process import Process
from tests.unit.domain.samples import MERCHANT_ID, NOW, card_elements, catalogue, channel, opening, order, rule

LET_THROUGH, TRIES, REST_S = 4, 3, 120
WATCH = {"switch_off": True, "let_through": LET_THROUGH, "tries": TRIES, "rest_s": REST_S}
UP = Counted("withhold", "ICBC", "up")


@dataclass
class Shop:
    """`up` is the cheaper of two channels. One process takes orders; others watch."""

    process: Process
    watch: ChannelWatch = field(init=False)
    numbers: Any = field(default_factory=count)

    def __post_init__(self) -> None:
        self.watch = self.other_watch()

    @property
    def catalogue(self) -> Catalogue:
        return self.process.catalogue

    def other_watch(self) -> ChannelWatch:
        database = self.process.database
        alerts = self.kept_alerts()
        telling = ChannelAlertStore(database, lambda: self.catalogue, uuid7)
        switches = self.switches()
        return ChannelWatch(
            RateStore(database), telling, alerts, switches, lambda: self.catalogue, lambda: self.process.now,
            lambda: 0.0, uuid7(),
        )  # fmt: skip

    async def looked(self, seconds: int = 0, every: int = 10) -> None:
        """So long the watch looks, and then what it saw is read by the process that takes orders."""
        await self.watch.look()
        for _ in range(0, seconds, every):
            self.process.now += timedelta(seconds=every)
            await self.watch.look()
        read = AilingChannels(AilingStore(self.process.database), lambda: self.catalogue, lambda: self.process.now)
        await read.read()
        self.process.ailing = read.of(MERCHANT_ID)

    async def pay(self, times: int, *, let_through: bool = False) -> list[Payment]:
        """So many users pay; their payments are such as go to an ailing channel, or not."""
        openings: list[Opening] = []
        while len(openings) < times:
            number = next(self.numbers)
            each = opening(order(f"o{number}", user_id=f"u{number}", card=card_elements(number)), self.process.now)
            if passes(each.payment_id, "up", LET_THROUGH) == let_through:
                openings.append(each)
        results = await self.process.opening.flush(openings)
        return [result.payment for result in results if isinstance(result, OpenResult)]

    async def succeed(self, payments: list[Payment]) -> None:
        for each in payments:
            await self.process.heard(each, Succeeded(each.amount), at=self.process.now)

    def kept_alerts(self) -> AlertStore:
        return AlertStore(self.process.database, uuid7, lambda: self.catalogue)

    def switches(self) -> SwitchStore:
        return SwitchStore(self.process.database, self.kept_alerts())

    async def switch(self) -> Switch | None:
        found = await self.switches().switches([MERCHANT_ID])
        return found.get(MERCHANT_ID, {}).get(UP)

    async def state(self) -> SwitchState | None:
        switch = await self.switch()
        return None if switch is None else switch.state(self.process.now)

    async def alerts(self, kind: AlertKind) -> list[str]:
        return [each.about for each in await self.kept_alerts().open_of(MERCHANT_ID, kind)]

    async def events(self, of: str = "channel") -> list[str]:
        rows = await self.process.rows("SELECT type FROM events WHERE object = $1 ORDER BY created_at", of)
        return [row[0] for row in rows]

    async def why(self, payment: Payment) -> str:
        """What the recorded decision says of step 1; replayed it is the same."""
        sql = "SELECT decision::text FROM decisions WHERE object_id = $1"
        record = orjson.loads(await self.process.one(sql, payment.payment_id))
        assert replay(record).chosen == payment.channel
        return explain(replay(record))[0]


@pytest.fixture
def shop(engine: AsyncEngine) -> Shop:
    return Shop(Process(engine, new_keys(), place(WATCH), now=NOW))


def place(watch: dict[str, Any], *, tl_is_on: bool = True) -> Catalogue:
    two = (channel("up"), channel("tl", on=tl_is_on))
    return catalogue(two, (rule("up", 10), rule("tl", 50)), watch=watch_from_json(watch))


def channels(payments: list[Payment]) -> dict[str | None, int]:
    return Counter(each.channel for each in payments)


async def switched_off(shop: Shop) -> None:
    """Its first twenty payments have no result for longer than a minute."""
    assert channels(await shop.pay(20)) == {"up": 20}
    await shop.looked(80)
    assert await shop.state() is SwitchState.RESTING


async def test_a_channel_that_times_out_is_told_switched_off_tried_and_comes_back(shop: Shop) -> None:
    await switched_off(shop)
    assert await shop.events() == ["channel.degraded"]
    assert await shop.alerts(AlertKind.CHANNEL_SWITCHED_OFF) == ["withhold/ICBC/up"]
    # Everybody pays on the other channel, and the decision says why.
    there = await shop.pay(3) + await shop.pay(3, let_through=True)
    assert channels(there) == {"tl": 6}
    assert "up, it is switched off since too few payments succeed there (0 of 20 payments" in await shop.why(there[0])
    # When it has rested one payment in n goes there: as many as are needed, and no more.
    await shop.looked(REST_S)
    assert channels(await shop.pay(4)) == {"tl": 4}
    tries = await shop.pay(TRIES, let_through=True)
    assert channels(tries) == {"up": TRIES}
    assert f"one payment in {LET_THROUGH} is let through), this payment is let through" in await shop.why(tries[0])
    await shop.looked(10)
    assert await shop.state() is SwitchState.WAITING
    assert channels(await shop.pay(3, let_through=True)) == {"tl": 3}
    # They succeed: it is on again, though the window still shows why it was off.
    await shop.succeed(tries)
    await shop.looked(10)
    assert await shop.state() is SwitchState.ON
    assert await shop.alerts(AlertKind.CHANNEL_SWITCHED_OFF) == []
    assert await shop.alerts(AlertKind.CHANNEL_DEGRADED) == ["withhold/ICBC/up"]
    back = await shop.pay(5)
    assert channels(back) == {"up": 5}
    await shop.succeed(back)
    await shop.looked(31 * 60, every=300)
    assert await shop.events() == ["channel.degraded", "channel.restored"]
    assert await shop.switch() is None


async def test_where_its_tries_fail_it_rests_again(shop: Shop) -> None:
    await switched_off(shop)
    await shop.looked(REST_S)
    assert channels(await shop.pay(TRIES, let_through=True)) == {"up": TRIES}
    await shop.looked(80)
    switch = await shop.switch()
    assert switch is not None
    assert (switch.rests, await shop.state()) == (2, SwitchState.RESTING)
    assert channels(await shop.pay(3, let_through=True)) == {"tl": 3}
    assert await shop.events() == ["channel.degraded"]


async def test_the_last_channel_is_never_switched_off(shop: Shop) -> None:
    await switched_off(shop)
    shop.process.catalogue = place(WATCH, tl_is_on=False)
    paid = await shop.pay(4)
    assert channels(paid) == {"up": 4}
    assert "nothing better is available" in await shop.why(paid[0])


async def test_a_process_that_starts_anew_finds_everything_as_it_was(shop: Shop) -> None:
    await switched_off(shop)
    await shop.looked(REST_S)
    await shop.pay(TRIES, let_through=True)
    await shop.looked(10)
    before, seen = await shop.switch(), await RateStore(shop.process.database).said("channels", [MERCHANT_ID])
    avoided = shop.process.ailing
    assert before is not None
    assert before.waits
    await shop.watch.close()
    shop.watch, shop.process.ailing = shop.other_watch(), {}
    await shop.looked()
    assert (await shop.switch(), shop.process.ailing) == (before, avoided)
    assert await RateStore(shop.process.database).said("channels", [MERCHANT_ID]) == seen


async def test_its_alert_is_told_when_it_begins_and_when_an_operator_ends_it(shop: Shop) -> None:
    await switched_off(shop)
    assert await shop.events("alert") == ["alert.raised"]
    await shop.switches().switch_on(MERCHANT_ID, "up", None, None, by="li", now=shop.process.now)
    assert await shop.events("alert") == ["alert.raised", "alert.cleared"]


async def test_an_operator_ends_it_and_what_the_watch_saw_before_does_not_undo_that(shop: Shop) -> None:
    await switched_off(shop)
    store, before = shop.switches(), await shop.switch()
    assert before is not None
    assert await store.switch_on(MERCHANT_ID, "tl", None, None, by="li", now=shop.process.now) == []
    assert await store.switch_on(MERCHANT_ID, "up", None, "CCB", by="li", now=shop.process.now) == []
    assert await store.switch_on(MERCHANT_ID, "up", "withhold", None, by="li", now=shop.process.now) == [UP]
    assert await store.switch_on(MERCHANT_ID, "up", None, None, by="wang", now=shop.process.now) == []
    assert await shop.alerts(AlertKind.CHANNEL_SWITCHED_OFF) == []
    rests_again = replace(before, rests_until=before.rests_until + timedelta(minutes=5), rests=2)
    assert not await store.keep(MERCHANT_ID, UP, before, rests_again, {}, shop.process.now)
    assert not await store.keep(MERCHANT_ID, UP, None, before, {}, shop.process.now)
    assert not await store.keep(MERCHANT_ID, UP, before, None, {}, shop.process.now)
    await shop.looked(30)
    switch = await shop.switch()
    assert switch is not None
    assert (switch.on_by, await shop.state()) == ("li", SwitchState.ON)
    # It still times out: twenty more are enough to switch it off again.
    assert channels(await shop.pay(20)) == {"up": 20}
    await shop.looked(80)
    assert (await shop.state(), await shop.events()) == (SwitchState.RESTING, ["channel.degraded"])
    assert await shop.alerts(AlertKind.CHANNEL_SWITCHED_OFF) == ["withhold/ICBC/up"]


async def test_what_is_not_to_be_switched_off_any_more_is_on_at_once(shop: Shop) -> None:
    await switched_off(shop)
    shop.process.catalogue = place({})
    await shop.looked()
    assert (await shop.switch(), shop.process.ailing) == (None, {})
    assert await shop.alerts(AlertKind.CHANNEL_SWITCHED_OFF) == []
    assert UUID(int=0) not in await shop.switches().switches([UUID(int=0)])
