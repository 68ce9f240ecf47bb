"""What a merchant has, as each protocol tells it: which account, whose word, and whatever else may come.

What they have in common is in `contract_balances`; what becomes of a balance in tests/unit/flows and tests/storage.
"""

import asyncio
import json
from dataclasses import replace
from decimal import Decimal
from typing import cast

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.account import AccountError
from gateway.domain.outcomes import BalanceOutcome, BalanceStated, Unknown
from gateway.ports import AskBalance
from tests.adapters.allinpay_case import MERCHANTS, AllinpayCase
from tests.adapters.baofoo_case import BaofooCase
from tests.adapters.case import Case, Psp, Wire, a_balance, do
from tests.adapters.cpcn_case import CpcnCase
from tests.adapters.lianlian_case import LianLianCase, as_json
from tests.examples import examples

CASES: dict[str, Case] = {
    "allinpay": AllinpayCase(),
    "baofoo": BaofooCase(),
    "cpcn": CpcnCase(),
    "lianlian": LianLianCase(),
}


async def told(case: Case, psp: Psp) -> BalanceOutcome:
    return await do(case.build(case.account(), Wire(psp)), a_balance())


def test_a_balance_states_something_and_nothing_below_zero() -> None:
    for wrong in ((None, None, None), (-1, None, None), (5, -1, None), (None, None, -7)):
        with pytest.raises(ValueError, match="balance"):
            BalanceStated(*wrong)


def test_whether_payouts_are_short_is_read_from_what_they_can_take_or_else_from_everything() -> None:
    assert BalanceStated(5, 9, 100).payable == 5
    assert BalanceStated(0, None, 100).payable == 0
    assert BalanceStated(None, 9, 100).payable == 100
    assert BalanceStated(None, 9, None).payable is None


@pytest.mark.parametrize("name", CASES)
def test_odd_texts_are_exact_amounts_or_unknown(name: str) -> None:
    case = CASES[name]
    texts = st.text(st.characters(codec="ascii", exclude_characters="<>&@", min_codepoint=32), max_size=9)
    texts |= st.decimals(-10, 10**7, places=3).map(str) | st.integers(-9, 10**13).map(str) | st.floats().map(str)

    @examples(25)
    @given(told_=st.dictionaries(st.sampled_from([*case.balance_fields, "X"]), texts, max_size=3))
    def any_answer(told_: dict[str, str]) -> None:
        outcome = asyncio.run(told(case, lambda request: case.balance(request, **told_)))
        assert isinstance(outcome, BalanceStated | Unknown)
        if isinstance(outcome, BalanceStated):
            for field, attribute in case.balance_fields.items():
                amount, text = getattr(outcome, attribute), told_.get(field, "").strip()
                exact = Decimal(text) * (100 if case.balance_in_yuan else 1) if text else amount
                assert amount == exact

    any_answer()


async def test_of_several_accounts_at_allinpay_the_basic_one_of_this_merchant_counts_once() -> None:
    case, mine = AllinpayCase(), f"{MERCHANTS['first']}000"

    def of(*numbers: str) -> Psp:
        return lambda request: case.said(
            request, "0000", "".join(case.account_told(request, number, {"BALANCE": number[-3:]}) for number in numbers)
            .replace("</ACQUERYREP><ACQUERYREP>", "")
        )  # fmt: skip

    assert await told(case, of(f"{MERCHANTS['first']}001", mine)) == BalanceStated(total=0, channel_code="0000")
    for numbers in ((mine, mine), (f"{MERCHANTS['first']}001",)):
        assert isinstance(await told(case, of(*numbers)), Unknown), numbers


async def test_lianlians_answer_without_a_signature_states_nothing() -> None:
    unsigned = {"ret_code": "0000", "ret_msg": "交易成功", "amt_balance": "1.00", "amt_unsettle": "1.00"}
    assert isinstance(await told(LianLianCase(), lambda request: as_json(unsigned)), Unknown)


@pytest.mark.parametrize(
    ("items", "stated"),
    [
        ([{"account_type": "1", "balance": "12.34"}], 1234),
        ({"account_type": 1, "balance": 12.3}, 1230),
        ({"balance": 12}, 1200),
        ({"account_type": "1", "balance": "1.00", "member_id": "100025999"}, None),
        ([{"account_type": "1", "balance": "1.00"}, {"account_type": "1", "balance": "2.00"}], None),
        ([], None),
        ({"account_type": "1", "balance": {"1": "1.00"}}, None),
        ({"account_type": "1", "balance": True}, None),
    ],
)
async def test_baofoos_answer_is_about_the_basic_account_alone(items: object, stated: int | None) -> None:
    content = {"trans_content": {"trans_head": {"return_code": "0000"}, "trans_reqDatas": {"trans_reqData": items}}}
    answer = httpx.Response(200, content=json.dumps(content).encode())
    outcome = await told(BaofooCase(), lambda request: answer)
    if stated is None:
        assert isinstance(outcome, Unknown)
    else:
        assert outcome == BalanceStated(for_payouts=stated, channel_code="0000")


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"trans_content": 1}', b"[" * 99_999, b"\xff", b'"x"' * 40_000])
async def test_any_other_answer_of_baofoos_is_unknown(body: bytes) -> None:
    assert isinstance(await told(BaofooCase(), lambda request: httpx.Response(200, content=body)), Unknown)


@pytest.mark.parametrize(
    ("name", "field"),
    [("cpcn", "balance_account_no"), ("cpcn", "balance_account_name"), ("baofoo", "balance_key")],
)
def test_what_the_question_needs_is_named_where_it_is_missing_and_needed_by_it_alone(name: str, field: str) -> None:
    case = CASES[name]
    account = case.account()
    without = replace(
        account,
        settings={key: value for key, value in account.settings.items() if key != field},
        secrets={key: value for key, value in account.secrets.items() if key != field},
    )
    with pytest.raises(AccountError, match=field):
        case.build(without, Wire(case.processing))
    taken = cast("list[str]", account.settings["assumed"])
    unasked = [each for each in taken if not each.startswith("balance_")]
    provider = case.build(replace(without, settings={**without.settings, "assumed": unasked}), Wire(case.processing))
    assert AskBalance not in provider.commands
