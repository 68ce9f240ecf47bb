"""Failure codes: who is to blame, what to do next, and how to say it."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from gateway.domain.scenes import CUSTODY_SCENES, Kind, Scene
from router.left import ToldLimit


class Blame(StrEnum):
    """Who caused a failure."""

    PAYER = "payer"
    CHANNEL = "channel"
    PLATFORM = "platform"


class Advice(StrEnum):
    """What the business system can do about a failure."""

    CHANGE_CARD = "change_card"
    CHANGE_PHONE = "change_phone"
    RETRY_NOW = "retry_now"
    RETRY_LATER = "retry_later"
    RETRY_TOMORROW = "retry_tomorrow"
    CHANGE_AMOUNT = "change_amount"
    CONTACT_BANK = "contact_bank"
    SIGN_CARD = "sign_card"
    NONE = "none"


class FailureCode(StrEnum):
    """Why a payment failed, in Sluice's words; every PSP's codes are mapped onto these."""

    INSUFFICIENT_BALANCE = "insufficient_balance"
    CARD_INVALID = "card_invalid"
    CARD_LOST = "card_lost"
    CARD_FROZEN = "card_frozen"
    CARD_CLOSED = "card_closed"
    CARD_EXPIRED = "card_expired"
    NAME_MISMATCH = "name_mismatch"
    ID_MISMATCH = "id_mismatch"
    PHONE_MISMATCH = "phone_mismatch"
    SMS_CODE_WRONG = "sms_code_wrong"
    SMS_CODE_EXPIRED = "sms_code_expired"
    TOO_MANY_TRIES = "too_many_tries"
    RISK_REJECTED = "risk_rejected"
    AUTHENTICATION_REJECTED = "authentication_rejected"
    AUTHENTICATION_UNKNOWN = "authentication_unknown"
    CUSTODY_NOT_BOUND = "custody_not_bound"
    AGREEMENT_VOID = "agreement_void"
    CHANNEL_LIMIT_EXCEEDED = "channel_limit_exceeded"
    CARD_UNSUPPORTED = "card_unsupported"
    CHANNEL_UNAVAILABLE = "channel_unavailable"
    CHANNEL_REFUSED = "channel_refused"
    MERCHANT_BALANCE_SHORT = "merchant_balance_short"
    PAYEE_INVALID = "payee_invalid"
    NOT_CONFIRMED = "not_confirmed"
    NO_CHANNEL_AVAILABLE = "no_channel_available"
    CARD_NEEDS_SIGNING = "card_needs_signing"
    SIGNING_IN_PROGRESS = "signing_in_progress"
    SINGLE_LIMIT_EXCEEDED = "single_limit_exceeded"
    DAILY_LIMIT_EXCEEDED = "daily_limit_exceeded"
    DAILY_INSUFFICIENT_BALANCE_EXCEEDED = "daily_insufficient_balance_exceeded"
    CHANNEL_TOTAL_EXCEEDED = "channel_total_exceeded"
    CARD_LIMIT_EXCEEDED = "card_limit_exceeded"
    NO_ELIGIBLE_CHANNEL = "no_eligible_channel"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one failure code means to the business system."""

    blame: Blame
    advice: Advice
    en: str
    zh: str


_P, _C, _S = Blame.PAYER, Blame.CHANNEL, Blame.PLATFORM
_F = FailureCode

