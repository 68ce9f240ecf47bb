"""LianLian's requests: what each says of an account, an order and a card. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from adapters.account import AccountError, setting
from adapters.lianlian.letter import UnwritableError, name_of_user, written
from adapters.lianlian.payouts import order_of
from adapters.lianlian.refunds import money_of
from gateway.domain.cards import CardElements
from gateway.domain.failures import FailureCode as F
from gateway.domain.identities import IdType
from gateway.domain.money import yuan
from gateway.domain.outcomes import Declined
from gateway.ports import (
    AccountSettings,
    AskPayment,
    AskPayout,
    AskRefund,
    ConfirmPayout,
    Pay,
    Payout,
    Refund,
    SendSigningCode,
    Sign,
    Unbind,
)

__all__ = ["Requests", "Sent", "unfit"]

BEIJING: Final = ZoneInfo("Asia/Shanghai")
DEBIT_CARD: Final = "2"
ID_CARD: Final = "0"
BUSINESSES: Final = frozenset({"101001", "109001"})  # goods that are virtual; that are real
VALID_MINUTES: Final = "30"
"""An order that waits for a code lapses with its token, which lives as long; LianLian's own 7 days are too long."""
MAX_GOODS: Final = 40
MAX_NOTIFY_URL: Final = 128
GOODS: Final = "订单付款"
"""Of a payment that says nothing of itself: there must be some name."""

VERSION_OF_PAYOUTS: Final = {"api_version": "1.0"}
VERSION_OF_BALANCES: Final = {"api_version": "1.0"}

