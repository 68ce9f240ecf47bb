"""Codes by SMS over a real socket against the sandbox: signing, resending, paying with a code, unbinding.

Every adapter of the catalogue that has the commands runs each test. Not tested here: the complete code tables (the
contract), what the flows do with the outcomes, and payments without a code (test_on_sandbox.py).
"""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from adapters.registry import build
from gateway.domain.cards import CardElements
from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import (
    Authenticated,
    CodeSent,
    Declined,
    NotFound,
    Processing,
    Succeeded,
    Unbound,
    Unknown,
)
from gateway.domain.scenes import Scene
from gateway.ports import AskAuthentication, Pay, Unbind
from tests.adapters.contract import do
from tests.adapters.test_on_sandbox import (
    AMOUNT,
    CARD,
    USER,
    World,
    a_signing_sms,
    another,
    its_question,
    its_signing,
    its_sms,
    now,
    with_payment_codes,
    with_signing,
)
from tests.adapters.test_on_sandbox import world as world

REFUSED_HERE = {"unionpay": "9811", "allinpay": "9812", "cpcn": "9813", "baofoo": "9814", "lianlian": "9815"}
"""Providers that sign by SMS, each with the card that its mock alone refuses."""
that_sign = pytest.mark.parametrize("world", REFUSED_HERE, indirect=True)
by_number = pytest.mark.parametrize("world", ["unionpay", "allinpay"], indirect=True)
"""Where the code goes back with our number of the order, and nothing that the lost answer told."""
OF_THE_HOLDER = {F.ID_MISMATCH, F.NAME_MISMATCH, F.PHONE_MISMATCH}
RESERVED, OTHER = "13800009804", "13900009804"


def a_card(tail: str, phone: str = CARD.phone) -> CardElements:
    return CardElements(f"622202020009876{tail}", "张三丰", "110101199003074477", phone)


def a_charge(agreement_no: str | None, card: CardElements = CARD) -> Pay:
    return Pay(
        uuid4().hex, now(), Scene.QUICK_CHARGE, AMOUNT, "ICBC", card, agreement_no, USER, "x", "http://127.0.0.1:1/"
    )


def refused_with(outcome: object) -> F | None:
    return outcome.code if isinstance(outcome, Declined) else None


@with_signing
async def test_after_a_resend_the_first_code_is_wrong_and_the_second_signs_with_the_newest_sms(world: World) -> None:
    sms = a_signing_sms()
    first = await do(world.adapter, sms)
    assert isinstance(first, CodeSent)
    first_code = await world.code()
    second = await do(world.adapter, replace(sms, ordinal=2, continuation=first.continuation))
    assert isinstance(second, CodeSent)
    second_code = await world.code()
    if first_code != second_code:
        tried = await do(world.adapter, its_signing(sms, second, first_code))
        assert refused_with(tried) is F.SMS_CODE_WRONG
    signed = await do(world.adapter, its_signing(sms, second, second_code, 2))
    assert isinstance(signed, Authenticated)


@with_signing
async def test_a_card_signed_by_sms_pays_until_it_is_unbound(world: World) -> None:
    agreement_no = await world.signed()
    payment = a_charge(agreement_no)
    assert isinstance(await do(world.adapter, payment), (Processing, Succeeded))
    paid = await world.final(payment)
    assert isinstance(paid, Succeeded)
    assert paid.amount == AMOUNT
    for _ in range(2):  # safe to repeat, under a number of its own each time
        unbinding = Unbind(uuid4().hex, now(), "ICBC", CARD, USER, agreement_no)
        assert isinstance(await do(world.adapter, unbinding), Unbound)
    assert refused_with(await do(world.adapter, a_charge(agreement_no))) is F.AGREEMENT_VOID


@with_signing
async def test_a_signing_whose_answer_is_lost_is_unknown_and_found_where_there_is_a_question(world: World) -> None:
    sms = a_signing_sms()
    sent = await do(world.adapter, sms)
    assert isinstance(sent, CodeSent)
    await world.fault("reset_after", match={"operation": "authenticate"})
    assert isinstance(await do(world.adapter, its_signing(sms, sent, await world.code())), Unknown)
    if AskAuthentication in world.adapter.commands:
        question = AskAuthentication(sms.number, sms.told_at, sms.bank, sms.card, sms.user_id, sent.continuation)
        assert isinstance(await do(world.adapter, question), Authenticated)


@by_number
async def test_an_sms_whose_answer_is_lost_may_still_be_answered_with_its_code(world: World) -> None:
    sms = a_signing_sms()
    await world.fault("reset_after", match={"operation": "send_code"})
    assert isinstance(await do(world.adapter, sms), Unknown)
    signed = await do(world.adapter, its_signing(sms, CodeSent(), await world.code()))
    assert isinstance(signed, Authenticated)


