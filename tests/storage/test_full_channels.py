"""Channels that are full, and accounts that cannot be used, when orders are recorded on a real PostgreSQL.

Not tested here: how much room there is (tests/unit/test_rooms.py), who waits for it (tests/unit/flows/test_in_hand.py),
what becomes of those who stand in line (test_line.py).
"""

from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.catalogue import Catalogue
from gateway.domain.orders import Order
from gateway.domain.outcomes import Succeeded
from gateway.domain.payments import Payment
from gateway.domain.scenes import Kind, Scene
from gateway.domain.statuses import Status
from gateway.flows.opening import Opening
from gateway.flows.refund import RefundOpening
from gateway.ports import ChannelFullError, OpenResult, OverloadedError
from router.decide import replay
from tests.keys import new_keys
from tests.storage.gateway_process import Process
from tests.unit.domain.samples import (
    MERCHANT_ID,
    NOW,
    card_elements,
    catalogue,
    channel,
    opening,
    order,
    refund_order,
    rule,
)

AT_ONCE = 4
"""Calls of a channel at once, of which one is for questions."""
PLACES = AT_ONCE - 1


def both(scene: Scene) -> Catalogue:
    """Two channels; `up` is the cheaper one."""
    rules = (replace(rule("up", 10), scene=scene), replace(rule("tl", 50), scene=scene))
    return catalogue((channel("up"), channel("tl")), rules)


def charge(order_no: str, **known: Any) -> Order:
    return order(order_no, kind=Kind.CHARGE, scene=Scene.QUICK_CHARGE, customer_present=True, **known)


@pytest.fixture
def charging(engine: AsyncEngine) -> Process:
    return Process(engine, new_keys(), both(Scene.QUICK_CHARGE), calls_at_once=AT_ONCE)


@pytest.fixture
def withholding(engine: AsyncEngine) -> Process:
    return Process(engine, new_keys(), both(Scene.WITHHOLD), calls_at_once=AT_ONCE)


def payments(results: Any) -> list[Payment]:
    return [result.payment for result in results if isinstance(result, OpenResult)]


async def nothing_of(process: Process, opened: int) -> None:
    """So many orders are recorded, and nothing of any other."""
    for table in ("payments", "orders", "decisions", "cards"):
        assert await process.count(table) == opened


async def decision_of(process: Process, payment_id: UUID) -> Any:
    return orjson.loads(await process.one("SELECT decision::text FROM decisions WHERE object_id = $1", payment_id))


def orders(make: Any, many: int, first: int = 0) -> list[Opening]:
    """Each of a user and a card of its own."""
    return [
        opening(make(f"o{number}", user_id=f"u{number}", card=card_elements(number)))
        for number in range(first, first + many)
    ]


# --- charges ---


async def test_a_charge_goes_to_the_next_channel_when_the_best_one_is_full_and_its_decision_says_so(
    charging: Process,
) -> None:
    taken = payments(await charging.opening.flush(orders(charge, 2 * PLACES)))
    assert [payment.channel for payment in taken] == ["up"] * PLACES + ["tl"] * PLACES
    record = await decision_of(charging, taken[-1].payment_id)
    full = {told["channel"]: told.get("full", False) for told in record["candidates"]}
    assert full == {"up": True, "tl": False}
    assert replay(record).chosen == "tl"
    assert [(seen.channel, seen.reason) for seen in replay(record).trace if seen.removed_by_step == 1] == [
        ("up", "channel_full")
    ]


async def test_a_charge_that_finds_every_channel_full_is_refused_and_nothing_is_recorded(charging: Process) -> None:
    results = await charging.opening.flush(orders(charge, 2 * PLACES + 3))
    assert [type(result) for result in results[2 * PLACES :]] == [OverloadedError] * 3
    await nothing_of(charging, 2 * PLACES)
    again = orders(charge, 1, first=100)
    charging.rooms.leave(payments(results)[0].payment_id)
    assert [payment.channel for payment in payments(await charging.opening.flush(again))] == ["up"]


async def test_a_charge_that_nothing_would_help_is_refused_by_the_router_and_not_told_to_come_again(
    charging: Process,
) -> None:
    await charging.opening.flush(orders(charge, 2 * PLACES))
    (payment,) = payments(await charging.opening.flush([opening(charge("o99", user_id="u99", bank="CMB"))]))
    assert payment.status is Status.FAILED


