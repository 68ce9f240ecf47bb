"""LianLian's return codes (its handbook's table: H), the states of orders, and which magic asks for one."""

from typing import Final

from sandbox.books import State

__all__ = [
    "ACCEPTED",
    "BINDING_TAILS",
    "CLOSED",
    "CODE_FAULTS",
    "DUPLICATE",
    "HOLDER_WRONG",
    "LAPSED",
    "MESSAGES",
    "NOT_FOUND",
    "PAID_BEFORE",
    "PHONE_WRONG",
    "SMS_EVERY_TIME_TAIL",
    "SMS_SENT",
    "SUCCESS",
    "SUSPICIONS",
    "SYNC_AMOUNT",
    "WORKED",
    "magic_amount",
    "magic_tail",
    "result_of",
    "state_of",
]

SUCCESS: Final = "0000"
SMS_SENT: Final = "8888"
ACCEPTED: Final = "2008"
IN_PROCESS_BEFORE: Final = "2005"
PAID_BEFORE: Final = "2007"
DUPLICATE: Final = "1002"
LAPSED: Final = "1000"
CLOSED: Final = "2006"
HOLDER_WRONG: Final = "1108"
PHONE_WRONG: Final = "1114"
NOT_FOUND: Final = "8901"
SUSPICIONS: Final = frozenset({"4002", "4003", "4004"})
"""Of a payout that waits until somebody confirms it."""
OPEN: Final = frozenset({SMS_SENT, ACCEPTED}) | SUSPICIONS
WORKED: Final = frozenset(
    {"1002", "1003", "1007", "2003", "2005", "2007", "2008", "9094", "9902", "9983", "9990", "9991", "9999"}
)
"""Asked for as an answer, these leave the work done: the merchant has to find out by a query."""
CODE_FAULTS: Final = frozenset({"1000", "1900", "1901", "9700", "9701", "9702", "9703"})
"""About the payer's code: the order goes on waiting."""

MESSAGES: Final[dict[str, str]] = {
    "0000": "交易成功",
    "1000": "支付授权令牌失效或错误",
    "1001": "商户请求签名错误",
    "1002": "第三方单号重复",
    "1003": "正在支付中,请稍后",
    "1004": "商户请求参数校验错误",
    "1005": "支付处理失败",
    "1007": "网络链接繁忙",
    "1012": "请求报文解析失败",
    "1014": "日累计金额或笔数超限",
    "1016": "交易金额超限",
    "1019": "单笔金额超限",
    "1100": "无效卡号",
    "1101": "卡已挂失",
    "1103": "银行卡有效期或CVV2错误",
    "1105": "卡号在黑名单中",
    "1106": "允许的输入PIN次数超限",
    "1107": "您的银行卡暂不支持在线支付业务",
    "1108": "您输入的证件号、姓名或手机号有误",
    "1110": "卡状态异常",
    "1111": "交易异常，支付失败",
    "1112": "证件号有误",
    "1113": "持卡人姓名有误",
    "1114": "手机号有误",
    "1115": "该卡未预留手机号",
    "1900": "短信码校验错误",
    "1901": "短信码已失效",
    "1902": "该卡交易金额超出免密限额",
    "2003": "支付单创建",
    "2005": "原交易已在进行处理，请勿重复提交",
    "2006": "交易已过期",
    "2007": "交易已支付成功",
    "2008": "交易处理中",
    "3001": "非法商户",
    "3003": "签约信息不存在",
    "4007": "敏感信息解密异常",
    "6001": "卡余额不足",
    "8888": "短信已下发，需要再次验证",
    "8901": "没有记录",
    "9000": "银行维护中，请稍后再试",
    "9094": "请求银行扣款失败",
    "9700": "短信验证码错误",
    "9702": "验证码错误次数超过最大次数,请重新获取进行验证",
    "9703": "短信验证码失效,请重新获取",
    "9704": "短信发送异常,请稍后重试",
    "9902": "接口调用异常",
    "9910": "风险等级过高",
    "9911": "金额超过指定额度",
    "9912": "该卡暂不支持",
    "9913": "该卡已签约成功",
    "9983": "商户订单号重复",
    "9990": "银行交易出错，请稍后重试",
    "9991": "银行交易出错，请联系客服",
    "9999": "系统错误",
}

BINDING_TAILS: Final = frozenset({HOLDER_WRONG, "1112", "1113", PHONE_WRONG, "1115"})
"""Card tails whose code answers the wish to bind already: they are about the holder."""
PAYMENT_TAILS: Final = frozenset({"1100", "1101", "1103", "1105", "1110", "6001", "9910", "9911", "9912"})
SMS_EVERY_TIME_TAIL: Final = SMS_SENT
"""A payment of the card 8888 wants a code with an agreement, too."""

SYNC_AMOUNT: Final = 990_000
NO_AMOUNTS: Final = CODE_FAULTS | {SUCCESS, SMS_SENT, CLOSED, NOT_FOUND}


def state_of(code: str) -> State:
    """What an order is by the code that it has."""
    if code == SUCCESS:
        return "succeeded"
    return "processing" if code in OPEN else "failed"


def result_of(code: str) -> str:
    """The result_pay of an order by the code that it has."""
    known = {SUCCESS: "SUCCESS", SMS_SENT: "WAITING", ACCEPTED: "PROCESSING", CLOSED: "CLOSED"}
    return known.get(code, "FAILURE")


def magic_tail(card_tail: str) -> str | None:
    """The code that a card tail asks payments for."""
    return card_tail if card_tail in PAYMENT_TAILS else None


def magic_amount(amount: int) -> str | None:
    """The code that an amount of 990000 + code (in fen) asks for."""
    code = f"{amount - SYNC_AMOUNT:04d}"
    return code if amount > SYNC_AMOUNT and code in MESSAGES and code not in NO_AMOUNTS else None
