"""Made-up orders for a demonstration: well-formed cards and people that do not exist, and some that ask for trouble."""

import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from importlib import resources
from typing import Any

from stdnum import luhn
from stdnum.cn import ric

from gateway.domain.cards import bank_of

__all__ = ["CUSTODY_BANKS", "FAULTS", "Cards", "Custody", "DemoOrder", "Paging", "Typing", "card_of", "make_orders"]

BANKS = ("ICBC", "ABC", "BOC", "CCB", "COMM", "PSBC", "CMB", "CITIC", "CEB", "CMBC", "SPABANK", "CIB", "SPDB")
ASKING = ("CMB", "CIB", "SPDB", "CEB", "SPABANK", "CITIC", "COMM", "PSBC", "CMBC")
"""Banks whose cards the sample catalogue has signed or paid by SMS: more of the charges are theirs."""
SURNAMES, GIVEN = "王李张刘陈杨赵黄周吴", ("伟", "芳", "敏", "静", "强", "磊", "洋", "艳", "勇", "军")
MAX_TRIES = 10_000
MAGIC_TAILS = ("0064", "3008")
"""Card tails that the sandboxes of UnionPay and of Allinpay take as "balance short"."""
MAGIC_AMOUNTS = {
    980_001: "processing first",
    980_002: "connection reset after the work",
    980_003: "processing first, then balance short",
    980_004: "HTTP 502 after the work",
    980_005: "not found at first",
    980_006: "callback lost",
}
"""Amounts in fen that ask the sandbox for trouble (sandbox/README.md)."""
PLAIN = "25"
"""First digits of the last four that no mock takes for a wish."""
SMS_AFTER_ALL = "0071"
"""The tail of cards whose silent opening UnionPay's sandbox answers with the wish for an SMS."""
SENT_BY_PAYING = "PSBC"
"""Its codes are sent by asking LianLian to pay: if that answer is lost, the order lapses there after half an hour."""
TROUBLED = 0.2
"""The share of orders that ask for trouble by themselves."""
ON_A_PAGE = 0.2
"""The share of orders that are paid on a page, or through the custody bank."""
PAGE_SCENES = ("netbank_charge", "netbank_charge", "custody_quick_charge", "custody_netbank_charge", "custody_withhold")
CUSTODY_BANKS = {"ICBC": "ICBK", "ABC": "ABOC", "BOC": "BKCH", "CCB": "PCBC", "COMM": "COMM", "CMB": "CMBC"}
"""Banks of the custody payers, with what the custody bank calls them."""
RETURNING = 0.3
"""The share of charges whose card is withheld from afterwards, without its payer."""


class Typing(StrEnum):
    """What the payer does about an SMS."""

    TYPES = "the payer types the code"
    MISTYPES = "a wrong code, then the right one"
    LEAVES = "the payer leaves, and the app closes the payment"


class Paging(StrEnum):
    """What the payer does on the page of a bank."""

    PAYS = "the payer pays on the page"
    IS_SHORT = "not enough money at the bank, then once more if it may be"
    LEAVES = "the payer closes the page, and the app the payment"


@dataclass(frozen=True, slots=True)
class Custody:
    """A payer's account at the custody bank, as the sandbox opens it."""

    user_no: str
    card_no: str = field(repr=False)
    bankcode: str


