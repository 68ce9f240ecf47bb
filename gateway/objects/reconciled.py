"""Reconciled days and differences as operators see them, and a day as an event tells it."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.domain.differences import Difference, Ours, Theirs
from gateway.domain.ids import ANOMALY, DIFFERENCE, show, show_object
from gateway.domain.reconciled import Class, ClassTotals, MissingDay, OpenSums, ReconciledDay, StatementVersion
from gateway.objects.times import timestamp

__all__ = ["day_object", "difference_object", "finished_object", "missing_object", "version_object"]


def day_object(day: ReconciledDay, left: Mapping[Class, OpenSums]) -> dict[str, Any]:
    """A day with its sums by class, and what is `left` open of it."""
    totals = day.totals
    unknown = sum(each.unknown for each in totals.classes.values())
    fees = (
        sum(each.theirs_fee for each in totals.classes.values()),
        sum(each.ours_fee for each in totals.classes.values()),
    )
    return {
        "object": "reconciled_day",
        "account": day.account,
        "day": day.day.isoformat(),
        "state": "done",
        "statement_version": day.version,
        "classes": [_class(kind, totals.classes[kind]) for kind in Class if kind in totals.classes],
        "in_all": {
            "theirs": totals.theirs,
            "theirs_amount": totals.theirs_amount,
            "ours": totals.ours + unknown,
            "ours_amount": totals.ours_amount,
            "apart": totals.theirs_amount - totals.ours_amount,
            "theirs_fee": fees[0],
            "ours_fee": fees[1],
        },
        "balanced": day.balanced,
        "wrong": totals.wrong(),
        "open": sum(each.count for kind, each in left.items() if kind.needs_person),
        "open_by_class": [
            {
                "class": kind.value,
                "count": left[kind].count,
                "theirs_amount": left[kind].theirs_amount,
                "ours_amount": left[kind].ours_amount,
            }
            for kind in Class
            if kind in left
        ],
        "ran_at": timestamp(day.ran_at),
        "ran_by": day.ran_by,
        "closed_at": timestamp(day.closed_at),
        "closed_by": day.closed_by,
    }


def finished_object(
    day: ReconciledDay, left: Mapping[Class, OpenSums], so_far: bool, found: int, told: int
) -> dict[str, Any]:
    """A day as `reconciliation.finished` tells it. `found`: what differs and had not been found before, of which `told`
    were events of their own."""
    return {
        **day_object(day, left),
        "so_far": so_far,
        "differences_found": found,
        "differences_told": told,
    }


def _class(kind: Class, sums: ClassTotals) -> dict[str, Any]:
    return {
        "class": kind.value,
        "theirs": sums.theirs,
        "theirs_amount": sums.theirs_amount,
        "ours": sums.ours + sums.unknown,
        "ours_amount": sums.ours_amount,
        "unknown": sums.unknown,
        "apart": sums.apart,
        "theirs_held": sums.theirs_held,
        "theirs_held_amount": sums.theirs_held_amount,
        "ours_held": sums.ours_held,
        "ours_held_amount": sums.ours_held_amount,
        "theirs_fee": sums.theirs_fee,
        "ours_fee": sums.ours_fee,
    }


def version_object(version: StatementVersion) -> dict[str, Any]:
    """A statement that was loaded."""
    return {
        "version": version.version,
        "files": list(version.files),
        "sha256": version.sha256,
        "lines": version.lines,
        "amount": version.amount,
        "loaded_at": timestamp(version.loaded_at),
        "loaded_by": version.loaded_by,
        "note": version.note,
        "replaced_at": timestamp(version.replaced_at),
    }


def missing_object(missing: MissingDay) -> dict[str, Any]:
    """A day without its statement."""
    return {
        "account": missing.account,
        "day": missing.day.isoformat(),
        "due_at": timestamp(missing.due_at),
        "tries": missing.tries,
        "reason": missing.reason,
        "late": missing.late,
    }


def difference_object(difference: Difference) -> dict[str, Any]:
    """A difference with both sides of it and its life."""
    anomaly, remedy = difference.anomaly_id, difference.remedy
    return {
        "object": "difference",
        "id": show(DIFFERENCE, difference.difference_id),
        "account": difference.account,
        "day": difference.day.isoformat(),
        "class": difference.kind.value,
        "state": difference.state.value,
        "number": difference.number,
        "theirs": _theirs(difference.theirs),
        "ours": _ours(difference.ours),
        "remedy": None if remedy is None else remedy.value,
        "anomaly": None if anomaly is None else show(ANOMALY, anomaly),
        "word": None if difference.word is None else difference.word.value,
        "told_at": timestamp(difference.told_at),
        "became": None if difference.became is None else difference.became.value,
        "became_on": None if difference.became_on is None else difference.became_on.isoformat(),
        "found_at": timestamp(difference.found_at),
        "resolved_at": timestamp(difference.resolved_at),
        "resolved_by": difference.resolved_by,
        "note": difference.note,
        "history": _history(difference.history),
    }


def _theirs(theirs: Theirs | None) -> dict[str, Any] | None:
    if theirs is None:
        return None
    return {
        "line": theirs.line,
        "kind": theirs.kind,
        "amount": theirs.amount,
        "paid": theirs.paid,
        "fee": theirs.fee,
        "transaction_no": theirs.transaction_no,
        "done_at": timestamp(theirs.done_at),
    }


def _ours(ours: Ours | None) -> dict[str, Any] | None:
    if ours is None:
        return None
    return {
        "id": show_object(ours.object, ours.object_id),
        "object": ours.object.value,
        "amount": ours.amount,
        "state": ours.state,
        "fee": ours.fee,
        "done_at": timestamp(ours.done_at),
    }


def _history(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{name: entry.get(name) for name in ("at", "by", "did", "note")} for entry in history]
