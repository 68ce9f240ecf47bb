"""Fees: what is charged, to the fen, and what is refused as a fee.

Not tested here: which fee applies to which payment (the catalogue), and whether the provider really charged it
(reconciliation).
"""

from decimal import Decimal, localcontext

import pytest

from router import Fee, FeeError, FixedFee, PercentFee, Tier, TieredFee, fee_for, fee_to_json, parse_fee
from router.fees import MAX_FEN, MAX_TIERS

TIERED = TieredFee(
    (
        Tier(1000_00, FixedFee(100)),
        Tier(5000_00, PercentFee(Decimal("0.002"), min=150)),
        Tier(None, PercentFee(Decimal("0.001"), max=2000)),
    )
)


@pytest.mark.parametrize(
    ("fee", "amount", "expected"),
    [
        (FixedFee(0), 1, 0),
        (FixedFee(100), 1, 100),
        (FixedFee(100), 10**12, 100),
        (PercentFee(Decimal(0)), 10**12, 0),
        (PercentFee(Decimal(1)), 12345, 12345),
        (PercentFee(Decimal("0.002")), 100_00, 20),
        pytest.param(PercentFee(Decimal("0.005")), 100, 1, id="exactly half a fen is rounded up"),
        pytest.param(PercentFee(Decimal("0.005")), 300, 2, id="half up, not half to even: 1.5"),
        pytest.param(PercentFee(Decimal("0.005")), 500, 3, id="half up, not half to even: 2.5"),
        pytest.param(PercentFee(Decimal("0.005")), 99, 0, id="just below half is rounded down"),
        pytest.param(PercentFee(Decimal("0.00449")), 100, 0, id="rounded once: 0.449 is not 0.45 and then 1"),
        pytest.param(PercentFee(Decimal("0.002"), min=50), 100_00, 50, id="below the minimum"),
        pytest.param(PercentFee(Decimal("0.002"), min=20), 100_00, 20, id="at the minimum"),
        pytest.param(PercentFee(Decimal("0.002"), max=10), 100_00, 10, id="above the maximum"),
        pytest.param(PercentFee(Decimal("0.002"), max=20), 100_00, 20, id="at the maximum"),
        pytest.param(PercentFee(Decimal("0.005"), min=1), 99, 1, id="0.495 rises to the minimum"),
        pytest.param(PercentFee(Decimal("0.0051"), max=1), 295, 1, id="1.5045 falls to the maximum"),
        pytest.param(PercentFee(Decimal("0.002"), min=7, max=7), 100_00, 7, id="minimum equal to maximum"),
        pytest.param(
            PercentFee(Decimal("0.123456789012")), 10**18 + 1, 123456789012000000, id="exact beyond 28 digits"
        ),
        pytest.param(TIERED, 1, 100, id="first tier"),
        pytest.param(TIERED, 1000_00, 100, id="a bound belongs to its tier"),
        pytest.param(TIERED, 1000_01, 200, id="one fen above the bound is the next tier"),
        pytest.param(TIERED, 5000_00, 1000, id="last of the second tier"),
        pytest.param(TIERED, 5000_01, 500, id="the whole amount is charged at its tier, not tier by tier"),
        pytest.param(TIERED, 10**9, 2000, id="last tier without a bound"),
        pytest.param(TieredFee((Tier(100, FixedFee(1)), Tier(200, FixedFee(2)))), 201, 2, id="above the last bound"),
    ],
)
def test_a_fee_is_exact_and_rounded_half_up_once(fee: Fee, amount: int, expected: int) -> None:
    assert fee_for(fee, amount) == expected


