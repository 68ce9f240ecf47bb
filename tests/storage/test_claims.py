"""Claims of what is due, by channel, on a real PostgreSQL: what has no room is passed over, the others share.

Not tested here: leases and races (test_opening, test_refunding, test_waiting), who has how much room (tests/workers),
the plans (test_plans).
"""

from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.outcomes import Processing, Succeeded
from gateway.flows.follow_up import channel_of
from tests.keys import new_keys
from tests.storage.gateway_process import Process
from tests.unit.domain.samples import MERCHANT_ID, card_elements, catalogue, channel, later, order, rule

MANY = 40
CHANNELS = ("hangs", "tl", "up")
DUE, UNTIL = later(hours=1), later(hours=2)


@pytest.fixture
async def process(engine: AsyncEngine) -> Process:
    """Each channel with as many payments that are due, those of the first longest of all."""
    process = Process(engine, new_keys(), catalogue((), ()))
    for code in CHANNELS:
        process.catalogue = catalogue((channel(code),), (rule(code),))
        orders = [order(f"{code} {number}", user_id=f"u{number % 8}") for number in range(MANY)]
        await process.opened(*orders)
    return process


async def claimed(process: Process, limit: int, room: Callable[[str], int] = lambda channel: 1000) -> dict[str, int]:
    due = await process.due.claim(MERCHANT_ID, DUE, limit, UNTIL, room)
    return dict(Counter(channel_of(each) for each in due))


async def test_channels_share_a_claim_evenly_however_long_one_has_been_due(process: Process) -> None:
    assert await claimed(process, 12) == {"hangs": 4, "tl": 4, "up": 4}


async def test_a_channel_without_room_is_passed_over_and_the_others_have_its_part(process: Process) -> None:
    assert await claimed(process, 12, {"hangs": 0, "tl": 100, "up": 3}.__getitem__) == {"tl": 9, "up": 3}
    assert await claimed(process, 200, {"hangs": 1, "tl": 100, "up": 100}.__getitem__) == {
        "hangs": 1,
        "tl": MANY - 9,
        "up": MANY - 3,
    }
    assert await claimed(process, 200, {"hangs": 0, "tl": 100, "up": 100}.__getitem__) == {}


async def test_what_was_longest_due_is_taken_first(process: Process) -> None:
    for number in (7, 3):
        at, order_no = later(seconds=number), f"up {number}"
        await process.rows("UPDATE payments SET due_at = $1 WHERE merchant_order_no = $2 RETURNING 1", at, order_no)
    due = await process.due.claim(MERCHANT_ID, later(seconds=9), 10, UNTIL)
    assert {payment.merchant_order_no for payment in due if hasattr(payment, "merchant_order_no")} == {"up 3", "up 7"}


async def test_room_is_counted_over_payments_refunds_and_authentications(engine: AsyncEngine) -> None:
    process = Process(engine, new_keys(), catalogue((channel("up"),), (rule("up"),)))
    paid = await process.open_one()
    await process.heard(paid, Succeeded(1000))
    for _ in range(3):
        await process.refund(paid, 100)
    await process.opened(*(order(f"o{number}", user_id="u1") for number in range(3)))
    silent = channel("up", AuthenticationMode.SILENT)
    process.catalogue = catalogue((silent,), (rule("up"),))
    for number in range(3):
        await process.open_one(user_id=f"x{number}", card=card_elements(number))
    assert await claimed(process, 100, lambda channel: 5) == {"up": 5}
    assert sum((await claimed(process, 100)).values()) == 3 + 3 + 3 - 5 + 3  # those that wait for their authentication


async def test_refunds_of_a_program_of_before_are_found_without_their_channel(process: Process) -> None:
    process.catalogue = catalogue((channel("up"),), (rule("up"),))
    paid = await process.open_one()
    await process.heard(paid, Succeeded(1000))
    refund = (await process.refund(paid, 100)).refund
    await process.heard_of_refund(refund, Processing())
    await process.rows("UPDATE refunds SET channel = NULL RETURNING 1")
    due = await process.due.claim(MERCHANT_ID, DUE, 1000, UNTIL)
    assert refund.refund_id in {getattr(each, "refund_id", None) for each in due}