FAULTS: dict[str, list[dict[str, Any]]] = {
    "allinpay": [
        {"fault": "reset_after", "times": 4, "match": {"operation": "pay"}},
        {"fault": "error_after", "times": 4, "match": {"operation": "pay"}},
        {"fault": "late_final", "times": 4, "seconds": 2},
        {"fault": "garbage", "times": 3, "match": {"operation": "query"}},
        {"fault": "reset_after", "times": 1, "match": {"operation": "payout"}},
    ],
    "unionpay": [
        {"fault": "duplicate_callback", "times": 6, "copies": 2},
        {"fault": "corrupt_callback", "times": 3},
        {"fault": "forge_callback", "times": 3},
        {"fault": "delay_callback", "times": 3, "seconds": 2},
        {"fault": "reset_after", "times": 1, "match": {"operation": "refund"}},
    ],
    "baofoo": [
        {"fault": "duplicate_callback", "times": 3, "copies": 2},
        {"fault": "reset_after", "times": 2, "match": {"operation": "pay"}},
        {"fault": "error_after", "times": 1, "match": {"operation": "payout"}},
    ],
    "cpcn": [{"fault": "error_after", "times": 2, "match": {"operation": "pay"}}],
    "lianlian": [{"fault": "duplicate_callback", "times": 2, "copies": 2}],
    "yeepay": [
        {"fault": "lose_callback", "times": 2},
        {"fault": "lose_return", "times": 2},
        {"fault": "forge_return", "times": 1},
        {"fault": "duplicate_callback", "times": 2, "copies": 2},
    ],
    "lanmao": [
        {"fault": "lose_callback", "times": 2},
        {"fault": "corrupt_return", "times": 1},
        {"fault": "reset_after", "times": 2, "match": {"operation": "pay"}},
        {"fault": "duplicate_callback", "times": 2, "copies": 2},
    ],
    "jd": [{"fault": "delay", "times": 2, "seconds": 2, "match": {"operation": "pay"}}],
}
"""Faults that the demonstration asks each sandbox for: kinds that orders cannot ask for themselves."""


@dataclass(frozen=True, slots=True)
class DemoOrder:
    """One call to make: `path` and `body`; `trouble` says what was asked for, for people.

    `after`: the order that must have ended before this one is sent.
    """

    path: str
    body: dict[str, Any] = field(repr=False)
    trouble: str | None
    typing: Typing = Typing.TYPES
    after: str | None = None
    paging: Paging = Paging.PAYS
    custody: Custody | None = None
    """The account that the payer has at the custody bank."""


def make_orders(count: int, run: str, dice: random.Random) -> Iterator[DemoOrder]:
    """`count` orders; `run` makes their numbers and users different from every other run's."""
    cards = Cards(dice)
    before: DemoOrder | None = None
    for number in range(count):
        order_no = f"demo-{run}-{number:05}"
        if dice.random() < ON_A_PAGE:
            yield _on_a_page(order_no, f"u-{run}-{number}", cards, dice)
        elif before is not None and before.path == "/v1/charges" and not before.trouble and dice.random() < RETURNING:
            before = _again(order_no, before, dice)
            yield before
        else:
            before = _order(order_no, f"u-{run}-{number % max(count // 3, 1)}", cards, dice)
            yield before


def _again(order_no: str, before: DemoOrder, dice: random.Random) -> DemoOrder:
    """A withhold from the card of a charge, once that has ended."""
    body = {**before.body, "merchant_order_no": order_no, "scene": "withhold", "amount": dice.randrange(100, 20_000)}
    return DemoOrder("/v1/withholds", body, None, after=before.body["merchant_order_no"])


def _order(order_no: str, user_id: str, cards: "Cards", dice: random.Random) -> DemoOrder:
    is_charge = dice.random() < 0.3
    amount, tail, typing = _amount(is_charge, dice), None, Typing.TYPES
    trouble: str | None = None
    if dice.random() < TROUBLED:
        kind = dice.random()
        if is_charge and kind < 0.4:
            typing = dice.choice((Typing.MISTYPES, Typing.LEAVES))
            trouble = str(typing)
        elif is_charge and kind < 0.6:
            tail, trouble = SMS_AFTER_ALL, "an SMS needed after all"
        elif kind < 0.4:
            tail, trouble = dice.choice(MAGIC_TAILS), "balance short"
        else:
            amount, trouble = dice.choice(list(MAGIC_AMOUNTS.items()))
    banks: tuple[str, ...] = (*BANKS, *ASKING) if is_charge and tail is None else BANKS
    if is_charge and amount in MAGIC_AMOUNTS:
        banks = tuple(bank for bank in banks if bank != SENT_BY_PAYING)
    body = {
        "merchant_order_no": order_no,
        "scene": "quick_charge" if is_charge else "withhold",
        "user_id": user_id,
        "amount": amount,
        "currency": "CNY",
        "card": card_of(cards.make(dice.choice(banks), tail), dice),
        "metadata": {"run": "demo"},
    }
    return DemoOrder("/v1/charges" if is_charge else "/v1/withholds", body, trouble, typing)


