"""Every mock that sends SMS × every magic card and both faults of SMS, over its real protocol.

A mock that is added must stand in `PAYERS`, a magic card in one of these tests: else the first two fail. Not tested
here: what else the mocks do with codes (test_codes_by_sms.py, and each mock's own module).
"""

import itertools
import re
from pathlib import Path

import pytest

from sandbox import magic
from sandbox.mocks import mocks
from tests.sandbox.conftest import Start
from tests.sandbox.merchants import CARD, Sandbox
from tests.sandbox.payers import PAYERS, Payer, Sms

SILENT_CLOSED, EXPIRED, LOST, TWO_PHONES = "9801", "9802", "9803", "9804"
REFUSED_BY = {
    "9811": "unionpay",
    "9812": "allinpay",
    "9813": "cpcn",
    "9814": "baofoo",
    "9815": "lianlian",
    "9816": "jd",
}
RESERVED, OTHER, THIRD = "13800009804", "13900009804", "13700009804"
FAULTS_OF_SMS = {"lose_sms", "expire_code"}
_PHONES = itertools.count(1)

SENDS_SMS = {name for name, mock in mocks().items() if "lose_sms" not in mock.cannot}


@pytest.fixture(scope="module")
async def shared(start_shared: Start) -> Sandbox:
    return await start_shared()


@pytest.fixture(scope="module")
def payers(shared: Sandbox, keys: Path) -> dict[str, Payer]:
    """One of each, whose order numbers are new to the sandbox."""
    return {name: kind(shared, keys) for name, kind in PAYERS.items()}


@pytest.fixture(params=PAYERS)
def payer(request: pytest.FixtureRequest, payers: dict[str, Payer]) -> Payer:
    return payers[request.param]


by_code = pytest.mark.parametrize("payer", [name for name in PAYERS if PAYERS[name].pays_by_code], indirect=True)


def a_card(tail: str) -> str:
    return f"{CARD[:-4]}{tail}"


def a_phone() -> str:
    """One that no other test looks at."""
    return f"1390000{next(_PHONES):04d}"


def name_of(payer: Payer) -> str:
    return next(name for name, kind in PAYERS.items() if isinstance(payer, kind))


async def newest_code(payer: Payer, phone: str) -> str:
    return (await payer.sandbox.inbox(phone, f"{name_of(payer)}/sms"))[-1]["code"]


async def asked(payer: Payer, card: str, phone: str) -> Sms:
    sms = await payer.ask(card, phone)
    assert sms.word == payer.words.sent
    return sms


async def typed(payer: Payer, card: str, phone: str) -> str:
    """How a try to bind with the code ends, wherever it is refused."""
    sms = await payer.ask(card, phone)
    return sms.word if sms.word != payer.words.sent else await payer.type_code(sms, await newest_code(payer, phone))


async def bound(payer: Payer, card: str, phone: str) -> Sms:
    sms = await asked(payer, card, phone)
    assert await payer.type_code(sms, await newest_code(payer, phone)) == payer.words.bound
    return sms


def test_every_mock_that_sends_sms_is_asked_and_has_a_card_that_it_alone_refuses() -> None:
    assert SENDS_SMS == set(PAYERS) == set(REFUSED_BY.values())


def test_every_magic_card_and_every_fault_of_sms_is_asked_for() -> None:
    tails = {value for value in vars(magic).values() if isinstance(value, str) and re.fullmatch(r"98\d\d", value)}
    assert tails | magic.REFUSED_BY.keys() == {SILENT_CLOSED, EXPIRED, LOST, TWO_PHONES, *REFUSED_BY}
    assert (magic.RESERVED_PHONE, magic.OTHER_PHONE) == (RESERVED, OTHER)


