"""Fee rules (手续费规则): the rule that explains what a PSP took better than the one in force. Pure.

Statements show what each order really cost. Where one rule of the catalogue's forms (`router.fees`) explains almost all
of it, and clearly more than the rule in force, it is proposed to a person; where the fees are noise nothing is.
Amounts and fees are fen; rates are found on a grid of 0.001 %.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from reconciliation.fee_search import GRID, MAX_TIERS, ROWS_PER_PARAMETER, Columns, Cut, Piece, best_tiers
from router.fees import Fee, FixedFee, PercentFee, Tier, TieredFee, fee_for, fee_to_json

__all__ = ["FeeProposal", "FeeRow", "in_chinese", "in_english", "propose"]

MIN_ROWS: Final = 20
"""Fewer rows prove no rule."""
MIN_AMOUNTS: Final = 5
"""Nor do rows of fewer different amounts, of those that the rule explains."""
MIN_PERCENT_EXPLAINED: Final = 95
ROWS_PER_MARGIN_ROW: Final = 1000
"""It must explain one more row than the rule in force for so many rows, and never fewer than one parameter's worth."""
AMOUNTS_PER_PARAMETER: Final = 3
"""A minimum, a maximum or a tier that fewer different amounts need is left out."""
MAX_WEIGHT: Final = 3
"""As so many rows those of one amount count while a rule is looked for: less than a parameter costs."""
MAX_AMOUNTS: Final = 200_000
"""Amounts that are searched; of more, as many evenly over all. Every row is counted."""


@dataclass(frozen=True, slots=True)
class FeeRow:
    """Matched orders of one amount that cost the same: what the PSP took for each of them, and how many they are."""

    amount: int
    fee: int
    """Below zero: the PSP gave back; no rule explains that."""
    count: int = 1


@dataclass(frozen=True, slots=True)
class FeeProposal:
    """A rule for a person to decide on."""

    rule: Fee
    explained: int
    """Rows whose fee is exactly what the rule says."""
    rows: int
    """All of them."""
    in_force: int
    """Rows that the rule in force explains."""

    @property
    def json(self) -> dict[str, object]:
        """The rule as catalogue files and the admin API write it."""
        return fee_to_json(self.rule)

    @property
    def english(self) -> str:
        """One sentence for a person."""
        return (
            f"{in_english(self.rule)} explains {self.explained:,} of {self.rows:,} rows; "
            f"yours {self.in_force:,}"
        )  # fmt: skip

    @property
    def chinese(self) -> str:
        """The same in Chinese."""
        return (
            f"{in_chinese(self.rule)}：可解释 {self.rows:,} 行中的 {self.explained:,} 行；"
            f"现行规则可解释 {self.in_force:,} 行"
        )