MEANINGS: dict[FailureCode, Meaning] = {
    _F.INSUFFICIENT_BALANCE: Meaning(_P, Advice.CHANGE_CARD, "The card's balance is too low.", "银行卡余额不足"),
    _F.CARD_INVALID: Meaning(_P, Advice.CHANGE_CARD, "The card number is not valid.", "银行卡号无效"),
    _F.CARD_LOST: Meaning(_P, Advice.CHANGE_CARD, "The card was reported lost.", "银行卡已挂失"),
    _F.CARD_FROZEN: Meaning(_P, Advice.CHANGE_CARD, "The card is frozen.", "银行卡已冻结"),
    _F.CARD_CLOSED: Meaning(_P, Advice.CHANGE_CARD, "The card was closed.", "银行卡已销户"),
    _F.CARD_EXPIRED: Meaning(_P, Advice.CHANGE_CARD, "The card has expired.", "银行卡已过期"),
    _F.NAME_MISMATCH: Meaning(_P, Advice.CHANGE_CARD, "The holder's name does not match the card.", "户名与银行卡不符"),
    _F.ID_MISMATCH: Meaning(_P, Advice.CHANGE_CARD, "The identity does not match the card.", "证件信息与银行卡不符"),
    _F.PHONE_MISMATCH: Meaning(
        _P, Advice.CHANGE_PHONE, "The phone is not the one the bank knows.", "手机号与银行预留不符"
    ),
    _F.SMS_CODE_WRONG: Meaning(_P, Advice.RETRY_NOW, "The SMS code was wrong.", "短信验证码错误"),
    _F.SMS_CODE_EXPIRED: Meaning(_P, Advice.RETRY_NOW, "The SMS code has expired.", "短信验证码已过期"),
    _F.TOO_MANY_TRIES: Meaning(_P, Advice.RETRY_LATER, "Too many tries with this card.", "尝试次数过多，请稍后再试"),
    _F.RISK_REJECTED: Meaning(_P, Advice.CONTACT_BANK, "Refused by risk control.", "交易被风控拒绝，请联系发卡行"),
    _F.AUTHENTICATION_REJECTED: Meaning(
        _P, Advice.RETRY_NOW, "The card could not be authenticated.", "银行卡鉴权未通过"
    ),
    _F.AUTHENTICATION_UNKNOWN: Meaning(
        _C,
        Advice.RETRY_NOW,
        "The result of the authentication is unknown; nothing was charged.",
        "鉴权结果未知，未扣款",
    ),
    _F.CUSTODY_NOT_BOUND: Meaning(
        _P,
        Advice.SIGN_CARD,
        "No card is bound at the custody bank, or withholding was not authorised there.",
        "未在存管银行绑卡或未授权代扣",
    ),
    _F.AGREEMENT_VOID: Meaning(_C, Advice.RETRY_NOW, "The agreement at the channel is void.", "签约已失效，请重试"),
    _F.CHANNEL_LIMIT_EXCEEDED: Meaning(_C, Advice.RETRY_NOW, "A limit of the channel was exceeded.", "超出渠道限额"),
    _F.CARD_UNSUPPORTED: Meaning(
        _C, Advice.CHANGE_CARD, "The channel does not support this card.", "渠道不支持该银行卡"
    ),
    _F.CHANNEL_UNAVAILABLE: Meaning(_C, Advice.RETRY_NOW, "The channel is not available.", "支付渠道暂不可用"),
    _F.CHANNEL_REFUSED: Meaning(_C, Advice.NONE, "The channel refused the request.", "支付渠道拒绝了请求"),
    _F.MERCHANT_BALANCE_SHORT: Meaning(_S, Advice.RETRY_LATER, "The merchant's balance is too low.", "商户余额不足"),
    _F.PAYEE_INVALID: Meaning(_P, Advice.NONE, "The payee's account is not valid.", "收款账户无效"),
    _F.NOT_CONFIRMED: Meaning(
        _S, Advice.NONE, "Nobody confirmed the payout, so it was not paid.", "代付未获确认，未付款"
    ),
    _F.NO_CHANNEL_AVAILABLE: Meaning(_S, Advice.RETRY_LATER, "No channel is available now.", "暂无可用支付渠道"),
    _F.CARD_NEEDS_SIGNING: Meaning(_S, Advice.SIGN_CARD, "The card must be signed first.", "银行卡需先签约"),
    _F.SIGNING_IN_PROGRESS: Meaning(
        _S, Advice.RETRY_LATER, "The card is being signed by another payment.", "该卡正在签约中，请稍后再试"
    ),
    _F.SINGLE_LIMIT_EXCEEDED: Meaning(
        _S, Advice.CHANGE_AMOUNT, "The amount is above the limit of one payment.", "超出单笔限额"
    ),
    _F.DAILY_LIMIT_EXCEEDED: Meaning(_S, Advice.RETRY_TOMORROW, "The day's limit is used up.", "超出当日限额"),
    _F.DAILY_INSUFFICIENT_BALANCE_EXCEEDED: Meaning(
        _S, Advice.RETRY_TOMORROW, "Too many refusals for balance today.", "当日余额不足次数过多"
    ),
    _F.CHANNEL_TOTAL_EXCEEDED: Meaning(
        _S, Advice.RETRY_TOMORROW, "The channel's total of the day is used up.", "渠道当日总额已用尽"
    ),
    _F.CARD_LIMIT_EXCEEDED: Meaning(_S, Advice.RETRY_TOMORROW, "The card's limit is exceeded.", "超出该卡限额"),
    _F.NO_ELIGIBLE_CHANNEL: Meaning(
        _S, Advice.RETRY_LATER, "No channel can take this payment.", "没有符合条件的支付渠道"
    ),
    _F.BLOCKED: Meaning(_S, Advice.NONE, "The merchant blocks this payment.", "商户已禁止该支付"),
}


