"""What a provider can do, as the catalogue asks it: a file and the admin API refuse what it cannot, naming the command.

Not tested here: the other checks of files (test_catalogue_file) and of admin calls (tests/storage/test_admin_calls).
"""

from typing import Any, ClassVar

import pytest

from adapters.allinpay import Allinpay
from adapters.registry import PROVIDERS, offer_of
from adapters.unionpay import UnionPay
from gateway.catalogue_file.checks import problems_of
from gateway.catalogue_file.shape import AccountShape, ChannelShape, MerchantShape, RuleShape
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.scenes import Scene
from gateway.ports import AskAuthentication, AskPayment, Authenticate, Command, Offer, Pay, Refund, Table

NONE, SILENT, SMS = AuthenticationMode.NONE, AuthenticationMode.SILENT, AuthenticationMode.SMS


def offer(*kinds: type[Command[Any]]) -> Offer:
    return Offer(UnionPay.DECLARATION, frozenset(kinds))


def test_an_offer_is_what_the_adapter_says_of_itself_without_an_account() -> None:
    for name, provider in PROVIDERS.items():
        assert offer_of(name) == Offer(provider.DECLARATION, frozenset(provider.COMMANDS))
        assert offer_of(name).provider == name
    assert Refund in offer_of("unionpay").commands
    assert Refund not in offer_of("allinpay").commands
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


def test_a_scene_that_is_not_declared_is_named_with_those_that_are() -> None:
    why = offer(Pay, AskPayment).why_not_pay(Scene.NETBANK_CHARGE)
    assert why == "unionpay cannot pay netbank_charge, only quick_charge, withhold"


@pytest.mark.parametrize(
    ("mode", "kinds", "why"),
    [
        (NONE, (), None),
        (SILENT, (Authenticate, AskAuthentication), None),
        (SILENT, (Authenticate,), "unionpay cannot authenticate by silent: it has no ask_authentication"),
        (SILENT, (AskAuthentication,), "unionpay cannot authenticate by silent: it has no authenticate"),
        (
            SMS,
            (Authenticate, AskAuthentication),
            "unionpay cannot authenticate by sms: there is no command for it yet",
        ),
    ],
)
def test_a_mode_of_authentication_needs_its_commands(
    mode: AuthenticationMode, kinds: tuple[type[Command[Any]], ...], why: str | None
) -> None:
    assert offer(*kinds).why_not_authenticate(mode) == why


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
