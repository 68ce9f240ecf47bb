"""Cards that users have bound, each with its agreement, and the SMS codes that are waited for."""

import secrets
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from sandbox.books import Books, mask_card
from sandbox.journal import JournalUnreadableError
from sandbox.keys import Identity
from sandbox.magic import pays
from sandbox.prints import CardPrinter

__all__ = ["Binding", "Bindings", "Wish", "new_number"]

NUMBER_DIGITS: Final = 22


def new_number() -> str:
    """A number of Baofoo's own."""
    return str(secrets.randbelow(9) + 1) + "".join(str(secrets.randbelow(10)) for _ in range(NUMBER_DIGITS - 1))


@dataclass(slots=True)
class Binding:
    """One bound card. `sealed_phone` is where its SMS go; only the provider's own key opens it."""

    protocol_no: str
    user_id: str
    card_print: str
    card: str
    sealed_phone: str
    live: bool = True
    pays: bool = True
    """Whether its phone is the one that is reserved for payments."""


@dataclass(slots=True, repr=False)
class Wish:
    """What an SMS was sent for: a binding, or a payment. It lives in memory alone, like the SMS itself."""

    unique_code: str
    user_id: str
    card_no: str = ""
    phone: str = ""
    order_no: str = ""
    amount: int = 0
    protocol_no: str = ""
    return_url: str = ""
    txn_time: str = ""
    done: bool = False

    @property
    def what(self) -> tuple[str, str, str]:
        """A newer wish for the same takes its place."""
        return self.user_id, self.card_no, self.order_no


class Bindings:
    """All bindings of the merchant; a void agreement stays known and dead."""

    def __init__(self, books: Books, printer: CardPrinter, psp: Identity) -> None:
        self._books, self._printer, self._psp = books, printer, psp
        self._by_protocol: dict[str, Binding] = {}
        self._wishes: dict[str, Wish] = {}
        for entry in books.others:
            try:
                self._index(Binding(**entry["binding"]))
            except (KeyError, TypeError) as error:
                raise JournalUnreadableError("a binding in the journal was written by another version") from error

    def _index(self, binding: Binding) -> None:
        self._by_protocol[binding.protocol_no] = binding

    def bind(self, user_id: str, card_no: str, phone: str) -> Binding:
        """Bind a card. The agreement that this user had for it is void from now on (H)."""
        for known in self.of_card(card_no, user_id):
            self.end(known)
        binding = Binding(
            protocol_no=new_number(),
            user_id=user_id,
            card_print=self._printer.of(card_no),
            card=mask_card(card_no),
            sealed_phone=self._psp.key.public_key().encrypt(phone.encode(), PKCS1v15()).hex(),
            pays=pays(card_no[-4:], phone),
        )
        self._index(binding)
        self._books.note({"binding": binding})
        return binding

    def end(self, binding: Binding) -> None:
        """The agreement is void from now on."""
        binding.live = False
        self._books.note({"binding": binding})

    def of(self, protocol_no: str) -> Binding | None:
        """The binding of an agreement, void ones too."""
        return self._by_protocol.get(protocol_no)

    def of_card(self, card_no: str, user_id: str = "") -> list[Binding]:
        """The live bindings of a card, of one user or of all."""
        card_print = self._printer.of(card_no)
        live = [each for each in self._by_protocol.values() if each.live and each.card_print == card_print]
        return [each for each in live if not user_id or each.user_id == user_id]

    def of_user(self, user_id: str) -> list[Binding]:
        """The live bindings of a user."""
        return [each for each in self._by_protocol.values() if each.live and each.user_id == user_id]

    def phone_of(self, binding: Binding) -> str:
        """Where the SMS of a binding go."""
        return self._psp.key.decrypt(bytes.fromhex(binding.sealed_phone), PKCS1v15()).decode()

    def wish(self, wish: Wish) -> None:
        """Wait for the code of a new SMS, and no longer for that of the one before."""
        self._wishes = {code: other for code, other in self._wishes.items() if other.what != wish.what}
        self._wishes[wish.unique_code] = wish

    def wish_of(self, unique_code: str) -> Wish | None:
        """What an SMS was sent for; None where nothing is waited for."""
        return self._wishes.get(unique_code)

    def wish_to_pay(self, order_no: str) -> Wish | None:
        """The wish to pay an order."""
        return next((wish for wish in self._wishes.values() if wish.order_no == order_no), None)

    def clear(self) -> None:
        """Forget all bindings and wishes."""
        self._by_protocol.clear()
        self._wishes.clear()
