"""`sluice rules test` as a person types it: on recorded rows, in 80 columns or as JSON, and what is refused.

Not here: when a rule fires (tests/unit/domain/test_transaction_hits.py), what reads its rows (test_transactions).
"""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.catalogue_file import CatalogueFileError
from gateway.run.local import LocalError
from gateway.run.trying_rules import WantedTrial
from gateway.storage.watching import transactions
from tests.command_line import Ended, command
from tests.storage.transaction_world import fill, new_world, plant, world_on

TODAY = date(2026, 3, 5)
DECLINES = """
[[merchants.transaction_rules]]
code = "declines"
name = "短时间内连续被拒"
key = "user"
at_least = 5
window_s = 600
filter = { status = "failed", failure_blame = "payer" }
"""
PHONES = """
[[merchants.transaction_rules]]
code = "phones"
name = "一个手机号[多张]卡"
key = "phone"
distinct = "cards"
at_least = 4
window_s = 604_800
"""
NEVER = """
[[merchants.transaction_rules]]
code = "never"
name = "never"
key = "app"
at_least = 1000
window_s = 60
"""
Sluice = Callable[..., Ended]


@pytest.fixture
async def sluice(engine: AsyncEngine, database_url: str, tmp_path: Path) -> Sluice:
    """The command on the books of a merchant whom nobody paid."""
    await new_world(engine)

    def run(text: str, *words: str) -> Ended:
        file = tmp_path / "rules.toml"
        file.write_text(text, encoding="utf-8")
        environ = {"SLUICE_DATABASE_URL": database_url, "SLUICE_DATA_DIR": str(tmp_path), "COLUMNS": "80"}
        return command(environ, "rules", "test", str(file), *words)

    return run


@pytest.fixture
async def planted(sluice: Sluice, engine: AsyncEngine) -> Sluice:
    """In which three users were declined five times, and a phone has four cards."""
    world = world_on(engine)
    world.now = datetime.now(UTC)
    await plant(world, "phone_many_cards")
    for user in ("tester-one", "tester-two", "tester-three"):
        card = await world.card(user, "940000", phone=user, id_no=user)
        for n in range(5):
            await world.pay(user, card, status="failed", at=world.now - timedelta(seconds=n))
    return sluice


def test_the_rules_of_a_piece_of_a_catalogue_say_how_often_they_would_have_fired_last_week(planted: Sluice) -> None:
    done = planted(DECLINES + PHONES + NEVER)
    assert (done.returncode, done.stderr) == (0, "")
    assert "acme.declines 短时间内连续被拒\n  would have fired 3 times, for 3 different users from " in done.stdout
    assert "te******wo " in done.stdout
    assert "acme.phones 一个手机号[多张]卡\n  would have fired once from " in done.stdout
    assert "622202******" in done.stdout
    assert "acme.never never\n  would not have fired from " in done.stdout
    assert "tester" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_programs_read_the_same_as_json_with_the_ids_of_what_was_seen(planted: Sluice) -> None:
    done = planted(DECLINES + NEVER, "--json", "--merchant", "acme")
    told = json.loads(done.stdout)
    declines, never = told["data"]
    assert (declines["merchant"], declines["rule"], declines["times"], declines["keys"]) == ("acme", "declines", 3, 3)
    assert all(each.startswith("pay_") for each in declines["data"][0]["objects"])
    assert (never["times"], never["data"]) == (0, [])


def test_days_before_it_happened_have_nothing(planted: Sluice) -> None:
    done = planted(DECLINES, "--from", "2026-01-01", "--to", "2026-01-31")
    assert "would not have fired from 2026-01-01 to 2026-01-31" in done.stdout


