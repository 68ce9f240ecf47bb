"""UnionPay's answer codes (respCode table, official: H), what they mean, and which magic asks for one."""

from typing import Final

from sandbox.books import State

__all__ = [
    "ACCEPTED",
    "BANKS",
    "DUPLICATE",
    "IDENTITY_WRONG",
    "MESSAGES",
    "OPENING_TAILS",
    "SMS_TAIL",
    "UNDECIDED",
    "WORKED",
    "magic_amount",
    "magic_tail",
    "state_of",
]

ACCEPTED: Final = "00"
SUCCEEDED: Final = frozenset({"00", "A6"})
UNDECIDED: Final = frozenset({"03", "04", "05"})
DUPLICATE: Final = "12"
IDENTITY_WRONG: Final = "66"  # the holder's identity, or the phone
WORKED: Final = UNDECIDED | {DUPLICATE, "70"}
"""Asked for as a synchronous answer, these leave the work done: the merchant has to find out by a query."""

MESSAGES: Final[dict[str, str]] = {
    "00": "成功",
    "01": "交易失败",
    "02": "系统未开放或暂时关闭",
    "03": "交易通讯超时，请发起查询交易",
    "04": "交易状态未明，请查询对账结果",
    "05": "交易已受理，请稍后查询交易结果",
    "10": "报文格式错误",
    "11": "验证签名失败",
    "12": "重复交易",
    "13": "报文交易要素缺失",
    "14": "批量文件格式错误",
    "30": "交易未通过，请尝试使用其他银联卡支付或联系发卡行",
    "31": "商户状态不正确",
    "32": "无此交易权限",
    "33": "交易金额超限",
    "34": "查无此交易",
    "35": "原交易不存在或状态不正确",
    "36": "与原交易信息不符",
    "37": "已超过最大查询次数或操作过于频繁",
    "38": "银联风险受限",
    "39": "交易不在受理时间范围内",
    "40": "绑定关系检查失败",
    "41": "批量状态不正确，无法下载",
    "42": "扣款成功但交易超过规定支付时间",
    "45": "原交易已被成功退货或已被成功撤销",
    "60": "交易失败，详情请咨询您的发卡行",
    "61": "输入的卡号无效，请确认后输入",
    "62": "交易失败，发卡银行不支持该商户",
    "63": "卡状态不正确",
    "64": "卡上的余额不足",
    "65": "输入的密码、有效期或CVN2有误",
    "66": "持卡人身份信息或手机号输入不正确",
    "67": "密码输入次数超限",
    "68": "您的银行卡暂不支持该业务",
    "69": "您的输入超时，交易失败",
    "70": "交易已跳转，等待持卡人输入",
    "71": "动态口令或短信验证码校验失败",
    "72": "您尚未在银联开通",
    "73": "支付卡已超过有效期",
    "74": "扣款成功，销账未知",
    "75": "扣款成功，销账失败",
    "76": "需要验密开通",
    "77": "银行卡未开通认证支付",
    "78": "发卡行交易权限受限",
    "79": "此卡可用，但发卡行暂不支持短信验证",
    "80": "交易失败，Token 已过期",
    "98": "文件不存在",
    "99": "通用错误",
    "A6": "有缺陷的成功",
}

BANKS: Final[dict[str, str]] = {
    "": "银联卡 Any UnionPay card",
    "ICBC": "工商银行 ICBC",
    "ABC": "农业银行 ABC",
    "BOC": "中国银行 BOC",
    "CCB": "建设银行 CCB",
    "COMM": "交通银行 BOCOM",
    "PSBC": "邮储银行 PSBC",
    "CMB": "招商银行 CMB",
    "CITIC": "中信银行 CITIC",
    "CEB": "光大银行 CEB",
    "HXB": "华夏银行 HXB",
    "CMBC": "民生银行 CMBC",
    "GDB": "广发银行 CGB",
    "SPABANK": "平安银行 PAB",
    "CIB": "兴业银行 CIB",
    "SPDB": "浦发银行 SPDB",
    "BCCB": "北京银行 BOB",
}
"""issInsCode → whose page it opens; without one UnionPay's own. ICBC and ABC stand in public sources, the rest is L."""

OPENING_TAILS: Final = frozenset({"40", "65", "66", "68", "79"})
"""Card tails whose code answers the opening already: they are about the holder or the binding."""
SMS_TAIL: Final = "71"
"""The card tail 0071 wants an SMS code at opening; its payments go through."""

NO_TAILS: Final = frozenset({ACCEPTED, SMS_TAIL, DUPLICATE, "14", "35", "36", "41", "42", "45", "70", "74", "75", "98"})
"""No final word on a charge: they answer other transactions, or money has moved. An amount can ask for them."""

TAIL_PREFIX: Final = "00"
SYNC_AMOUNT: Final = 990_000


def state_of(code: str) -> State:
    """What an origRespCode says: 00 and A6 (success with a defect) succeeded, 03/04/05 still open, else failed."""
    if code in SUCCEEDED:
        return "succeeded"
    return "processing" if code in UNDECIDED else "failed"


def magic_tail(card_tail: str) -> str | None:
    """The code that a card tail `00NN` asks for; only codes of the table, so that few random cards are hit."""
    code = card_tail[2:]
    if card_tail.startswith(TAIL_PREFIX) and code in MESSAGES and code not in NO_TAILS:
        return code
    return None


def magic_amount(amount: int) -> str | None:
    """The code that an amount of 9900NN fen asks for."""
    if not SYNC_AMOUNT < amount < SYNC_AMOUNT + 100:
        return None
    code = f"{amount - SYNC_AMOUNT:02d}"
    return code if code in MESSAGES else None