def _on_a_page(order_no: str, user_id: str, cards: "Cards", dice: random.Random) -> DemoOrder:
    """A payment by net-bank, or one that the custody bank makes."""
    scene = dice.choice(PAGE_SCENES)
    bank = dice.choice(list(CUSTODY_BANKS))
    body: dict[str, Any] = {
        "merchant_order_no": order_no,
        "scene": scene,
        "user_id": user_id,
        "amount": dice.randrange(1_000, 300_000),
        "currency": "CNY",
        "bank": bank,
        "description": '还款 "A&B"',
        "metadata": {"run": "demo"},
    }
    paging, trouble = Paging.PAYS, None
    if scene != "custody_withhold" and dice.random() < TROUBLED:
        paging = Paging.LEAVES if scene == "netbank_charge" and dice.random() < 0.5 else Paging.IS_SHORT
        trouble = str(paging)
    custody = None
    if scene.startswith("custody"):
        custody = Custody(user_id, cards.make(bank, None), CUSTODY_BANKS[bank])
    path = "/v1/withholds" if scene.endswith("withhold") else "/v1/charges"
    return DemoOrder(path, body, trouble, paging=paging, custody=custody)


def _amount(is_charge: bool, dice: random.Random) -> int:
    """Fen: withholds on both sides of the amount where the cheaper channel changes, rarely above every limit."""
    if dice.random() < 0.01:
        return 6_000_000
    most = 30_000 if is_charge else dice.choice((20_000, 49_000, 450_000))
    return dice.randrange(100, most)


def card_of(card_no: str, dice: random.Random) -> dict[str, str]:
    """The four elements of a card, of nobody."""
    return {
        "card_no": card_no,
        "holder_name": dice.choice(SURNAMES) + dice.choice(GIVEN),
        "id_no": _id_no(dice),
        "phone": f"13{dice.randrange(10**9):09}",
    }


class Cards:
    """Makes card numbers of banks."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        text = resources.files("gateway.domain").joinpath("banks/bins.csv").read_text(encoding="utf-8")
        self._bins: dict[str, list[tuple[str, int]]] = {}
        for row in csv.DictReader(text.splitlines()):
            if row["type"] == "DC" and 16 <= int(row["length"]) <= 19:
                self._bins.setdefault(row["bank"], []).append((row["bin"], int(row["length"])))

    def make(self, bank: str, tail: str | None) -> str:
        """A card number of the bank, valid by Luhn, with these last digits, or with ones that ask for nothing."""
        for _ in range(MAX_TRIES):
            start, length = self._dice.choice(self._bins[bank])
            end = tail or f"{self._dice.choice(PLAIN)}{self._dice.randrange(1000):03}"
            middle = length - len(start) - len(end)
            card_no = f"{start}{self._dice.randrange(10**middle):0{middle}}{end}" if middle > 0 else ""
            if len(card_no) == length and luhn.is_valid(card_no) and bank_of(card_no) == bank:
                return card_no
        raise AssertionError(f"no card of {bank} can be made")


def _id_no(dice: random.Random) -> str:
    """An ID number (GB 11643) of nobody: a district of Beijing, a day, a serial number, and the check digit."""
    born = date(1960, 1, 1) + timedelta(days=dice.randrange(15_000))
    first = f"110105{born:%Y%m%d}{dice.randrange(1000):03}"
    return first + str(ric.calc_check_digit(f"{first}0"))  # it leaves the last one out
