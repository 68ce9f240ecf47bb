"""What a request of each transaction must bring, before any work."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.cpcn.wire import Message, RefusedError
from sandbox.faults import Occasion, Operation

__all__ = ["AMOUNT", "CARD", "NUMBER", "QUICK", "REFUND", "WITHHOLD", "Body", "Business", "Wanted", "check"]

AMOUNT: Final = re.compile("0*[1-9][0-9]{0,17}")
CARD_NO: Final = re.compile("[0-9]{12,19}")
NUMBER: Final = re.compile("[0-9A-Za-z]{8,50}")

Body = Mapping[str, str] | None
"""The body of an answer; None: it has a head alone."""

# What a request must bring: the element, the code that tells its absence, and its form.
Wanted = tuple[tuple[str, str, re.Pattern[str] | None], ...]
CARD: Final[Wanted] = (
    ("TxSNBinding", "30250103", NUMBER),
    ("BankID", "30250105", None),
    ("AccountName", "30250108", None),
    ("AccountNumber", "30250109", CARD_NO),
    ("IdentificationType", "30250111", None),
    ("IdentificationNumber", "30250113", None),
    ("PhoneNumber", "30250121", None),
    ("CardType", "30250115", re.compile("10|20")),
)
QUICK: Final[Wanted] = (
    ("PaymentNo", "30251101", NUMBER),
    ("Amount", "30251102", AMOUNT),
    ("TxSNBinding", "30251104", None),
    ("SettlementFlag", "30251105", None),
)
WITHHOLD: Final[Wanted] = (
    ("TxSN", "2016", NUMBER),
    ("Amount", "30251102", AMOUNT),
    ("BankID", "260001", None),
    ("AccountType", "260002", re.compile("1[12]")),
    ("AccountName", "260005", None),
    ("AccountNumber", "260006", CARD_NO),
    ("SettlementFlag", "260016", None),
)
REFUND: Final[Wanted] = (
    ("TxSN", "30252101", NUMBER),
    ("PaymentNo", "30252106", None),
    ("Amount", "30252103", AMOUNT),
)


@dataclass(frozen=True, slots=True)
class Business:
    """One transaction: what it is for a fault, the element with its number, what it must bring, what is done."""

    operation: Operation
    number: str
    wanted: Wanted
    work: Callable[[Message, Occasion], Body]


def check(message: Message, wanted: Wanted) -> None:
    """Raise RefusedError for an element that is missing, where its form does not say otherwise, or has another form."""
    for name, code, form in wanted:
        if not (form.fullmatch(message[name]) if form is not None else message[name]):
            raise RefusedError(code, name)
