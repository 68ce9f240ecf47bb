"""What a channel can never carry is hidden before it is chosen: banks, names, papers, by what each adapter declares.

Not tested here: that a gateway does so (tests/e2e/test_what_channels_carry.py).
"""

import base64
from dataclasses import replace

import pytest

from adapters.allinpay.codes import ID_TYPES
from adapters.registry import offer_of
from adapters.unionpay.sensitive import PAPERS, Sensitive
from gateway.domain.carrying import Carries, Ways
from gateway.domain.catalogue import Account, AuthenticationMode, Catalogue, Merchant
from gateway.domain.identities import IdType
from gateway.domain.scenes import Scene
from gateway.flows.route import Payer, candidates_for
from gateway.ports import AccountSettings
from tests.unit.domain.samples import BANK, MERCHANT_ID, NOW, card_elements, catalogue, channel, rule

ALLINPAY, UNIONPAY = (offer_of(name).declaration.carries for name in ("allinpay", "unionpay"))


@pytest.mark.parametrize("name", ["㛃", "王㛃", "张䶮", "\U00020000", "Ñandú", "김"])
def test_a_name_that_gbk_cannot_write_is_not_for_allinpay_and_is_for_unionpay(name: str) -> None:
    card = replace(card_elements(), holder_name=name)
    assert ALLINPAY.why_not("ICBC", card) == "name_unwritable"
    assert UNIONPAY.why_not("ICBC", card) is None


@pytest.mark.parametrize("name", ["张三", "买买提·阿卜杜拉", "朱镕基", "O'Neil J."])
def test_an_ordinary_name_is_for_both(name: str) -> None:
    card = replace(card_elements(), holder_name=name)
    assert (ALLINPAY.why_not("ICBC", card), UNIONPAY.why_not("ICBC", card)) == (None, None)


def test_a_bank_that_a_provider_has_no_code_of_is_not_for_it() -> None:
    assert ALLINPAY.why_not("BJBANK", card_elements()) == ALLINPAY.why_not("BJBANK", None) == "bank_unsupported"
    assert UNIONPAY.why_not("BJBANK", card_elements()) is None


def test_banks_with_a_page_may_be_others_than_those_of_cards() -> None:
    carries = Carries(banks=frozenset({"ICBC", "ABC"}), page_banks=frozenset({"ICBC", "BOC"}))
    assert [carries.why_not(bank, card_elements()) for bank in ("ICBC", "ABC", "BOC")] == [
        None, None, "bank_unsupported",
    ]  # fmt: skip
    assert [carries.why_not(bank, None) for bank in ("ICBC", "ABC", "BOC")] == [None, "bank_unsupported", None]
    up = channel("up", AuthenticationMode.SILENT)
    place = catalogue((up,), (replace(rule("up", 10), scene=Scene.NETBANK_CHARGE),))
    for told, unfit in ((carries, None), (replace(carries, page_banks=frozenset()), "bank_unsupported")):
        (candidate,) = candidates_for(
            place, MERCHANT_ID, Scene.NETBANK_CHARGE, BANK, Payer(()), NOW, carries_of=lambda *_, told=told: told
        )
        assert candidate.unfit == unfit


@pytest.mark.parametrize("id_type", list(IdType))
def test_a_paper_is_for_those_that_declare_it(id_type: IdType) -> None:
    card = replace(card_elements(), id_type=id_type)
    assert (ALLINPAY.why_not("ICBC", card), UNIONPAY.why_not("ICBC", card)) == (None, None)
    why = None if id_type is IdType.ID_CARD else "id_type_unsupported"
    assert Carries().why_not("ICBC", card) == why


@pytest.mark.parametrize("agreements", [(), ("up-1",)])
def test_a_bank_without_a_mode_is_unsupported_and_needs_no_signing(agreements: tuple[str, ...]) -> None:
    up = replace(channel("up", AuthenticationMode.SILENT), authentication={"EGBANK": AuthenticationMode.SMS})
    place = catalogue((up,), (rule("up", 10),))
    (hidden,) = candidates_for(place, MERCHANT_ID, Scene.WITHHOLD, BANK, Payer(agreements), NOW)
    assert hidden.unfit == "bank_unsupported"


QUICK, NONE, EACH = Scene.QUICK_CHARGE, AuthenticationMode.NONE, AuthenticationMode.SMS_EACH_PAYMENT
WAYS = Ways(signs=True, authenticated_scenes=frozenset({QUICK}), codeless_scenes=frozenset({Scene.WITHHOLD}))


@pytest.mark.parametrize(
    ("scene", "mode", "agreements", "hidden"),
    [
        (QUICK, NONE, (), "needs_signing"),
        (QUICK, NONE, ("up-1",), "ready"),
        (Scene.WITHHOLD, NONE, (), "ready"),
        (Scene.WITHHOLD, EACH, (), "bank_unsupported"),
        (Scene.WITHHOLD, EACH, ("up-1",), "bank_unsupported"),
        (QUICK, EACH, ("up-1",), "ready"),
    ],
)
def test_a_mode_that_does_not_fit_the_scene_hides_the_channel_and_sends_nothing(
    scene: Scene, mode: AuthenticationMode, agreements: tuple[str, ...], hidden: str
) -> None:
    place = Catalogue(
        7,
        merchants=(Merchant(MERCHANT_ID, "acme", "Acme", primary_signer="up"),),
        accounts=(Account(MERCHANT_ID, "up-1", "mock", {}),),
        channels=(channel("up", mode),),
        rules=(rule("up", 10, scene=scene),),
        endpoints=(),
    )
    payer = Payer(agreements, present=True)
    (candidate,) = candidates_for(place, MERCHANT_ID, scene, BANK, payer, NOW, carries_of=lambda *_: Carries(ways=WAYS))
    assert (candidate.unfit or candidate.signing) == hidden


def test_each_paper_has_the_code_that_its_psp_knows() -> None:
    assert [ID_TYPES[each] for each in IdType] == ["0", "2", "5", "6", "8"]
    assert [PAPERS[each] for each in IdType] == ["01", "03", "04", "05", "99"]
    plain = Sensitive(AccountSettings("up", "unionpay", {}, {}))
    for id_type, code in PAPERS.items():
        told = plain.card(replace(card_elements(), id_type=id_type))["customerInfo"]
        assert base64.b64decode(told).startswith(f"{{certifTp={code}&certifId=".encode())
