"""What LianLian remembers of cards: agreements, each of one user and one card, and tokens that wait for a code."""

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sandbox.books import Books, mask_card
from sandbox.journal import JournalUnreadableError
from sandbox.prints import CardPrinter
from sandbox.sms import Purpose

__all__ = ["Agreement", "Agreements", "Token", "Tokens"]

AGREEMENT_DIGITS: Final = 16
TOKEN_LIFE_S: Final = 1800.0
"""30 minutes (H)."""
MAX_WRONG_CODES: Final = 5


@dataclass(slots=True)
class Agreement:
    """One bound card of one user."""

    no_agree: str
    user_id: str
    card_print: str
    card: str
    live: bool = True
    pays: bool = True
    """Whether the phone that it was bound with is the one that is reserved for payments."""


class Agreements:
    """All agreements of the merchant; one that was given up stays known and dead."""

    def __init__(self, books: Books, printer: CardPrinter) -> None:
        self._books = books
        self._printer = printer
        self._by_number: dict[str, Agreement] = {}
        for entry in books.others:
            try:
                agreement = Agreement(**entry["agreement"])
            except (KeyError, TypeError) as error:
                raise JournalUnreadableError("an agreement in the journal was written by another version") from error
            self._by_number[agreement.no_agree] = agreement

    def bind(self, user_id: str, card_no: str, *, pays: bool) -> Agreement:
        """Bind a card. A card that the user has bound already keeps its number (the sandbox's own rule).

        `pays`: whether the phone is the one that is reserved for payments.
        """
        agreement = self._known(user_id, self._printer.of(card_no))
        if agreement is None:
            tail = "".join(str(secrets.randbelow(10)) for _ in range(AGREEMENT_DIGITS - 8))
            number, card_print = f"{datetime.now(UTC):%Y%m%d}{tail}", self._printer.of(card_no)
            agreement = Agreement(number, user_id, card_print, mask_card(card_no), pays=pays)
        elif agreement.pays == pays:
            return agreement
        agreement.pays = pays
        self._by_number[agreement.no_agree] = agreement
        self._books.note({"agreement": agreement})
        return agreement

    def _known(self, user_id: str, card_print: str) -> Agreement | None:
        live = (known for known in self._by_number.values() if known.live)
        return next((known for known in live if (known.user_id, known.card_print) == (user_id, card_print)), None)

    def of(self, user_id: str, no_agree: str) -> Agreement | None:
        """The user's live agreement of this number."""
        agreement = self._by_number.get(no_agree)
        return agreement if agreement is not None and agreement.live and agreement.user_id == user_id else None

    def give_up(self, agreement: Agreement) -> None:
        """The agreement is dead from now on."""
        agreement.live = False
        self._books.note({"agreement": agreement})

    def clear(self) -> None:
        """Forget all agreements."""
        self._by_number.clear()


@dataclass(slots=True, repr=False)
class Token:
    """What an SMS was sent for. It is in memory only, as the card's number in it is."""

    text: str
    purpose: Purpose
    order_no: str
    user_id: str
    card_no: str
    pays: bool
    """Whether the phone that it was sent to is the one that is reserved for payments."""
    lapses_at: float
    wrong_codes: int = 0

    @property
    def may_be_tried(self) -> bool:
        """Whether the SMS has had fewer wrong codes than it may."""
        return self.wrong_codes < MAX_WRONG_CODES


class Tokens:
    """The newest token of each order."""

    def __init__(self) -> None:
        self._by_order: dict[str, Token] = {}

    def new(self, purpose: Purpose, order_no: str, user_id: str, card_no: str, *, pays: bool) -> Token:
        """A token for an SMS that goes out now; the one before it is worth nothing any more."""
        text, lapses_at = secrets.token_hex(16).upper(), time.time() + TOKEN_LIFE_S
        token = Token(text, purpose, order_no, user_id, card_no, pays, lapses_at)
        self._by_order[order_no] = token
        return token

    def of(self, purpose: str, order_no: str, text: str) -> Token | None:
        """The order's token, if it is this one and has not lapsed."""
        token = self._by_order.get(order_no)
        if token is None or (token.purpose, token.text) != (purpose, text) or time.time() > token.lapses_at:
            return None
        return token

    def drop(self, token: Token) -> None:
        """It was used."""
        self._by_order.pop(token.order_no, None)

    def clear(self) -> None:
        """Forget all tokens."""
        self._by_order.clear()
