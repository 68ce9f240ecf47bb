"""What people ordered in the shop, written down before the gateway hears of it: asking again is the same order."""

import hashlib
import hmac
import re
import secrets
import time
import unicodedata
from base64 import b32encode
from collections.abc import Callable
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Final, Literal

from sandbox.journal import Journal, JournalUnreadableError

__all__ = ["BORROWER", "INSTALMENTS", "Loan", "Order", "OrderKind", "Orders", "Tickets", "read_amount", "read_user"]

OrderKind = Literal["recharge", "repay", "sign"]
PREFIXES: Final[dict[OrderKind, str]] = {"recharge": "CZ", "repay": "HK", "sign": "QY"}
"""How the numbers of orders begin: 充值, 还款, 签约."""
NUMBER_CHARS: Final = 16
BORROWER: Final = "zhangsan"
INSTALMENTS: Final = (68_350, 68_350, 68_340)
"""Of a sample loan, in fen."""
EVERY_S: Final = 30 * 86_400.0
MOST_FEN: Final = 10_000_000_00
AMOUNT: Final = re.compile(r"\d{1,9}(\.\d{1,2})?", re.ASCII)
USER: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}")


def read_amount(text: str) -> int:
    """What a person typed as yuan, in fen: `1,000.5`, `¥ 20`, full-width digits. Raises ValueError."""
    plain = re.sub(r"[\s,¥元]", "", unicodedata.normalize("NFKC", text))
    if not AMOUNT.fullmatch(plain):
        raise ValueError("not an amount in yuan")
    fen = int(Decimal(plain) * 100)
    if not 1 <= fen <= MOST_FEN:
        raise ValueError("out of range")
    return fen


def read_user(text: str) -> str:
    """A user's name as typed. Raises ValueError."""
    plain = unicodedata.normalize("NFKC", text).strip()
    if not USER.fullmatch(plain):
        raise ValueError("not a name of a user")
    return plain


class Tickets:
    """What each form carries, so that only forms of our own pages are taken, and each one once.

    Nothing is kept in browsers: another site can post here, but cannot read a ticket.
    """

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(f"forms:{secret}".encode()).digest()

    def issue(self, about: str = "") -> str:
        """A ticket of a form about one thing, or a new one, for a thing that does not exist yet."""
        about = about or secrets.token_urlsafe(12)
        return f"{about}.{self._mac(about)}"

    def about(self, ticket: str) -> str | None:
        """What the form is about; None when the ticket is not one of ours."""
        about, _, mac = ticket.rpartition(".")
        return about if about and hmac.compare_digest(mac.encode(), self._mac(about).encode()) else None

    def _mac(self, about: str) -> str:
        return hmac.new(self._key, about.encode(), hashlib.sha256).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Order:
    """One order as the gateway is told it, each time the same. Amount in fen, None where a card is signed.

    `instalment`: the loan and the number in it, `2/3`, of a repayment. `created_at` in seconds of the epoch.
    """

    order_no: str
    kind: OrderKind
    user_id: str
    amount: int | None
    description: str
    return_url: str
    created_at: float
    instalment: str = ""


@dataclass(frozen=True, slots=True)
class Loan:
    """A sample loan with its instalments, in fen, and when they are due, in seconds of the epoch."""

    number: int
    began_at: float

    def instalments(self) -> list[tuple[str, int, float]]:
        """Which one, how much, due when."""
        return [
            (f"{self.number}/{place}", amount, self.began_at + place * EVERY_S)
            for place, amount in enumerate(INSTALMENTS, start=1)
        ]


class Orders:
    """All orders, by number, kept in the journal; and the loan that is being repaid. `clock`: the epoch's seconds."""

    def __init__(self, journal: Journal, clock: Callable[[], float] = time.time) -> None:
        self._journal, self._clock = journal, clock
        self._orders: dict[str, Order] = {}
        self._repaying: dict[str, Order] = {}
        self.loan = Loan(0, 0.0)
        for entry in journal.replay():
            try:
                if "loan" in entry:
                    self.loan = Loan(**entry["loan"])
                elif "withdrawn" in entry:
                    self._forget(entry["withdrawn"])
                else:
                    self._put(Order(**entry["order"]))
            except (KeyError, TypeError) as error:
                raise JournalUnreadableError(f"{journal.path}: written by another version; move it away") from error
        if self.loan.number == 0:
            self.borrow()

    def borrow(self) -> None:
        """Begin the next sample loan."""
        self.loan = Loan(self.loan.number + 1, self._clock())
        self._journal.append({"loan": asdict(self.loan)})

    def place(
        self,
        form: str,
        kind: OrderKind,
        user_id: str,
        amount: int | None,
        *,
        description: str,
        returns_to: Callable[[str], str],
        instalment: str = "",
    ) -> Order:
        """The order of a form. The same form with the same content is the same order, however often it is sent.

        `returns_to`: where the payer of an order comes back to, by its number.
        """
        said = "\0".join([form, kind, user_id, str(amount), instalment])
        order_no = f"{PREFIXES[kind]}{b32encode(hashlib.sha256(said.encode()).digest()).decode()[:NUMBER_CHARS]}"
        if (known := self._orders.get(order_no)) is not None:
            return known
        order = Order(order_no, kind, user_id, amount, description, returns_to(order_no), self._clock(), instalment)
        # Written first: an order that the gateway knows and this program does not could be asked for twice.
        self._journal.append({"order": asdict(order)})
        self._put(order)
        return order

    def _put(self, order: Order) -> None:
        self._orders[order.order_no] = order
        if order.instalment:
            self._repaying[order.instalment] = order

    def withdraw(self, order: Order) -> None:
        """Forget an order that the gateway did not take: another may repay the same instalment."""
        self._journal.append({"withdrawn": order.order_no})
        self._forget(order.order_no)

    def _forget(self, order_no: str) -> None:
        order = self._orders.pop(order_no)
        if self._repaying.get(order.instalment) is order:
            del self._repaying[order.instalment]

    def get(self, order_no: str) -> Order | None:
        """The order of this number, or None."""
        return self._orders.get(order_no)

    def repaying(self, instalment: str) -> Order | None:
        """The latest order that repays an instalment, or None."""
        return self._repaying.get(instalment)

    def newest(self, most: int) -> list[Order]:
        """The latest orders, newest first."""
        return list(reversed(self._orders.values()))[:most]

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()