def test_a_fee_does_not_depend_on_the_decimal_context_of_the_thread() -> None:
    with localcontext(prec=2):
        assert fee_for(PercentFee(Decimal("0.00123")), 10**9) == 1_230_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (100, FixedFee(100)),
        (0, FixedFee(0)),
        ({"type": "fixed", "amount": 100}, FixedFee(100)),
        ({"kind": "fixed", "amount": 100}, FixedFee(100)),
        ({"fixed": {"amount": 100}}, FixedFee(100)),
        ({"type": "percent", "rate": "0.002"}, PercentFee(Decimal("0.002"))),
        ({"type": "percent", "rate": 0.002}, PercentFee(Decimal("0.002"))),
        ({"type": "percent", "rate": 1e-07}, PercentFee(Decimal("0.0000001"))),
        ({"type": "percent", "rate": Decimal("0.002")}, PercentFee(Decimal("0.002"))),
        ({"type": "percent", "rate": 1}, PercentFee(Decimal(1))),
        ({"type": "percent", "rate": 0}, PercentFee(Decimal(0))),
        ({"type": "percent", "rate": "0.002", "min": None, "max": None}, PercentFee(Decimal("0.002"))),
        ({"kind": "percent", "rate": "0.002", "min": 1}, PercentFee(Decimal("0.002"), min=1)),
        ({"percent": {"rate": "0.002", "min": 1, "max": 1}}, PercentFee(Decimal("0.002"), min=1, max=1)),
        ({"type": "tiered", "tiers": [{"fee": 5}]}, TieredFee((Tier(None, FixedFee(5)),))),
        ({"type": "tiered", "tiers": [{"up_to": None, "fee": 5}]}, TieredFee((Tier(None, FixedFee(5)),))),
        (
            {"tiered": {"tiers": [{"up_to": 10, "fee": 5}, {"up_to": 20, "fee": {"percent": {"rate": "0.1"}}}]}},
            TieredFee((Tier(10, FixedFee(5)), Tier(20, PercentFee(Decimal("0.1"))))),
        ),
        (
            {"kind": "tiered", "tiers": ({"up_to": 10, "fee": {"type": "fixed", "amount": 5}}, {"fee": 6})},
            TieredFee((Tier(10, FixedFee(5)), Tier(None, FixedFee(6)))),
        ),
    ],
)
def test_a_fee_is_read_in_each_of_its_forms(value: object, expected: Fee) -> None:
    assert parse_fee(value) == expected
    assert hash(parse_fee(value)) == hash(expected)


def _percent(**parts: object) -> dict[str, object]:
    return {"type": "percent", "rate": "0.01", **parts}


