"""Numbers and times have one form, in catalogue files and in JSON: what could be read in two ways is refused.

Not here: everything else that can be wrong in a file (tests/unit/test_catalogue_file.py).
"""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.admin.rules import RuleFields
from gateway.api.http.problems import Problem
from gateway.api.http.reading_json import checked, read_object
from gateway.catalogue_file.syntax import UnreadableFileError, parsed
from router.fees import FeeError, PercentFee, fee_to_json, parse_fee


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("numbers")


def read(folder: Path, text: str, name: str = "c.yaml") -> dict[str, Any]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return parsed(path)


def problem(folder: Path, text: str, name: str = "c.yaml") -> str:
    with pytest.raises(UnreadableFileError) as caught:
        read(folder, text, name)
    return str(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        "0100", "-0100", "00", "0o100", "0x10", "0X10", "0b101", "+100", "1e3", "1E3", "1.5e3", "1.5e+3", "1.0e-3",
        "12:30", "1:30:00", "12:30.5", "1_000_", "1__000", "0_1", "1_000.5", "5.", ".5", "-.5", "01.5",
        ".inf", "-.INF", ".nan", ".NaN",
    ],
)  # fmt: skip
def test_a_number_that_can_be_read_in_two_ways_is_refused_with_line_field_and_cure(folder: Path, written: str) -> None:
    told = problem(folder, f"rules:\n  - channel: tl\n    fee: {written}\n")
    assert told.startswith("line 3, column 10: not YAML: fee: ")
    assert "write" in told
    assert "quotes" in told
    assert problem(folder, f"poll_gaps_s: [1, {written}]\n").startswith("line 1, column 18: not YAML: ")


@pytest.mark.parametrize("written", ['!!int "0100"', '!!int "0x10"', '!!float "12:30.5"', '!!float ".inf"'])
def test_a_tag_does_not_bring_back_what_is_refused(folder: Path, written: str) -> None:
    assert problem(folder, f"fee: {written}\n").startswith("line 1, column 6: not YAML: fee: ")


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("0", 0), ("100", 100), ("-5", -5), ("1_000", 1000), ("50_000_00", 5_000_000), ("2.5", 2.5), ("0.0", 0.0),
        ('"0100"', "0100"), ("'1e3'", "1e3"), ("10:30-12:00", "10:30-12:00"), ("127.0.0.1", "127.0.0.1"),
        ("sk_test_01", "sk_test_01"), ("yes", "yes"), ("on", "on"), ("NO", "NO"), ("~", None), ("true", True),
        ("1.0.0", "1.0.0"), ("0d1f", "0d1f"), ("2e", "2e"), ("e3", "e3"), ("e", "e"),
    ],
)  # fmt: skip
def test_a_number_in_its_one_form_and_what_is_no_number_are_taken_as_they_are(
    folder: Path, written: str, means: object
) -> None:
    found = read(folder, f"it: {written}\n")["it"]
    assert (found, type(found) is bool) == (means, type(means) is bool)


@given(fen=st.integers(0, 10**12))
def test_whole_numbers_mean_themselves(folder: Path, fen: int) -> None:
    assert read(folder, f"fee: {fen}\n") == read(folder, f"fee = {fen}\n", "c.toml") == {"fee": fen}


@pytest.mark.parametrize("written", ["0x10", "0o17", "0b11", "0xFF_FF"])
def test_toml_numbers_of_another_base_are_refused_by_their_line(folder: Path, written: str) -> None:
    told = problem(folder, f'name = "0x10"  # 0x10\nfee = {written}\n', "c.toml")
    assert told.startswith(f"line 2, column 7: not TOML: {written} is ")
    assert read(folder, f'name = "{written}"  # {written}\n', "c.toml") == {"name": written}


@pytest.mark.parametrize("name", ["c.toml", "c.yaml"])
def test_a_number_of_thousands_of_digits_is_refused_and_nothing_more(folder: Path, name: str) -> None:
    sign = "=" if name.endswith("toml") else ":"
    assert "not " in problem(folder, f"fee {sign} {'1' * 5000}\n".replace(" :", ":"), name)


@pytest.mark.parametrize("written", ["2026-13-01", "2026-02-30", "2026-01-01T25:00:00Z"])
def test_a_day_that_is_not_is_told_by_its_line(folder: Path, written: str) -> None:
    assert problem(folder, f"a: 1\nstarts_at: {written}\n").startswith("line 2, column 12: not YAML: ")


@pytest.mark.parametrize("name", ["c.toml", "c.yaml"])
@pytest.mark.parametrize("written", ["0.006", "0.0060", "0.123456789012", "1.0", "0.000000000001"])
def test_a_rate_is_taken_to_its_last_digit(folder: Path, name: str, written: str) -> None:
    sign = " =" if name.endswith("toml") else ":"
    rate = read(folder, f"rate{sign} {written}\n", name)["rate"]
    assert parse_fee({"type": "percent", "rate": rate}) == PercentFee(Decimal(written))


@pytest.mark.parametrize("name", ["c.toml", "c.yaml"])
@pytest.mark.parametrize("written", ["0.1000000000000000001", "0.00600000000000000000001", "1.00000000000000000001"])
def test_a_rate_with_more_digits_than_a_rate_has_is_refused_and_not_rounded(
    folder: Path, name: str, written: str
) -> None:
    sign = " =" if name.endswith("toml") else ":"
    rate = read(folder, f"rate{sign} {written}\n", name)["rate"]
    with pytest.raises(FeeError):
        parse_fee({"type": "percent", "rate": rate})


@pytest.mark.parametrize("written", ["1.0", "1e2", "true", '"100"', "1.00000000000000000001", "-1", "null", "[1]"])
@pytest.mark.parametrize(
    "body",
    ['{{"fee": {}}}', '{{"fee": {{"type": "fixed", "amount": {}}}}}', '{{"fee": 1, "single_limit": {}}}'],
)
def test_an_amount_in_json_is_a_whole_number_in_digits(body: str, written: str) -> None:
    if "single_limit" in body and written == "null":
        return  # no limit
    with pytest.raises(Problem) as caught:
        checked(RuleFields, read_object(body.format(written).encode()))
    assert caught.value.status == 422


@pytest.mark.parametrize(
    "written", ["0.1000000000000000001", '"1e-3"', '".5"', '"+0.5"', '" 0.5"', '"0_0.5"', '"\uff10.5"', "true"]
)
def test_a_rate_in_json_is_exact_or_refused(written: str) -> None:
    body = f'{{"fee": {{"type": "percent", "rate": {written}}}}}'
    with pytest.raises(Problem):
        checked(RuleFields, read_object(body.encode()))


@pytest.mark.parametrize("written", ["0.0060", '"0.0060"', "6e-3", "0.006"])
def test_equal_rates_are_one_rate_and_one_text(written: str) -> None:
    body = f'{{"fee": {{"type": "percent", "rate": {written}}}}}'
    fee = checked(RuleFields, read_object(body.encode())).fee
    assert (fee, fee_to_json(fee)) == (PercentFee(Decimal("0.006")), {"type": "percent", "rate": "0.006"})
