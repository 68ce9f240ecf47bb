"""Why a payment failed, and what to do, in the words of a payer: never those of a PSP, and nothing of channels."""

from collections.abc import Mapping
from typing import Final

from gateway.domain.failures import Advice, Failure, FailureCode
from gateway.pages.wording import Language, Text, said, yuan

__all__ = ["advice_text", "failure_text", "offer_reason"]

_F = FailureCode
_JUST_NOW: Final = Text("It could not be carried out just now.")
_LIMIT: Final = Text("The amount is above what can be paid in this way.")
_FAILED: Final[Mapping[FailureCode, Text]] = {
    _F.INSUFFICIENT_BALANCE: Text("The balance of the card is too low."),
    _F.CARD_INVALID: Text("The bank does not take this card: its number may be wrong."),
    _F.CARD_LOST: Text("This card was reported lost."),
    _F.CARD_FROZEN: Text("This card is frozen."),
    _F.CARD_CLOSED: Text("This card was closed."),
    _F.CARD_EXPIRED: Text("This card has expired."),
    _F.NAME_MISMATCH: Text("The name is not the one that the bank has for this card."),
    _F.ID_MISMATCH: Text("The ID number is not the one that the bank has for this card."),
    _F.PHONE_MISMATCH: Text("The mobile number is not the one that the bank has for this card."),
    _F.SMS_CODE_WRONG: Text("The code was wrong too often."),
    _F.SMS_CODE_EXPIRED: Text("The code was typed too late."),
    _F.TOO_MANY_TRIES: Text("There were too many tries."),
    _F.RISK_REJECTED: Text("The bank refused it for your safety."),
    _F.AUTHENTICATION_REJECTED: Text("The card could not be verified."),
    _F.AUTHENTICATION_UNKNOWN: Text("The bank did not say whether the card is verified."),
    _F.CUSTODY_NOT_BOUND: Text("No card is bound to your account at the custody bank."),
    _F.AGREEMENT_VOID: Text("The card must be verified anew."),
    _F.CHANNEL_LIMIT_EXCEEDED: _LIMIT,
    _F.CARD_UNSUPPORTED: Text("This card is not taken here."),
    _F.CHANNEL_UNAVAILABLE: _JUST_NOW,
    _F.CHANNEL_REFUSED: _JUST_NOW,
    _F.MERCHANT_BALANCE_SHORT: _JUST_NOW,
    _F.PAYEE_INVALID: _JUST_NOW,
    _F.NOT_CONFIRMED: _JUST_NOW,
    _F.NO_CHANNEL_AVAILABLE: Text("This is not available just now."),
    _F.CARD_NEEDS_SIGNING: Text("This card must be added at the merchant first."),
    _F.SIGNING_IN_PROGRESS: Text("A code for this card is awaited elsewhere: type it there, or wait five minutes."),
    _F.SINGLE_LIMIT_EXCEEDED: Text("The amount is above the limit of one payment."),
    _F.DAILY_LIMIT_EXCEEDED: Text("The limit of today is used up."),
    _F.DAILY_INSUFFICIENT_BALANCE_EXCEEDED: Text("The balance was too low too often today."),
    _F.CHANNEL_TOTAL_EXCEEDED: Text("The limit of today is used up."),
    _F.CARD_LIMIT_EXCEEDED: Text("The amount is above the limit of this card."),
    _F.NO_ELIGIBLE_CHANNEL: _LIMIT,
    _F.BLOCKED: Text("The merchant does not take this payment."),
}
_ADVICE: Final[Mapping[Advice, Text]] = {
    Advice.CHANGE_CARD: Text("Please use another card or another bank."),
    Advice.CHANGE_PHONE: Text("Please check the mobile number, and type the card once more."),
    Advice.RETRY_NOW: Text("Please try again: that often works."),
    Advice.RETRY_LATER: Text("Please try again later, or use another card or another bank."),
    Advice.RETRY_TOMORROW: Text("Please try again tomorrow, or use another card or another bank."),
    Advice.CHANGE_AMOUNT: Text("Please use another card or another bank, or ask the merchant for a smaller amount."),
    Advice.CONTACT_BANK: Text("Please ask your bank, or use another card."),
    Advice.SIGN_CARD: Text("Please do that first, or use another card or another bank."),
    Advice.NONE: Text("Please ask the merchant, or use another card or another bank."),
}
_UP_TO: Final = Text("At most %(amount)s now")
_NOT_NOW: Final = Text("Not available now")
_USED_UP: Final = Text("The limit of today is used up")
_TIMES: Final = Text("The balance was too low too often today")
_NEEDS_SIGNING: Final = Text("Must be added at the merchant first")
_BLOCKED: Final = Text("The merchant does not take it")
_REASONS: Final[Mapping[FailureCode, Text]] = {
    _F.CARD_NEEDS_SIGNING: _NEEDS_SIGNING,
    _F.DAILY_INSUFFICIENT_BALANCE_EXCEEDED: _TIMES,
    _F.DAILY_LIMIT_EXCEEDED: _USED_UP,
    _F.CHANNEL_TOTAL_EXCEEDED: _USED_UP,
    _F.CARD_LIMIT_EXCEEDED: _USED_UP,
    _F.NO_ELIGIBLE_CHANNEL: _USED_UP,
    _F.BLOCKED: _BLOCKED,
}


def failure_text(failure: Failure, language: Language) -> str:
    """Why it failed."""
    text = said(_FAILED[failure.code], language)
    most = _most(failure, language)
    return f"{text} {most}" if most and language == "en" else f"{text}{most}"


def advice_text(advice: Advice, language: Language) -> str:
    """What the payer can do about it."""
    return said(_ADVICE[advice], language)


def offer_reason(failure: Failure, language: Language) -> str:
    """Why something cannot be chosen, in a few words."""
    if failure.max_amount_now:
        return said(_UP_TO, language) % {"amount": yuan(failure.max_amount_now)}
    return said(_REASONS.get(failure.code, _NOT_NOW), language)


def _most(failure: Failure, language: Language) -> str:
    if not failure.max_amount_now:
        return ""
    template = Text("At most %(amount)s can be paid in this way now.")
    return said(template, language) % {"amount": yuan(failure.max_amount_now)}
