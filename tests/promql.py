"""Expressions of Prometheus, read by a parser: of which series they are, and which labels their result has.

It refuses what can never give a result: a metric that nobody exports, a label that it does not have, two sides of an
operation whose labels are not the same, and a function that it does not know.
"""

from collections.abc import Mapping
from typing import Any, Final

import promql_parser as promql
from prometheus_client.metrics import MetricWrapperBase

from gateway import metrics

__all__ = ["EXPORTED", "OF_TARGETS", "NoResultError", "labels_of", "needed", "selectors"]

Labels = frozenset[str]

OF_TARGETS: Final = frozenset({"instance", "job", "role"})
"""What Prometheus itself adds to every series; what a metric calls so is renamed (`exported_job`)."""
SAME_LABELS: Final = frozenset({"abs", "increase", "rate"})


class NoResultError(Exception):
    """An expression of which nothing will ever come, and why."""


def _exported() -> dict[str, Labels]:
    """Every series of `gateway.metrics`, and `up`, with its labels."""
    found: dict[str, Labels] = {"up": OF_TARGETS}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            name, labels = metric._name, frozenset(metric._labelnames)
            assert not labels & OF_TARGETS, f"{name}: Prometheus has labels {OF_TARGETS} of its own"
            if name == "sluice_clock_offset_seconds":
                labels |= {"pid"}  # of each process that shares a port
            if metric._type == "histogram":
                found |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
            else:
                found[f"{name}_total" if metric._type == "counter" else name] = labels
    return {name: labels | OF_TARGETS for name, labels in found.items()}


EXPORTED: Final[Mapping[str, Labels]] = _exported()


def needed(expr: str) -> list[promql.VectorSelector]:
    """The series without which an expression has no result: not those that `or` has something instead of."""

    def instead(part: promql.Expr) -> promql.Expr | None:
        return part.rhs if isinstance(part, promql.BinaryExpr) and str(part.op) == "or" else None

    return _selectors(promql.transform(promql.parse(expr), instead))


def selectors(expr: str) -> list[promql.VectorSelector]:
    """Every series that an expression reads. Raises ValueError where it is none."""
    return _selectors(promql.parse(expr))


def _selectors(expr: promql.Expr) -> list[promql.VectorSelector]:
    found: list[promql.VectorSelector] = []

    def visit(part: promql.Expr) -> None:
        if isinstance(part, promql.VectorSelector):
            found.append(part)
        elif isinstance(part, promql.MatrixSelector):
            found.append(part.vector_selector)

    promql.walk(expr, visit)
    return found


def labels_of(expr: str, known: Mapping[str, Labels] = EXPORTED) -> Labels:
    """The labels of an expression's result. Raises ValueError, NoResultError."""
    return _labels(promql.parse(expr), known) or frozenset()


def _labels(part: Any, known: Mapping[str, Labels]) -> Labels | None:
    """None: a number without labels, which goes with everything."""
    match part:
        case promql.NumberLiteral():
            return None
        case promql.ParenExpr() | promql.UnaryExpr():
            return _labels(part.expr, known)
        case promql.MatrixSelector():
            return _labels(part.vector_selector, known)
        case promql.VectorSelector():
            has = known.get(part.name or "")
            if has is None:
                raise NoResultError(f"nobody exports {part.name}")
            _require(has, {matcher.name for matcher in part.matchers.matchers}, part)
            return has
        case promql.AggregateExpr():
            has = _labels(part.expr, known) or frozenset()
            if part.modifier is None:
                return frozenset()
            named = frozenset(part.modifier.labels)
            _require(has, named, part)
            return named if part.modifier.type == promql.AggModifierType.By else has - named
        case promql.BinaryExpr():
            return _both(part, known)
        case promql.Call():
            return _called(part, known)
    raise NoResultError(f"what is {part}?")


def _called(part: promql.Call, known: Mapping[str, Labels]) -> Labels | None:
    name = part.func.name
    if name == "time":
        return None
    if name == "absent":
        _labels(part.args[0], known)
        return frozenset()
    if name == "histogram_quantile":
        has = _labels(part.args[1], known) or frozenset()
        _require(has, {"le"}, part)
        return has - {"le"}
    if name in SAME_LABELS:
        return _labels(part.args[0], known)
    raise NoResultError(f"{name} is not known here: say in tests/promql.py which labels it leaves")


def _both(part: promql.BinaryExpr, known: Mapping[str, Labels]) -> Labels | None:
    left, right = _labels(part.lhs, known), _labels(part.rhs, known)
    if left is None or right is None:
        return right if left is None else left
    if part.modifier is not None and part.modifier.matching is not None:
        raise NoResultError(f"{part}: aggregate both sides by the same labels instead")
    if left != right:
        raise NoResultError(f"{part}: {sorted(left)} and {sorted(right)} never match")
    return left


def _require(has: Labels, named: set[str] | Labels, part: Any) -> None:
    if missing := named - has:
        raise NoResultError(f"{part}: no label {', '.join(sorted(missing))}, only {', '.join(sorted(has))}")
