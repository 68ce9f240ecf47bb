"""docs/reports.md names every column of a report and of a bill, in the order in which they stand in CSV."""

import re
from pathlib import Path

from gateway.objects.reports import BILL_COLUMNS, FIGURES, RATES, report_columns

PAGE = (Path(__file__).parents[2] / "docs" / "reports.md").read_text(encoding="utf-8")


def named_after(words: str) -> list[str]:
    paragraph = PAGE[PAGE.index(words) :].split("\n\n")[0]
    return re.findall(r"`([a-z0-9_]+)`", paragraph)


def test_the_columns_of_a_report_are_told_in_their_order() -> None:
    told = [name for name in named_after("In CSV the columns stand in this order") if name != "by"]
    assert told == report_columns(())


def test_the_columns_of_a_bill_are_told_in_their_order() -> None:
    told = named_after("In CSV: `charge`")
    assert told[: len(BILL_COLUMNS)] == list(BILL_COLUMNS)


def test_the_meaning_of_each_sum_is_told() -> None:
    assert {name for name in (*FIGURES, *RATES) if f"`{name}`" not in PAGE} == set()
