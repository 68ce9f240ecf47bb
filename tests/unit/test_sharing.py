"""How the tests of a run are shared among its processes."""

from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.sharing import in_pieces, seconds_of


def cut(tests: list[int], count: int) -> list[list[int]]:
    """As pytest-xdist cuts the list of all tests."""
    left, pieces = tests[:], []
    for processes in range(count, 0, -1):
        size = len(left) // processes
        pieces.append(left[:size])
        del left[:size]
    return pieces


def test_each_process_begins_with_its_share_of_what_takes_long_and_neighbours_stay_together() -> None:
    seconds = [0.0] * 4 + [0.5] * 4 + [2.0] * 2 + [0.0] * 5
    assert cut(in_pieces(range(15), seconds, 2), 2) == [
        [4, 5, 6, 7, 8, 0, 1],
        [9, 2, 3, 10, 11, 12, 13, 14],
    ]  # fmt: skip


@examples(100)
@given(st.lists(st.sampled_from([0.0, 0.0, 0.5, 1.5]), max_size=60), st.integers(1, 6))
def test_each_test_is_run_once_and_each_process_has_its_share(seconds: list[float], count: int) -> None:
    ordered = in_pieces(range(len(seconds)), seconds, count)
    assert sorted(ordered) == list(range(len(seconds)))
    shares = [sum(seconds[test] for test in piece) for piece in cut(ordered, count)]
    if len(seconds) >= count * sum(map(bool, seconds)):  # there are short ones enough to fill up each piece
        assert max(shares) - min(shares) <= 2 * 1.5


def test_what_takes_long_is_known_by_its_folder() -> None:
    assert seconds_of("tests/simulation/test_crashes.py::test_it") > seconds_of("tests/e2e/test_run.py::test_it") > 0
    assert seconds_of("tests/unit/test_pace.py::test_it") == seconds_of("test_it.py::test_it") == 0
