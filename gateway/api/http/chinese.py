"""Problems in Chinese, for `Accept-Language: zh`. Codes and names of fields stay: programs read those."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from gateway.api.http.field_codes import FieldCode
from gateway.api.http.problems import FieldError, Problem, ProblemCode

__all__ = ["FIELDS", "PROBLEMS", "in_chinese"]

PROBLEMS: Final[Mapping[ProblemCode, str]] = {
    "account_unusable": "渠道账户目前不可用，请联系运营人员。",
    "already_acknowledged": "该告警已经确认过，确认时的备注保持不变。",
    "already_resolved": "该异常已经处理过，处理结果和备注保持不变。",
    "amount_exceeds_rest": "金额超过该支付的剩余金额，left 为剩余金额（分）。",
    "bad_request": "无法按 HTTP 解析该请求，请检查后重发。",
    "body_too_large": "请求体过大：最多 64 KiB，对账单文件最多 512 MiB。",
    "cannot_be_confirmed": "支付公司未给出确认所需的信息，请拒绝该代付，或登记支付公司的书面答复。",
    "card_in_use": "该卡有未结束的支付或鉴权，请待其结束后再解绑。",
    "catalogue_refused": "该修改与现有配置冲突，未作任何改动。",
    "channel_off": "该渠道已停用或正在维护，未作任何记录，请稍后再试。",
    "channel_unreachable": "未能从渠道取得对账单，未作任何改动，请稍后再试。",
    "clock_off": "本进程的时钟不准，暂不受理，未作任何记录。请按 Retry-After 的秒数稍后原样重发，可由其他进程受理。",
    "confirmation_in_progress": "验证码已提交支付公司，正在等待结果，请先查询状态。",
    "conflict": "请求与现有数据冲突。",
    "database_unavailable": "数据库暂无响应，是否已记录尚不确定。请按 Retry-After 稍后原样重发：同一订单不会重复受理。",
    "day_closed": "该日或其后的某日已关账，未作任何改动。",
    "day_not_closable": "该日暂不能关账，请先处理未结差错，并按日期顺序关账。",
    "day_not_over": "渠道的该日尚未结束，还没有对账单。",
    "endpoints_stopped": "该事件的接收地址均已停用。留存的通知会在地址重新启用后发送。",
    "expectation_failed": "请去掉请求头 Expect。",
    "forbidden": "该密钥无权调用此接口。",
    "internal_error": "系统内部错误。请先查询状态，再决定是否重发。",
    "invalid_request": "请检查请求内容。",
    "malformed_json": "请求体不是 UTF-8 编码的 JSON 对象。",
    "may_be_paid": "可能已经支付：支付公司尚未明确未支付，请稍后再试。",
    "method_not_allowed": "该地址不支持此方法，可用方法见响应头 Allow。",
    "new_sms_needed": "这条短信的验证码不能再试，请先重新获取短信。",
    "no_money_proved": "该异常不能证明该支付有资金变动，或者资金已经退回。",
    "no_resends_left": "短信重发次数已用完，请重新发起。",
    "no_statements": "该账户不读取对账单：请在配置中写明合同所约定的内容，或配置对账单字段映射。",
    "not_found": "没有找到，或该密钥无权查看。",
    "not_switched_off": "该渠道没有被自动关闭。",
    "not_waiting": "当前不在等待付款人操作，请查询状态。",
    "nothing_sent": "该笔从未发往支付公司，因此不会有支付公司的答复。",
    "order_conflict": "该订单号已用于内容不同的订单，请换一个订单号。",
    "other_statement": "该日已有另一份对账单。如需替换，请写明原因。",
    "overloaded": "系统繁忙。请按 Retry-After 的秒数稍后原样重发：同一订单不会重复受理。",
    "payment_has_anomaly": "该支付有未处理的异常，请先由运营人员处理。",
    "payment_not_succeeded": "该支付尚未成功，不能退款或结算。",
    "payout_limit_exceeded": "超出该渠道代付规则的限额，left 为当前单笔最多可付金额（分），未作任何记录。",
    "payout_not_allowed": "该渠道的代付规则已不允许此代付，代付仍在等待中。",
    "payout_not_held": "该代付不在等待中，无法执行此操作，请查询状态。",
    "request_timeout": "请求体未在规定时间内到达，请原样重发。",
    "result_conflict": "该路由此前已上报不同的结果，原结果保持不变。",
    "resend_too_soon": "短信刚刚发送，请按 Retry-After 的秒数稍后再重发。",
    "run_in_progress": "该账户正在对账，请待其结束后再试。",
    "search_cut": "查询耗时过长，已中止。请缩小范围（编号、用户或更短的时间），或稍后再查。",
    "settle_conflict": "该支付已由此代付以不同金额结算。",
    "settles_exceed_payout": "结算明细之和超过代付金额，left 为剩余可结算金额（分）。",
    "settles_incomplete": "结算明细之和尚未等于代付金额，left 为差额（分）。",
    "sms_in_progress": "短信正在发送，请稍后再试。",
    "sms_limit_reached": "该手机号今天的验证码次数已达上限。",
    "statement_not_ready": "渠道尚未生成该日的对账单，请稍后再试。",
    "statement_refused": "对账单有误，整份拒收，未作任何改动。file、line、column、reason 指明位置和原因。",
    "unauthorized": "缺少密钥，或密钥不存在、已吊销。请发送 Authorization: Bearer 加密钥。",
    "unsupported_media_type": "请发送 UTF-8 编码的 JSON（Content-Type: application/json），且不要压缩。",
}

FIELDS: Final[Mapping[FieldCode, str]] = {
    "bank": "不是已知的银行代码",
    "card_no": "卡号校验位不符",
    "exclusive": "与另一字段只能填写其一",
    "fee": "费率格式不正确",
    "id": "不是有效的编号",
    "id_no": "证件号校验位不符",
    "invalid": "内容不正确",
    "key": "键名为空或过长",
    "missing": "必填",
    "not_found": "不存在",
    "not_one_of": "不是允许的取值",
    "order": "应晚于对应的字段",
    "out_of_range": "超出允许的范围",
    "no_payout_rule": "该渠道没有适用的代付规则，请更换渠道或由运营添加规则",
    "payout_rule_disabled": "该渠道适用的代付规则已停用",
    "payouts_not_supported": "该渠道不支持代付",
    "place": "应为上一页返回的 next",
    "refunds_not_supported": "该渠道不支持退款",
    "repeated": "重复",
    "text": "含有不可见字符或控制字符，或首尾有空格",
    "time": "应为带时区的时间（RFC 3339）",
    "too_few": "数量过少",
    "too_long": "过长",
    "too_many": "数量过多",
    "too_short": "过短",
    "unknown": "无法由卡号判断银行，请填写银行",
    "unknown_field": "没有这个字段，请去掉",
    "unsupported": "服务商不支持",
    "unwanted": "此处不应填写",
    "wrong_format": "格式不正确",
    "wrong_type": "类型不正确",
}


def in_chinese(problem: Problem) -> Problem:
    """The problem with Chinese words. What a field must be is added as it is in English: it has the exact bounds."""
    detail = PROBLEMS[problem.code]
    named = "、".join(dict.fromkeys(error.field for error in problem.errors if error.field))
    if named:
        detail = f"请检查这些字段：{named}。"
    errors = [FieldError(e.field, e.code, f"{FIELDS[e.code]}（{e.message}）") for e in problem.errors]
    return replace(problem, detail=detail, errors=errors)