# --- withholds ---


async def test_a_withhold_whose_channel_is_full_stands_in_line_there_and_goes_to_no_other(
    withholding: Process,
) -> None:
    taken = payments(await withholding.opening.flush(orders(order, PLACES + 2)))
    assert [payment.channel for payment in taken] == ["up"] * (PLACES + 2)
    assert [payment.waits_for_place for payment in taken] == [False] * PLACES + [True] * 2
    assert await withholding.count("intents") == PLACES


async def test_a_repeat_of_an_order_is_answered_whatever_is_full(withholding: Process) -> None:
    asked = orders(order, PLACES + 1)
    taken = payments(await withholding.opening.flush(asked))
    repeat = replace(asked[0], payment_id=UUID(int=1))
    (again,) = await withholding.opening.flush([repeat])
    assert isinstance(again, OpenResult)
    assert again.replayed
    assert again.payment.payment_id == taken[0].payment_id


async def test_of_two_orders_of_one_new_card_one_may_stand_in_line_and_the_other_be_sent(
    withholding: Process,
) -> None:
    await withholding.opening.flush(orders(order, PLACES))
    # The second names a bank that goes to another channel.
    elsewhere = replace(rule("tl", 5), bank="CMB")
    withholding.catalogue = catalogue((channel("up"), channel("tl")), (rule("up", 10), elsewhere))
    one, two = order("a", user_id="u50"), order("b", user_id="u50", bank="CMB")
    first, second = await withholding.opening.flush([opening(one), opening(two)])
    assert [payment.waits_for_place for payment in payments([first, second])] == [True, False]
    assert [payment.channel for payment in payments([first, second])] == ["up", "tl"]
    assert await withholding.count("cards") == PLACES + 1


# --- refunds ---


async def test_a_refund_that_finds_its_channel_full_takes_nothing_of_its_payment(withholding: Process) -> None:
    taken = payments(await withholding.opening.flush(orders(order, PLACES)))
    paid = taken[0]
    await withholding.heard(paid, Succeeded(1000))

    def asked() -> RefundOpening:
        wanted = refund_order("r1", payment_id=paid.payment_id, amount=1000)
        return RefundOpening(wanted, paid.user_id, UUID(int=7), UUID(int=8), NOW)

    (refused,) = await withholding.refunding.flush([asked()])
    assert isinstance(refused, ChannelFullError)
    assert await withholding.count("refunds") == 0
    withholding.rooms.leave(paid.payment_id)
    (done,) = await withholding.refunding.flush([asked()])
    assert not isinstance(done, Exception)
    assert done.refund.amount == 1000


# --- accounts that cannot be used ---


@pytest.mark.parametrize("kind", ["withhold", "charge"])
async def test_orders_of_an_account_that_cannot_be_used_go_elsewhere_in_one_flush(
    engine: AsyncEngine, kind: str
) -> None:
    scene, make = (Scene.WITHHOLD, order) if kind == "withhold" else (Scene.QUICK_CHARGE, charge)
    process = Process(engine, new_keys(), both(scene), unusable=("up-1",))
    taken = payments(await process.opening.flush(orders(make, 5)))
    assert [payment.channel for payment in taken] == ["tl"] * 5
    record = await decision_of(process, taken[0].payment_id)
    assert ("up", "account_unusable") in [(seen.channel, seen.reason) for seen in replay(record).trace]
    process.unusable = ()
    back = payments(await process.opening.flush(orders(make, 1, first=50)))
    assert [payment.channel for payment in back] == ["up"]


async def test_where_no_account_can_be_used_the_payment_is_refused_as_by_any_other_reason(engine: AsyncEngine) -> None:
    process = Process(engine, new_keys(), both(Scene.WITHHOLD), unusable=("up-1", "tl-1"))
    (payment,) = payments(await process.opening.flush(orders(order, 1)))
    assert payment.status is Status.FAILED
    assert payment.failure is not None
    assert payment.failure.code == "no_channel_available"
    assert payment.merchant_id == MERCHANT_ID
