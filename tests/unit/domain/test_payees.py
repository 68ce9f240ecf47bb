"""Payees: how they are shown, which of them a protocol can say, and what a bank's words on a return mean."""

from dataclasses import replace

import pytest

from gateway.domain.failures import FailureCode
from gateway.domain.outcomes import Declined, ReturnReason
from gateway.domain.payees import Payee, PayeeRules, PayeeType
from gateway.domain.returns import reason_in

PERSON = Payee(PayeeType.PERSONAL, "6222020200098761234", "张三丰", "ICBC")
FIRM = Payee(
    PayeeType.CORPORATE, "1100201099000012345", "杭州水闸科技有限公司", "ICBC", "中国工商银行杭州西湖支行",
    "102331000013", "浙江省", "杭州市",
)  # fmt: skip
RULES = PayeeRules(
    {PayeeType.PERSONAL: frozenset(), PayeeType.CORPORATE: frozenset({"city", "branch"})}, frozenset({"ICBC"}), "gbk"
)
AT_ICBC = PayeeRules(banks_of_firms=frozenset({"ICBC"}))


def test_a_payee_is_never_shown_whole() -> None:
    for shown in (repr(PERSON), str(PERSON), f"{FIRM}"):
        assert not [text for text in (PERSON.account_no, PERSON.name, FIRM.account_no, FIRM.name) if text in shown]
    assert "622202*********1234" in repr(PERSON)


@pytest.mark.parametrize("payee", [PERSON, FIRM])
def test_a_payee_whom_the_protocol_can_say_is_not_refused(payee: Payee) -> None:
    assert RULES.refusal(payee) is None
    assert RULES.why_not(payee) is PayeeRules().why_not(payee) is AT_ICBC.why_not(payee) is None
    assert AT_ICBC.refusal(replace(PERSON, bank="ABC")) is None


@pytest.mark.parametrize(
    ("rules", "payee", "why", "failure", "told"),
    [
        (PayeeRules({PayeeType.PERSONAL: frozenset()}), FIRM, "type_unsupported", FailureCode.CARD_UNSUPPORTED, "type"),
        (RULES, replace(PERSON, bank="ABC"), "bank_unsupported", FailureCode.CARD_UNSUPPORTED, "bank"),
        (AT_ICBC, replace(FIRM, bank="ABC"), "bank_unsupported", FailureCode.CARD_UNSUPPORTED, "bank"),
        (RULES, replace(FIRM, branch="", city=None), "field_missing", FailureCode.PAYEE_INVALID, "branch, city"),
        (RULES, replace(PERSON, name="张䶮"), "text_unwritable", FailureCode.CARD_UNSUPPORTED, "text"),
        (RULES, replace(FIRM, province="䶮"), "text_unwritable", FailureCode.CARD_UNSUPPORTED, "text"),
    ],
)
def test_what_a_protocol_cannot_say_is_refused_with_the_reason_and_without_the_payee(
    rules: PayeeRules, payee: Payee, why: str, failure: FailureCode, told: str
) -> None:
    assert rules.why_not(payee) == why
    refused = rules.refusal(payee)
    assert isinstance(refused, Declined)
    assert refused.code is failure
    assert told in (refused.channel_message or "")
    assert payee.name not in repr(refused)
    assert payee.account_no not in repr(refused)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("收款人户名与账号不符", ReturnReason.PAYEE_NAME_MISMATCH),
        ("账号户名不符", ReturnReason.PAYEE_NAME_MISMATCH),
        ("姓名不一致,已退回", ReturnReason.PAYEE_NAME_MISMATCH),
        ("收款单位名称有误", ReturnReason.PAYEE_NAME_MISMATCH),
        ("不匹配的户名", ReturnReason.PAYEE_NAME_MISMATCH),
        ("收款账号不存在", ReturnReason.PAYEE_ACCOUNT_INVALID),
        ("收款人账号有误", ReturnReason.PAYEE_ACCOUNT_INVALID),
        ("收款帐号与银行名称不匹配", ReturnReason.PAYEE_ACCOUNT_INVALID),
        ("无此账户", ReturnReason.PAYEE_ACCOUNT_INVALID),
        ("无效卡号", ReturnReason.PAYEE_ACCOUNT_INVALID),
        ("账号状态异常", ReturnReason.PAYEE_ACCOUNT_ABNORMAL),
        ("该卡已冻结", ReturnReason.PAYEE_ACCOUNT_ABNORMAL),
        ("账户已销户", ReturnReason.PAYEE_ACCOUNT_ABNORMAL),
        ("二类户收款受限", ReturnReason.PAYEE_ACCOUNT_ABNORMAL),
        ("收款行拒绝入账", ReturnReason.BANK_REJECTED),
        ("银行退回", ReturnReason.BANK_REJECTED),
        ("退票", ReturnReason.OTHER),
        ("", ReturnReason.OTHER),
        (None, ReturnReason.OTHER),
    ],
)
def test_a_banks_words_tell_why_money_came_back(words: str | None, reason: ReturnReason) -> None:
    assert reason_in(words) is reason
