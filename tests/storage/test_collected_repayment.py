"""A collected repayment is paid on to two lenders by parts, to the fen, while some of it is refunded: never too much.

As many payments as `SLUICE_HUNT_PARTS` says (`make hunt`: 41,000). On a real PostgreSQL, by two processes at once.
Not here: what each refusal says (test_payouts), what reaches a PSP (tests/e2e).
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from typing import Any, Final
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.hearing import Source
from gateway.domain.outcomes import Succeeded
from gateway.domain.payments import Payment
from gateway.domain.payouts import Part, Payout
from gateway.domain.statuses import Status
from gateway.flows.observations import key_of
from gateway.flows.payout_acts import PayoutAct, PayoutOpening, PayoutRefusedError, PayoutWish
from gateway.ports import AmountExceedsRestError, Observation
from gateway.storage.reading.doctor import examine
from gateway.storage.server.engine import create_engine
from tests.databases import close
from tests.keys import new_keys
from tests.storage.gateway_process import Process, observation
from tests.unit.domain.samples import NOW, catalogue, channel, endpoint, later, order, payout_order, rule

PARTS: Final = int(os.environ.get("SLUICE_HUNT_PARTS", "400"))
AT_ONCE: Final = min(1000, PARTS // 8)
"""Parts that are handed in together: 1000 at most in one request."""
HAND_INS: Final = -(-PARTS // AT_ONCE)
"""Of each lender."""
FLUSH: Final = 100
PAYS: Final = catalogue((channel("up"),), (rule("up", 10),), (endpoint(1, "shop"),))
REFUNDED_EVERY: Final = 10
"""Of the payments so many are refunded meanwhile, by more than both lenders' parts would leave."""
LEAVES: Final = 7
"""The company's own fee, in fen: what no lender gets of a payment."""


@pytest.fixture
async def processes(engine: AsyncEngine, database_url: str) -> AsyncIterator[list[Process]]:
    keys, second = new_keys(), create_engine(database_url, 4, application_name="second")
    yield [Process(each, keys, PAYS, calls_at_once=10 * PARTS) for each in (engine, second)]
    assert await examine(engine, NOW) == []
    await close(second)


def first_part(amount: int) -> int:
    return amount // 3


def second_part(amount: int) -> int:
    return amount - first_part(amount) - LEAVES


async def paid(process: Process, name: str, amounts: Sequence[int]) -> list[Payment]:
    """Payments that succeeded, of users of their own."""
    found: list[Payment] = []
    for begin in range(0, len(amounts), FLUSH):
        places = enumerate(amounts[begin : begin + FLUSH], begin)
        orders = [order(f"{name}-{at}", amount=amount, user_id=f"{name}-{at}") for at, amount in places]
        opened = await process.opened(*orders)
        words: list[Any] = [
            observation(each, Succeeded(each.amount, each.payment_id.hex), Source.ANSWER) for each in opened
        ]
        await process.recording.flush(words)
        for payment in opened:  # nothing else here gives the places of its channel back
            process.rooms.leave(payment.payment_id)
        found += opened
    return found


async def held(process: Process, amount: int) -> Payout:
    asked = payout_order(f"payout-{uuid4().hex}", amount=amount, hold=True)
    return (await process.books.open_payout(PayoutOpening(asked, "up-1", uuid4(), uuid4()))).payout


async def act(process: Process, payout: Payout, wish: PayoutWish, parts: Sequence[Part] = ()) -> Payout:
    done = await process.books.act_on_payout(
        PayoutAct(payout.merchant_id, payout.payout_id, wish, uuid4(), "shop", tuple(parts))
    )
    assert done is not None
    return done.payout


async def hand_in(process: Process, payout: Payout, parts: list[Part], spare: Iterator[Payment]) -> int:
    """Hand in parts until they are taken. One of which less is left is taken back, and as much of another payment is
    handed in for it; how many were.
    """
    exchanged = 0
    while (refusal := await refused(act(process, payout, PayoutWish.SETTLE, parts))) is not None:
        assert isinstance(refusal, PayoutRefusedError)
        (place,) = [place for place, part in enumerate(parts) if part.payment_id == refusal.payment_id]
        assert refusal.code == "amount_exceeds_rest"
        assert refusal.left is not None
        assert refusal.left < parts[place].amount
        parts[place] = Part(next(spare).payment_id, parts[place].amount)
        exchanged += 1
    return exchanged


