"""LianLian's payouts: what they say, suspicions and their confirmation, and notices that are a payout's or a payment's.

What they have in common with the payouts of others is in `contract_payouts`.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from adapters.account import AccountError
from adapters.lianlian import LianLian
from gateway.domain.failures import FailureCode as F
from gateway.domain.intents import Verb
from gateway.domain.outcomes import (
    Declined,
    NotFound,
    Outcome,
    Processing,
    Returned,
    ReturnReason,
    Succeeded,
    Suspicion,
)
from gateway.domain.terms import Product
from gateway.ports import ConfirmPayout, Payout, Provider
from tests.adapters.case import (
    AMOUNT,
    CONFIRM_CODE,
    FIRM,
    LATER,
    NOTIFY_URL,
    NUMBER,
    PERSON,
    Psp,
    Wire,
    a_confirmation,
    a_payout,
    a_payouts_question,
    callbacks_of,
    do,
    is_unknown,
    meaning_of,
)
from tests.adapters.lianlian_case import PARTNERS, LianLianCase, a_notice, a_payouts_notice, notice
from tests.adapters.test_on_sandbox import a_world
from tests.adapters.test_payouts_on_sandbox import a_payout as a_sandbox_payout
from tests.adapters.test_payouts_on_sandbox import ask, until

CASE = LianLianCase()


def an_adapter(psp: Psp = CASE.processing, **settings: object) -> tuple[Provider, Wire]:
    account, wire = CASE.account(), Wire(psp)
    return CASE.build(replace(account, settings={**account.settings, **settings}), wire), wire


def told(**changed: str) -> tuple[Verb, Outcome]:
    """What a notice says, and of what."""
    fields = {name: value for name, value in {**a_payouts_notice(), **changed}.items() if value}
    callback = callbacks_of(an_adapter()[0]).read(notice(fields))
    assert callback.number == NUMBER
    return callback.verb, callback.outcome


async def test_a_payout_to_a_person_and_to_a_firm_say_this() -> None:
    adapter, wire = an_adapter()
    await do(adapter, a_payout(purpose="三月&还款\n=1"))
    await do(adapter, a_payout(payee=FIRM, purpose=""))
    person, firm = map(CASE.checked, wire.sent)
    assert {name: value for name, value in person.items() if name != "sign"} == {
        "oid_partner": PARTNERS["first"],
        "sign_type": "RSA",
        "api_version": "1.0",
        "no_order": NUMBER,
        "dt_order": "20260302003015",
        "money_order": "123.45",
        "card_no": PERSON.account_no,
        "acct_name": PERSON.name,
        "flag_card": "0",
        "info_order": "三月＆还款 ＝1",
        "memo": "三月还款1",
        "notify_url": NOTIFY_URL,
    }
    assert [
        firm[name] for name in ("flag_card", "bank_code", "bank_name", "brabank_name", "prcptcd", "info_order", "memo")
    ] == [*("1", "01020000", "中国工商银行", FIRM.branch, FIRM.cnaps, "付款", "付款")]


async def test_a_firm_is_paid_by_its_bank_and_number_alone_and_a_person_at_any_bank() -> None:
    adapter, wire = an_adapter()
    for payee in (replace(FIRM, branch=None, province=None, city=None), replace(PERSON, bank="SOMEBANK")):
        assert isinstance(await do(adapter, a_payout(payee=payee)), Processing), payee
    assert "brabank_name" not in CASE.checked(wire.sent[0])
    for payee in (replace(FIRM, bank="SOMEBANK"), replace(FIRM, cnaps=None)):
        assert isinstance(await do(adapter, a_payout(payee=payee)), Declined), payee
    assert len(wire.sent) == 2


async def test_a_memo_is_cut_where_a_character_ends() -> None:
    adapter, wire = an_adapter()
    await do(adapter, a_payout(purpose="a二三四五六七八九十"))
    assert CASE.checked(wire.sent[0])["memo"] == "a二三四五六七八"


@pytest.mark.parametrize(
    ("code", "suspicion"),
    [("4002", Suspicion.DUPLICATE), ("4003", Suspicion.PAYEE), ("4004", Suspicion.DUPLICATE_AND_PAYEE)],
)
async def test_a_suspected_payout_is_held_with_what_its_confirmation_needs(code: str, suspicion: Suspicion) -> None:
    adapter, wire = an_adapter(lambda request: CASE.answer(request, code))
    held = await do(adapter, a_payout())
    assert held == Processing(code, f"说明[{code}]", suspicion=suspicion, continuation=CONFIRM_CODE)
    assert CONFIRM_CODE not in repr(held)
    assert len(wire.sent) == 1, "nobody confirms it unasked"


async def test_a_held_payout_is_in_check_and_what_nobody_confirmed_is_closed() -> None:
    adapter, _ = an_adapter(lambda request: CASE.state(request, "CHECK"))
    held = await do(adapter, a_payouts_question())
    assert isinstance(held, Processing)
    assert held.suspicion is Suspicion.UNSAID
    adapter, _ = an_adapter(lambda request: CASE.state(request, "CLOSED"))
    assert isinstance(await do(adapter, a_payouts_question()), Declined)


async def test_a_confirmation_names_the_payout_and_its_code_and_a_refused_one_ends_nothing() -> None:
    adapter, wire = an_adapter(lambda request: CASE.told(request, "0000", oid_paybill="77"))
    assert await do(adapter, a_confirmation()) == Processing("0000", "说明[0000]", "77")
    fields = CASE.checked(wire.sent[0])
    assert (fields["no_order"], fields["confirm_code"], fields["notify_url"]) == (NUMBER, CONFIRM_CODE, NOTIFY_URL)
    for code, meaning in CASE.codes[ConfirmPayout].items():
        adapter, _ = an_adapter(lambda request, code=code: CASE.answer(request, code))  # type: ignore[misc]
        assert meaning_of(await do(adapter, a_confirmation())) == meaning, code


async def test_a_lost_confirmation_is_unknown_and_a_refused_one_is_no_success() -> None:
    adapter, _ = an_adapter(lambda request: CASE.unsigned(CASE.told(request, "0000")))
    assert is_unknown(await do(adapter, a_confirmation()), received=False)
    adapter, _ = an_adapter(lambda request: CASE.refused(request, "4001"))
    assert is_unknown(await do(adapter, a_confirmation()), received=False)


def test_success_and_then_cancel_are_two_words_on_one_payout() -> None:
    assert told() == (Verb.PAYOUT, Succeeded(AMOUNT, "2026030213121201", channel_code="SUCCESS"))
    assert told(result_pay="CANCEL") == (Verb.PAYOUT, Returned(ReturnReason.OTHER, "CANCEL"))


async def test_why_it_came_back_or_failed_stands_in_the_questions_memo() -> None:
    adapter, _ = an_adapter(lambda request: CASE.state(request, "CANCEL", memo="收款账户状态异常"))
    returned = Returned(ReturnReason.PAYEE_ACCOUNT_ABNORMAL, "CANCEL", "收款账户状态异常")
    assert await do(adapter, a_payouts_question()) == returned
    for memo, code in (("户名不符", F.PAYEE_INVALID), ("渠道维护", F.CHANNEL_UNAVAILABLE), ("其他", F.CHANNEL_REFUSED)):
        adapter, _ = an_adapter(
            lambda request, memo=memo: CASE.state(request, "FAILURE", memo=memo),  # type: ignore[misc]
            payout_declines={"维护": "channel_unavailable"},
        )
        outcome = await do(adapter, a_payouts_question())
        assert isinstance(outcome, Declined)
        assert outcome.code is code


def test_a_payments_notice_is_no_payouts_whatever_else_it_says() -> None:
    payment = callbacks_of(an_adapter()[0]).read(notice(a_notice()))
    assert payment.verb is Verb.PAY
    assert told(pay_type="2")[0] is Verb.PAY
    assert told(info_order="")[0] is Verb.PAY
    assert not isinstance(told(pay_type="2", result_pay="CANCEL")[1], (Returned, Succeeded))


def test_no_record_is_never_proof() -> None:
    assert not an_adapter()[0].declaration.terms[Product.PAYOUT].proves_lost(10_000, 1e9)


def test_an_account_without_payouts_needs_no_address_for_them() -> None:
    account = CASE.account()
    hosts = {f"{name}_url": f"https://{name}.test" for name in ("mpayapi", "queryapi", "traderapi")}
    settings = {name: value for name, value in account.settings.items() if name != "base_url"} | hosts
    old = replace(account, settings={**settings, "assumed": ["short_risk_item", "same_number_again"]})
    assert Payout not in LianLian(old, Wire(CASE.processing), lambda: LATER).commands
    with pytest.raises(AccountError, match="base_url"):
        LianLian(replace(account, settings=settings), Wire(CASE.processing), lambda: LATER)


async def test_over_a_socket_a_repeated_payout_is_held_until_it_is_confirmed(keys: Path) -> None:
    async with a_world("lianlian", keys) as world:
        first, second, third = (a_sandbox_payout(world, 4_200) for _ in range(3))
        assert await do(world.adapter, first) == Processing("0000", "交易成功", await their_number(world, first))
        held = await do(world.adapter, second)
        assert isinstance(held, Processing)
        assert held.suspicion is Suspicion.DUPLICATE
        assert held.continuation
        in_check = await ask(world, second)
        assert isinstance(in_check, Processing)
        assert in_check.suspicion is Suspicion.UNSAID
        wrong = ConfirmPayout(second.number, second.told_at, second.amount, world.notify_url, "wrong")
        assert is_unknown(await do(world.adapter, wrong), received=False), "it may still be confirmed"
        assert isinstance(await ask(world, second), Processing)
        assert isinstance(await do(world.adapter, replace(wrong, continuation=held.continuation)), Processing)
        assert isinstance(await until(world, second, Succeeded, Declined), Succeeded)
        [order] = await world.books(second.number)
        assert order["submissions"] == 1
        await world.fault("reset_before", match={"operation": "payout"})
        await do(world.adapter, third)
        assert isinstance(await ask(world, third), NotFound)


async def their_number(world: object, payout: Payout) -> str | None:
    [order] = await world.books(payout.number)  # type: ignore[attr-defined]
    number: str | None = order["transaction_no"]
    return number
