"""Made-up withholds whose bytes have one length: numbered users, each with a card and an ID number of nobody."""

from datetime import date, timedelta
from typing import Final

from stdnum import luhn
from stdnum.cn import ric

__all__ = ["Orders", "card_no", "id_no"]

BIN: Final = "622202"
"""ICBC, debit, 19 digits."""
TAIL: Final = "711"
"""No tail with it is magic to the sandbox: those begin with 0 or 3."""
LEAST_FEN, SPREAD_FEN = 10_000, 40_000
"""Amounts from 100 to 500 yuan, so that each has five digits."""


def card_no(user: int) -> str:
    """The card of a user, valid by Luhn."""
    first = f"{BIN}{user:09}{TAIL}"
    return f"{first}{luhn.calc_check_digit(first)}"


def id_no(user: int) -> str:
    """The ID number of a user (GB 11643): a district of Beijing, a day, a serial number, and the check digit."""
    born = date(1960, 1, 1) + timedelta(days=user // 1000 % 15_000)
    first = f"110105{born:%Y%m%d}{user % 1000:03}"
    return first + str(ric.calc_check_digit(f"{first}0"))  # it leaves the last one out


class Orders:
    """Requests of one load, each of another user: `users` in turn, from `first_user` on."""

    def __init__(self, run: str, host: str, api_key: str, first_user: int, users: int) -> None:
        self._run, self._first, self._users = run, first_user, users
        self._cards: dict[int, tuple[str, str]] = {}
        self._template = ""
        length = len(self._body(0).encode())
        self._head = (
            f"POST /v1/withholds HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {api_key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )

    def request(self, number: int) -> bytes:
        """The bytes of the load's request of this number."""
        return (self._head + self._body(number)).encode()

    def amount(self, number: int) -> int:
        """What that request asks for, in fen."""
        return LEAST_FEN + number * 37 % SPREAD_FEN

    def _body(self, number: int) -> str:
        user = self._first + number % self._users
        elements = self._cards.get(user)
        if elements is None:
            elements = self._cards[user] = (card_no(user), id_no(user))
        return (
            f'{{"merchant_order_no":"bench-{self._run}-{number:08}","scene":"withhold","user_id":"u{user:09}",'
            f'"amount":{self.amount(number)},"currency":"CNY","card":{{"card_no":"{elements[0]}",'
            f'"holder_name":"张三","id_no":"{elements[1]}","phone":"138{user % 10**8:08}"}},'
            f'"description":"repayment, period 7 of 12","metadata":{{"loan":"L{user:09}","period":"7"}}}}'
        )
