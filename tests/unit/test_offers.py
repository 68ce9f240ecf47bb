"""What a provider can do, as the catalogue asks it: a file and the admin API refuse what it cannot, naming the command.

Not tested here: the other checks of files (test_catalogue_file) and of admin calls (tests/storage/test_admin_calls).
"""

from dataclasses import replace
from typing import Any, ClassVar

import pytest

from adapters.allinpay import Allinpay
from adapters.registry import PROVIDERS, assumptions_of, offer_for, offer_of, why_no_statements
from adapters.unionpay import UnionPay
from gateway.catalogue_file.checks import address_problems, problems_of
from gateway.catalogue_file.shape import AccountShape, ChannelShape, MerchantShape, RuleShape
from gateway.catalogue_file.signers import signer_problems, signer_warnings
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.catalogue_content import AccountContent
from gateway.domain.scenes import Scene
from gateway.ports import (
    AskAuthentication,
    AskPayment,
    Assumption,
    Authenticate,
    Command,
    Declaration,
    Offer,
    Pay,
    Redirect,
    Refund,
    SendPaymentCode,
    SendSigningCode,
    Sign,
    Table,
    why_not_primary,
)

NONE, SILENT, SMS = AuthenticationMode.NONE, AuthenticationMode.SILENT, AuthenticationMode.SMS
EACH = AuthenticationMode.SMS_EACH_PAYMENT


def offer(*kinds: type[Command[Any]]) -> Offer:
    return Offer(UnionPay.DECLARATION, frozenset(kinds))


def test_an_offer_is_what_the_adapter_says_of_itself_without_an_account() -> None:
    for name, provider in PROVIDERS.items():
        assert offer_of(name) == Offer(provider.DECLARATION, frozenset(provider.COMMANDS))
        assert offer_of(name).provider == name
    assert Refund in offer_of("unionpay").commands
    assert Refund not in offer_of("lanmao").commands
    with pytest.raises(KeyError):
        offer_of("nopay")


@pytest.mark.parametrize(
    ("kinds", "why"),
    [
        ((Pay, AskPayment), None),
        ((Pay,), "unionpay cannot pay: it has no ask_payment"),
        ((AskPayment,), "unionpay cannot pay: it has no pay"),
        ((), "unionpay cannot pay: it has no pay and no ask_payment"),
    ],
)
def test_who_pays_must_be_able_to_ask(kinds: tuple[type[Command[Any]], ...], why: str | None) -> None:
    assert offer(*kinds).why_not_pay(Scene.WITHHOLD) == why


def test_an_account_whose_psp_cannot_be_told_where_to_call_is_refused() -> None:
    merchant = MerchantShape.model_validate(
        {"code": "shop", "name": "shop", "accounts": [{"code": "yp", "provider": "yeepay"}]}
    )
    fits = "https://" + "a" * 31
    assert list(address_problems([merchant], fits)) == []
    [told] = address_problems([merchant], f"{fits}a")
    assert told.endswith("its address of callbacks has 51 characters and yeepay takes 50: shorten SLUICE_PUBLIC_URL")


def test_a_scene_that_is_not_declared_is_named_with_those_that_are() -> None:
    why = offer(Pay, AskPayment).why_not_pay(Scene.CUSTODY_WITHHOLD)
    assert why == "unionpay cannot pay custody_withhold, only netbank_charge, quick_charge, withhold"


def test_what_is_paid_on_a_page_needs_the_form_that_opens_it_and_no_payment_by_itself() -> None:
    assert offer(Redirect, AskPayment).why_not_pay(Scene.NETBANK_CHARGE) is None
    why = offer(Pay, AskPayment).why_not_pay(Scene.NETBANK_CHARGE)
    assert why == "unionpay cannot pay: it has no redirect"
    assert offer(Redirect, AskPayment).why_not_pay(Scene.WITHHOLD) == "unionpay cannot pay: it has no pay"


@pytest.mark.parametrize(
    ("mode", "kinds", "why"),
    [
        (NONE, (), None),
        (SILENT, (Authenticate, AskAuthentication), None),
        (SILENT, (Authenticate,), "unionpay cannot authenticate by silent: it has no ask_authentication"),
        (SILENT, (AskAuthentication,), "unionpay cannot authenticate by silent: it has no authenticate"),
        (SMS, (SendSigningCode, Sign), None),
        (SMS, (SendSigningCode,), "unionpay cannot authenticate by sms: it has no sign"),
        (SMS, (Authenticate, Sign), "unionpay cannot authenticate by sms: it has no send_signing_code"),
        (EACH, (SendPaymentCode, Authenticate), None),
        (EACH, (Pay, Sign), "unionpay cannot authenticate by sms_each_payment: it has no send_payment_code"),
    ],
)
def test_a_mode_of_authentication_needs_its_commands(
    mode: AuthenticationMode, kinds: tuple[type[Command[Any]], ...], why: str | None
) -> None:
    assert offer(*kinds).why_not_authenticate(mode) == why


