"""Payout rules in a catalogue file: the rows that they stand for, and the exact words for what is wrong with one.

Not here: what a rule means (domain/test_payout_rules), writing one down (test_catalogue_writing), putting it in force
(tests/storage).
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.registry import offer_of
from gateway.catalogue_file import CatalogueFile, CatalogueFileError, read_catalogue
from gateway.domain.catalogue_content import PayoutRuleContent
from gateway.domain.payees import PayeeType
from gateway.domain.payout_rules import Day, PayoutWindow
from gateway.ports import Assumption, Command, pays_out
from router.fees import FixedFee, PercentFee
from tests.paying_out import EVERYBODY, PERSONS, pay_out

PERSONAL, CORPORATE = PayeeType.PERSONAL, PayeeType.CORPORATE
CHANNEL = """
[[merchants]]
code = "shop"
name = "商店"

[[merchants.accounts]]
code = "tl"
provider = "allinpay"
settings = { url = "http://127.0.0.1:1/allinpay", merchant_id = "200100000000001", user_name = "u" }

[merchants.accounts.secrets]
user_pass = "pass"
merchant_private_key = { file = "keys/allinpay/merchant.key.pem" }
psp_certificate = { file = "keys/allinpay/psp.cert.pem" }

[[merchants.channels]]
code = "tl"
account = "tl"
name = "通联"
authentication = { "*" = "none" }
"""
RULE = """
[[merchants.channels.payouts]]
payees = ["personal"]
banks = ["*"]
fee = 100
single_limit = 5_000_000
daily_limit = 20_000_000
windows = [{ days = ["mon", "fri"], opens = "08:30", closes = "17:00" }, { opens = "00:00", closes = "08:00" }]
"""
AT = "merchants[0].channels[0].payouts[0]"
Read = Callable[..., CatalogueFile]


@pytest.fixture
def paying(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Allinpay pays out to everybody; called, to others."""
    pay_out(monkeypatch, "allinpay", EVERYBODY)
    return lambda payees: pay_out(monkeypatch, "allinpay", payees)


@pytest.fixture
def read(tmp_path: Path, psp_keys: Path, paying: object) -> Read:
    """Read a file of this text."""
    (tmp_path / "keys").symlink_to(psp_keys)

    def read(text: str, name: str = "catalogue.toml") -> CatalogueFile:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return read_catalogue(tmp_path / name, {})

    return read


def problems(read: Read, text: str) -> list[str]:
    with pytest.raises(CatalogueFileError) as caught:
        read(text)
    return caught.value.problems


def test_a_rule_stands_for_one_row_for_each_payee_and_bank(read: Read) -> None:
    both = RULE.replace('["personal"]', '["personal", "corporate"]').replace('["*"]', '["*", "ICBC"]')
    (shop,) = read(CHANNEL + both).merchants
    office = PayoutWindow("08:30", "17:00", (Day.MON, Day.FRI))
    row = PayoutRuleContent(
        "tl", PERSONAL, "*", True, FixedFee(100), 5_000_000, 20_000_000, (PayoutWindow("00:00", "08:00"), office)
    )
    assert shop.payout_rules == tuple(
        replace(row, payee=payee, bank=bank) for payee in (PERSONAL, CORPORATE) for bank in ("*", "ICBC")
    )


def test_what_a_rule_does_not_say_is_no_limit_and_always_open(read: Read) -> None:
    said = '[[merchants.channels.payouts]]\npayee = "corporate"\nbank = "ICBC"\nenabled = false\n'
    (shop,) = read(CHANNEL + said + 'fee = { type = "percent", rate = "0.001" }').merchants
    (row,) = shop.payout_rules
    assert row == PayoutRuleContent("tl", CORPORATE, "ICBC", False, row.fee, None, None, ())
    assert isinstance(row.fee, PercentFee)


def test_yaml_says_the_same(read: Read) -> None:
    toml = read(CHANNEL + RULE).merchants[0].payout_rules
    yaml = """
merchants:
- {code: shop, name: 商店,
   accounts: [{code: tl, provider: allinpay, settings: {url: 'http://127.0.0.1:1/allinpay',
     merchant_id: '200100000000001', user_name: u}, secrets: {user_pass: pass,
     merchant_private_key: {file: keys/allinpay/merchant.key.pem},
     psp_certificate: {file: keys/allinpay/psp.cert.pem}}}],
   channels: [{code: tl, account: tl, name: 通联, authentication: {'*': none}, payouts: [
     {payees: personal, banks: '*', fee: 100, single_limit: 5000000, daily_limit: 20000000,
      windows: [{days: [fri, mon], opens: '08:30', closes: '17:00'}, {opens: '00:00', closes: '08:00'}]}]}]}
"""
    assert read(yaml, "catalogue.yaml").merchants[0].payout_rules == toml


