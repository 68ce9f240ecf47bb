"""Catalogue files: what is read, and the exact words for everything that can be wrong in one.

Not here: putting a file in force (tests/storage/test_catalogue.py), and the adapters' own checks of their accounts.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pytest

from adapters.account import account_settings
from adapters.registry import PROVIDERS, offer_of
from gateway.catalogue_file import CatalogueFile, CatalogueFileError, is_sample_key, read_catalogue
from gateway.domain.blocks import BlockKind, blocked_value
from gateway.domain.cards import bank_names
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.catalogue_content import key_hash_of
from gateway.domain.identities import IdType
from gateway.domain.scenes import Scene
from gateway.domain.terms import NEVER, NotFoundRule, OwnTerms, Product
from gateway.domain.windows import Repeats
from router.fees import PercentFee, TieredFee, fee_for
from router.limits import RuleLimits

SECRET = "whsec_" + "QUJD" * 8
NAMES_TOLD = 8
THERE_ARE = ", ".join(sorted(PROVIDERS)[:NAMES_TOLD])
THERE_ARE += f" and {len(PROVIDERS) - NAMES_TOLD} more" if len(PROVIDERS) > NAMES_TOLD else ""

GOOD = """
[[merchants]]
code = "shop"
name = "商店"

[[merchants.apps]]
code = "web"
name = "Web"
keys = [{ label = "first", key = "sk_test_0123456789abc" }]

[[merchants.endpoints]]
code = "web"
app = "web"
url = "https://shop.example.com/hook"
secrets = ["${HOOK_SECRET}"]

[[merchants.accounts]]
code = "tl"
provider = "allinpay"
poll_gaps_s = [1, 2.5]
not_found = { answers = 3, over_s = 6 }

[merchants.accounts.settings]
url = "http://127.0.0.1:8090/allinpay"
merchant_id = { file = "keys/allinpay/account.json", json_key = "merchant_id" }
user_name = "u"

[merchants.accounts.secrets]
user_pass = { env = "TL_PASS" }
merchant_private_key = { file = "keys/allinpay/merchant.key.pem" }
psp_certificate = { file = "keys/allinpay/psp.cert.pem" }

[[merchants.channels]]
code = "tl"
account = "tl"
name = "通联"
authentication = { "*" = "none" }

[[merchants.windows]]
channel = "tl"
starts_at = 2026-10-01T02:00:00+08:00
ends_at = 2026-10-01T04:00:00+08:00

