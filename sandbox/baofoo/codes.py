"""Baofoo's answer codes (texts of the official table: H; newer ones: M) and which magic asks for one."""

from typing import Final

from sandbox.books import State

__all__ = [
    "AGREEMENT_VOID",
    "BINDING_TAILS",
    "DUPLICATE",
    "HOLDER_WRONG",
    "IN_PROCESS",
    "MESSAGES",
    "NO_SUCH_ORDER",
    "PAID_BEFORE",
    "PHONE_WRONG",
    "SUCCESS",
    "UNDER_WAY",
    "UNPAID",
    "WORKED",
    "call_state",
    "magic_amount",
    "magic_tail",
    "state_of",
    "text_of",
]

SUCCESS: Final = "0000"
HOLDER_WRONG: Final = "BF00101"
PHONE_WRONG: Final = "BF00343"
PAID_BEFORE: Final = "BF00114"
UNDER_WAY: Final = "BF00115"
DUPLICATE: Final = "BF00126"
NO_SUCH_ORDER: Final = "BF00128"
AGREEMENT_VOID: Final = "BF00134"
UNPAID: Final = "BF00251"
IN_PROCESS: Final = "BF00373"

OPEN: Final = frozenset({UNDER_WAY, "BF00144"})
UNDECIDED: Final = OPEN | {"BF00100", "BF00112", "BF00113", "BF00202", "BF00238", "BF00254"}
WORKED: Final = UNDECIDED | {DUPLICATE, "BF00190", IN_PROCESS}
"""Asked for as a synchronous answer, these leave the work done: the merchant has to find out by a query."""

MESSAGES: Final[dict[str, str]] = {
    "0000": "交易成功",
    "BF00100": "系统异常, 请联系宝付",
    "BF00101": "持卡人信息有误",
    "BF00102": "银行卡已过有效期, 请联系发卡行",
    "BF00103": "账户余额不足",
    "BF00104": "交易金额超限",
    "BF00105": "短信验证码错误",
    "BF00106": "短信验证码失效",
    "BF00107": "当前银行卡不支持该业务, 请联系发卡行",
    "BF00108": "交易失败, 请联系发卡行",
    "BF00110": "该卡暂不支持此交易",
    "BF00111": "交易失败",
    "BF00112": "系统繁忙, 请稍后再试",
    "BF00113": "交易结果未知, 请稍后查询",
    "BF00114": "订单已支付成功, 请勿重复支付",
    "BF00115": "交易处理中, 请稍后查询",
    "BF00118": "报文中密文解析失败",
    "BF00120": "报文交易要素缺失",
    "BF00121": "报文交易要素格式错误",
    "BF00123": "商户不存在或状态不正常, 请联系宝付",
    "BF00124": "商户与终端号不匹配",
    "BF00125": "商户该终端下未开通此类型交易",
    "BF00126": "该笔订单已存在",
    "BF00128": "该笔订单不存在",
    "BF00129": "密文和明文中参数不一致, 请确认是否被篡改!",
    "BF00130": "请确认是否发送短信, 当前交易必须通过短信验证!",
    "BF00134": "绑定关系不存在",
    "BF00136": "订单创建失败",
    "BF00140": "该卡已被注销",
    "BF00141": "该卡已挂失",
    "BF00142": "暂不支持该银行卡的绑卡",
    "BF00144": "该交易有风险, 订单处理中",
    "BF00146": "订单金额超过单笔限额",
    "BF00182": "您输入的银行卡号有误, 请重新输入",
    "BF00186": "该卡已绑定",
    "BF00187": "暂不支持信用卡的绑定",
    "BF00188": "绑卡失败",
    "BF00190": "商户流水号不能重复",
    "BF00191": "绑定id和用户id不匹配",
    "BF00202": "交易超时, 请稍后查询",
    "BF00232": "银行卡未开通认证支付",
    "BF00233": "密码输入次数超限, 请联系发卡行",
    "BF00234": "单日交易金额超限",
    "BF00235": "单笔交易金额超限",
    "BF00236": "卡号无效, 请确认后输入",
    "BF00237": "该卡已冻结, 请联系发卡行",
    "BF00238": "交易结果未知, 请稍后查询",
    "BF00249": "订单已过期, 请使用新的订单号",
    "BF00251": "订单未支付",
    "BF00254": "交易结果未知",
    "BF00258": "手机号码校验失败",
    "BF00261": "短信发送次数过多",
    "BF00325": "银行维护",
    "BF00333": "该卡有风险, 发卡行限制交易",
    "BF00341": "该卡有风险, 请持卡人联系银行",
    "BF00342": "余额不足次数过多, 请明日再试",
    "BF00343": "手机号错误",
    "BF00344": "卡号错误",
    "BF00345": "姓名错误",
    "BF00346": "身份证号错误",
    "BF00347": "交易过于频繁",
    "BF00350": "该卡当日失败次数已超过3次",
    "BF00351": "该卡当日交易笔数超过限制",
    "BF00373": "订单处理中, 请勿重复提交",
}

BINDING_TAILS: Final = frozenset(
    f"BF{code}" for code in ("00101", "00142", "00187", "00188", "00232", "00258", "00343", "00344", "00345", "00346")
)
"""Card tails whose code answers the wish to bind already: they are about the holder or the binding."""
# No final word on a charge: they are about a request, an SMS, a binding or another state of the order.
NO_TAILS: Final = WORKED | {
    *("BF00105", "BF00106", PAID_BEFORE, "BF00118", "BF00120", "BF00121", "BF00123", "BF00124", "BF00125"),
    *(NO_SUCH_ORDER, "BF00129", "BF00130", AGREEMENT_VOID, "BF00186", "BF00191", UNPAID),
}
SYNC_AMOUNT: Final = 995_000
MAGIC_CODES: Final = 1_000


def state_of(code: str) -> State:
    """What a code says about an order."""
    if code in (SUCCESS, PAID_BEFORE):
        return "succeeded"
    return "processing" if code in UNDECIDED else "failed"


def text_of(code: str) -> str:
    """biz_resp_msg of a code."""
    return MESSAGES.get(code, "其他")


def call_state(code: str) -> str:
    """The resp_code beside a biz_resp_code."""
    if code in (SUCCESS, PAID_BEFORE):
        return "S"
    return "I" if code in OPEN else "F"


def magic_tail(card_tail: str) -> str | None:
    """The code that a card tail `0NNN` asks for; only codes of the table, so that few random cards are hit."""
    code = f"BF0{card_tail}"
    return code if card_tail.startswith("0") and code in MESSAGES and code not in NO_TAILS else None


def magic_amount(amount: int) -> str | None:
    """The code that an amount of 995NNN fen asks for."""
    code = f"BF{amount - SYNC_AMOUNT:05d}"
    return code if 0 < amount - SYNC_AMOUNT < MAGIC_CODES and code in MESSAGES else None
