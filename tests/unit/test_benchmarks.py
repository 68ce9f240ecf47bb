"""The benchmark's arithmetic and made-up orders. Not tested here: the measuring, which needs a quiet machine."""

import math

import pytest
from stdnum import luhn
from stdnum.cn import ric

from benchmarks.collector import pauses_of
from benchmarks.figures import LoadFigures, Pgbench, percentile
from benchmarks.orders import Orders, card_no, id_no
from benchmarks.proof import Expected, compare_ours, compare_theirs
from benchmarks.report import Results
from benchmarks.tuning import AS_SERVED, PYTHONS, Look, Tuning
from benchmarks.watching import Round, compared, sample_rules
from benchmarks.wire import content_length
from gateway.domain.cards import bank_of


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)])
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(share: float, expected: float) -> None:
    assert percentile(list(range(100, 0, -1)), share) == expected


def test_the_percentile_of_nothing_is_no_number() -> None:
    assert math.isnan(percentile([], 0.5))


@pytest.mark.parametrize("user", [0, 1, 999, 123_456, 999_999])
def test_every_user_has_a_card_and_an_id_number_that_the_gateway_takes(user: int) -> None:
    assert luhn.is_valid(card_no(user))
    assert bank_of(card_no(user)) == "ICBC"
    assert ric.is_valid(id_no(user))


def test_no_card_has_a_tail_that_is_magic_to_the_sandbox() -> None:
    assert {card_no(user)[-4] for user in range(1000)} == {"7"}


def test_every_request_states_its_length_and_has_its_own_order_number() -> None:
    orders = Orders("001", "127.0.0.1:1", "sk_x", first_user=5, users=3)
    requests = [orders.request(number) for number in range(6)]
    for request in requests:
        head, _, body = request.partition(b"\r\n\r\n")
        assert content_length(head) == len(body)
    assert len(set(requests)) == 6
    assert b'"user_id":"u000000005"' in requests[0]
    assert b'"user_id":"u000000005"' in requests[3]


def test_a_load_is_compared_with_pgbench_at_the_same_concurrency_before_and_after() -> None:
    results = Results(seconds=8, processes=1)
    results.pgbench = [Pgbench(32, (900.0, 1100.0)), Pgbench(128, (2000.0, 2000.0))]
    assert results.ratio(_load(32, 500.0)) == 0.5
    assert results.ratio(_load(64, 500.0)) is None


def test_what_the_proofs_found_wrong_names_its_load() -> None:
    results = Results(seconds=8, processes=1)
    results.loads = [_load(32, 500.0, ["3 payments are not final"])]
    assert results.problems == ["hmac, known users at 32: 3 payments are not final"]


@pytest.mark.parametrize("tuning", [PYTHONS, AS_SERVED])
def test_a_tuning_of_the_collector_is_read_as_it_was_written(tuning: Tuning) -> None:
    assert Tuning.parse(str(tuning)) == tuning


def test_pauses_are_added_up_and_the_longest_is_kept() -> None:
    looks = [
        Look(
            1.0,
            "",
            lag_s=0.002,
            collections=[3, 1, 0],
            pause_s=[0.003, 0.004, 0.0],
            longest_pause_s=[0.001, 0.004, 0.0],
        )
    ]
    looks += [
        Look(
            2.0,
            "",
            lag_s=0.005,
            collections=[1, 0, 1],
            pause_s=[0.002, 0.0, 0.031],
            longest_pause_s=[0.002, 0.0, 0.031],
        )
    ]
    row = pauses_of(looks, payments=10)
    assert [row[f"looks at {generation}"] for generation in range(3)] == [4, 1, 1]
    assert [row[f"longest pause of {generation}, ms"] for generation in range(3)] == pytest.approx([2, 4, 31])
    assert (row["pauses us per payment"], row["longest lag ms"]) == pytest.approx((4000, 5))


def test_what_one_world_is_slower_than_the_other_falls_out_when_they_swap_who_watches() -> None:
    # The first world has twice the speed; watching takes a tenth.
    four = [Round(False, 200.0, 1, 1), Round(True, 90.0, 2, 2), Round(True, 180.0, 1, 1), Round(False, 100.0, 2, 2)]
    noisy = [Round(each.watching, each.per_s / (3 if number < 2 else 1), 1, 1) for number, each in enumerate(four)]
    told = compared([*four, *noisy], lambda each: each.per_s)
    assert (told.median, told.least, told.most) == pytest.approx((0.9, 0.9, 0.9))


def test_what_is_watched_while_it_is_measured_are_the_six_samples() -> None:
    assert len({rule.code for rule in sample_rules()}) == 6


WHOLE = {"payments": 2, "amount": 300, "succeeded": 2, "unfinished": 0, "attempts": 2, "undelivered": 0}


def test_whole_books_prove_nothing_wrong() -> None:
    assert compare_ours(WHOLE, Expected(2, 300)) == []
    assert compare_theirs(WHOLE, {"orders": 2, "submissions": 2, "amount": 300, "forged": 0}) == []


@pytest.mark.parametrize(
    "broken", [{"payments": 1}, {"amount": 299}, {"succeeded": 1}, {"unfinished": 1}, {"undelivered": 1}]
)
def test_books_that_lack_anything_are_a_problem(broken: dict[str, int]) -> None:
    assert compare_ours({**WHOLE, **broken}, Expected(2, 300))


@pytest.mark.parametrize("broken", [{"orders": 3}, {"submissions": 3}, {"amount": 301}, {"forged": 1}])
def test_a_psp_that_did_anything_else_is_a_problem(broken: dict[str, int]) -> None:
    assert compare_theirs(WHOLE, {"orders": 2, "submissions": 2, "amount": 300, "forged": 0, **broken})


def _load(concurrency: int, per_s: float, problems: list[str] | None = None) -> LoadFigures:
    return LoadFigures("hmac", "known", concurrency, 8.0, 4000, per_s, 60.0, 90.0, {"gateway": 1.0}, problems or [])