[[merchants.rules]]
channel = "tl"
scenes = ["withhold"]
banks = ["ICBC", "ABC"]
fee = { type = "percent", rate = "0.002", min = 20 }
single_limit = 100
daily_limit = 200
"""

Read = Callable[..., CatalogueFile]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, psp_keys: Path) -> Path:
    """A folder with PSP keys beside which the files are written."""
    folder = tmp_path_factory.mktemp("catalogue")
    (folder / "keys").symlink_to(psp_keys)
    return folder


@pytest.fixture
def read(folder: Path) -> Read:
    """Read a file of this text."""

    def read(text: str, name: str = "catalogue.toml", **environ: str) -> CatalogueFile:
        path = folder / name
        path.write_text(text, encoding="utf-8")
        return read_catalogue(path, {"HOOK_SECRET": SECRET, "TL_PASS": "pass", **environ})

    return read


def problems(read: Read, text: str, name: str = "catalogue.toml", **environ: str) -> list[str]:
    with pytest.raises(CatalogueFileError) as caught:
        read(text, name, **environ)
    return caught.value.problems


@pytest.mark.parametrize(
    ("said", "repeats", "banks", "scenes"),
    [
        ("", None, None, None),
        ('repeats = "monthly"', Repeats.MONTHLY, None, None),
        ('banks = "all"\nscenes = "withhold"', None, None, (Scene.WITHHOLD,)),
        ('banks = ["ICBC", "ABC"]', None, ("ABC", "ICBC"), None),
    ],
)
def test_a_window_may_repeat_and_be_of_some_banks_and_scenes(
    read: Read, said: str, repeats: Repeats | None, banks: object, scenes: object
) -> None:
    ends = "ends_at = 2026-10-01T04:00:00+08:00"
    (window,) = read(GOOD.replace(ends, f"{ends}\n{said}")).merchants[0].windows
    assert (window.repeats, window.banks, window.scenes) == (repeats, banks, scenes)


def test_a_good_file_is_read_whole(read: Read) -> None:
    content = read(GOOD)
    (merchant,) = content.merchants
    assert content.warnings == ()
    assert merchant.apps[0].keys[0].key_hash == key_hash_of("sk_test_0123456789abc")
    assert merchant.endpoints[0].secrets == (SECRET,)
    assert merchant.accounts[0].secrets["user_pass"] == "pass"
    assert merchant.accounts[0].settings["merchant_id"].isdecimal()
    assert merchant.accounts[0].terms == {Product.PAYMENT: OwnTerms((1.0, 2.5), NotFoundRule(3, 6.0))}
    assert [rule.limits for rule in merchant.rules] == [RuleLimits(single_limit=100, daily_limit=200)] * 2
    assert merchant.channels[0].authentication == {"*": AuthenticationMode.NONE}
    assert merchant.windows[0].starts_at == datetime(2026, 9, 30, 18, tzinfo=UTC)
    assert [(rule.scene, rule.bank) for rule in merchant.rules] == [
        (Scene.WITHHOLD, "ICBC"),
        (Scene.WITHHOLD, "ABC"),
    ]
    assert isinstance(merchant.rules[0].fee, PercentFee)


def test_secrets_are_not_in_the_repr_of_what_was_read(read: Read) -> None:
    shown = repr(read(GOOD))
    assert SECRET not in shown
    assert "PRIVATE KEY" not in shown


def test_the_terms_of_an_account_reach_its_adapter_beside_the_settings(read: Read) -> None:
    account = account_settings(read(GOOD).merchants[0].accounts[0])
    assert account.terms == {Product.PAYMENT: OwnTerms((1.0, 2.5), NotFoundRule(3, 6.0))}
    assert set(account.settings) == {"url", "merchant_id", "user_name"}


FLAT = "poll_gaps_s = [1, 2.5]\nnot_found = { answers = 3, over_s = 6 }\n"


def terms_read(read: Read, said: str, name: str = "catalogue.toml") -> Mapping[Product, OwnTerms]:
    """The terms of the account that says this in place of what it said."""
    return read(GOOD.replace(FLAT, said, 1), name).merchants[0].accounts[0].terms


def test_terms_of_a_product_stand_in_a_table_of_their_own(read: Read) -> None:
    said = "terms.payment = { poll_gaps_s = [5], not_found = { answers = 2, over_s = 9 }, answer_timeout_s = 4 }\n"
    assert terms_read(read, said) == {Product.PAYMENT: OwnTerms((5.0,), NotFoundRule(2, 9.0), 4.0)}


@pytest.mark.parametrize("said", ['terms.payment.not_found = "never"\n', 'not_found = "never"\n'])
def test_not_found_may_be_never_proof(read: Read, said: str) -> None:
    assert terms_read(read, said) == {Product.PAYMENT: OwnTerms(not_found=NEVER)}


def test_both_forms_may_stand_in_one_account_where_they_speak_of_different_things(read: Read) -> None:
    said = 'poll_gaps_s = [7]\nterms.payment.not_found = "never"\n'
    assert terms_read(read, said) == {Product.PAYMENT: OwnTerms((7.0,), NEVER)}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "poll_gaps_s = [1]\nterms.payment.poll_gaps_s = [2]\n",
            ["poll_gaps_s: is said by terms.payment.poll_gaps_s too: say it once"],
        ),
        (
            (
                'not_found = "never"\nanswer_timeout_s = 3\n'
                'terms.payment = { not_found = "never", answer_timeout_s = 3 }\n'
            ),
            [
                "not_found: is said by terms.payment.not_found too: say it once",
                "answer_timeout_s: is said by terms.payment.answer_timeout_s too: say it once",
            ],
        ),
        ("terms.payment.poll_gaps_s = []\n", ["terms.payment.poll_gaps_s: must have at least 1 item, not 0"]),
        ("terms.payment.pace = 1\n", ["terms.payment.pace: is not known here"]),
        (
            'terms.payment.not_found = "newer"\n',
            ['terms.payment.not_found: must be {answers, over_s} or "never"'],
        ),
        (
            "terms.payment.not_found = { answers = 0, over_s = 1 }\n",
            ["terms.payment.not_found.answers: must be greater than 0"],
        ),
        (
            "terms.payment.answer_timeout_s = 301\n",
            ["terms.payment.answer_timeout_s: must be less than or equal to 300"],
        ),
        (
            "terms.barter.answer_timeout_s = 1\n",
            ["terms.barter: must be 'payment', 'authentication', 'refund', 'payout' or 'redirect'"],
        ),
        (
            "terms.redirect.answer_timeout_s = 1\n",
            ["terms.redirect: is not a product of allinpay"],
        ),
    ],
)
def test_wrong_terms_are_told_by_name(read: Read, said: str, expected: list[str]) -> None:
    assert problems(read, GOOD.replace(FLAT, said, 1)) == [
        f"merchants[0].accounts[0].{problem}" for problem in expected
    ]


def test_an_account_brings_what_its_provider_declares_never_to_change(read: Read) -> None:
    account = read(GOOD).merchants[0].accounts[0]
    assert account.identity == {"merchant_id"}
    assert account.identity <= set(account.settings)


def test_the_word_all_stands_for_every_known_bank(read: Read) -> None:
    rules = read(GOOD.replace('banks = ["ICBC", "ABC"]', 'banks = "all"')).merchants[0].rules
    assert {rule.bank for rule in rules} == set(bank_names())


def test_a_doubled_dollar_is_a_plain_one(read: Read) -> None:
    content = read(GOOD.replace('{ env = "TL_PASS" }', '"a$${b}$c"'))
    assert content.merchants[0].accounts[0].secrets["user_pass"] == "a${b}$c"


def test_a_scene_may_stand_alone(read: Read) -> None:
    assert read(GOOD.replace('scenes = ["withhold"]', 'scene = "withhold"')).merchants[0].rules[0].scene == "withhold"


def test_a_tiered_fee_is_read(read: Read) -> None:
    tiers = '{ type = "tiered", tiers = [{ up_to = 1000, fee = 5 }, { fee = { type = "fixed", amount = 9 } }] }'
    fee = read(GOOD.replace('{ type = "percent", rate = "0.002", min = 20 }', tiers)).merchants[0].rules[0].fee
    assert isinstance(fee, TieredFee)
    assert (fee_for(fee, 1000), fee_for(fee, 1001)) == (5, 9)


def test_a_key_may_come_from_the_environment_or_as_its_hash(read: Read) -> None:
    given = 'key = "sk_test_0123456789abc"'
    by_variable = read(GOOD.replace(given, 'key_env = "WEB_KEY"'), WEB_KEY="sk_live_fedcba9876543210")
    assert by_variable.merchants[0].apps[0].keys[0].key_hash == key_hash_of("sk_live_fedcba9876543210")
    by_hash = read(GOOD.replace(given, f'sha256 = "{"0a" * 32}"'))
    assert by_hash.merchants[0].apps[0].keys[0].key_hash == b"\x0a" * 32


def test_yaml_is_read_as_toml_is_and_on_is_a_word(read: Read) -> None:
    text = f"""