async def refused(doing: Awaitable[object]) -> PayoutRefusedError | AmountExceedsRestError | None:
    try:
        await doing
    except (PayoutRefusedError, AmountExceedsRestError) as error:
        return error
    return None


async def refund_some(process: Process, payments: list[Payment], handed_in: asyncio.Semaphore) -> int:
    """Refund by more than both lenders' parts leave: whoever comes first has it. How many were taken.

    Some whenever more parts were handed in, so that they meet payments of which nobody, one or both have a part.
    """
    in_turn = sorted(payments, key=lambda payment: payment.payment_id.bytes[::-1])  # as good as drawn
    at_once, taken = -(-len(in_turn) // (2 * HAND_INS)), 0
    for begin in range(0, len(in_turn), at_once):
        await handed_in.acquire()
        some = in_turn[begin : begin + at_once]
        refunds = await asyncio.gather(*(refused(process.refund(each, LEAVES + 1)) for each in some))
        taken += refunds.count(None)
    return taken


OVER: Final = """
WITH settled AS (SELECT payment_id, sum(amount) AS fen FROM settles GROUP BY payment_id),
    back AS (SELECT payment_id, sum(amount) AS fen FROM refunds GROUP BY payment_id)
SELECT p.payment_id, p.amount, settled.fen, back.fen, o.settled, o.refunded FROM payments p
LEFT JOIN settled ON settled.payment_id = p.payment_id LEFT JOIN back ON back.payment_id = p.payment_id
LEFT JOIN outflows o ON o.merchant_id = p.merchant_id AND o.payment_id = p.payment_id
WHERE coalesce(settled.fen, 0) + coalesce(back.fen, 0) > p.amount
    OR coalesce(settled.fen, 0) <> coalesce(o.settled, 0) OR coalesce(back.fen, 0) <> coalesce(o.refunded, 0)
"""
SUMS: Final = "SELECT count(*), sum(amount)::bigint FROM settles WHERE payout_id = $1"


async def test_a_repayment_is_settled_to_two_lenders_to_the_fen_while_refunds_race_and_never_too_much(
    processes: list[Process],
) -> None:
    one, two = processes
    payments = await paid(one, "repaid", [1_001 + place * 37 % 9_000 for place in range(PARTS)])
    refunds_of = payments[::REFUNDED_EVERY]
    spares = [await paid(one, f"spare-{place}", [10_001] * len(refunds_of)) for place in range(2)]
    totals = [sum(part(each.amount) for each in payments) for part in (first_part, second_part)]
    payouts = [await held(process, total) for process, total in zip(processes, totals, strict=True)]

    handed_in = asyncio.Semaphore(0)

    async def settle(place: int) -> int:
        """All parts of one lender, some at once; the second lender's from the other end."""
        process, part = processes[place], (first_part, second_part)[place]
        in_turn, spare = payments[:: 1 - 2 * place], iter(spares[place])
        exchanged = 0
        for begin in range(0, PARTS, AT_ONCE):
            parts = [Part(each.payment_id, part(each.amount)) for each in in_turn[begin : begin + AT_ONCE]]
            exchanged += await hand_in(process, payouts[place], parts, spare)
            handed_in.release()
        return exchanged

    exchanged_first, exchanged_second, refunded = await asyncio.gather(
        settle(0), settle(1), refund_some(two, refunds_of, handed_in)
    )
    assert await one.rows(OVER) == []
    # Of each payment that was refunded somebody's part was taken back: the refund and both parts were too much.
    assert exchanged_first + exchanged_second == refunded
    assert 0 < refunded < len(refunds_of)
    for process, payout, total in zip(processes, payouts, totals, strict=True):
        assert await process.one(SUMS, payout.payout_id) == (PARTS, total)
        sent = await act(process, payout, PayoutWish.RELEASE)
        assert (sent.parts, sent.settles, sent.amount) == (PARTS, total, total)
        done = await process.books.record(
            Observation(key_of(sent), Source.ANSWER, Succeeded(total), later(seconds=1), uuid4())
        )
        assert isinstance(done.object, Payout)
        assert done.object.status is Status.SUCCEEDED
    assert await one.rows(OVER) == []
