"""Transaction rules in a catalogue file: what they stand for, what is wrong with one, and writing them down.

Not here: what a rule finds (tests/storage/test_transactions.py).
"""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.catalogue_file import CatalogueFileError, read_catalogue
from gateway.catalogue_file.writing import written
from gateway.domain.failures import Blame
from gateway.domain.transaction_rules import Distinct, RuleKey, RuleKind, Then, TransactionFilter, TransactionRule

SHOP = '[[merchants]]\ncode = "shop"\nname = "商店"\n'
DECLINES = """
[[merchants.transaction_rules]]
code = "declines"
name = "连续被拒"
key = "user"
at_least = 5
window_s = 600
filter = { status = "failed", failure_blame = "payer" }
"""
AT = "merchants[0].transaction_rules[0]"


def read(folder: Path, text: str) -> tuple[TransactionRule, ...]:
    path = folder / "catalogue.toml"
    path.write_text(SHOP + text, encoding="utf-8")
    return read_catalogue(path, {}).merchants[0].transaction_rules


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(CatalogueFileError) as refused:
        read(folder, text)
    return refused.value.problems


def test_a_rule_counts_payments_and_alerts_unless_it_says_otherwise(tmp_path: Path) -> None:
    (rule,) = read(tmp_path, DECLINES)
    wanted = TransactionFilter(kinds=(RuleKind.PAYMENT,), statuses=("failed",), failure_blames=(Blame.PAYER,))
    assert rule == TransactionRule("declines", "连续被拒", RuleKey.USER, 600, at_least=5, filter=wanted)
    assert (rule.then, rule.enabled, rule.distinct) == (Then.ALERT, True, None)


@pytest.mark.parametrize(
    ("line", "instead", "path", "problem"),
    [
        ("window_s = 600", "window_s = 31_536_000", "window_s", "must be 1 to 604800 seconds with the key user"),
        ("window_s = 600", "window_s = 0", "window_s", "say for how long rows are counted"),
        ('key = "user"\nat_least = 5\nwindow_s = 600', 'key = "bank"\nat_least = 5\nwindow_s = 604_800', "window_s",
         "must be 1 to 86400 seconds with the key bank"),
        ("at_least = 5", "", "at_least", "must be given, or sum_at_least, and not both"),
        ("at_least = 5", "at_least = 5\nsum_at_least = 1", "at_least", "must be given, or sum_at_least, and not both"),
        ("at_least = 5", "at_least = 0", "at_least", "must be 1 to 1000"),
        ("at_least = 5", 'at_least = 1\ndistinct = "cards"', "at_least", "must be 2 or more"),
        ("at_least = 5", 'at_least = 2\ndistinct = "users"', "distinct", "can never be two with the key user"),
        ("at_least = 5", 'at_least = 2\ndistinct = "kinds"', "distinct", "two filter.kinds"),
        ('key = "user"', 'key = "payee"', "key", "payee is of payouts alone"),
        ('key = "user"', 'key = "app"\nthen = "propose_block"', "then", "takes a key that can be blocked"),
        ('status = "failed"', 'status = "fialed"', "filter.statuses", "has fialed, which is none of"),
        ('status = "failed"', "share_of_single_limit = 101", "filter.share_of_single_limit", "1 to 100 percent"),
        ('status = "failed"', 'bank = "XX"', "filter.banks[0]", "XX is not a bank code"),
        ('status = "failed"', 'channel = "up"', "filter.channels[0]", "there is no channel up"),
        ('status = "failed"', 'app = "web"', "filter.apps[0]", "there is no app web"),
        ('status = "failed"', "amount_from = 2, amount_to = 1", "filter.amount_to", "must not be below amount_from"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_at_its_place_with_a_cure(
    tmp_path: Path, line: str, instead: str, path: str, problem: str
) -> None:
    assert line in DECLINES
    (told,) = problems(tmp_path, DECLINES.replace(line, instead))
    assert told.startswith(f"{AT}.{path}: ")
    assert problem in told


def test_a_code_is_of_one_rule(tmp_path: Path) -> None:
    (told,) = problems(tmp_path, DECLINES + DECLINES)
    assert "transaction_rules[1]" in told


def test_what_is_written_down_is_read_again_as_the_same(tmp_path: Path) -> None:
    kinds = """
[[merchants.transaction_rules]]
code = "charge_then_payout"
name = "充值后代付"
key = "card"
distinct = "kinds"
at_least = 2
window_s = 3_600
then = "propose_block"
enabled = false
filter = { kinds = ["payout", "payment"], amount_from = 100 }
"""
    rules = read(tmp_path, DECLINES + kinds)
    assert [rule.distinct for rule in rules] == [Distinct.KINDS, None]
    path = tmp_path / "catalogue.toml"
    path.write_text(written(read_catalogue(path, {}).merchants, ZoneInfo("Asia/Shanghai")), encoding="utf-8")
    assert read_catalogue(path, {}).merchants[0].transaction_rules == rules