async def test_a_card_whose_silent_way_is_closed_is_bound_by_its_sms_and_pays(payer: Payer) -> None:
    phone = a_phone()
    if payer.words.sms_wanted:
        assert await payer.silent(a_card(SILENT_CLOSED), phone) == payer.words.sms_wanted
    sms = await bound(payer, a_card(SILENT_CLOSED), phone)
    assert await payer.pay(sms) == payer.words.paid


async def test_every_other_code_of_a_card_has_expired(payer: Payer) -> None:
    card, phone = a_card(EXPIRED), a_phone()
    words = [await typed(payer, card, phone) for _ in range(4)]
    assert words == [payer.words.expired, payer.words.bound] * 2


async def test_a_cards_code_is_sent_and_never_arrives(payer: Payer) -> None:
    phone = a_phone()
    await asked(payer, a_card(LOST), phone)
    assert await payer.sandbox.inbox(phone) == []


async def test_either_of_two_phones_binds_a_card_and_the_reserved_one_alone_pays(payer: Payer) -> None:
    card = a_card(TWO_PHONES)
    assert await payer.pay(await bound(payer, card, RESERVED)) == payer.words.paid
    sms = await asked(payer, card, OTHER)
    word = await payer.type_code(sms, await newest_code(payer, OTHER))
    assert word == (payer.words.bound if payer.binds else payer.words.not_paid)
    assert await payer.pay(sms) == payer.words.not_paid
    assert await typed(payer, card, THIRD) == payer.words.phone_refused


async def test_one_provider_refuses_the_holder_and_all_others_take_the_card(payer: Payer) -> None:
    phone = a_phone()
    words = {tail: await typed(payer, a_card(tail), phone) for tail in REFUSED_BY}
    refused = {tail for tail, provider in REFUSED_BY.items() if provider == name_of(payer)}
    assert words == {tail: payer.words.holder_refused if tail in refused else payer.words.bound for tail in REFUSED_BY}


@pytest.mark.parametrize("match", [{}, {"operation": "send_code"}])
async def test_an_sms_is_lost_by_a_fault_and_the_next_one_arrives(payer: Payer, match: dict[str, str]) -> None:
    phone = a_phone()
    await payer.sandbox.fault(name_of(payer), "lose_sms", times=1, match=match)
    await asked(payer, CARD, phone)
    assert await payer.sandbox.inbox(phone) == []
    await bound(payer, CARD, phone)


async def test_a_code_expires_by_a_fault_and_the_next_one_does_not(payer: Payer) -> None:
    phone = a_phone()
    await payer.sandbox.fault(name_of(payer), "expire_code", times=1)
    assert [await typed(payer, CARD, phone) for _ in range(2)] == [payer.words.expired, payer.words.bound]


async def test_a_wish_for_an_sms_is_declined_by_a_fault_and_none_is_sent(payer: Payer) -> None:
    phone, code = a_phone(), payer.words.holder_refused
    await payer.sandbox.fault(name_of(payer), "decline", code=code, times=1, match={"operation": "send_code"})
    assert (await payer.ask(CARD, phone)).word == code
    assert await payer.sandbox.inbox(phone) == []


@by_code
async def test_the_codes_of_payments_expire_and_are_lost_as_those_that_bind(payer: Payer) -> None:
    phone, words = a_phone(), payer.words
    sms = await bound(payer, CARD, phone)

    async def typed_to_pay() -> str:
        wish = await payer.ask_to_pay(sms)
        assert wish.word == words.sent
        return await payer.type_to_pay(wish, await newest_code(payer, phone))

    await payer.sandbox.fault(name_of(payer), "expire_code", times=1)
    assert [await typed_to_pay() for _ in range(2)] == [words.expired, words.paid]
    arrived = await payer.sandbox.inbox(phone)
    await payer.sandbox.fault(name_of(payer), "lose_sms", times=1)
    assert (await payer.ask_to_pay(sms)).word == words.sent
    assert await payer.sandbox.inbox(phone) == arrived
    assert {each["purpose"] for each in arrived} == {"sign", "pay"}
