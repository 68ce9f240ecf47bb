"""The course of an order: what is answered now, what becomes of it, and when."""

from dataclasses import dataclass, replace
from typing import Final

from sandbox.faults import Faults, Occasion
from sandbox.magic import LATE_DECLINE, LATE_SUCCESS, NOT_FOUND_FIRST

__all__ = ["Codes", "Course", "bend"]


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes of a provider that a course is made of."""

    success: str
    """A final success."""
    accepted: str
    """The answer to an order whose result is not known yet."""
    interim: str
    """What a query tells while the order is open."""
    balance_short: str


@dataclass(frozen=True, slots=True)
class Course:
    """`answer` goes out now; `final` is the code of the order `after_s` seconds from now; for `hidden_s` seconds
    queries do not find it.
    """

    answer: str
    final: str
    after_s: float
    interim: str
    hidden_s: float = 0.0


NO_DELAY_S: Final = 0.0


def bend(
    course: Course, faults: Faults, occasion: Occasion, codes: Codes, *, processing_s: float, late_s: float
) -> Course:
    """The course as magic amounts and faults change it; faults have the last word."""
    if occasion.amount in (LATE_SUCCESS, LATE_DECLINE):
        final = codes.success if occasion.amount == LATE_SUCCESS else codes.balance_short
        course = replace(course, answer=codes.accepted, final=final, after_s=late_s)
    elif occasion.amount == NOT_FOUND_FIRST:
        course = replace(course, hidden_s=late_s)
    if (decline := faults.take("decline", occasion)) and decline.params["when"] == "final":
        course = replace(course, answer=codes.accepted, final=decline.params["code"], after_s=processing_s)
    elif decline:
        code = decline.params["code"]
        course = replace(course, answer=code, final=code, after_s=NO_DELAY_S)
    if late := faults.take("late_final", occasion):
        course = replace(course, answer=codes.accepted, after_s=late.seconds)
    if hidden := faults.take("not_found", occasion):
        course = replace(course, hidden_s=hidden.seconds)
    return course