Sent = dict[str, str]
"""What a request says, before it is signed."""


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests of one merchant account. `risk_item`: what goes into each of them."""

    oid_partner: str
    busi_partner: str
    risk_item: Mapping[str, str]

    @classmethod
    def of(cls, account: AccountSettings) -> "Requests":
        """By the account's settings. Raises AccountError."""
        oid_partner, busi_partner = setting(account, "oid_partner"), setting(account, "busi_partner", "101001")
        if not re.fullmatch(r"[0-9]{15,18}", oid_partner):
            raise AccountError(account, "oid_partner", "must be 15 to 18 digits")
        if busi_partner not in BUSINESSES:
            raise AccountError(account, "busi_partner", f"must be one of {', '.join(sorted(BUSINESSES))}")
        constants = account.settings.get("risk_item", {})
        if not isinstance(constants, Mapping) or not all(isinstance(value, str) for value in constants.values()):
            raise AccountError(account, "risk_item", "must be names with texts")
        return cls(oid_partner, busi_partner, {"frms_ware_category": setting(account, "ware_category"), **constants})

    def bind(self, command: SendSigningCode) -> Sent:
        """bankcardbind: an SMS to bind the card with."""
        user_id = name_of_user(command.user_id)
        return {
            **self._order(command.number, command.told_at),
            **_card(command.card),
            "user_id": user_id,
            "pay_type": DEBIT_CARD,
            "notify_url": command.notify_url,
            "risk_item": self._risk(user_id, command.card.phone, GOODS),
        }

    def verify(self, command: Sign, token: str) -> Sent:
        """bankcardbindverfy: bind the card with the code."""
        return {
            **self._common(),
            "no_order": command.number,
            "user_id": name_of_user(command.user_id),
            "token": token,
            "verify_code": command.sms_code,
        }

    def unbind(self, command: Unbind) -> Sent:
        """bankcardunbind: give the agreement up."""
        return {
            **self._common(),
            "user_id": name_of_user(command.user_id),
            "pay_type": DEBIT_CARD,
            "no_agree": command.agreement_no,
        }

    def prepay(self, command: Pay) -> Sent:
        """bankcardprepay: with the agreement, or else with the card's elements."""
        user_id, goods = name_of_user(command.user_id), command.description.strip()[:MAX_GOODS] or GOODS
        card = command.card
        assert card is not None
        return {
            **self._order(command.number, command.told_at),
            **({"no_agree": command.agreement_no} if command.agreement_no else _card(card)),
            "user_id": user_id,
            "busi_partner": self.busi_partner,
            "name_goods": goods,
            "money_order": yuan(command.amount),
            "notify_url": command.notify_url,
            "valid_order": VALID_MINUTES,
            "pay_type": DEBIT_CARD,
            "risk_item": self._risk(user_id, card.phone, goods),
        }

    def pay(self, command: Pay, token: str, sms_code: str) -> Sent:
        """bankcardpay: with the code that the payer typed."""
        return {
            **self._common(),
            "no_order": command.number,
            "money_order": yuan(command.amount),
            "token": token,
            "verify_code": sms_code,
        }

    def ask(self, command: AskPayment) -> Sent:
        """orderquery. Its version 1.1 also tells in words why a payment failed."""
        return {**self._order(command.number, command.told_at), "query_version": "1.1"}

    def payout(self, command: Payout) -> Sent:
        """payment.htm: pay out."""
        return {**self._order(command.number, command.told_at), **VERSION_OF_PAYOUTS, **order_of(command)}

    def confirm_payout(self, command: ConfirmPayout) -> Sent:
        """confirmPayment.htm: a payout that is held is right."""
        return {
            **self._common(),
            **VERSION_OF_PAYOUTS,
            "no_order": command.number,
            "confirm_code": command.continuation,
            "notify_url": command.notify_url,
        }

    def ask_payout(self, command: AskPayout) -> Sent:
        """queryPayment.htm."""
        return {**self._common(), **VERSION_OF_PAYOUTS, "no_order": command.number}

    def refund(self, command: Refund) -> Sent:
        """refund.htm: the payment is named by our number of it and its time."""
        return {
            **self._order(command.original_number, command.original_told_at),
            **_of_refund(command.number, command.told_at),
            **money_of(command),
        }

    def ask_refund(self, command: AskRefund) -> Sent:
        """refundquery.htm."""
        return {**self._common(), **_of_refund(command.number, command.told_at)}

    def ask_balance(self) -> Sent:
        """traderAcctQuery.htm."""
        return {**self._common(), **VERSION_OF_BALANCES}

    def _common(self) -> Sent:
        return {"oid_partner": self.oid_partner, "sign_type": "RSA"}

    def _order(self, number: str, told_at: datetime) -> Sent:
        return {
            **self._common(),
            "no_order": number,
            "dt_order": _time(told_at),
        }

    def _risk(self, user_id: str, phone: str, goods: str) -> str:
        """risk_item: JSON inside of a text. What cannot be written here cannot be written elsewhere either."""
        known = {"user_info_mercht_userno": user_id, "user_info_bind_phone": phone, "goods_name": goods}
        try:
            return written({**self.risk_item, **known}).decode()
        except UnwritableError:
            return goods


def _of_refund(number: str, told_at: datetime) -> Sent:
    return {"no_refund": number, "dt_refund": _time(told_at)}


def _time(told_at: datetime) -> str:
    return told_at.astimezone(BEIJING).strftime("%Y%m%d%H%M%S")


def _card(card: CardElements) -> Sent:
    return {
        "card_no": card.card_no,
        "acct_name": card.holder_name,
        "bind_mob": card.phone,
        "id_type": ID_CARD,
        "id_no": card.id_no,
    }


def unfit(card: CardElements | None, notify_url: str) -> Declined | None:
    """What the protocol has no place for; `card`: the one that would go out."""
    if card is not None and card.id_type is not IdType.ID_CARD:
        return Declined(F.CARD_UNSUPPORTED, channel_message="only ID cards are taken")
    if len(notify_url) > MAX_NOTIFY_URL:
        why = f"the address of callbacks is longer than {MAX_NOTIFY_URL} characters"
        return Declined(F.CHANNEL_REFUSED, channel_message=why)
    return None
