"""JD's codes (public clients' tables: H, M), what they mean to an order, and which magic asks for one.

`0000/6` is RETURN/CODE 0000 with TRADE/STATUS 6: the books know an order's state by both.
"""

from typing import Final

from sandbox.books import State

__all__ = ["FAILED", "MESSAGES", "OPEN", "SUCCESS", "UNDECIDED", "magic_amount", "magic_tail", "state_of", "text_of"]

SUCCESS: Final = "0000/0"
OPEN: Final = "0000/6"
FAILED: Final = "0000/7"
UNDECIDED: Final = frozenset({OPEN, "0001", "EEB0058", "EES0039", "EEE0002", "EEE0003", "EES0032", "EEN0015"})
"""Asked for as an answer, these leave the work done: the merchant has to find out by a question."""

MESSAGES: Final[dict[str, str]] = {
    "0000": "成功",
    "0001": "处理中",
    "EEB0001": "该银行尚未支持，请更换银行卡",
    "EEB0002": "银行签约失败",
    "EEB0004": "银行交易失败",
    "EEB0005": "银行签约姓名校验失败",
    "EEB0006": "银行签约手机号校验失败",
    "EEB0007": "银行签约证件验证失败",
    "EEB0010": "银行卡卡类型校验失败",
    "EEB0011": "银行不支持的卡号",
    "EEB0012": "银行卡账户异常",
    "EEB0013": "银行卡未开通快捷业务，请与银行核实",
    "EEB0014": "银行卡账户余额不足，请更换银行卡支付",
    "EEB0015": "银行单笔金额超限",
    "EEB0016": "银行单日金额超限",
    "EEB0017": "银行日交易次数超限",
    "EEB0028": "交易受限，请更换银行卡支付",
    "EEB0029": "银行交易金额超限，请更换银行卡支付",
    "EEB0030": "银行卡号验证失败",
    "EEB0035": "未开通快捷支付功能，请至网银、网点柜台银行渠道开通",
    "EEB0036": "银行系统繁忙，请稍后重试",
    "EEB0045": "客户信息校验失败或卡未开通网上支付功能",
    "EEB0047": "您的操作过于频繁，请稍后再试。",
    "EEB0054": "该卡已过期，请更换银行卡支付",
    "EEB0056": "交易失败，请核实相关信息，若无误请联系发卡行详询原因",
    "EEB0058": "邮储银行处理中，请勿重新支付",
    "EEB0062": "该银行系统异常，请更换银行卡或稍后重试",
    "EEE0002": "网络异常",
    "EEE0003": "银行异常，请稍后查询订单状态",
    "EEN0015": "交易已成功，请勿重复支付",
    "EEN0021": "签约时卡信息不一致",
    "EER0001": "交易受限，请更换银行卡支付",
    "EES0001": "报文格式错误,不能解析",
    "EES0002": "非法字段，参数校验失败",
    "EES0004": "会员信息异常，请检查商户号",
    "EES0005": "终端号不正确",
    "EES0006": "交易异常，请联系提供方研发",
    "EES0007": "报文签名错误",
    "EES0009": "非法秘钥，安全验证失败",
    "EES0019": "交易类型不正确",
    "EES0027": "短信验证码校验失败",
    "EES0032": "交易已存在，请勿重复支付",
    "EES0035": "短信验证码已过期，请重新获取",
    "EES0037": "交易信息不存在",
    "EES0039": "原交易处理中",
    "EES0044": "卡号未做签约申请",
}

TAIL_PREFIX: Final = "40"
MAGIC_AMOUNT: Final = 994_000


def text_of(code: str) -> str:
    """What stands in RETURN/DESC beside a code."""
    return MESSAGES.get(code.partition("/")[0], "服务错误")


def state_of(code: str) -> State:
    """What a code says about an order."""
    if code == SUCCESS:
        return "succeeded"
    return "processing" if code in UNDECIDED else "failed"


def magic_tail(card_tail: str) -> str | None:
    """The code EEB00NN that a card tail 40NN asks for; only codes of the table."""
    code = f"EEB00{card_tail[2:]}"
    return code if card_tail.startswith(TAIL_PREFIX) and code in MESSAGES else None


def magic_amount(amount: int) -> str | None:
    """The code EEB00NN that an amount of 9940NN fen asks for."""
    code = f"EEB00{amount - MAGIC_AMOUNT:02d}"
    return code if MAGIC_AMOUNT < amount < MAGIC_AMOUNT + 100 and code in MESSAGES else None