def propose(rows: Iterable[FeeRow], in_force: Fee) -> FeeProposal | None:
    """The rule that explains these rows clearly better than the one in force; None where there is no such rule.

    The rows are those of one kind of order at one channel for which one rule should hold. Their order does not matter,
    nor whether equal ones are counted together.
    """
    pairs: _Pairs = Counter()
    for row in rows:
        pairs[row.amount, row.fee] += row.count
    all_rows = pairs.total()
    if all_rows < MIN_ROWS:
        return None
    ours = sum(pairs[pair] for pair in _explained(pairs, in_force))
    margin = max(ROWS_PER_PARAMETER, -(-all_rows // ROWS_PER_MARGIN_ROW))
    if ours + margin > all_rows:
        return None
    searched = _weighed(pairs)
    if not searched:
        return None
    columns = Columns(*map(list, zip(*searched, strict=True))).sample(MAX_AMOUNTS)
    tiers = best_tiers(columns)
    if not tiers:
        return None
    rule = _needed(pairs, tiers)
    explained = _explained(pairs, rule)
    rows_explained = sum(pairs[pair] for pair in explained)
    if rows_explained * 100 < all_rows * MIN_PERCENT_EXPLAINED or rows_explained < ours + margin:
        return None
    if len({amount for amount, _ in explained}) < MIN_AMOUNTS:
        return None
    return FeeProposal(rule, rows_explained, all_rows, ours)


_Pairs = Counter[tuple[int, int]]
"""Amount and fee → how many rows have them."""


def _weighed(pairs: _Pairs) -> list[tuple[int, int, int]]:
    """What is searched: the fee that most rows of an amount have, and how much it weighs.

    However many rows one amount has, it cannot pay for a parameter alone.
    """
    commonest: dict[int, tuple[int, int]] = {}
    for (amount, fee), count in pairs.items():
        if amount > 0 and fee >= 0:
            # Of two that are as common, the one that is less: any, but not by the order of rows.
            commonest[amount] = max(commonest.get(amount, (0, 0)), (count, -fee))
    return sorted((amount, -fee, min(count, MAX_WEIGHT)) for amount, (count, fee) in commonest.items())


def _explained(pairs: _Pairs, rule: Fee) -> set[tuple[int, int]]:
    return {(amount, fee) for amount, fee in pairs if amount >= 0 and fee_for(rule, amount) == fee}


def _needed(pairs: _Pairs, tiers: list[Cut]) -> Fee:
    """The rule without what too few rows or amounts need. Each round leaves one parameter out, so it ends."""
    rule, is_simplest = _rule(tiers), False
    explained = _explained(pairs, rule)
    while not is_simplest:
        is_simplest = True
        for simpler in _simpler(tiers):
            less = _explained(pairs, _rule(simpler))
            if not _is_better(pairs, explained, less):
                tiers, rule, explained, is_simplest = simpler, _rule(simpler), less, False
                break
    return rule


def _is_better(pairs: _Pairs, more: set[tuple[int, int]], less: set[tuple[int, int]]) -> bool:
    """Whether enough rows of enough different amounts need what the simpler rule goes without."""
    gained, lost = more - less, less - more
    rows = sum(pairs[pair] for pair in gained) - sum(pairs[pair] for pair in lost)
    return rows >= ROWS_PER_PARAMETER and len({amount for amount, _ in gained}) >= AMOUNTS_PER_PARAMETER


def _simpler(tiers: list[Cut]) -> list[list[Cut]]:
    """The same without one minimum, one maximum or one tier."""
    found: list[list[Cut]] = []
    for number, (piece, up_to) in enumerate(tiers):
        before, after = tiers[:number], tiers[number + 1 :]
        found += [
            [*before, Cut(less, up_to), *after]
            for less in (piece._replace(min=None), piece._replace(max=None))
            if less != piece
        ]
        if after:
            found.append([*before, *after])
        if before:
            found.append([*before[:-1], Cut(before[-1].piece, up_to), *after])
    return found


def _rule(tiers: list[Cut]) -> Fee:
    assert 1 <= len(tiers) <= MAX_TIERS
    if len(tiers) == 1:
        return _flat(tiers[0].piece)
    return TieredFee(tuple(Tier(up_to, _flat(piece)) for piece, up_to in tiers))


def _flat(piece: Piece) -> FixedFee | PercentFee:
    if piece.rate is None:
        return FixedFee(piece.fixed)
    places = len(str(GRID)) - 1
    return PercentFee(Decimal(piece.rate).scaleb(-places), piece.min, piece.max)


def in_english(rule: Fee) -> str:
    """A rule in a few words: "0.2 %, at least 20 fen"."""
    return _in_words(rule, _ENGLISH)


def in_chinese(rule: Fee) -> str:
    """The same in Chinese: "0.2%，最低 20 分"."""
    return _in_words(rule, _CHINESE)


_ENGLISH: Final = {
    "fixed": "{fen:,} fen each", "rate": "{rate} %", "min": ", at least {fen:,} fen", "max": ", at most {fen:,} fen",
    "up_to": "up to {fen:,} fen {fee}", "above": "above {fee}", "between": "; ",
}  # fmt: skip
_CHINESE: Final = {
    "fixed": "每笔 {fen:,} 分", "rate": "{rate}%", "min": "，最低 {fen:,} 分", "max": "，最高 {fen:,} 分",
    "up_to": "{fen:,} 分及以下 {fee}", "above": "以上 {fee}", "between": "；",
}  # fmt: skip


def _in_words(rule: Fee, words: dict[str, Any]) -> str:
    if isinstance(rule, FixedFee):
        return str(words["fixed"].format(fen=rule.amount))
    if isinstance(rule, PercentFee):
        percent = format((rule.rate * 100).normalize(), "f")
        bounds = [
            words[name].format(fen=fen) for name, fen in (("min", rule.min), ("max", rule.max)) if fen is not None
        ]
        return "".join([words["rate"].format(rate=percent), *bounds])
    told = [
        words["above" if tier.up_to is None else "up_to"].format(fen=tier.up_to or 0, fee=_in_words(tier.fee, words))
        for tier in rule.tiers
    ]
    return str(words["between"].join(told))
