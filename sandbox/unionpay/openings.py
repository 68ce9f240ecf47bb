"""Cards that the merchant has opened (开通), each with its token."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sandbox.books import Books, mask_card
from sandbox.journal import JournalUnreadableError
from sandbox.magic import pays
from sandbox.prints import CardPrinter

__all__ = ["Opening", "Openings"]

TOKEN_DIGITS: Final = 19
TOKEN_LIFE: Final = timedelta(days=5 * 365)


@dataclass(slots=True)
class Opening:
    """One opened card. Times as UnionPay writes them, `YYYYMMDDhhmmss`."""

    token: str
    tr_id: str
    card_print: str
    card: str
    order_no: str
    begin: str
    end: str
    live: bool = True
    pays: bool = True
    """Whether the phone that it was opened with is the one that is reserved for payments."""

    def token_pay_data(self) -> str:
        """The field `tokenPayData` of an answer."""
        return (
            f"{{token={self.token}&trId={self.tr_id}&tokenLevel=40"
            f"&tokenBegin={self.begin}&tokenEnd={self.end}&tokenType=01}}"
        )


class Openings:
    """All openings of the merchant; a deleted token stays known and dead."""

    def __init__(self, books: Books, printer: CardPrinter) -> None:
        self._books = books
        self._printer = printer
        self._by_token: dict[str, Opening] = {}
        self._by_card: dict[str, Opening] = {}
        self._by_order: dict[str, Opening] = {}
        for entry in books.others:
            try:
                self._index(Opening(**entry["opening"]))
            except (KeyError, TypeError) as error:
                raise JournalUnreadableError("an opening in the journal was written by another version") from error

    def _index(self, opening: Opening) -> None:
        self._by_token[opening.token] = opening
        self._by_card[opening.card_print] = opening
        self._by_order[opening.order_no] = opening

    def open(self, card_no: str, phone: str, tr_id: str, order_no: str) -> Opening:
        """Open a card. A card that is open already keeps its token (the sandbox's own rule)."""
        known = self.of_card(card_no, phone)
        if known is not None and known.tr_id == tr_id:
            self._by_order[order_no] = known
            return known
        now = datetime.now(UTC)
        opening = Opening(
            token="62" + "".join(str(secrets.randbelow(10)) for _ in range(TOKEN_DIGITS - 2)),
            tr_id=tr_id,
            card_print=self._printer.of_binding(card_no, phone),
            card=mask_card(card_no),
            order_no=order_no,
            begin=f"{now:%Y%m%d%H%M%S}",
            end=f"{now + TOKEN_LIFE:%Y%m%d%H%M%S}",
            pays=pays(card_no[-4:], phone),
        )
        self._index(opening)
        self._books.note({"opening": opening})
        return opening

    def delete(self, opening: Opening) -> None:
        """The token is dead from now on."""
        opening.live = False
        self._books.note({"opening": opening})

    def of_token(self, token: str, tr_id: str) -> Opening | None:
        """The opening of a token, dead ones too."""
        opening = self._by_token.get(token)
        return opening if opening is not None and opening.tr_id == tr_id else None

    def of_card(self, card_no: str, phone: str) -> Opening | None:
        """The live opening of a card."""
        opening = self._by_card.get(self._printer.of_binding(card_no, phone))
        return opening if opening is not None and opening.live else None

    def of_order(self, order_no: str) -> Opening | None:
        """The live opening that this order made."""
        opening = self._by_order.get(order_no)
        return opening if opening is not None and opening.live else None

    def clear(self) -> None:
        """Forget all openings."""
        self._by_token.clear()
        self._by_card.clear()
        self._by_order.clear()
