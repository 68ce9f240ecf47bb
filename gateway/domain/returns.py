"""Why a payout came back or failed, read from words: of PSPs that have no codes for it, only texts for people. Pure."""

import re
from collections.abc import Mapping
from typing import Final

from gateway.domain.failures import FailureCode
from gateway.domain.outcomes import ReturnReason

__all__ = ["failure_in", "reason_in"]

_R: Final = ReturnReason

_WRONG: Final = "不符|不一致|不匹配|有误|错误|不正确"
_NAME: Final = "户名|姓名|(?<!行)名称"
_NUMBER: Final = "账号|帐号|账户|帐户|卡号|行号"
# In this order: 账号户名不符 is about the name and 账号状态异常 about the state, though both speak of the number.
_WORDS: Final = (
    (_R.PAYEE_NAME_MISMATCH, re.compile(rf"({_NAME})[^，。；]{{0,12}}({_WRONG})")),
    (_R.PAYEE_NAME_MISMATCH, re.compile(rf"({_WRONG})[^，。；]{{0,4}}({_NAME})")),
    (
        _R.PAYEE_ACCOUNT_ABNORMAL,
        re.compile("冻结|挂失|止付|睡眠|休眠|不动户|销户|注销|状态|锁定|受限|限制|过期|账户异常|帐户异常|账号异常"),
    ),
    (
        _R.PAYEE_ACCOUNT_INVALID,
        re.compile(rf"({_NUMBER})[^，。；]{{0,12}}(不存在|无效|非法|{_WRONG})|(无此|无效|错误)的?(账|帐|卡)"),
    ),
    (_R.BANK_REJECTED, re.compile("拒绝|拒付|不予受理|不受理|退回")),
)
_BALANCE_SHORT: Final = re.compile("余额不足|余额不够|资金不足")
_OF_THE_PAYEE: Final = frozenset({_R.PAYEE_NAME_MISMATCH, _R.PAYEE_ACCOUNT_INVALID, _R.PAYEE_ACCOUNT_ABNORMAL})


def reason_in(words: str | None) -> ReturnReason:
    """The reason that a text for people tells; `other` where it tells none that we know."""
    text = words or ""
    return next((reason for reason, told in _WORDS if told.search(text)), ReturnReason.OTHER)


def failure_in(words: str | None, declines: Mapping[str, FailureCode]) -> FailureCode:
    """Why a payout failed, by a text for people. `declines`: what the account says of some words; it comes first.

    Nobody's balance can be short of a payout but the merchant's.
    """
    text = words or ""
    explained = next((failure for said, failure in declines.items() if said in text), None)
    if explained is not None:
        return explained
    if _BALANCE_SHORT.search(text):
        return FailureCode.MERCHANT_BALANCE_SHORT
    return FailureCode.PAYEE_INVALID if reason_in(text) in _OF_THE_PAYEE else FailureCode.CHANNEL_REFUSED