@that_sign
async def test_an_expired_code_is_told_as_expired_and_the_next_one_signs(world: World) -> None:
    sms = replace(a_signing_sms(), card=a_card("9802"))
    sent = await do(world.adapter, sms)
    assert isinstance(sent, CodeSent)
    tried = await do(world.adapter, its_signing(sms, sent, await world.code()))
    assert refused_with(tried) is F.SMS_CODE_EXPIRED
    again = await do(world.adapter, replace(sms, ordinal=2, continuation=sent.continuation))
    assert isinstance(again, CodeSent)
    assert isinstance(await do(world.adapter, its_signing(sms, again, await world.code(), 2)), Authenticated)


@that_sign
async def test_either_of_two_phones_signs_and_only_the_reserved_one_pays(world: World) -> None:
    for phone, refusals in ((RESERVED, {None}), (OTHER, OF_THE_HOLDER)):
        card = a_card("9804", phone)
        payment = a_charge(await world.signed(card), card)
        answered = await do(world.adapter, payment)
        paid = answered if isinstance(answered, Declined) else await world.final(payment)
        assert refused_with(paid) in refusals


@that_sign
async def test_a_card_that_one_provider_refuses_the_others_take(world: World) -> None:
    for tail in REFUSED_HERE.values():
        sms = replace(a_signing_sms(), card=a_card(tail))
        outcome: object = await do(world.adapter, sms)
        if isinstance(outcome, CodeSent):
            outcome = await do(world.adapter, its_signing(sms, outcome, await world.code()))
        is_refused = refused_with(outcome) in OF_THE_HOLDER
        assert is_refused == (tail == REFUSED_HERE[world.name])
        assert is_refused or isinstance(outcome, Authenticated)


@with_payment_codes
async def test_a_payment_by_code_is_paid_once_with_the_right_code_alone(world: World) -> None:
    payment = a_charge((await world.payment(Scene.QUICK_CHARGE)).agreement_no)
    sent = await do(world.adapter, its_sms(payment))
    assert isinstance(sent, CodeSent)
    payment, code = replace(payment, continuation=sent.continuation), await world.code()
    assert refused_with(await do(world.adapter, replace(payment, sms_code=another(code)))) is F.SMS_CODE_WRONG
    assert await world.books(payment.number) == []
    await world.fault("reset_after", match={"operation": "pay"})
    assert isinstance(await do(world.adapter, replace(payment, sms_code=code, ordinal=2)), Unknown)
    paid = await world.final(payment)
    assert isinstance(paid, Succeeded)
    assert paid.amount == AMOUNT
    [order] = await world.books(payment.number)
    assert order["submissions"] == 1


@pytest.mark.parametrize("world", ["unionpay"], indirect=True)
async def test_a_code_pays_only_what_it_was_sent_for(world: World) -> None:
    agreement_no = (await world.payment(Scene.QUICK_CHARGE)).agreement_no
    assert agreement_no is not None
    payment = a_charge(agreement_no)
    await do(world.adapter, its_sms(payment))
    with_code = replace(payment, sms_code=await world.code())
    for other in (replace(with_code, amount=AMOUNT + 1), replace(with_code, number=uuid4().hex)):
        assert refused_with(await do(world.adapter, other)) is F.SMS_CODE_WRONG


@pytest.mark.parametrize("world", ["unionpay"], indirect=True)
async def test_fields_under_the_psps_public_key_are_understood_and_those_under_another_are_refused(
    world: World, keys: Path
) -> None:
    def with_certificate(name: str) -> World:
        secrets = {**world.account.secrets, "encryption_certificate": (keys / "unionpay" / name).read_text()}
        return replace(world, adapter=build(replace(world.account, secrets=secrets), world.transport))

    secret = with_certificate("encrypt.cert.pem")
    payment = await secret.payment(Scene.WITHHOLD)
    await do(secret.adapter, payment)
    assert isinstance(await secret.final(payment), Succeeded)
    await secret.signed()
    refused = await do(with_certificate("psp.cert.pem").adapter, a_signing_sms())
    assert refused_with(refused) is F.CHANNEL_REFUSED


@pytest.mark.parametrize("world", ["unionpay"], indirect=True)
async def test_a_payment_that_never_came_after_its_sms_is_not_found(world: World) -> None:
    agreement_no = (await world.payment(Scene.QUICK_CHARGE)).agreement_no
    assert agreement_no is not None
    payment = a_charge(agreement_no)
    await do(world.adapter, its_sms(payment))
    await world.fault("reset_before", match={"operation": "pay"})
    assert isinstance(await do(world.adapter, replace(payment, sms_code=await world.code())), Unknown)
    assert isinstance(await do(world.adapter, its_question(payment)), NotFound)