@pytest.mark.parametrize(
    ("kinds", "why"),
    [
        ((Authenticate,), None),
        ((Sign,), None),
        ((Pay,), "the card is bound first, and it has no authenticate and it has no sign"),
    ],
)
def test_where_the_payment_itself_sends_the_code_an_agreement_may_be_wanted_before(
    kinds: tuple[type[Command[Any]], ...], why: str | None
) -> None:
    sends = replace(UnionPay.DECLARATION, pay_sends_code=True, code_wants_agreement=False)
    assert Offer(sends, frozenset(kinds)).why_not_authenticate(EACH) is None
    told = Offer(replace(sends, code_wants_agreement=True), frozenset(kinds)).why_not_authenticate(EACH)
    assert told == (why and f"unionpay cannot authenticate by sms_each_payment: {why}")


FITS = replace(
    UnionPay.DECLARATION,
    authenticated_scenes=frozenset({Scene.QUICK_CHARGE}),
    codeless_scenes=frozenset({Scene.WITHHOLD}),
    code_wants_agreement=True,
)


@pytest.mark.parametrize(
    ("scene", "mode", "why"),
    [
        (
            Scene.QUICK_CHARGE,
            NONE,
            "unionpay pays quick_charge from authenticated cards alone: its authentication cannot be none",
        ),
        (Scene.WITHHOLD, NONE, None),
        (
            Scene.WITHHOLD,
            EACH,
            "unionpay has no code for each payment of withhold: its authentication cannot be sms_each_payment",
        ),
        (Scene.QUICK_CHARGE, EACH, None),
        (Scene.QUICK_CHARGE, SILENT, None),
        (Scene.WITHHOLD, SMS, None),
    ],
)
def test_a_mode_must_fit_the_scenes_that_are_paid_by_it(
    scene: Scene, mode: AuthenticationMode, why: str | None
) -> None:
    assert Offer(FITS, frozenset()).why_not_way(scene, mode) == why


@pytest.mark.parametrize("wants", [True, False])
def test_who_asks_for_a_code_each_time_signs_only_where_the_card_is_bound_before(wants: bool) -> None:
    offer = Offer(replace(FITS, code_wants_agreement=wants), frozenset({SendSigningCode, Sign}))
    why = "its authentication of every bank must be sms or silent, not sms_each_payment"
    assert why_not_primary(offer, {"*": EACH}, None) == (None if wants else why)


class Mute(Allinpay):
    """An Allinpay that cannot be asked."""

    COMMANDS: ClassVar[Table] = {Pay: Allinpay.pay}


def test_a_file_is_refused_where_a_command_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROVIDERS, "allinpay", Mute)
    merchant = MerchantShape(
        code="shop",
        name="商店",
        accounts=[AccountShape(code="tl", provider="allinpay", settings={}, secrets={})],
        channels=[ChannelShape(code="tl", account="tl", name="通联", authentication={"*": SILENT})],
        rules=[RuleShape(channel="tl", scenes=[Scene.WITHHOLD], banks=["ICBC"], fee=1)],
    )
    told = list(problems_of([merchant], production=False))
    assert "merchants[0].rules[0].scenes[0]: allinpay cannot pay: it has no ask_payment" in told
    (silent,) = (problem for problem in told if "authentication" in problem)
    assert silent == (
        "merchants[0].channels[0].authentication.*: "
        "allinpay cannot authenticate by silent: it has no authenticate and no ask_authentication"
    )


# --- what stands on an assumption ---


class Unsure(Allinpay):
    """An Allinpay that signs by SMS and asks about payments as nobody has confirmed."""

    DECLARATION: ClassVar[Declaration] = replace(
        Allinpay.DECLARATION,
        assumptions=(
            Assumption("sms_words", "The SMS names the merchant.", frozenset({SendSigningCode})),
            Assumption("sign_again", "A code may be sent twice.", frozenset({Sign, SendSigningCode})),
            Assumption("old_question", "Questions are answered for 30 days.", frozenset({AskPayment}), True),
            Assumption("scene_code", "Withholds have code 1.", frozenset({Pay})),
            Assumption("columns", "The fee is column 10.", statements=True),
        ),
    )
    COMMANDS: ClassVar[Table] = dict.fromkeys(
        (Pay, AskPayment, SendSigningCode, Sign, Authenticate, AskAuthentication), Allinpay.pay
    )


@pytest.fixture
def unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROVIDERS, "allinpay", Unsure)


