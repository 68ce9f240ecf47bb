"""What a statement says that orders cost, counted, and the rules that are proposed from it.

On a real PostgreSQL. Not tested here: how a rule is found (tests/unit/reconciliation), the lines that a person reads.
"""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.catalogue import ANY_BANK, Account, Catalogue, Channel, Merchant, RouteRule
from gateway.domain.payees import PayeeType
from gateway.domain.payout_rules import PayoutRule
from gateway.domain.scenes import Scene
from gateway.domain.statements import LineKind
from gateway.storage.reconciling.fees import TakenFeeStore
from reconciliation.fee_proposals import TakenFee, proposed_fees
from router.fees import FixedFee, PercentFee
from tests.databases import database_on
from tests.storage.reconciling_desk import ACCOUNT, DAY, MERCHANT, Desk, Line

YOURS = PercentFee(Decimal("0.001"), 10, None)
CATALOGUE = Catalogue(
    1,
    merchants=(Merchant(MERCHANT, "m", "M"),),
    accounts=(Account(MERCHANT, ACCOUNT, "psp", {}),),
    channels=(Channel(MERCHANT, "up", ACCOUNT, "up", True, {}),),
    rules=(RouteRule(MERCHANT, "up", Scene.WITHHOLD, "ICBC", True, YOURS),),
    payout_rules=(PayoutRule(MERCHANT, "up", PayeeType.PERSONAL, ANY_BANK, True, FixedFee(100)),),
)


@pytest.fixture
async def desk(engine: AsyncEngine, alone: Any) -> Desk:
    return Desk(alone, database_on(engine))


async def taken(desk: Desk) -> list[TakenFee]:
    return await TakenFeeStore(desk.database).taken(MERCHANT, ACCOUNT, DAY)


async def test_a_rule_is_proposed_from_what_the_statement_took(desk: Desk) -> None:
    lines = []
    for number in range(60):
        amount = 8_000 + 137 * number
        await desk.has(f"p{number}", amount, fee=10)
        lines.append(Line(f"p{number}", amount, fee=max(20, (2 * amount + 500) // 1000)))
    await desk.compares(0, lines)
    [proposed] = proposed_fees(await taken(desk), CATALOGUE, MERCHANT, date(2026, 3, 5))
    assert proposed.place == "channel up, withhold (ICBC)"
    assert proposed.proposal.english == "0.2 %, at least 20 fen explains 60 of 60 rows; yours 0"
    told: Any = proposed.to_json()
    assert told["fee"] == {"type": "percent", "rate": "0.002", "min": 20}
    assert (told["rows"], told["explained_in_force"], told["banks"]) == (60, 0, ["ICBC"])


async def test_only_orders_that_both_sides_have_with_a_stated_fee_count(desk: Desk) -> None:
    for number in ("fine", "silent", "other sum", "refused", "theirs refused"):
        await desk.has(number, 1_000, fee=10, state="declined" if number == "refused" else "done")
    await desk.has("out", 5_000, "payout", fee=100)
    await desk.has("back", 300, "refund", of="fine")
    await desk.compares(
        0,
        [
            Line("fine", 1_000, fee=11),
            Line("silent", 1_000),
            Line("other sum", 1_001, fee=11),
            Line("refused", 1_000, fee=11),
            Line("theirs refused", 1_000, fee=0, paid=False),
            Line("nobody", 1_000, fee=11),
            Line("out", 5_000, LineKind.PAYOUT, fee=120),
            Line("back", 300, LineKind.REFUND, fee=0),
        ],
    )
    assert set(map(tuple, await taken(desk))) == {
        ("up", None, "personal", "", 5_000, 120, 1),
        ("up", "withhold", None, "ICBC", 1_000, 11, 1),
    }


async def test_what_has_no_rule_any_more_is_left_out(desk: Desk) -> None:
    rows = [TakenFee("gone", "withhold", None, "ICBC", 1_000 + n, 50, 1) for n in range(50)]
    assert proposed_fees(rows, CATALOGUE, MERCHANT, date(2026, 3, 5)) == []
    rows = [TakenFee("up", None, "personal", f"B{n % 3}", 1_000 + n, 50, 1) for n in range(60)]
    [proposed] = proposed_fees(rows, CATALOGUE, MERCHANT, date(2026, 3, 5))
    assert (proposed.of, proposed.banks) == ("personal", ("B0", "B1", "B2"))
    assert proposed_fees(rows, CATALOGUE, uuid4(), date(2026, 3, 5)) == []
