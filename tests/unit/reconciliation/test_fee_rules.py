"""A fee rule that explains a statement better than ours is found, and in noise none is.

Not tested here: where the rows come from, who decides on a proposal.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciliation.fee_rules import MIN_ROWS, FeeProposal, FeeRow, propose
from router.fees import Fee, FixedFee, PercentFee, Tier, TieredFee, fee_for, parse_fee
from tests.examples import examples

IN_FORCE = PercentFee(Decimal("0.0055"))
ROWS = 41_022


def percent(steps: int, least: int | None = None, most: int | None = None) -> PercentFee:
    """Of a rate in steps of 0.001 %."""
    return PercentFee(Decimal(steps).scaleb(-5), least, most)


@dataclass(frozen=True)
class Planted:
    """A rule, and ranges of amounts that show every part of it."""

    rule: Fee
    ranges: tuple[tuple[int, int], ...]

    def rows(self, random: Random, count: int) -> list[FeeRow]:
        amounts = [random.randint(*self.ranges[number % len(self.ranges)]) for number in range(count)]
        return [FeeRow(amount, fee_for(self.rule, amount)) for amount in amounts]


def bounded(steps: int, has_min: bool, has_max: bool) -> Planted:
    low, high = (100 if has_min else None), (4000 if has_max else None)
    up_from, up_to = 100 * 100_000 // steps, 4000 * 100_000 // steps
    ranges = [(2 * up_from, up_to - up_to // 4)]
    if has_min:
        ranges.append((100, up_from - up_from // 4))
    if has_max:
        ranges.append((up_to + up_to // 4, 4 * up_to))
    return Planted(percent(steps, low, high), tuple(ranges))


def tiered(first: Fee, second: PercentFee, up_to: int) -> Planted:
    assert not isinstance(first, TieredFee)
    rule = TieredFee((Tier(up_to, first), Tier(None, second)))
    return Planted(rule, ((up_to // 5, up_to), (up_to + 1, 5 * up_to)))


RATES = st.integers(20, 500)
PLANTED = st.one_of(
    st.builds(bounded, RATES, st.booleans(), st.booleans()),
    st.builds(lambda fen: Planted(FixedFee(fen), ((1000, 1_000_000),)), st.integers(0, 500)),
    st.builds(
        lambda steps, up_to: tiered(percent(2 * steps), percent(steps), up_to), RATES, st.integers(50_000, 500_000)
    ),
    st.builds(
        lambda steps, up_to: tiered(FixedFee(30), percent(steps), up_to), st.integers(200, 500),
        st.integers(50_000, 500_000),
    ),
)  # fmt: skip


def disturbed(rows: list[FeeRow], random: Random, percent_of_rows: int) -> list[FeeRow]:
    count = len(rows) * percent_of_rows // 100
    chosen = set(random.sample(range(len(rows)), count))
    return [
        replace(row, fee=row.fee + random.randint(1, 30)) if number in chosen else row
        for number, row in enumerate(rows)
    ]


def explained(rows: list[FeeRow], rule: Fee) -> int:
    return sum(row.count for row in rows if fee_for(rule, row.amount) == row.fee)


def nothing_right(rows: list[FeeRow]) -> FixedFee:
    """A rule that explains no row."""
    return FixedFee(max(row.fee for row in rows) + 1)


@examples(12)
@given(PLANTED, st.integers(0, 2**32))
def test_a_planted_rule_is_found_equal_on_every_amount_seen(planted: Planted, seed: int) -> None:
    rows = planted.rows(Random(seed), 400)
    found = propose(rows, nothing_right(rows))
    assert found is not None
    assert (found.explained, found.rows, found.in_force) == (400, 400, 0)
    assert explained(rows, found.rule) == 400
    assert parse_fee(found.json) == found.rule


@examples(12)
@given(PLANTED, st.integers(0, 2**32), st.integers(1, 2))
def test_some_disturbed_rows_do_not_hide_it(planted: Planted, seed: int, percent_of_rows: int) -> None:
    random = Random(seed)
    rows = disturbed(planted.rows(random, 400), random, percent_of_rows)
    found = propose(rows, nothing_right(rows))
    assert found is not None
    assert found.explained == explained(rows, found.rule) >= explained(rows, planted.rule)


@examples(5)
@given(PLANTED, st.integers(0, 2**32))
def test_neither_order_nor_counting_equal_rows_together_matters(planted: Planted, seed: int) -> None:
    random = Random(seed)
    rows = disturbed(planted.rows(random, 200), random, 2)
    once = propose(rows, IN_FORCE)
    shuffled = random.sample(rows, len(rows))
    twice = propose([*rows, *shuffled], IN_FORCE)
    assert propose(shuffled, IN_FORCE) == once
    assert propose([replace(row, count=2) for row in rows], IN_FORCE) == twice


@examples(8)
@given(st.integers(0, 2**32), st.integers(1, 600), st.integers(3, 3000))
def test_in_noise_nothing_is_proposed(seed: int, count: int, most: int) -> None:
    random = Random(seed)
    rows = [FeeRow(random.randint(100, 5_000_000), random.randint(0, most)) for _ in range(count)]
    assert propose(rows, IN_FORCE) is None


def at_random(random: Random, count: int) -> list[int]:
    """Amounts from one yuan to a hundred thousand, small ones as often as big ones."""
    return [int(10 ** random.uniform(2, 7)) for _ in range(count)]


@pytest.mark.parametrize(
    "rule",
    [
        percent(200, 20),
        percent(380, 100, 2000),
        FixedFee(100),
        TieredFee((Tier(100_000, percent(300, 50)), Tier(None, percent(200, None, 2000)))),
        TieredFee((Tier(10_000, FixedFee(50)), Tier(200_000, percent(600, 150)), Tier(None, percent(500, None, 9000)))),
        TieredFee((Tier(50_000, percent(300)), Tier(200_000, percent(250)), Tier(None, percent(200)))),
    ],
    ids=str,
)
def test_it_is_found_on_a_day_of_41022_rows(rule: Fee) -> None:
    random = Random(1)
    clean = [FeeRow(amount, fee_for(rule, amount)) for amount in at_random(random, ROWS)]
    found = propose(disturbed(clean, random, 2), IN_FORCE)
    assert found is not None
    assert explained(clean, found.rule) == ROWS


def test_in_the_noise_of_41022_rows_nothing_is_found() -> None:
    random = Random(2)
    assert propose([FeeRow(amount, random.randint(0, 3000)) for amount in at_random(random, ROWS)], IN_FORCE) is None


def test_it_is_told_in_a_sentence_with_what_the_rule_in_force_explains() -> None:
    of_them = [FeeRow(10_000 + 5000 * n, 20 + 10 * n, 2000) for n in range(20)]
    rows = [FeeRow(100 * n, 20, 101) for n in range(1, 11)] + of_them + [FeeRow(7_000, 99, 12)]
    found = propose(rows, PercentFee(Decimal("0.002")))
    assert found == FeeProposal(percent(200, 20), 41_010, 41_022, 40_000)
    assert found.english == "0.2 %, at least 20 fen explains 41,010 of 41,022 rows; yours 40,000"
    assert found.chinese == "0.2%，最低 20 分：可解释 41,022 行中的 41,010 行；现行规则可解释 40,000 行"
    assert found.json == {"type": "percent", "rate": "0.002", "min": 20}


def test_tiers_are_told_with_where_they_end() -> None:
    rule = TieredFee((Tier(100_000, percent(300)), Tier(None, percent(200, None, 9000))))
    told = FeeProposal(rule, 30, 30, 0)
    assert told.english.startswith("up to 100,000 fen 0.3 %; above 0.2 %, at most 9,000 fen explains")
    assert told.chinese.startswith("100,000 分及以下 0.3%；以上 0.2%，最高 9,000 分：")
    assert FeeProposal(FixedFee(100), 30, 30, 0).english.startswith("100 fen each explains")


CLEAN = [FeeRow(10_000 + 1000 * n, 20 + 2 * n) for n in range(100)]


@pytest.mark.parametrize(
    ("rows", "in_force"),
    [
        ([], IN_FORCE),
        (CLEAN[: MIN_ROWS - 1], IN_FORCE),
        ([FeeRow(10_000, 20, 50), FeeRow(20_000, 40, 50)], IN_FORCE),
        (CLEAN, percent(200)),
        ([*CLEAN, FeeRow(500, 20), FeeRow(600, 20), FeeRow(700, 20)], percent(200)),
        ([FeeRow(row.amount, -row.fee) for row in CLEAN], IN_FORCE),
        ([*CLEAN, FeeRow(5000, -1, 6)], IN_FORCE),
        ([FeeRow(0, 0, 50)], IN_FORCE),
    ],
    ids=["no rows", "too few rows", "too few amounts", "ours explains all", "a minimum of three rows",
         "all given back", "one in twenty given back", "amounts of nothing"],
)  # fmt: skip
def test_nothing_is_proposed_for(rows: list[FeeRow], in_force: Fee) -> None:
    assert propose(rows, in_force) is None


def test_a_minimum_that_too_few_rows_need_is_left_out() -> None:
    few = [FeeRow(amount, 20) for amount in (500, 600, 700)]
    many = [FeeRow(amount, 20) for amount in range(500, 1500, 100)]
    without, with_it = propose([*CLEAN, *few], IN_FORCE), propose([*CLEAN, *many], IN_FORCE)
    assert without is not None
    assert with_it is not None
    assert (without.rule, with_it.rule) == (percent(200), percent(200, 20))


def test_many_rows_of_one_amount_make_no_minimum() -> None:
    found = propose([*(replace(row, count=50) for row in CLEAN), FeeRow(500, 20, 60)], IN_FORCE)
    assert found is not None
    assert found.rule == percent(200)
