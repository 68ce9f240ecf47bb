"""Agreements of 310001 and 310002: cards that the merchant has signed, each with its number (AGRMNO)."""

import secrets
from dataclasses import dataclass
from typing import Final

from sandbox.books import Books, mask_card
from sandbox.journal import JournalUnreadableError
from sandbox.prints import CardPrinter

__all__ = ["Agreement", "Agreements", "Asked"]

AGRMNO_DIGITS: Final = 18


@dataclass(slots=True)
class Agreement:
    """One signed card."""

    agrmno: str
    card_print: str
    card: str
    order_no: str
    live: bool = True


@dataclass(frozen=True, slots=True, repr=False)
class Asked:
    """A signing whose SMS went out: it lives in memory until its code comes."""

    card_no: str
    phone: str

    @property
    def card_tail(self) -> str:
        """The last four digits."""
        return self.card_no[-4:]


class Agreements:
    """All agreements of the merchant; one that was given up stays known and dead."""

    def __init__(self, books: Books, printer: CardPrinter) -> None:
        self._books, self._printer = books, printer
        self._asked: dict[str, Asked] = {}
        self._by_number: dict[str, Agreement] = {}
        self._by_card: dict[str, Agreement] = {}
        for entry in books.others:
            try:
                self._index(Agreement(**entry["agreement"]))
            except (KeyError, TypeError) as error:
                raise JournalUnreadableError("an agreement in the journal was written by another version") from error

    def _index(self, agreement: Agreement) -> None:
        self._by_number[agreement.agrmno] = agreement
        self._by_card[agreement.card_print] = agreement

    def ask(self, req_sn: str, asked: Asked) -> None:
        """Remember what an SMS was sent for."""
        self._asked[req_sn] = asked

    def asked(self, req_sn: str) -> Asked | None:
        """What the SMS of this 310001 was sent for."""
        return self._asked.get(req_sn)

    def sign(self, asked: Asked, order_no: str) -> Agreement:
        """Sign the card. One that is signed already keeps its number (the sandbox's own rule)."""
        card_print = self._printer.of_binding(asked.card_no, asked.phone)
        known = self._by_card.get(card_print)
        if known is not None and known.live:
            return known
        agreement = Agreement(
            agrmno="".join(str(secrets.randbelow(10)) for _ in range(AGRMNO_DIGITS)),
            card_print=card_print,
            card=mask_card(asked.card_no),
            order_no=order_no,
        )
        self._index(agreement)
        self._books.note({"agreement": agreement})
        return agreement

    def give_up(self, agreement: Agreement) -> None:
        """It is dead from now on."""
        agreement.live = False
        self._books.note({"agreement": agreement})

    def get(self, agrmno: str) -> Agreement | None:
        """The agreement of this number, dead ones too."""
        return self._by_number.get(agrmno)

    def is_about(self, agreement: Agreement, card_no: str, phone: str) -> bool:
        """Whether it was signed for this very card."""
        return agreement.card_print == self._printer.of_binding(card_no, phone)

    def clear(self) -> None:
        """Forget all agreements."""
        self._asked.clear()
        self._by_number.clear()
        self._by_card.clear()