@pytest.mark.parametrize(
    ("was", "becomes", "expected"),
    [
        ('"personal"', '"company"', f"{AT}.payees[0]: must be 'personal' or 'corporate'"),
        ('"personal"', '"personal", "personal"', f"{AT}.payees[1]: personal is given twice"),
        ('["personal"]', "[]", f"{AT}.payees: must have at least 1 item, not 0"),
        ('payees = ["personal"]', "", f"{AT}.payees: is missing"),
        ('"*"', '"ICBK"', f"{AT}.banks[0]: ICBK is not a bank code"),
        ('"*"', '"ICBC", "*", "ICBC"', f"{AT}.banks[2]: ICBC is given twice"),
        ('["*"]', '"all"', f'{AT}.banks[0]: every bank that has no rule of its own is written "*" here'),
        ("fee = 100", "", f"{AT}.fee: is missing"),
        ("fee = 100", 'fee = { type = "percent", rate = "2" }', f"{AT}.fee.rate: must be a fraction from 0 to 1"),
        ("5_000_000", "0", f"{AT}.single_limit: must be greater than 0"),
        ("20_000_000", "0", f"{AT}.daily_limit: must be greater than 0"),
        ("20_000_000", '"1"', f"{AT}.daily_limit: must be a valid integer"),
        ("fee = 100", "fee = 100\npriority = 1", f"{AT}.priority: is not known here"),
        ('"mon"', '"monday"', f"{AT}.windows[0].days[0]: must be 'mon', 'tue', 'wed', 'thu', 'fri', 'sat' or 'sun'"),
        ('"mon"', '"fri"', f"{AT}.windows[0].days[1]: fri is given twice"),
        ('["mon", "fri"]', "[]", f"{AT}.windows[0].days: must have at least 1 item, not 0"),
        (
            '"17:00"',
            '"08:30"',
            (
                f"{AT}.windows[0].closes: must be after opens: over midnight it takes two windows, one to 24:00 and "
                "one from 00:00"
            ),
        ),
        ('"17:00"', '"5 pm"', f"{AT}.windows[0].closes: must be a time of day, from 00:00 to 24:00, as text: 08:30"),
        ('"08:30"', "08:30:00", f'{AT}.windows[0].opens: must be a time of day in quotes: "08:30"'),
        (', closes = "17:00"', "", f"{AT}.windows[0].closes: is missing"),
        (
            '"08:00"',
            '"08:31"',
            f"{AT}.windows[1]: is open at the same time as {AT}.windows[0] on mon: make one window of both",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(read: Read, was: str, becomes: str, expected: str) -> None:
    assert was in RULE
    assert problems(read, CHANNEL + RULE.replace(was, becomes, 1)) == [expected]


def test_no_windows_at_all_are_written_by_leaving_them_out(read: Read) -> None:
    line = next(line for line in RULE.splitlines() if line.startswith("windows"))
    assert problems(read, CHANNEL + RULE.replace(line, "windows = []")) == [
        f"{AT}.windows: must have at least 1 item, not 0"
    ]


def test_the_same_row_in_two_rules_is_refused_also_that_of_every_bank(read: Read) -> None:
    more = RULE.replace('"*"', '"ICBC", "ABC"')
    assert problems(read, CHANNEL + RULE + more + more.replace('"ICBC", "ABC"', '"ABC", "*"')) == [
        f"{AT[:-3]}[2]: personal payees of ABC are already in {AT[:-3]}[1]",
        f"{AT[:-3]}[2]: personal payees of every other bank are already in {AT}",
    ]


def test_a_single_limit_above_the_daily_limit_is_a_warning(read: Read) -> None:
    told = read(CHANNEL + RULE.replace("5_000_000", "20_000_001")).warnings
    assert told == (f"{AT}.single_limit: is above daily_limit, which stops such payouts anyway",)


# --- what the provider can ---


def test_a_provider_without_payouts_has_no_rules(read: Read, paying: Callable[..., None]) -> None:
    paying(None)
    assert problems(read, CHANNEL + RULE) == [f"{AT}.payees[0]: allinpay has no payouts"]


def test_firms_are_not_paid_by_a_provider_of_persons_alone(read: Read, paying: Callable[..., None]) -> None:
    paying(PERSONS)
    rule = RULE.replace('["personal"]', '["personal", "corporate"]')
    assert problems(read, CHANNEL + rule) == [f"{AT}.payees[1]: allinpay pays out to personal payees alone"]


def test_rows_of_banks_that_the_provider_cannot_pay_at_are_a_warning(read: Read, paying: Callable[..., None]) -> None:
    paying(replace(EVERYBODY, banks=frozenset({"ICBC", "ABC"}), banks_of_firms=frozenset({"ABC", "BOC"})))
    both = RULE.replace('["personal"]', '["personal", "corporate"]')
    told = read(CHANNEL + both.replace('"*"', '"ICBC", "ABC", "BOC", "*"')).warnings
    assert told == (
        f"{AT}.banks: allinpay cannot pay personal payees at BOC: never used",
        f"{AT}.banks: allinpay cannot pay corporate payees at ICBC, BOC: never used",
    )


def test_an_account_that_is_not_there_is_told_where_it_is_wrong(read: Read) -> None:
    text = CHANNEL.replace('account = "tl"', 'account = "lt"') + RULE
    assert problems(read, text) == ["merchants[0].channels[0].account: there is no account lt; there are tl"]


class Payout(Command[Any]):
    """The command that people know by this name."""


def test_what_an_account_must_assume_for_its_payouts_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pay_out(monkeypatch, "allinpay", EVERYBODY)
    offer = offer_of("allinpay")
    assert (offer.why_not_pay_out(PERSONAL), pays_out(offer.declaration)) == (None, frozenset(PayeeType))
    assumed = Assumption("payout_words", "A payout's SUMMARY is shown to the payee.", frozenset({Payout}))
    assert replace(offer, withheld={Payout: (assumed,)}).why_not_pay_out(PERSONAL) == (
        'allinpay cannot pay out: add "payout_words" to assumed in the account\'s settings once its PSP has confirmed '
        "it: A payout's SUMMARY is shown to the payee"
    )


@pytest.mark.parametrize("provider", ["jd", "lanmao", "yeepay"])
def test_those_who_only_take_payments_pay_nobody(provider: str) -> None:
    offer = offer_of(provider)
    assert pays_out(offer.declaration) == frozenset()
    assert {offer.why_not_pay_out(payee) for payee in PayeeType} == {f"{provider} has no payouts"}
    assert not offer.pays_at(PERSONAL, "ICBC")