def test_a_rule_that_is_too_wide_says_so_and_hides_no_other(planted: Sluice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "MAX_ROWS", 10)
    done = planted(DECLINES.replace('"declines"', '"wide"') + PHONES)
    assert done.returncode == 1
    assert "is too wide: more than 10 rows are of keys with enough of them; try fewer days" in done.stdout
    assert "acme.phones 一个手机号[多张]卡\n  would have fired once" in done.stdout
    assert json.loads(planted(DECLINES, "--json").stdout)["data"][0]["too_wide"].startswith("more than 10 rows")


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        (DECLINES.replace("600", "31_536_000"), (), "window_s: must be 1 to 604800 seconds with the key user"),
        (DECLINES.replace('"payer"', '"payer", channel = "nope"'), (), "filter.channels[0]: there is no channel nope"),
        (DECLINES, ("--merchant", "nobody"), "there is no merchant nobody: `sluice catalogue show` lists them"),
        (
            "[[merchants]]\ncode = 'other'" + DECLINES,
            ("--merchant", "acme"),
            "has no transaction rules of merchant acme",
        ),
        ("[[merchants]]\ncode = 'other'" + DECLINES, (), "there is no merchant other"),
        (DECLINES, ("--from", "last week"), "--from is no day: write 2026-03-05"),
    ],
)
def test_what_cannot_be_is_refused_with_the_field_and_the_cure(
    sluice: Sluice, text: str, words: tuple[str, ...], said: str
) -> None:
    done = sluice(text, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def wanted(file: Path, text: str, first: str | None = None, last: str | None = None) -> WantedTrial:
    file.write_text(text, encoding="utf-8")
    return WantedTrial.of_texts(file, None, first, last, TODAY)


def test_left_out_are_the_last_seven_days_and_a_last_day_alone_has_seven_before_it(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    usual = wanted(file, DECLINES)
    assert (usual.first, usual.last) == (date(2026, 2, 27), TODAY)
    assert wanted(file, DECLINES, last="2026-01-31").first == date(2026, 1, 25)


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("2026-03-04", "2026-03-03", "--from 2026-03-04 is after --to 2026-03-03"),
        ("2026-03-06", "2026-03-07", "is a day to come"),
        ("2026-01-01", "2026-02-01", "is more than 31 days: choose fewer"),
        ("2020-01-01", None, "is more than 31 days: choose fewer"),
        ("2026-02-30", None, "--from is no day"),
    ],
)
def test_days_that_cannot_be_are_refused(tmp_path: Path, first: str, last: str | None, said: str) -> None:
    with pytest.raises(LocalError, match=said):
        wanted(tmp_path / "rules.toml", DECLINES, first, last)


def test_rules_stand_in_a_catalogue_file_of_whole_merchants_or_alone_in_yaml(tmp_path: Path) -> None:
    # Nothing else of the file is read: its references lead nowhere here.
    merchants = "[[merchants]]\ncode = 'one'\nsecret = '${NOBODY}'" + DECLINES + "[[merchants]]\ncode = 'two'" + PHONES
    found = wanted(tmp_path / "catalogue.toml", merchants).rules
    assert [(each.merchant, each.rule.code) for each in found] == [("one", "declines"), ("two", "phones")]
    alone = "transaction_rules:\n- {code: declines, name: d, key: user, at_least: 5, window_s: 600}\n"
    (rule,) = wanted(tmp_path / "rules.yaml", alone).rules
    assert (rule.merchant, rule.path, rule.rule.window_s) == (None, "transaction_rules[0]", 600)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no transaction rules: write them as"),
        ("transaction_rules = []", "has no transaction rules"),
        ("transaction_rules = 3", "transaction_rules: must be a list of rules"),
        ("transaction_rules = [3]", r"transaction_rules\[0\]: must be"),
        ("merchants = 3", "has no transaction rules"),
        (DECLINES + DECLINES, "declines is given twice"),
        (DECLINES.replace("key", "kee"), r"merchants\[0\]\.transaction_rules\[0\]\.kee: is not known here"),
        (DECLINES.replace("at_least = 5", "at_least = 5_000"), "at_least: must be 1 to 1000"),
        ("[[transaction_rules", "not TOML"),
        ("transaction_rules = [" + "3," * 101 + "]", "has 101 rules: a merchant has at most 100"),
    ],
)
def test_a_file_that_has_no_rules_or_wrong_ones_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CatalogueFileError, match=said):
        wanted(tmp_path / "rules.toml", text)


@pytest.fixture
async def second(sluice: Sluice, engine: AsyncEngine) -> None:
    """Another merchant."""
    await fill(engine, ("INSERT INTO merchants (merchant_id, code, name) VALUES ($1, 'two', 'Two')", UUID(int=2)))


def test_with_several_merchants_one_must_be_named(sluice: Sluice, second: None) -> None:
    done = sluice(DECLINES)
    assert done.returncode == 2
    assert "transaction_rules[0] says no merchant: say --merchant, one of acme, two" in done.stderr
    assert "two.declines 短时间内连续被拒\n  would not have fired" in sluice(DECLINES, "--merchant", "two").stdout