def _tiered(*tiers: object) -> dict[str, object]:
    return {"type": "tiered", "tiers": list(tiers)}


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (None, "fee"),
        ("100", "fee"),
        (True, "fee"),
        (1.0, "fee"),
        (-1, "fee"),
        (MAX_FEN + 1, "fee"),
        ([], "fee"),
        ({}, "fee.type"),
        ({"amount": 100}, "fee.type"),
        ({"type": "free"}, "fee.type"),
        ({"kind": ["fixed"], "amount": 1}, "fee.kind"),
        ({"type": None, "amount": 1}, "fee.type"),
        ({"type": "fixed", "kind": "fixed", "amount": 1}, "fee.kind"),
        ({"fixed": {"amount": 1}, "percent": {"rate": "0.1"}}, "fee.type"),
        ({"fixed": 100}, "fee.fixed"),
        ({"fixed": {"amount": -1}}, "fee.fixed.amount"),
        ({"fixed": {"type": "fixed", "amount": 1}}, "fee.fixed.type"),
        ({"type": "fixed"}, "fee.amount"),
        ({"type": "fixed", "amount": -1}, "fee.amount"),
        ({"type": "fixed", "amount": True}, "fee.amount"),
        ({"type": "fixed", "amount": 1.5}, "fee.amount"),
        ({"type": "fixed", "amount": "1"}, "fee.amount"),
        ({"type": "fixed", "amount": None}, "fee.amount"),
        ({"type": "fixed", "amount": 1, "currency": "CNY"}, "fee.currency"),
        ({"type": "fixed", "amount": 1, 7: 7}, "fee.7"),
        ({"type": "percent"}, "fee.rate"),
        (_percent(rate=None), "fee.rate"),
        (_percent(rate=True), "fee.rate"),
        (_percent(rate=[]), "fee.rate"),
        (_percent(rate=""), "fee.rate"),
        (_percent(rate="0.2%"), "fee.rate"),
        (_percent(rate="NaN"), "fee.rate"),
        (_percent(rate="sNaN"), "fee.rate"),
        (_percent(rate="Infinity"), "fee.rate"),
        (_percent(rate=float("nan")), "fee.rate"),
        (_percent(rate=float("inf")), "fee.rate"),
        (_percent(rate="-0.001"), "fee.rate"),
        (_percent(rate="1.000001"), "fee.rate"),
        (_percent(rate=2), "fee.rate"),
        (_percent(rate=10**5000), "fee.rate"),
        (_percent(rate="0.0000000000001"), "fee.rate"),
        (_percent(rate="1E-999999"), "fee.rate"),
        (_percent(rate="0." + "0" * 50), "fee.rate"),
        (_percent(min=-1), "fee.min"),
        (_percent(min=True), "fee.min"),
        (_percent(max="9"), "fee.max"),
        (_percent(min=2, max=1), "fee.min"),
        (_percent(minimum=2), "fee.minimum"),
        ({"type": "tiered"}, "fee.tiers"),
        (_tiered(), "fee.tiers"),
        ({"type": "tiered", "tiers": {}}, "fee.tiers"),
        ({"type": "tiered", "tiers": "12"}, "fee.tiers"),
        (_tiered(*[{"up_to": n, "fee": 1} for n in range(1, MAX_TIERS + 2)]), "fee.tiers"),
        (_tiered(5), "fee.tiers[0]"),
        (_tiered({"up_to": 10}), "fee.tiers[0].fee"),
        (_tiered({"up_to": 10, "fee": None}), "fee.tiers[0].fee"),
        (_tiered({"up_to": 10, "fee": -1}), "fee.tiers[0].fee"),
        (_tiered({"up_to": 10, "fee": {"type": "fixed", "amount": -1}}), "fee.tiers[0].fee.amount"),
        (_tiered({"up_to": 10, "fee": _tiered({"fee": 1})}), "fee.tiers[0].fee.type"),
        (_tiered({"up_to": 10, "fee": {"tiered": {"tiers": []}}}), "fee.tiers[0].fee.type"),
        (_tiered({"up_to": 0, "fee": 1}), "fee.tiers[0].up_to"),
        (_tiered({"up_to": True, "fee": 1}), "fee.tiers[0].up_to"),
        (_tiered({"up_to": 10, "fee": 1}, {"up_to": 10, "fee": 2}), "fee.tiers[1].up_to"),
        (_tiered({"up_to": 10, "fee": 1}, {"up_to": 9, "fee": 2}), "fee.tiers[1].up_to"),
        (_tiered({"fee": 1}, {"up_to": 10, "fee": 2}), "fee.tiers[0].up_to"),
        (_tiered({"fee": 1}, {"fee": 1}), "fee.tiers[0].up_to"),
        (_tiered({"up_to": 10, "fee": 1, "from": 0}), "fee.tiers[0].from"),
    ],
)
def test_what_is_not_a_fee_is_refused_with_the_path_of_the_field(value: object, path: str) -> None:
    with pytest.raises(FeeError) as refused:
        parse_fee(value)
    assert refused.value.path == path
    assert str(refused.value).startswith(f"{path}: ")


def test_the_path_starts_where_the_caller_says() -> None:
    with pytest.raises(FeeError, match=r"^rules\[3\]\.fee\.amount: "):
        parse_fee({"type": "fixed"}, path="rules[3].fee")
    with pytest.raises(FeeError, match=r"^amount: "):
        parse_fee({"type": "fixed"}, path="")
    with pytest.raises(FeeError, match=r"^must be "):
        parse_fee(-1, path="")


def test_a_fee_that_cannot_be_cannot_be_constructed_either() -> None:
    with pytest.raises(FeeError, match="min"):
        PercentFee(Decimal("0.1"), min=2, max=1)
    with pytest.raises(FeeError, match="amount"):
        FixedFee(-1)
    with pytest.raises(FeeError, match="tiers"):
        TieredFee(())


@pytest.mark.parametrize(
    ("fee", "canonical"),
    [
        (FixedFee(100), {"type": "fixed", "amount": 100}),
        (PercentFee(Decimal("2E-7")), {"type": "percent", "rate": "0.0000002"}),
        (PercentFee(Decimal("0.01"), 0, 5), {"type": "percent", "rate": "0.01", "min": 0, "max": 5}),
        (
            TieredFee((Tier(10, FixedFee(1)), Tier(None, PercentFee(Decimal("0.5"))))),
            {
                "type": "tiered",
                "tiers": [
                    {"up_to": 10, "fee": {"type": "fixed", "amount": 1}},
                    {"fee": {"type": "percent", "rate": "0.5"}},
                ],
            },
        ),
    ],
)
def test_a_fee_is_written_in_its_canonical_form(fee: Fee, canonical: dict[str, object]) -> None:
    assert fee_to_json(fee) == canonical
