"""The search for the fee rule that explains the most rows: rates by voting, bounds by counting, tiers by cutting. Pure.

A rate is a whole number of `GRID`ths: 0.001 %. Rounding is that of `router.fees`, half up. Every parameter of a rule
(a rate, a fixed fee, a minimum, a maximum, a cut) costs `ROWS_PER_PARAMETER` rows: without as many rows that need it a
rule does without. Nothing here depends on the order of rows.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import accumulate, repeat
from operator import add, sub
from typing import Final, NamedTuple

__all__ = ["GRID", "MAX_TIERS", "ROWS_PER_PARAMETER", "Columns", "Cut", "Piece", "best_tiers"]

GRID: Final = 100_000
"""A rate of 1 is so many steps."""
MAX_TIERS: Final = 3
ROWS_PER_PARAMETER: Final = 5
MAX_SAMPLED: Final = 4_000
"""Pairs of amount and fee in which tiers are looked for; what is found there is then fitted to all."""
MIN_PERCENT_OF_SAMPLE: Final = 80
"""What explains less of the sample is not fitted to all: no rule would explain them."""
ROUNDS: Final = 6
"""Rates that are looked for, each among the rows that those before it do not explain."""


class Columns(NamedTuple):
    """Distinct pairs of amount and fee, sorted, and how much each weighs. No amount is 0, no fee is below 0."""

    amounts: Sequence[int]
    fees: Sequence[int]
    counts: Sequence[int]

    def part(self, begin: int, end: int) -> "Columns":
        return Columns(self.amounts[begin:end], self.fees[begin:end], self.counts[begin:end])

    def sample(self, most: int) -> "Columns":
        """At most so many of them, evenly over the amounts."""
        step = -(-len(self.amounts) // most) or 1
        return Columns(self.amounts[::step], self.fees[::step], self.counts[::step])


class Piece(NamedTuple):
    """The fee of one tier: fixed where there is no rate; else a rate with its bounds."""

    rate: int | None = None
    fixed: int = 0
    min: int | None = None
    max: int | None = None

    @property
    def cost(self) -> int:
        return ROWS_PER_PARAMETER * (1 + (self.min is not None) + (self.max is not None))

    def fees(self, amounts: Sequence[int]) -> list[int]:
        if self.rate is None:
            return [self.fixed] * len(amounts)
        doubled = 2 * self.rate
        fees = [(doubled * amount + GRID) // (2 * GRID) for amount in amounts]
        if self.min is not None:
            fees = list(map(max, fees, repeat(self.min)))
        return fees if self.max is None else list(map(min, fees, repeat(self.max)))


class Cut(NamedTuple):
    """A tier: what it takes, and up to which amount; None: it has no end."""

    piece: Piece
    up_to: int | None


def best_tiers(columns: Columns) -> list[Cut]:
    """The rule that explains the most rows after its own cost, in up to `MAX_TIERS` tiers; none where all is noise."""
    sample = columns.sample(MAX_SAMPLED)
    found = _Cutting(sample, _candidates(sample))
    pieces = {piece for path in found.paths for piece, _, _ in path}
    pieces |= {fit for path in found.paths for _, begin, end in path for fit in _fits(sample.part(begin, end))}
    found = _Cutting(sample, pieces)
    if found.explained * 100 < sum(sample.counts) * MIN_PERCENT_OF_SAMPLE:
        return []
    pieces = set(found.best)
    if len(sample.amounts) < len(columns.amounts):
        most = len(found.best)
        found = _Cutting(columns, pieces, most)
        pieces |= {fit for _, begin, end in found.best_path for fit in _fits(columns.part(begin, end))}
        found = _Cutting(columns, pieces, most)
    # The rates once more, now that it is known whose rows are whose.
    settled = [_settled(columns.part(begin, end), piece) for piece, begin, end in found.best_path]
    return _Cutting(columns, pieces, len(found.best), prefer=settled).cuts()


def _candidates(columns: Columns) -> set[Piece]:
    """What may be in the rule: each round looks at what those before it leave unexplained."""
    by_fee: Counter[int] = Counter()
    for fee, count in zip(columns.fees, columns.counts, strict=True):
        by_fee[fee] += count
    bounds = [fee for fee, _ in sorted(by_fee.items(), key=lambda kept: (-kept[1], kept[0]))[:2]]
    pieces = set(_fits(_without(columns, [fee in bounds for fee in columns.fees])))
    left = columns
    for _ in range(ROUNDS):
        if len(left.amounts) == 0:
            break
        fits = _fits(left)
        pieces.update(fits)
        best = max(_sortable(fits), key=partial(_worth, left))
        left = _without(left, list(map(int.__eq__, best.fees(left.amounts), left.fees)))
    rates = {piece.rate for piece in pieces if piece.rate is not None}
    return pieces | {fit for rate in rates for fit in _bounded(columns, rate)}


def _sortable(pieces: Sequence[Piece]) -> list[Piece]:
    """One order that is no accident, though None and numbers have none."""
    return sorted(pieces, key=_order)


def _order(piece: Piece) -> tuple[int, ...]:
    return tuple(-1 if part is None else part for part in piece)


def _without(columns: Columns, gone: Sequence[bool]) -> Columns:
    kept = [row for row, is_gone in zip(zip(*columns, strict=True), gone, strict=True) if not is_gone]
    return Columns(*map(list, zip(*kept, strict=True))) if kept else Columns([], [], [])


def _fits(columns: Columns) -> list[Piece]:
    """The best fixed fee for these rows and the best rate, bounded and unbounded."""
    if len(columns.amounts) == 0:
        return []
    by_fee: Counter[int] = Counter()
    for fee, count in zip(columns.fees, columns.counts, strict=True):
        by_fee[fee] += count
    commonest = min(by_fee, key=lambda fee: (-by_fee[fee], fee))
    rate = _voted(columns, None, None)
    return [Piece(fixed=commonest), *(_bounded(columns, rate) if rate is not None else [])]


def _bounded(columns: Columns, rate: int) -> list[Piece]:
    """The rate alone, with the best minimum, the best maximum, and both; each with the rate that suits it best."""
    low, high = _best_bounds(columns, rate)
    wanted = {(None, None), (low, None), (None, high), (low, high)}
    fits = {Piece(rate, 0, *of) for of in wanted if None in of or of[0] < of[1]}  # type: ignore[operator]
    settled = {_settled(columns, fit) for fit in fits if fit.min is not None or fit.max is not None}
    return _sortable([*fits | settled])


def _best_bounds(columns: Columns, rate: int) -> tuple[int | None, int | None]:
    """The minimum and the maximum that explain the most rows beyond those that they spoil; None: none explains more."""
    exact: Counter[int] = Counter()
    above: Counter[int] = Counter()
    below: Counter[int] = Counter()
    for by_rate, fee, count in zip(Piece(rate).fees(columns.amounts), columns.fees, columns.counts, strict=True):
        (exact if fee == by_rate else above if fee > by_rate else below)[fee] += count
    return _best_bound(above, exact), _best_bound(below, exact, from_above=True)


def _best_bound(gains: Counter[int], exact: Counter[int], *, from_above: bool = False) -> int | None:
    best, best_gain, spoilt = None, 0, 0
    ordered = sorted(exact, reverse=from_above)
    at = 0
    for bound in sorted(gains, reverse=from_above):
        while at < len(ordered) and (ordered[at] > bound if from_above else ordered[at] < bound):
            spoilt += exact[ordered[at]]
            at += 1
        if gains[bound] - spoilt > best_gain:
            best, best_gain = bound, gains[bound] - spoilt
    return best


def _settled(columns: Columns, piece: Piece) -> Piece:
    """The same with the rate that explains most rows beside its bounds, of equal ones the shortest to write."""
    rate = None if piece.rate is None else _voted(columns, piece.min, piece.max)
    return piece if rate is None else piece._replace(rate=rate)


def _voted(columns: Columns, low: int | None, high: int | None) -> int | None:
    """Each row votes for every rate that rounds to its fee: half a fen around it, or beyond where a bound holds."""
    steps = [0] * (GRID + 2)
    for amount, fee, count in zip(*columns, strict=True):
        least = 0 if fee == low else max(0, -(-GRID * (2 * fee - 1) // (2 * amount)))
        most = GRID if fee == high else min(GRID, -(-GRID * (2 * fee + 1) // (2 * amount)) - 1)
        if least <= most:
            steps[least] += count
            steps[most + 1] -= count
    votes = list(accumulate(steps))
    most_votes = max(votes)
    if most_votes == 0:
        return None
    first = votes.index(most_votes)
    after = first
    while votes[after] == most_votes and after <= GRID:
        after += 1
    return _roundest(first, after - 1)


def _roundest(first: int, last: int) -> int:
    """The number in this range that ends in the most zeros, then in a 5, then the smallest."""
    step = 10 ** len(str(last))
    while step:
        for each in (step, step // 2):
            number = -(-first // each) * each if each else first
            if number <= last:
                return number
        step //= 10
    return first


def _hits(columns: Columns, piece: Piece) -> list[int]:
    """Of each pair, how many rows the piece explains."""
    return [
        count if fee == wanted else 0
        for fee, wanted, count in zip(columns.fees, piece.fees(columns.amounts), columns.counts, strict=True)
    ]


def _worth(columns: Columns, piece: Piece) -> int:
    return sum(_hits(columns, piece)) - piece.cost


_Path = list[tuple[Piece, int, int]]
"""Tiers with the pairs that are theirs: from the first up to before the second."""


class _Cutting:
    """The amounts cut into 1 to `most_tiers` tiers, each with one of these pieces, in the best way there is."""

    def __init__(
        self, columns: Columns, pieces: set[Piece], most_tiers: int = MAX_TIERS, prefer: Sequence[Piece] = ()
    ) -> None:
        self._columns = columns
        amounts = columns.amounts
        # A cut is between two amounts, never between two rows of one.
        self._places = [0, *(n for n in range(1, len(amounts)) if amounts[n] != amounts[n - 1]), len(amounts)]
        ordered = [*dict.fromkeys(prefer), *_sortable([piece for piece in pieces if piece not in prefer])]
        self._explained = {piece: self._up_to_places(piece) for piece in ordered}
        self._layers = [self._first_layer()]
        while len(self._layers) < most_tiers:
            self._layers.append(self._next_layer(self._layers[-1]))
        self.paths = [self._path(tiers) for tiers in range(1, most_tiers + 1)]
        scores = [layer[-1] for layer in self._layers]
        self.best_path = self.paths[scores.index(max(scores))]
        self.best = [piece for piece, _, _ in self.best_path]
        self.explained = max(scores) + sum(piece.cost + ROWS_PER_PARAMETER for piece in self.best) - ROWS_PER_PARAMETER

    def _up_to_places(self, piece: Piece) -> list[int]:
        hits = list(accumulate(_hits(self._columns, piece), initial=0))
        return hits if len(self._places) == len(hits) else [hits[place] for place in self._places]

    def _first_layer(self) -> list[int]:
        best = [-ROWS_PER_PARAMETER] * len(self._places)
        for number, (piece, explained) in enumerate(self._explained.items()):
            cost = piece.cost
            here = [rows - cost for rows in explained]
            best = here if number == 0 else list(map(max, best, here))
        return best

    def _next_layer(self, before: list[int]) -> list[int]:
        best: list[int] = []
        for piece, explained in self._explained.items():
            reached = accumulate(map(sub, before, explained), max)
            cost = piece.cost + ROWS_PER_PARAMETER
            here = map(add, map(add, reached, explained), repeat(-cost))
            best = list(map(max, best, here)) if best else list(here)
        return best

    def _path(self, tiers: int) -> _Path:
        """Back from the end, which piece ends there and where it begins."""
        path: _Path = []
        end = len(self._places) - 1
        for layer in range(tiers - 1, 0, -1):
            before = self._layers[layer - 1][: end + 1]
            gains = {
                piece: max(map(sub, before, explained)) + explained[end] - piece.cost
                for piece, explained in self._explained.items()
            }
            piece = max(gains, key=lambda each: gains[each])
            reached = list(map(sub, before, self._explained[piece]))
            most = max(reached)
            begin = min(
                (place for place, rows in enumerate(reached) if rows == most),
                key=lambda place: (-_zeros(self._up_to(place)), place),
            )
            path.append((piece, self._places[begin], self._places[end]))
            end = begin
        piece = max(self._explained, key=lambda each: self._explained[each][end] - each.cost)
        path.append((piece, 0, self._places[end]))
        return path[::-1]

    def _up_to(self, place: int) -> int:
        """The roundest amount at which the tier may end that has all before this place."""
        at = self._places[place]
        amounts = self._columns.amounts
        if at == 0 or at == len(amounts):
            return amounts[at - 1] if at else 0
        return _roundest(amounts[at - 1], amounts[at] - 1)

    def cuts(self) -> list[Cut]:
        where = {at: place for place, at in enumerate(self._places)}
        path = [tier for tier in self.best_path if tier[1] < tier[2]]
        return [
            Cut(piece, None if number == len(path) - 1 else self._up_to(where[end]))
            for number, (piece, _, end) in enumerate(path)
        ]


def _zeros(number: int) -> int:
    text = str(number)
    return len(text) - len(text.rstrip("0"))