merchants:
  - code: shop
    name: 商店
    apps: [{{code: web, name: Web, keys: [{{label: first, key: sk_test_0123456789abc}}]}}]
    endpoints: [{{code: web, app: web, url: "https://shop.example.com/hook", secrets: [{SECRET}]}}]
    accounts:
      - code: tl
        provider: allinpay
        settings: {{url: "http://127.0.0.1/", merchant_id: "1", user_name: u}}
        secrets:
          user_pass: pass
          merchant_private_key: {{file: keys/allinpay/merchant.key.pem}}
          psp_certificate: {{file: keys/allinpay/psp.cert.pem}}
    channels: [{{code: tl, account: tl, name: 通联, on: false, authentication: {{"*": none}}}}]
    windows: [{{channel: tl, starts_at: 2026-10-01T02:00:00+08:00, ends_at: 2026-10-01T04:00:00+08:00}}]
    rules: [{{channel: tl, scenes: [withhold], banks: [ICBC], fee: {{type: percent, rate: 0.002}}}}]
"""
    (merchant,) = read(text, "catalogue.yaml").merchants
    assert not merchant.channels[0].on
    assert merchant.windows[0].starts_at == datetime(2026, 9, 30, 18, tzinfo=UTC)
    assert fee_for(merchant.rules[0].fee, 10_000) == 20


@pytest.mark.parametrize(
    ("was", "becomes", "expected"),
    [
        # shape
        ('name = "Web"', "", "merchants[0].apps[0].name: is missing"),
        ('name = "Web"', "name = 7", "merchants[0].apps[0].name: must be a valid string"),
        ('name = "Web"', 'name = "Web"\ncolour = "red"', "merchants[0].apps[0].colour: is not known here"),
        (
            'code = "shop"',
            'code = "Shop.1"',
            "merchants[0].code: must be 1 to 40 lower-case letters, digits, - and _, a letter first",
        ),
        (
            'key = "sk_test_0123456789abc"',
            'key = "short"',
            "merchants[0].apps[0].keys[0].key: must be sk_ and letters, digits, - and _, 16 to 200 characters in all",
        ),
        (
            ', key = "sk_test_0123456789abc"',
            "",
            "merchants[0].apps[0].keys[0]: must have exactly one of key, key_env and sha256",
        ),
        (
            'key = "sk_test_0123456789abc"',
            'key_env = "NOT_THERE"',
            "merchants[0].apps[0].keys[0].key_env: must name an environment variable that is set",
        ),
        (
            "https://shop.example.com/hook",
            "ftp://shop.example.com",
            "merchants[0].endpoints[0].url: must be an http(s) address without user name and fragment",
        ),
        (
            "https://shop.example.com/hook",
            "https://shop.example.com/hook?#",
            "merchants[0].endpoints[0].url: must be an http(s) address without user name and fragment",
        ),
        (
            "https://shop.example.com/hook",
            f"https://{'ü' * 70}.example.com/hook",
            "merchants[0].endpoints[0].url: must be an http(s) address without user name and fragment",
        ),
        (
            '"${HOOK_SECRET}"',
            '"whsec_c2hvcnQ="',
            "merchants[0].endpoints[0].secrets[0]: must be whsec_ and the base64 of 24 to 64 bytes",
        ),
        (
            '["${HOOK_SECRET}"]',
            "[]",
            "merchants[0].endpoints[0].secrets: must have at least 1 item, not 0",
        ),
        ("[1, 2.5]", "[1, 0]", "merchants[0].accounts[0].poll_gaps_s[1]: must be greater than 0"),
        ("answers = 3,", "", "merchants[0].accounts[0].not_found.answers: is missing"),
        (
            '"*" = "none"',
            '"*" = "magic"',
            "merchants[0].channels[0].authentication.*: must be 'none', 'silent', 'sms' or 'sms_each_payment'",
        ),
        (
            "2026-10-01T04:00:00+08:00",
            "2026-10-01T04:00:00",
            "merchants[0].windows[0].ends_at: must say its offset from UTC, such as 2026-10-01T02:00:00+08:00",
        ),
        ("single_limit = 100", "single_limit = 0", "merchants[0].rules[0].single_limit: must be greater than 0"),
        ("single_limit = 100", "single_limit = -5", "merchants[0].rules[0].single_limit: must be greater than 0"),
        ("single_limit = 100", 'single_limit = "9"', "merchants[0].rules[0].single_limit: must be a valid integer"),
        ("single_limit = 100", "single_limit = 1.5", "merchants[0].rules[0].single_limit: must be a valid integer"),
        # fees
        (
            "single_limit = 100",
            'daily_insufficient_by = "phone"',
            "merchants[0].rules[0].daily_insufficient_by: must be 'user' or 'card'",
        ),
        (
            'name = "商店"',
            'name = "商店"\nunresolved_counts_after_s = 0',
            "merchants[0].unresolved_counts_after_s: must be greater than 0",
        ),
        ('rate = "0.002"', 'rate = "2"', "merchants[0].rules[0].fee.rate: must be a fraction from 0 to 1"),
        ('rate = "0.002",', "", "merchants[0].rules[0].fee.rate: is missing"),
        ('"percent"', '"per cent"', "merchants[0].rules[0].fee.type: must be one of fixed, percent, tiered"),
        (
            "min = 20",
            "min = 20, max = 10",
            "merchants[0].rules[0].fee.min: must not be greater than max",
        ),
        # references
        ("${HOOK_SECRET}", "${NOPE}", "merchants[0].endpoints[0].secrets[0]: the environment variable NOPE is not set"),
        (
            "${HOOK_SECRET}",
            "${no name}",
            "merchants[0].endpoints[0].secrets[0]: has ${…} without the name of a variable; a plain ${ is written $${",
        ),
        (
            '{ env = "TL_PASS" }',
            '{ env = "NOPE" }',
            "merchants[0].accounts[0].secrets.user_pass: the environment variable NOPE is not set",
        ),
        (
            'name = "Web"',
            'name = "We\\u202eb"',
            "merchants[0].apps[0].name: has a hidden or look-alike character (U+202E): leave it out",
        ),
        (
            "ends_at = 2026-10-01T04:00:00+08:00",
            'ends_at = 2026-10-01T04:00:00+08:00\nnote = "a\\u3164"',
            "merchants[0].windows[0].note: has a hidden or look-alike character (U+3164): leave it out",
        ),
        # meaning
        ('app = "web"', 'app = "wep"', "merchants[0].endpoints[0].app: there is no app wep; there are web"),
        (
            'provider = "allinpay"',
            'provider = "alipay"',
            f"merchants[0].accounts[0].provider: there is no provider alipay; there are {THERE_ARE}",
        ),
        ('account = "tl"', 'account = "lt"', "merchants[0].channels[0].account: there is no account lt; there are tl"),
        (
            '"*" = "none"',
            '"*" = "silent"',
            (
                "merchants[0].channels[0].authentication.*: allinpay cannot authenticate by silent: "
                "it has no authenticate and no ask_authentication"
            ),
        ),
        (
            '"*" = "none"',
            'ICBK = "none"',
            "merchants[0].channels[0].authentication.ICBK: ICBK is not a bank code",
        ),
        (
            'scenes = ["withhold"]',
            'scenes = ["netbank_charge"]',
            "merchants[0].rules[0].scenes[0]: allinpay cannot pay netbank_charge, only quick_charge, withhold",
        ),
        (
            'scenes = ["withhold"]',
            'scenes = ["gambling"]',
            (
                "merchants[0].rules[0].scenes[0]: must be 'custody_quick_charge', 'custody_netbank_charge', "
                "'custody_withhold', 'quick_charge', 'netbank_charge' or 'withhold'"
            ),
        ),
        ('"ICBC", "ABC"', '"ICBC", "XYZ"', "merchants[0].rules[0].banks[1]: XYZ is not a bank code"),
        ('"ICBC", "ABC"', '"ICBC", "ICBC"', "merchants[0].rules[0].banks[1]: ICBC is given twice"),
        (
            "ends_at = 2026-10-01T04:00:00+08:00",
            "ends_at = 2026-10-01T02:00:00+08:00",
            "merchants[0].windows[0].ends_at: must be after starts_at",
        ),
        (
            "ends_at = 2026-10-01T04:00:00+08:00",
            'ends_at = 2026-10-02T02:00:00+08:00\nrepeats = "daily"',
            "merchants[0].windows[0].ends_at: must be less than 24 hours after starts_at, since it repeats daily",
        ),
        (
            "ends_at = 2026-10-01T04:00:00+08:00",
            'ends_at = 2026-10-01T04:00:00+08:00\nrepeats = "yearly"',
            "merchants[0].windows[0].repeats: must be 'daily', 'weekly' or 'monthly'",
        ),
        (
            "ends_at = 2026-10-01T04:00:00+08:00",
            'ends_at = 2026-10-01T04:00:00+08:00\nbanks = ["ICBC", "NO"]',
            "merchants[0].windows[0].banks[1]: NO is not a bank code",
        ),
        (
            "ends_at = 2026-10-01T04:00:00+08:00",
            'ends_at = 2026-10-01T04:00:00+08:00\nscenes = ["withhold", "withhold"]',
            "merchants[0].windows[0].scenes[1]: withhold is given twice",
        ),
        ('user_name = "u"', "", "merchants[0].accounts[0].user_name: is missing"),
        (
            'user_name = "u"',
            'user_name = "u"\nanswer_timeout_s = 5',
            "merchants[0].accounts[0].settings.answer_timeout_s: belongs beside settings, not in it",
        ),
    ],
)
def test_a_bad_file_is_told_where_and_what(read: Read, was: str, becomes: str, expected: str) -> None:
    assert was in GOOD
    assert problems(read, GOOD.replace(was, becomes, 1)) == [expected]


def test_a_rule_for_a_channel_that_is_not_there_is_refused(read: Read) -> None:
    text = GOOD.replace('[[merchants.rules]]\nchannel = "tl"', '[[merchants.rules]]\nchannel = "up"')
    assert problems(read, text) == ["merchants[0].rules[0].channel: there is no channel up; there are tl"]


def test_failures_may_count_by_card_and_attempts_without_a_result_after_a_time(read: Read) -> None:
    said = "daily_insufficient_limit = 3\ndaily_insufficient_by"
    text = GOOD.replace("single_limit = 100", f'{said} = "card"')
    merchant = read(text.replace('name = "商店"', 'name = "商店"\nunresolved_counts_after_s = 600')).merchants[0]
    assert {rule.daily_insufficient_by for rule in merchant.rules} == {"card"}
    assert merchant.unresolved_counts_after_s == 600
    silent = read(GOOD.replace("single_limit = 100", f'{said} = "user"')).merchants[0]
    assert {rule.daily_insufficient_by for rule in silent.rules} == {"user"}
    assert silent.unresolved_counts_after_s is None


def test_a_scene_without_cards_cannot_count_by_card(read: Read) -> None:
    text = GOOD.replace('scenes = ["withhold"]', 'scenes = ["withhold", "custody_withhold"]')
    told = problems(read, text + 'daily_insufficient_by = "card"\n')
    assert (
        "merchants[0].rules[0].daily_insufficient_by: custody_withhold has no card number: count by user there" in told
    )


def test_the_same_row_in_two_rules_is_refused(read: Read) -> None:
    again = '\n[[merchants.rules]]\nchannel = "tl"\nscene = "withhold"\nbanks = "ABC"\nfee = 5\n'
    assert problems(read, GOOD + again) == [
        "merchants[0].rules[1]: withhold of ABC on tl is already in merchants[0].rules[0]"
    ]


def test_the_same_key_for_two_apps_is_refused(read: Read) -> None:
    again = '\n[[merchants.apps]]\ncode = "b"\nname = "B"\nkeys = [{ label = "x", key = "sk_test_0123456789abc" }]\n'
    assert problems(read, GOOD + again) == [
        "merchants[0].apps[1].keys[0]: is the same key as merchants[0].apps[0].keys[0]"
    ]


def test_a_code_that_is_given_twice_is_refused(read: Read) -> None:
    assert problems(read, GOOD + '\n[[merchants.apps]]\ncode = "web"\nname = "B"\n') == [
        "merchants[0].apps[1].code: web is already merchants[0].apps[0]"
    ]


def test_a_broken_key_file_is_told_without_its_content(read: Read, folder: Path) -> None:
    (folder / "broken.pem").write_text("-----BEGIN SECRET-----")
    (problem,) = problems(read, GOOD.replace("keys/allinpay/merchant.key.pem", "broken.pem"))
    assert problem.startswith("merchants[0].accounts[0].secrets.merchant_private_key: is wrong: ")
    assert "BEGIN SECRET" not in problem


def test_a_missing_file_and_a_missing_member_are_told(read: Read, folder: Path) -> None:
    text = GOOD.replace("keys/allinpay/merchant.key.pem", "nope.pem").replace(
        'json_key = "merchant_id"', 'json_key = "x"'
    )
    assert problems(read, text) == [
        f"merchants[0].accounts[0].settings.merchant_id: the file {folder}/keys/allinpay/account.json has no text x",
        (
            "merchants[0].accounts[0].secrets.merchant_private_key: "
            f"the file {folder}/nope.pem cannot be read: No such file or directory"
        ),
    ]


def test_all_problems_are_told_at_once(read: Read) -> None:
    text = GOOD.replace('name = "Web"', "").replace("single_limit = 100", "single_limit = 0").replace("HOOK_", "NOPE_")
    assert problems(read, text) == [
        "merchants[0].endpoints[0].secrets[0]: the environment variable NOPE_SECRET is not set",
        "merchants[0].apps[0].name: is missing",
        "merchants[0].rules[0].single_limit: must be greater than 0",
    ]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("c.toml", "a = 1\nb = = 2\n", "line 2, column 5: not TOML: Invalid value"),
        ("c.toml", "a = 1\na = 2\n", "line 2, column 6: not TOML: Cannot overwrite a value"),
        ("c.yaml", "a: 1\nb: [1,\nc: 2: 3\n", "line 3, column 5: not YAML: expected ',' or ']', but got ':'"),
        ("c.yaml", "a: 1\na: 2\n", "line 2, column 1: not YAML: the key a is given twice"),
        ("c.yml", "- 1\n", "c.yml: must be a table with merchants"),
        ("c.json", "{}", "c.json: the ending must be one of .toml, .yaml, .yml"),
        ("c.toml", "", "merchants: is missing"),
    ],
)
def test_a_file_that_is_not_toml_or_yaml_is_told_by_its_line(read: Read, name: str, text: str, expected: str) -> None:
    assert problems(read, text, name) == [expected]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CatalogueFileError, match=r"none\.toml cannot be read: No such file or directory"):
        read_catalogue(tmp_path / "none.toml", {})


def test_a_single_limit_above_the_daily_limit_is_a_warning(read: Read) -> None:
    assert read(GOOD.replace("single_limit = 100", "single_limit = 300")).warnings == (
        "merchants[0].rules[0].single_limit: is above daily_limit, which stops such payments anyway",
    )


def test_a_bank_that_the_channel_cannot_authenticate_is_a_warning(read: Read) -> None:
    assert read(GOOD.replace('"*" = "none"', 'ICBC = "none"')).warnings == (
        "merchants[0].rules[0].banks: tl has no authentication for ABC: never chosen",
    )


def test_rows_of_banks_that_the_provider_does_not_know_are_a_warning(read: Read) -> None:
    assert read(GOOD.replace('"ICBC", "ABC"', '"ICBC", "BJBANK", "SHBANK"')).warnings == (
        "merchants[0].rules[0].banks: allinpay does not know BJBANK, SHBANK: 2 rows can never pay",
    )
    (warning,) = read(GOOD.replace('["ICBC", "ABC"]', '"all"')).warnings
    never = len(bank_names()) - len(offer_of("allinpay").declaration.carries.banks or ())
    assert warning.endswith(f"more: {never} rows can never pay")


def test_rows_of_banks_without_a_page_are_a_warning_where_those_of_cards_are_none(read: Read) -> None:
    at_cpcn = {
        'provider = "allinpay"': 'provider = "cpcn"',
        'user_name = "u"': 'base_url = "http://127.0.0.1:8090/cpcn"\ninstitution_id = "1"\nsettlement_flag = "1"\n'
        'assumed = ["page_states"]',
        'scenes = ["withhold"]': 'scenes = ["withhold", "netbank_charge"]',
        '"ICBC", "ABC"': '"ICBC", "BOHAIB", "EGBANK"',
    }
    text = GOOD
    for said, other in at_cpcn.items():
        assert said in text
        text = text.replace(said, other)
    assert read(text).warnings == (
        "merchants[0].rules[0].banks: cpcn does not know EGBANK, BOHAIB: 3 rows can never pay",
    )


def around(folder: Path) -> dict[str, str]:
    """The variables that the sample names."""
    return {
        "SLUICE_SANDBOX_PORT": "8090",
        "SLUICE_SANDBOX_KEYS": str(folder / "keys"),
        "SLUICE_RECEIVER_PORT": "8070",
        "SLUICE_RECEIVER_SECRET": SECRET,
    }


def sample(folder: Path, **environ: str) -> CatalogueFile:
    with resources.as_file(resources.files("gateway") / "samples/catalogue.toml") as path:
        return read_catalogue(path, around(folder) | environ)


def test_the_sample_is_a_good_file(folder: Path) -> None:
    content = sample(folder)
    assert [merchant.code for merchant in content.merchants] == ["demo", "other"]
    assert content.warnings == ()
    keys = [key.key_hash for merchant in content.merchants for app in merchant.apps for key in app.keys]
    assert all(is_sample_key(key) for key in keys)


def test_the_answer_timeout_beside_settings_is_said_of_every_product_that_the_provider_has(folder: Path) -> None:
    accounts = {account.code: account.terms for account in sample(folder).merchants[0].accounts}
    assert {product: own.answer_timeout_s for product, own in accounts["unionpay_main"].items()} == {
        Product.PAYMENT: 10.0,
        Product.AUTHENTICATION: 10.0,
        Product.REFUND: 10.0,
        Product.PAYOUT: 10.0,
        Product.REDIRECT: 10.0,
        Product.PAYOUT: 10.0,
    }
    assert accounts["unionpay_main"][Product.AUTHENTICATION] == OwnTerms(answer_timeout_s=10.0)
    of_cards = {Product.PAYMENT, Product.AUTHENTICATION, Product.REFUND, Product.PAYOUT}
    assert set(accounts["allinpay_main"]) == of_cards


def test_the_answer_timeout_of_every_product_is_not_said_of_one_of_them_again(folder: Path) -> None:
    text = (resources.files("gateway") / "samples/catalogue.toml").read_text()
    twice = text.replace(
        "answer_timeout_s = 10\n", "answer_timeout_s = 10\nterms.authentication.answer_timeout_s = 5\n", 1
    )
    path = folder / "twice.toml"
    path.write_text(twice)
    with pytest.raises(CatalogueFileError) as caught:
        read_catalogue(path, around(folder))
    assert caught.value.problems == [
        "merchants[0].accounts[0].answer_timeout_s: is said by terms.authentication.answer_timeout_s too: say it once"
    ]


def test_production_refuses_the_sample_keys(folder: Path) -> None:
    with pytest.raises(CatalogueFileError) as caught:
        sample(folder, SLUICE_ENV="production")
    assert caught.value.problems == [
        f"merchants[{merchant}].apps[{app}].keys[0]: is a sample key, which everybody knows; production refuses it"
        for merchant, app in ((0, 0), (0, 1), (1, 0))
    ]


# --- the block list ---

BLOCKS = """
[[merchants.blocks]]
kind = "card_no"
value = "6222 0210 0111 2222"
reason = "reported stolen"
expires_at = 2027-01-01T00:00:00+08:00