CODE_REFUSALS: frozenset[FailureCode] = frozenset({_F.SMS_CODE_WRONG, _F.SMS_CODE_EXPIRED})
"""What is said of a code that the payer typed: another one may be tried."""

IDENTITY_REFUSALS: frozenset[FailureCode] = frozenset({_F.NAME_MISMATCH, _F.ID_MISMATCH, _F.PHONE_MISMATCH})
"""Refusals of what an authentication verifies."""

OURS: frozenset[FailureCode] = frozenset(
    {
        _F.NO_CHANNEL_AVAILABLE,
        _F.CARD_NEEDS_SIGNING,
        _F.SIGNING_IN_PROGRESS,
        _F.SINGLE_LIMIT_EXCEEDED,
        _F.DAILY_LIMIT_EXCEEDED,
        _F.DAILY_INSUFFICIENT_BALANCE_EXCEEDED,
        _F.CHANNEL_TOTAL_EXCEEDED,
        _F.CARD_LIMIT_EXCEEDED,
        _F.NO_ELIGIBLE_CHANNEL,
        _F.BLOCKED,
        _F.AUTHENTICATION_UNKNOWN,
        _F.NOT_CONFIRMED,
    }
)
"""What only we say: no PSP refuses so."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a payment failed: our code and blame, and the PSP's own words where it said any."""

    code: FailureCode
    blame: Blame
    advice: Advice
    """Kept with the failure: what was advised then, whatever the code means later."""
    channel_code: str | None = None
    channel_message: str | None = None
    limit: ToldLimit | None = None
    """Of a refusal for a limit: which one."""
    max_amount_now: int | None = None
    """Of a refusal for a limit: the most that one available channel would still take, in fen."""
    no_more_today: bool = field(default=False, compare=False)
    """Of `insufficient_balance`, when it is heard: the PSP takes no more tries today. It is counted, and not kept."""


def failure(
    code: FailureCode,
    *,
    blame: Blame | None = None,
    channel_code: str | None = None,
    channel_message: str | None = None,
) -> Failure:
    """Make a failure with the code's own blame unless another one is known."""
    meaning = MEANINGS[code]
    return Failure(code, blame or meaning.blame, meaning.advice, channel_code, channel_message)


def as_told(why: Failure, kind: Kind, scene: Scene) -> Failure:
    """The failure as it is for a kind of payment and its scene.

    Nobody is there to take another card for a withhold. A custody bank has bound the card by another authenticator: if
    the PSP then refuses whose it is, the payer has done nothing wrong, and the next payment takes another PSP.
    """
    if scene in CUSTODY_SCENES and why.code in IDENTITY_REFUSALS | {FailureCode.AUTHENTICATION_REJECTED}:
        return replace(why, blame=Blame.CHANNEL, advice=Advice.RETRY_NOW)
    if kind is Kind.WITHHOLD and why.code is FailureCode.INSUFFICIENT_BALANCE:
        return replace(why, advice=Advice.RETRY_LATER)
    return why
