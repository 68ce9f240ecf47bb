"""Made-up payouts of a demonstration: one to each kind of payee that a channel pays, and some that ask for trouble."""

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.run.demo.orders import Cards, card_of

__all__ = ["AT_SETTLEMENT", "Paid", "PayoutOrder", "make_payouts", "settlement"]

Paid = tuple[str, str]
"""A channel and the type of payee that it pays: `personal` or `corporate`."""

BANK: Final = "ICBC"
FIRM: Final = {"branch": "中国工商银行杭州西湖支行", "cnaps": "102331000118", "province": "浙江省", "city": "杭州市"}
FIRM_NAME: Final = "示例融资租赁有限公司"
AT_SETTLEMENT: Final = ("allinpay", "corporate")
"""Who pays on what was collected."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that the last digits of an account ask a channel's sandbox for."""

    channel: str
    tail: str
    what: str
    ends: str


TROUBLES: Final = (
    Trouble("lianlian", "4003", "a payout held for a suspicion, and confirmed", "succeeded"),
    Trouble("lianlian", "9831", "a payout that comes back after its success", "returned"),
    Trouble("cpcn", "9834", "a payout that comes back after its success", "returned"),
    Trouble("allinpay", "3008", "a payout for which the merchant's balance is short", "failed"),
)
"""Of these two PSPs alone: they notify what comes back; the others tell it when they are asked, hours later."""


@dataclass(frozen=True, slots=True)
class PayoutOrder:
    """A payout to make, and the status that it is to end with. `trouble` says what was asked for, for people."""

    body: dict[str, Any] = field(repr=False)
    ends: str = "succeeded"
    trouble: str | None = None

    @property
    def paid(self) -> Paid:
        """Whom it pays, and where."""
        return self.body["channel"], self.body["account"]["type"]


def make_payouts(paid: Collection[Paid], run: str, dice: random.Random) -> Iterator[PayoutOrder]:
    """One for each of `paid`, and what asks for trouble there; `run` makes their numbers different from other runs'."""
    cards = Cards(dice)
    channels = {channel for channel, payee in paid if payee == "personal"}
    for number, (channel, payee) in enumerate(sorted(paid)):
        yield PayoutOrder(_body(f"out-{run}-{number:02}", channel, _account(payee, cards, dice), dice))
    for number, each in enumerate(TROUBLES):
        if each.channel in channels:
            account = _account("personal", cards, dice, each.tail)
            body = _body(f"out-{run}-t{number}", each.channel, account, dice)
            yield PayoutOrder(body, each.ends, each.what)


def settlement(run: str, amount: int, dice: random.Random) -> PayoutOrder:
    """A payout to a firm that is held for the payments which it pays on."""
    channel, payee = AT_SETTLEMENT
    body = _body(f"out-{run}-settles", channel, _account(payee, Cards(dice), dice), dice)
    return PayoutOrder(body | {"amount": amount, "hold": True, "purpose": "归集还款"})


def _body(number: str, channel: str, account: dict[str, str], dice: random.Random) -> dict[str, Any]:
    return {
        "merchant_order_no": number,
        "channel": channel,
        "amount": dice.randrange(10_000, 90_000),
        "currency": "CNY",
        "account": account,
        "purpose": "放款",
        "metadata": {"run": "demo"},
    }


def _account(payee: str, cards: Cards, dice: random.Random, tail: str | None = None) -> dict[str, str]:
    card = card_of(cards.make(BANK, tail), dice)
    if payee == "personal":
        return {"type": payee, "account_no": card["card_no"], "name": card["holder_name"], "bank": BANK}
    return {"type": payee, "account_no": card["card_no"], "name": FIRM_NAME, "bank": BANK, **FIRM}