[[merchants.blocks]]
kind = "id_no"
id_type = "passport"
value = { env = "BLOCKED_PASSPORT" }
reason = "asked us"
"""


def test_blocked_values_are_read_in_their_one_form_and_shown_nowhere(read: Read) -> None:
    file = read(GOOD + BLOCKS, BLOCKED_PASSPORT="e12345678")
    card, passport = file.merchants[0].blocks
    assert (card.kind, card.value and card.value.value, card.reason) == (
        "card_no",
        "6222021001112222",
        "reported stolen",
    )
    assert passport.value == blocked_value(BlockKind.ID_NO, "E12345678", IdType.PASSPORT)
    assert "6222021001112222" not in repr(file)


@pytest.mark.parametrize(
    ("was", "becomes", "expected"),
    [
        ("6222 0210 0111 2222", "6222021", ".value: must be a whole card number of 12 to 19 digits"),
        ('value = "6222 0210 0111 2222"', "", ": must have exactly one of value and print"),
        ("value", 'print = "00"\nvalue', ".print: must match pattern '^[0-9a-f]{64}$'"),
        ('reason = "reported stolen"', 'reason = ""', ".reason: must have at least 1 character"),
        ('kind = "card_no"', 'kind = "card"', ".kind: must be 'user', 'card_no', 'id_no' or 'phone'"),
        ('kind = "card_no"', 'kind = "card_no"\nid_type = "passport"', ".value: has id_type, which is for id_no alone"),
    ],
)
def test_a_block_that_cannot_be_is_refused_by_its_place_and_not_by_its_value(
    read: Read, was: str, becomes: str, expected: str
) -> None:
    told = problems(read, GOOD + BLOCKS.replace(was, becomes, 1), BLOCKED_PASSPORT="E12345678")
    assert told == [f"merchants[0].blocks[0]{expected}"]


def test_a_value_that_is_blocked_twice_is_told_however_it_is_typed(read: Read) -> None:
    again = BLOCKS.replace("6222 0210 0111 2222", "6222021001112222")
    told = problems(read, GOOD + BLOCKS + again, BLOCKED_PASSPORT="E12345678")
    assert told == [
        "merchants[0].blocks[2]: is already merchants[0].blocks[0]",
        "merchants[0].blocks[3]: is already merchants[0].blocks[1]",
    ]