def account(*assumed: str) -> AccountContent:
    return AccountContent("tl", "allinpay", {"assumed": list(assumed)} if assumed else {}, {})


@pytest.mark.usefixtures("unsure")
def test_what_stands_on_an_assumption_waits_for_the_accounts_word_which_the_refusal_asks_for() -> None:
    offer = offer_for(account())
    assert offer.why_not_pay(Scene.WITHHOLD) == (
        'allinpay cannot pay: add "scene_code" to assumed in the account\'s settings once its PSP has confirmed it: '
        "Withholds have code 1"
    )
    assert offer.why_not_authenticate(SMS) == (
        'allinpay cannot authenticate by sms: add "sms_words", "sign_again" to assumed in the account\'s settings once '
        "its PSP has confirmed it: The SMS names the merchant; A code may be sent twice"
    )
    assert offer.why_not_authenticate(SILENT) is None


@pytest.mark.usefixtures("unsure")
def test_statements_that_stand_on_an_assumption_wait_for_the_accounts_word_or_for_its_own_columns() -> None:
    assert offer_for(account()).why_no_statements() == (
        'allinpay states nothing here: add "columns" to assumed in the account\'s settings once its PSP has confirmed '
        "it: The fee is column 10"
    )
    assert offer_for(account("columns")).why_no_statements() is None
    described = replace(account(), settings={"statement": {"number": "order"}})
    assert offer_for(described).why_no_statements() is None
    assert offer_of("allinpay").why_no_statements() is None


def test_where_nothing_is_stated_the_account_describes_its_file() -> None:
    plain = AccountContent("yp", "yeepay", {}, {})
    assert why_no_statements(plain) == "yeepay states nothing: describe the file that it gives (setting statement)"
    assert why_no_statements(replace(plain, settings={"statement": {"number": "order"}})) is None
    assert why_no_statements(replace(plain, provider="nopay")) is None


@pytest.mark.usefixtures("unsure")
@pytest.mark.parametrize(
    ("assumed", "pays", "signs"),
    [
        (("scene_code",), True, False),
        (("sms_words", "sign_again"), False, True),
        (("sms_words",), False, False),
        (("unheard_of",), False, False),
    ],
)
def test_each_account_is_offered_what_its_own_word_allows(assumed: tuple[str, ...], pays: bool, signs: bool) -> None:
    offer = offer_for(account(*assumed))
    assert (offer.why_not_pay(Scene.WITHHOLD) is None, offer.why_not_authenticate(SMS) is None) == (pays, signs)


@pytest.mark.usefixtures("unsure")
def test_a_command_that_is_not_there_is_named_before_an_assumption_that_would_not_help() -> None:
    assert offer_for(account()).why_not_authenticate(EACH) == (
        "allinpay cannot authenticate by sms_each_payment: it has no send_payment_code"
    )


def shop(
    *channels: ChannelShape, assumed: tuple[str, ...] = ("scene_code", "sms_words", "sign_again"), **said: Any
) -> MerchantShape:
    accounts = [AccountShape(code="tl", provider="allinpay", settings={"assumed": list(assumed)}, secrets={})]
    return MerchantShape(code="shop", name="商店", accounts=accounts, channels=list(channels), **said)


def channel(code: str, *, on: bool = True, **modes: AuthenticationMode) -> ChannelShape:
    return ChannelShape(
        code=code, account="tl", name="通联", on=on, authentication={b.replace("ANY", "*"): m for b, m in modes.items()}
    )


@pytest.mark.usefixtures("unsure")
def test_a_file_asks_each_account_for_the_word_that_its_modes_and_rules_need() -> None:
    rules = [RuleShape(channel="a", scenes=[Scene.WITHHOLD], banks=["ICBC"], fee=1)]
    told = list(problems_of([shop(channel("a", ICBC=SMS), assumed=("sign_again",), rules=rules)], production=False))
    assert [problem.partition(" once ")[0] for problem in told[1:]] == [
        (
            "merchants[0].channels[0].authentication.ICBC: "
            'allinpay cannot authenticate by sms: add "sms_words" to assumed in the account\'s settings'
        ),
        'merchants[0].rules[0].scenes[0]: allinpay cannot pay: add "scene_code" to assumed in the account\'s settings',
    ]


@pytest.mark.usefixtures("unsure")
def test_a_name_that_means_nothing_is_refused_at_the_account_whatever_its_adapter_looks_at() -> None:
    told = list(problems_of([shop(assumed=("sms_wrods",))], production=False))
    assert told == [
        (
            "merchants[0].accounts[0].settings.assumed: "
            "has 'sms_wrods'; known are columns, old_question, scene_code, sign_again, sms_words"
        )
    ]


