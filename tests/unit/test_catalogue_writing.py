"""A written catalogue file is read again as the very same content, whatever is in it.

Not tested here: what the database makes of it (tests/storage/test_catalogue_in_force.py).
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from gateway.catalogue_file import read_catalogue, written
from gateway.domain.cards import bank_names
from gateway.domain.catalogue import BUSINESS_ZONE
from gateway.domain.catalogue_content import (
    KeyContent,
    MerchantContent,
    PayoutRuleContent,
    RuleContent,
    WindowContent,
)
from gateway.domain.payees import PayeeType
from gateway.domain.payout_rules import Day, PayoutWindow
from gateway.domain.prices import Price, in_order
from gateway.domain.scenes import Scene
from gateway.domain.terms import NEVER, NotFoundRule, OwnTerms, Product
from gateway.domain.texts import odd_in_name, odd_in_text
from gateway.domain.windows import Repeats
from router.fees import FixedFee
from router.limits import ChannelLimits, RuleLimits
from tests.examples import examples
from tests.paying_out import EVERYBODY, pay_out
from tests.unit.router.strategies import fees

SECRET = "whsec_" + "A" * 32
SOME_BANKS = sorted(bank_names())[:4]
FIRST = datetime(2026, 1, 1, tzinfo=UTC)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20) | st.sampled_from(
    ['"', "\\", "${", "$${", "$$${X}", "a\nb", "\x7f", "'''", "#", "名字"]
)


def _is_name(text: str) -> bool:
    return odd_in_name(text) is None


FEN = st.integers(1, 10**9)
MAYBE_FEN = st.none() | FEN
DAYS = st.dates(date(2026, 1, 1), date(2026, 12, 31))
PRICES = st.dictionaries(DAYS, fees(), max_size=2).map(lambda of: in_order(Price(*each) for each in of.items()))
AMOUNTS = st.dictionaries(DAYS, FEN, max_size=2).map(lambda of: in_order(Price(*each) for each in of.items()))


@pytest.fixture(scope="module")
def merchant(tmp_path_factory: pytest.TempPathFactory, psp_keys: Path) -> Iterator[tuple[Path, MerchantContent]]:
    """The first merchant of the sample, and a folder. UnionPay pays out to everybody."""
    folder = tmp_path_factory.mktemp("written")
    environ = {"SLUICE_SANDBOX_PORT": "1", "SLUICE_RECEIVER_PORT": "2", "SLUICE_SANDBOX_KEYS": str(psp_keys)}
    with resources.as_file(resources.files("gateway") / "samples/catalogue.toml") as path:
        content = read_catalogue(path, environ | {"SLUICE_RECEIVER_SECRET": SECRET}).merchants[0]
    with pytest.MonkeyPatch.context() as patch:
        pay_out(patch, "unionpay", EVERYBODY)
        yield folder, content


def in_any_order(content: MerchantContent) -> MerchantContent:
    """Rules and windows as a set: their order means nothing."""
    rules = sorted(content.rules, key=lambda rule: (rule.channel, rule.scene, rule.bank))
    payouts = sorted(content.payout_rules, key=lambda rule: (rule.channel, rule.payee, rule.bank))
    windows = tuple(sorted(content.windows, key=repr))
    return replace(content, rules=tuple(rules), windows=windows, payout_rules=tuple(payouts))


@st.composite
def windows(draw: st.DrawFn) -> WindowContent:
    starts_at = FIRST + timedelta(microseconds=draw(st.integers(0, 10**14)))
    ends_at = starts_at + timedelta(microseconds=draw(st.integers(1, 10**10)))
    banks = draw(st.none() | st.lists(st.sampled_from(SOME_BANKS), min_size=1, unique=True))
    scenes = draw(st.none() | st.lists(st.sampled_from(Scene), min_size=1, unique=True))
    return WindowContent(
        "unionpay",
        starts_at.astimezone(BUSINESS_ZONE),
        ends_at.astimezone(BUSINESS_ZONE),
        draw(TEXTS.filter(lambda text: odd_in_text(text, lines=True) is None)),
        draw(st.none() | st.sampled_from(Repeats)),
        tuple(sorted(banks)) if banks else None,
        tuple(sorted(scenes)) if scenes else None,
    )


@st.composite
def rules(draw: st.DrawFn) -> tuple[RuleContent, ...]:
    places = st.tuples(st.sampled_from([Scene.WITHHOLD, Scene.QUICK_CHARGE]), st.sampled_from(SOME_BANKS))
    some = draw(st.lists(fees(), min_size=1, max_size=2))
    limits = draw(st.lists(st.builds(RuleLimits, MAYBE_FEN, MAYBE_FEN), min_size=1, max_size=2))
    return tuple(
        RuleContent("unionpay", scene, bank, draw(st.booleans()), draw(st.sampled_from(some)), draw(st.integers(-2, 2)),
                    draw(st.sampled_from(limits)), draw(st.sampled_from(["user", "card"])), draw(PRICES))
        for scene, bank in draw(st.lists(places, unique=True, max_size=8))
    )  # fmt: skip


CLOCKS = ("00:00", "08:30", "12:00", "17:00", "24:00")


@st.composite
def payout_rules(draw: st.DrawFn) -> tuple[PayoutRuleContent, ...]:
    places = st.tuples(st.sampled_from(PayeeType), st.sampled_from(["*", *SOME_BANKS]))
    some = draw(st.lists(fees(), min_size=1, max_size=2))
    breaks = st.lists(st.integers(0, 3), unique=True).map(sorted)
    days = draw(st.sets(st.sampled_from(Day), min_size=1))
    windows = st.just(()) | breaks.map(
        lambda at: tuple(PayoutWindow(CLOCKS[n], CLOCKS[n + 1], tuple(day for day in Day if day in days)) for n in at)
    )
    return tuple(
        PayoutRuleContent("unionpay", payee, bank, draw(st.booleans()), draw(st.sampled_from(some)), draw(MAYBE_FEN),
                          draw(MAYBE_FEN), draw(windows), draw(PRICES))
        for payee, bank in draw(st.lists(places, unique=True, max_size=6))
    )  # fmt: skip


OWN_TERMS = st.builds(
    OwnTerms,
    st.none() | st.lists(st.floats(0.5, 100), min_size=1, max_size=3).map(tuple),
    st.none() | st.just(NEVER) | st.builds(NotFoundRule, st.integers(1, 9), st.floats(1, 1000)),
    st.floats(0.5, 20),
)


@given(
    TEXTS.filter(_is_name),
    TEXTS.filter(_is_name),
    rules(),
    payout_rules(),
    st.lists(windows(), max_size=3, unique=True),
    st.dictionaries(st.sampled_from([Product.PAYMENT, Product.AUTHENTICATION, Product.REFUND]), OWN_TERMS),
    st.builds(ChannelLimits, MAYBE_FEN),
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("authentication_spread", "sms_per_phone_and_day", "unresolved_counts_after_s"), FEN),
    ),
    AMOUNTS,
)
@examples(15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read_as_the_same(
    merchant: tuple[Path, MerchantContent],
    name: str,
    label: str,
    rules_: tuple[RuleContent, ...],
    payout_rules_: tuple[PayoutRuleContent, ...],
    windows_: list[WindowContent],
    terms: dict[Product, OwnTerms],
    limits: ChannelLimits,
    signing: dict[str, Any],
    authentication_fees: tuple[Price[int], ...],
) -> None:
    folder, content = merchant
    unionpay, *accounts = content.accounts
    channel, *channels = content.channels
    app, *apps = content.apps
    content = replace(
        content,
        name=name,
        apps=(replace(app, keys=(KeyContent(label, b"k" * 32),)), *apps),
        accounts=tuple(
            replace(each, terms=terms)
            if each is unionpay
            else replace(each, balance_alert_below=limits.daily_total if each.provider == "lianlian" else None)
            for each in (unionpay, *accounts)
        ),
        channels=(replace(channel, limits=limits, authentication_fees=authentication_fees), *channels),
        rules=rules_,
        payout_rules=payout_rules_,
        windows=tuple(windows_),
        **signing,
    )
    path = folder / "written.toml"
    path.write_text(written([content], BUSINESS_ZONE), encoding="utf-8", newline="")
    assert in_any_order(read_catalogue(path, {}, [content]).merchants[0]) == in_any_order(content)


def test_rules_that_are_alike_stand_together(merchant: tuple[Path, MerchantContent]) -> None:
    _, content = merchant
    assert written([content], BUSINESS_ZONE).count("[[merchants.rules]]") == 14
    (first, *_) = content.rules
    everywhere = [replace(first, scene=s, bank=b) for s in (Scene.WITHHOLD, Scene.QUICK_CHARGE) for b in bank_names()]
    text = written([replace(content, rules=tuple(everywhere))], BUSINESS_ZONE)
    assert text.count("[[merchants.rules]]") == 1
    assert 'banks = "all"' in text


def test_payout_rules_stand_below_their_channel_and_those_that_are_alike_together(
    merchant: tuple[Path, MerchantContent],
) -> None:
    _, content = merchant
    office = PayoutWindow("08:30", "17:00", (Day.MON, Day.TUE))
    rule = PayoutRuleContent("unionpay", PayeeType.PERSONAL, "*", True, FixedFee(100), 5, windows=(office,))
    alike = [replace(rule, payee=payee, bank=bank) for payee in PayeeType for bank in ("*", "ICBC")]
    text = written([replace(content, payout_rules=(*alike, replace(rule, bank="ABC", fee=FixedFee(9))))], BUSINESS_ZONE)
    _, below = text.split('code = "unionpay"\n')
    _, first, second, *_ = below.split("\n[[")
    assert first == (
        'merchants.channels.payouts]]\npayees = ["corporate", "personal"]\nbanks = ["*", "ICBC"]\nenabled = true\n'
        'fee = { "type" = "fixed", "amount" = 100 }\nsingle_limit = 5\n'
        'windows = [{ "opens" = "08:30", "closes" = "17:00", "days" = ["mon", "tue"] }]\n'
    )
    assert second.startswith('merchants.channels.payouts]]\npayees = ["personal"]\nbanks = ["ABC"]\n')
