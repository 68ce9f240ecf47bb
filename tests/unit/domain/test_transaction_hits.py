"""When the rows of one key are too many: held against counting every window anew."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.transaction_hits import SeenRow, episodes
from gateway.domain.transaction_rules import Distinct, RuleKey, RuleKind, TransactionFilter, TransactionRule

START = datetime(2026, 3, 5, tzinfo=UTC)
BOTH = TransactionFilter(kinds=(RuleKind.PAYMENT, RuleKind.PAYOUT))
RULES = (
    TransactionRule("rows", "", RuleKey.USER, 10, at_least=3, filter=BOTH),
    TransactionRule("sum", "", RuleKey.USER, 10, sum_at_least=12, filter=BOTH),
    TransactionRule("cards", "", RuleKey.USER, 10, at_least=2, distinct=Distinct.CARDS, filter=BOTH),
    TransactionRule("kinds", "", RuleKey.USER, 10, at_least=2, distinct=Distinct.KINDS, filter=BOTH),
)


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


@st.composite
def rows(draw: st.DrawFn) -> list[SeenRow]:
    drawn = draw(
        st.lists(
            st.tuples(st.integers(0, 40), st.sampled_from(BOTH.kinds), st.integers(1, 9), st.sampled_from("abc")),
            max_size=14,
        )
    )
    return [
        SeenRow(at(second), kind, UUID(int=n), amount, "u", card)
        for n, (second, kind, amount, card) in enumerate(drawn)
    ]


def is_too_much(rule: TransactionRule, seen: list[SeenRow], now: datetime) -> bool:
    window = [row for row in seen if now - timedelta(seconds=rule.window_s) < row.at <= now]
    if rule.sum_at_least is not None:
        return sum(row.amount for row in window) >= rule.sum_at_least
    assert rule.at_least is not None
    if rule.distinct is Distinct.CARDS:
        return len({row.card for row in window}) >= rule.at_least
    if rule.distinct is Distinct.KINDS:
        first, second = rule.filter.kinds
        return any(a.kind is first and b.kind is second and a.at <= b.at for a in window for b in window)
    return len(window) >= rule.at_least


@given(rule=st.sampled_from(RULES), seen=rows())
def test_at_every_second_it_is_told_exactly_when_there_are_too_many(rule: TransactionRule, seen: list[SeenRow]) -> None:
    found = episodes(rule, seen)
    for second in range(55):
        told = any(each.starts_at <= at(second) < each.ends_at for each in found)
        assert told == is_too_much(rule, seen, at(second)), second
