"""Comparing two sides' books. Not tested here: where the entries come from."""

import pytest

from reconciliation.comparison import Entry, compare

OURS = Entry("a", 100, "succeeded")


def test_books_that_say_the_same_have_no_differences() -> None:
    assert compare([OURS, Entry("b", 5, "failed")], [Entry("b", 5, "failed"), OURS]) == []


def test_a_payment_that_failed_before_it_was_sent_need_not_be_known_to_them() -> None:
    assert compare([Entry("a", 100, "failed")], []) == []


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        ([OURS], [], "a: we have 100 fen succeeded, they have nothing"),
        ([], [OURS], "a: we have nothing, they have 100 fen succeeded"),
        ([OURS], [Entry("a", 101, "succeeded")], "a: we have 100 fen succeeded, they have 101 fen succeeded"),
        ([Entry("a", 100, "failed")], [OURS], "a: we have 100 fen failed, they have 100 fen succeeded"),
        ([Entry("a", 100, "processing")], [OURS], "a: we have 100 fen processing, they have 100 fen succeeded"),
    ],
)
def test_every_difference_is_told(ours: list[Entry], theirs: list[Entry], told: str) -> None:
    assert [str(difference) for difference in compare(ours, theirs)] == [told]


def test_a_number_that_stands_twice_on_one_side_is_refused() -> None:
    with pytest.raises(AssertionError, match="twice"):
        compare([OURS, OURS], [])