@pytest.mark.usefixtures("unsure")
def test_what_an_account_assumes_is_listed_and_of_a_protocol_that_is_not_known_nothing() -> None:
    assert [each.name for each in assumptions_of(account("sms_words"))] == ["sms_words", "old_question"]
    assert [each.name for each in assumptions_of(account())] == ["old_question"]
    assert assumptions_of(AccountContent("x", "nopay", {"assumed": ["sms_words"]}, {})) == ()


def test_a_file_asks_whether_the_modes_of_a_rules_banks_fit_its_scenes() -> None:
    rules = [RuleShape(channel="a", scenes=[Scene.WITHHOLD, Scene.QUICK_CHARGE], banks=["ICBC", "ABC", "CMB"], fee=1)]
    told = list(
        problems_of([shop(channel("a", ICBC=SMS, ANY=NONE), assumed=("sms_codes",), rules=rules)], production=False)
    )
    assert told[1:] == [
        (
            "merchants[0].rules[0].scenes[1]: "
            "allinpay pays quick_charge from authenticated cards alone: its authentication cannot be none"
        )
    ]


# --- primary signers ---

MAIN = (channel("a", ANY=SMS), channel("b", ICBC=SILENT, ABC=NONE), channel("c", ANY=NONE))


@pytest.mark.usefixtures("unsure")
@pytest.mark.parametrize(
    ("said", "problems"),
    [
        ({"primary_signer": "a", "primary_signers": {"ICBC": "b", "CMB": "a"}}, []),
        ({"primary_signer": "b"}, []),
        ({"primary_signer": "z"}, ["merchants[0].primary_signer: there is no channel z; there are a, b, c"]),
        (
            {"primary_signer": "c"},
            [
                (
                    "merchants[0].primary_signer: c cannot sign cards by SMS: "
                    "its authentication of every bank must be sms or silent, not none"
                )
            ],
        ),
        (
            {"primary_signers": {"ABC": "b", "CMB": "b", "NOBANK": "a"}},
            [
                (
                    "merchants[0].primary_signers.ABC: b cannot sign cards by SMS: "
                    "its authentication of ABC must be sms or silent, not none"
                ),
                (
                    "merchants[0].primary_signers.CMB: b cannot sign cards by SMS: "
                    "its authentication of CMB must be sms or silent, not absent"
                ),
                "merchants[0].primary_signers.NOBANK: NOBANK is not a bank code",
            ],
        ),
    ],
)
def test_the_primary_signer_is_a_channel_that_can_sign_the_banks_cards_by_sms(
    said: dict[str, Any], problems: list[str]
) -> None:
    assert list(signer_problems([shop(*MAIN, **said)])) == problems


@pytest.mark.usefixtures("unsure")
def test_a_primary_signer_needs_the_commands_and_the_word_for_them() -> None:
    (told,) = signer_problems([shop(*MAIN, assumed=("sign_again",), primary_signer="b")])
    assert told.startswith(
        "merchants[0].primary_signer: b cannot sign cards by SMS: allinpay cannot authenticate by sms"
    )


@pytest.mark.usefixtures("unsure")
def test_signers_that_are_off_and_channels_that_never_sign_are_warned_of() -> None:
    channels = (channel("a", on=False, ANY=SMS), channel("b", ANY=SMS, ICBC=SMS, ABC=SMS))
    said: dict[str, Any] = {"primary_signer": "a", "primary_signers": {"ICBC": "b"}}
    assert list(signer_warnings([shop(*channels, **said)])) == [
        "merchants[0].primary_signer: a is off, so no card is signed by SMS there",
        (
            "merchants[0].channels[1].authentication: "
            "sms is for the primary signer alone, so new cards of ABC are never taken"
        ),
    ]


def test_an_account_whose_balance_is_never_told_has_no_threshold_in_a_file() -> None:
    yeepay = AccountShape(code="yp", provider="yeepay", balance_alert_below=1)
    unsaid = AccountShape(code="tl", provider="allinpay", balance_alert_below=1)
    said = AccountShape(code="tk", provider="allinpay", settings={"assumed": ["balance_fields"]}, balance_alert_below=1)
    told = list(
        problems_of([MerchantShape(code="shop", name="shop", accounts=[yeepay, unsaid, said])], production=False)
    )
    about = [problem for problem in told if "balance_alert_below" in problem]
    assert len(about) == 2
    assert about[0] == "merchants[0].accounts[0].balance_alert_below: yeepay states no balance"
    assert about[1].startswith(
        'merchants[0].accounts[1].balance_alert_below: allinpay states no balance: add "balance_fields" to assumed'
    )


def test_who_states_a_balance_without_an_assumption_is_asked_as_it_is() -> None:
    assert offer_for(AccountContent("ll", "lianlian", {}, {})).why_no_balance() is None
