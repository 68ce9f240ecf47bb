"""Payers' accounts at the bank: which card is bound, who authenticated it, and what was authorised."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.books import Books, mask_card
from sandbox.journal import JournalUnreadableError
from sandbox.lanmao.codes import ANY_BANK, AUTHENTICATORS, BANKS, COMPANIES, REFUSED_BY

__all__ = ["RECHARGE", "Try", "User", "Users"]

RECHARGE = "RECHARGE"
"""What a payer authorises so that withholds are charged without him."""

Try = tuple[str, bool]
"""Whom the bank asked to authenticate a card, and whether he passed it."""


@dataclass(slots=True)
class User:
    """One account. `card` and `phone` are masked, empty while none is bound."""

    user_no: str
    card: str = ""
    phone: str = ""
    bankcode: str = ""
    authorised: list[str] = field(default_factory=list)
    refused_by: list[str] = field(default_factory=list)
    """Companies that refuse the card's holder at a payment."""
    tries: list[Try] = field(default_factory=list)

    @property
    def is_bound(self) -> bool:
        """Whether a card is bound."""
        return bool(self.card)

    def shown(self, balance: int) -> dict[str, Any]:
        """The account as the control API shows it; `balance` in fen."""
        tries = [{"company": company, "passed": passed} for company, passed in self.tries]
        return {
            "user_no": self.user_no,
            "card": self.card,
            "phone": self.phone,
            "bankcode": self.bankcode,
            "authorised": self.authorised,
            "refused_by": self.refused_by,
            "tries": tries,
            "balance": balance,
        }


class Users:
    """All accounts, kept in the journal."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._by_number: dict[str, User] = {}
        for entry in books.others:
            if "user" not in entry:
                continue
            try:
                user = User(**entry["user"])
            except TypeError as error:
                raise JournalUnreadableError("an account in the journal was written by another version") from error
            self._by_number[user.user_no] = user

    def __iter__(self) -> Any:
        return iter(list(self._by_number.values()))

    def get(self, user_no: str) -> User | None:
        """The account of this number, or None."""
        return self._by_number.get(user_no)

    def open(self, user_no: str) -> User:
        """The account of this number, opened now if there is none."""
        user = self._by_number.get(user_no) or User(user_no)
        self._save(user)
        return user

    def bind(self, user: User, card_no: str, phone: str, bankcode: str, refused_by: list[str] | None = None) -> bool:
        """Ask one authenticator after the other until one passes the card; whether it is bound now.

        `refused_by`: who refuses the holder; None: whom the card's tail says. A card that nobody passes leaves the
        one that was bound before.
        """
        refusing = set(REFUSED_BY.get(card_no[-4:], ()) if refused_by is None else refused_by) & COMPANIES
        tries: list[Try] = []
        for company in AUTHENTICATORS:
            tries.append((company, company not in refusing))
            if tries[-1][1]:
                user.card, user.refused_by = mask_card(card_no), sorted(refusing)
                user.bankcode = bankcode if bankcode in BANKS else ANY_BANK
                user.phone = f"{phone[:3]}****{phone[-4:]}"
                break
        user.tries = tries
        self._save(user)
        return tries[-1][1]

    def authorise(self, user: User, what: list[str]) -> None:
        """From now on the account may be charged for this without its payer; an empty list takes all back."""
        user.authorised = sorted(set(what))
        self._save(user)

    def unbind(self, user: User) -> None:
        """No card is bound any more."""
        user.card = user.phone = user.bankcode = ""
        self._save(user)

    def clear(self) -> None:
        """Forget all accounts."""
        self._by_number.clear()

    def _save(self, user: User) -> None:
        self._by_number[user.user_no] = user
        self._books.note({"user": user})
